"""Where a variable is at an instruction: a DWARF location -> a register or a way from one.

Comes in: the location attribute and the address of the instruction. Goes out: `Located`, which
is what paths start from. What is not there, or is there in a form that a probe cannot follow,
raises `NoPathError` with SystemTap's words. Source: DWARF 5, sections 2.5 and 2.6.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.markers import BIAS
from bridge.probes.dwarf import die as entries
from bridge.probes.dwarf.debug import BLOCK, LIST, NUMBERED_LIST
from bridge.probes.dwarf.expression import Operation, operations_of
from bridge.probes.types import NoPathError

if TYPE_CHECKING:
    from bridge.probes.dwarf.debug import DebugAttribute, Die
    from bridge.probes.dwarf.units import Unit

_X86 = "rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip"
REGISTERS = {
    "x86_64": tuple(_X86.split()),
    "aarch64": (*(f"x{n}" for n in range(31)), "sp", "pc"),
}
"""The registers by their DWARF numbers: System V x86-64 psABI figure 3.36, AADWARF64 4.1."""

_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Located:
    """Where something is. `kind` is "memory" (its address), "register", or "value" (itself).

    The address or value is reached from `base` (a register, `BIAS`, or "" for nothing) by
    adding an offset, and for each further offset, reading the pointer there and adding.
    """

    kind: str
    base: str
    offsets: tuple[int, ...] = (0,)

    def plus(self, amount: int) -> Located:
        """The same, further on."""
        return replace(self, offsets=(*self.offsets[:-1], self.offsets[-1] + amount))


class Locator:
    """Locations at one address of a unit; `function` is the entry with the frame's base."""

    def __init__(self, unit: Unit, machine: str, address: int, function: Die | None) -> None:
        self._unit = unit
        self._registers = REGISTERS.get(machine, ())
        self._address = address
        self._function = function
        self._depth = 0

    def find(self, die: Die, name: str) -> Located:
        """Where the variable of an entry is."""
        constant = entries.holder(die, "DW_AT_const_value")
        if constant is not None:
            value = constant.attributes["DW_AT_const_value"].value
            if not isinstance(value, int):
                raise NoPathError(f"cannot get constant value of '{name}'")
            return Located("value", "", (value,))
        holder = entries.holder(die, "DW_AT_location")
        if holder is None:
            raise NoPathError(
                f"failed to retrieve location attribute for '{name}' [man error::dwarf]"
            )
        return self._attribute(holder, "DW_AT_location")

    def _attribute(self, die: Die, name: str) -> Located:
        attribute = die.attributes[name]
        if attribute.kind == BLOCK:
            return self._evaluate(attribute.value)
        return self._evaluate(self._listed(die, attribute))

    def _listed(self, die: Die, attribute: DebugAttribute) -> bytes:
        if attribute.kind not in (LIST, NUMBERED_LIST):
            raise NoPathError("the location is not understood")
        found = self._unit.image.debug.location(die.unit, attribute, self._address)
        if found is None:
            raise self._absent()
        return found

    def _absent(self) -> NoPathError:
        where = f"(pc: {self._address:#x})"
        return NoPathError(f"not accessible at this address {where} [man error::dwarf]")

    # --- expressions ---

    def _evaluate(self, code: bytes) -> Located:
        if not code:
            raise self._absent()
        operations = self._operations(code)
        names = {operation.name for operation in operations}
        if names & {"piece", "bit_piece"}:
            raise NoPathError("cannot support noncontiguous location")
        if "implicit_pointer" in names:
            raise NoPathError("pointer optimized out")
        first, arguments = operations[0]
        if len(operations) == 1 and first.startswith("reg"):
            return Located("register", self._register(_numbered(first, arguments)), ())
        if first == "implicit_value":
            assert isinstance(arguments[0], bytes)
            return Located("value", "", (int.from_bytes(arguments[0], "little"),))
        return self._run(operations)

    def _operations(self, code: bytes) -> list[Operation]:
        return operations_of(code, self._unit.address_size, self._unit.offset_size)

    def _register(self, number: int) -> str:
        if not 0 <= number < len(self._registers):
            raise NoPathError(f"register {number} cannot be read here")
        return self._registers[number]

    def _run(self, operations: list[Operation]) -> Located:
        stack: list[Located] = []
        kind = "memory"
        for operation in operations:
            if operation.name == "stack_value":
                kind = "value"
            else:
                self._operation(operation, stack)
        if not stack:
            raise NoPathError("the location is not understood")
        return replace(stack[-1], kind=kind)

    def _operation(self, operation: Operation, stack: list[Located]) -> None:
        name = operation.name
        pushed = self._pushed(operation)
        if pushed is not None:
            stack.append(pushed)
        elif name == "deref":
            top = stack.pop()
            stack.append(replace(top, offsets=(*top.offsets, 0)))
        elif name == "plus_uconst":
            stack.append(stack.pop().plus(operation.number(0)))
        elif name in _STACK:
            _STACK[name](stack)
        elif name in _ARITHMETIC and len(stack) > 1:
            right, left = stack.pop(), stack.pop()
            stack.append(_combined(name, left, right))
        elif name != "nop":
            raise _not_followed(name)

    def _pushed(self, operation: Operation) -> Located | None:
        """What an operation adds to the stack."""
        name = operation.name
        constant = self._constant(operation)
        if constant is not None:
            return constant
        if name.startswith("breg"):
            number = _numbered(name, operation.arguments)
            return Located("memory", self._register(number), (operation.number(-1),))
        match name:
            case "fbreg":
                return self._frame_base().plus(operation.number(0))
            case "call_frame_cfa":
                return self._frame_address()
            case "entry_value":
                return self._entry_value(operation)
            case _:
                return None

    def _constant(self, operation: Operation) -> Located | None:
        """A number, or an address in the file."""
        name = operation.name
        if name == "addr":
            return self._static(operation.number(0))
        if name == "addrx":
            unit = self._unit
            return self._static(unit.image.debug.address(unit.number, operation.number(0)))
        if name.startswith("lit"):
            return Located("memory", "", (int(name[3:]),))
        if name.startswith("const") and name not in ("const_type", "constx"):
            return Located("memory", "", (operation.number(0),))
        return None

    def _static(self, address: int) -> Located:
        """A place in the file's own memory."""
        loaded = self._unit.image.loaded(address)
        if loaded is None:
            return Located("memory", BIAS, (address,))
        return Located("memory", "", (loaded,))

    def _frame_base(self) -> Located:
        holder = None
        if self._function is not None:
            holder = entries.holder(self._function, "DW_AT_frame_base")
        if holder is None or self._depth:
            raise NoPathError("DW_AT_frame_base not accessible at this address")
        self._depth += 1
        try:
            found = self._attribute(holder, "DW_AT_frame_base")
        finally:
            self._depth -= 1
        # a frame base that is a register is that register's value
        return Located("memory", found.base, (0,)) if found.kind == "register" else found

    def _frame_address(self) -> Located:
        rule = self._unit.image.frames.at(self._address)
        if rule is None:
            raise NoPathError("the frame's address is not told at this address")
        return Located("memory", self._register(rule[0]), (rule[1],))

    def _entry_value(self, operation: Operation) -> Located:
        """A register as it was when the function was entered: known at its start."""
        code = operation.arguments[0]
        assert isinstance(code, bytes)
        inner = self._operations(code)
        low = (
            entries.number(self._function, "DW_AT_low_pc") if self._function is not None else 0
        )
        if low != self._address or len(inner) != 1:
            raise self._absent()
        name = inner[0].name
        if not name.startswith("reg") or name == "regx":
            raise self._absent()
        return Located("memory", self._register(int(name[3:])), (0,))


def _numbered(name: str, arguments: tuple[int | bytes, ...]) -> int:
    """The register of `reg5`, `breg5`, `regx` or `bregx`."""
    digits = name.lstrip("breg")
    if digits != "x":
        return int(digits)
    assert isinstance(arguments[0], int)
    return arguments[0]


def _not_followed(name: str) -> NoPathError:
    why = f"the location is computed with DW_OP_{name}, which cannot be followed"
    return NoPathError(why)


def _drop(stack: list[Located]) -> None:
    stack.pop()


def _swap(stack: list[Located]) -> None:
    stack[-1], stack[-2] = stack[-2], stack[-1]


def _duplicate(stack: list[Located]) -> None:
    stack.append(stack[-1])


def _over(stack: list[Located]) -> None:
    stack.append(stack[-2])


_STACK = {
    "drop": _drop,
    "swap": _swap,
    "dup": _duplicate,
    "over": _over,
}
_ARITHMETIC = frozenset({"plus", "minus", "mul", "and", "or", "shl"})


def _combined(name: str, left: Located, right: Located) -> Located:
    """Two values, at least one of which is a constant."""
    one, two = _number(left), _number(right)
    if one is not None and two is not None:
        return replace(left, offsets=(_computed(name, one, two),))
    if name == "plus" and two is not None:
        return left.plus(two)
    if name == "plus" and one is not None:
        return right.plus(one)
    if name == "minus" and two is not None:
        return left.plus(-two)
    raise _not_followed(name)


def _number(value: Located) -> int | None:
    return value.offsets[0] if not value.base and len(value.offsets) == 1 else None


def _computed(name: str, left: int, right: int) -> int:
    match name:
        case "plus":
            value = left + right
        case "minus":
            value = left - right
        case "mul":
            value = left * right
        case "and":
            value = left & right
        case "or":
            value = left | right
        case _:
            value = left << min(right & _MASK, 64)
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value
