"""Where a variable is at an instruction: a DWARF location -> a register or a way from one.

Comes in: the location attribute and the address of the instruction. Goes out: `Located`, which
is what paths start from. What is not there, or is there in a form that a probe cannot follow,
raises `NoPathError` with SystemTap's words. Source: DWARF 5, sections 2.5 and 2.6.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from elftools.dwarf.dwarf_expr import DWARFExprParser
from elftools.dwarf.locationlists import (
    BaseAddressEntry,
    LocationEntry,
    LocationExpr,
    LocationParser,
)

from bridge.probes.dwarf import die as entries
from bridge.probes.dwarf.frame import frame_address
from bridge.probes.types import NoPathError

if TYPE_CHECKING:
    from bridge.probes.dwarf.die import Die
    from bridge.probes.dwarf.units import Unit

_X86 = "rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip"
REGISTERS = {
    "x86_64": tuple(_X86.split()),
    "aarch64": (*(f"x{n}" for n in range(31)), "sp", "pc"),
}
"""The registers by their DWARF numbers: System V x86-64 psABI figure 3.36, AADWARF64 4.1."""

BIAS = "%bias"
"""The base of what lies at a fixed place of the file."""
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
        self._parser = DWARFExprParser(unit.raw.structs)
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
        if attribute.form in ("DW_FORM_exprloc",) or attribute.form.startswith("DW_FORM_block"):
            return self._evaluate(attribute.value)
        return self._evaluate(self._listed(die, attribute))

    def _listed(self, die: Die, attribute: Any) -> list[int]:  # noqa: ANN401 - of pyelftools
        lists = self._unit.image.info.location_lists()
        version = die.cu.header.version
        found = LocationParser(lists).parse_from_attribute(attribute, version, die)
        if isinstance(found, LocationExpr):
            return list(found.loc_expr)
        base = entries.number(die.cu.get_top_DIE(), "DW_AT_low_pc") or 0
        for item in found:
            if isinstance(item, BaseAddressEntry):
                base = item.base_address
            elif isinstance(item, LocationEntry):
                start = 0 if item.is_absolute else base
                if start + item.begin_offset <= self._address < start + item.end_offset:
                    return list(item.loc_expr)
        raise self._absent()

    def _absent(self) -> NoPathError:
        where = f"(pc: {self._address:#x})"
        return NoPathError(f"not accessible at this address {where} [man error::dwarf]")

    # --- expressions ---

    def _evaluate(self, code: list[int]) -> Located:
        if not code:
            raise self._absent()
        operations = self._parser.parse_expr(code)
        names = [operation.op_name for operation in operations]
        if "DW_OP_piece" in names or "DW_OP_bit_piece" in names:
            raise NoPathError("cannot support noncontiguous location")
        if "DW_OP_implicit_pointer" in names or "DW_OP_GNU_implicit_pointer" in names:
            raise NoPathError("pointer optimized out")
        first, arguments = names[0], operations[0].args
        if len(names) == 1 and first.startswith("DW_OP_reg"):
            number = arguments[0] if first == "DW_OP_regx" else int(first[9:])
            return Located("register", self._register(number), ())
        if first == "DW_OP_implicit_value":
            value = int.from_bytes(bytes(arguments[-1]), "little")
            return Located("value", "", (value,))
        return self._run(operations)

    def _register(self, number: int) -> str:
        if not 0 <= number < len(self._registers):
            raise NoPathError(f"register {number} cannot be read here")
        return self._registers[number]

    def _run(self, operations: list[Any]) -> Located:
        stack: list[Located] = []
        kind = "memory"
        for operation in operations:
            if operation.op_name == "DW_OP_stack_value":
                kind = "value"
            else:
                self._operation(operation, stack)
        if not stack:
            raise NoPathError("the location is not understood")
        return replace(stack[-1], kind=kind)

    def _operation(self, operation: Any, stack: list[Located]) -> None:  # noqa: ANN401
        name, arguments = operation.op_name, operation.args
        pushed = self._pushed(name, arguments)
        if pushed is not None:
            stack.append(pushed)
        elif name == "DW_OP_deref":
            top = stack.pop()
            stack.append(replace(top, offsets=(*top.offsets, 0)))
        elif name == "DW_OP_plus_uconst":
            stack.append(stack.pop().plus(arguments[0]))
        elif name in _STACK:
            _STACK[name](stack)
        elif name in _ARITHMETIC and len(stack) > 1:
            right, left = stack.pop(), stack.pop()
            stack.append(_combined(name, left, right))
        elif name != "DW_OP_nop":
            raise NoPathError(f"the location is computed with {name}, which cannot be followed")

    def _pushed(self, name: str, arguments: list[Any]) -> Located | None:
        """What an operation adds to the stack."""
        constant = self._constant(name, arguments)
        if constant is not None:
            return constant
        if name.startswith("DW_OP_breg"):
            number = arguments[0] if name == "DW_OP_bregx" else int(name[10:])
            return Located("memory", self._register(number), (arguments[-1],))
        match name:
            case "DW_OP_fbreg":
                return self._frame_base().plus(arguments[0])
            case "DW_OP_call_frame_cfa":
                return self._frame_address()
            case "DW_OP_entry_value" | "DW_OP_GNU_entry_value":
                return self._entry_value(arguments)
            case _:
                return None

    def _constant(self, name: str, arguments: list[Any]) -> Located | None:
        """A number, or an address in the file."""
        if name == "DW_OP_addr":
            return Located("memory", BIAS, (arguments[0],))
        if name in ("DW_OP_addrx", "DW_OP_GNU_addr_index"):
            address = self._unit.image.info.get_addr(self._unit.raw, arguments[0])
            return Located("memory", BIAS, (address,))
        if name.startswith("DW_OP_lit"):
            return Located("memory", "", (int(name[9:]),))
        if name.startswith("DW_OP_const") and name not in ("DW_OP_const_type", "DW_OP_constx"):
            return Located("memory", "", (arguments[0],))
        return None

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
        rule = frame_address(self._unit.image, self._address)
        if rule is None:
            raise NoPathError("the frame's address is not told at this address")
        return Located("memory", self._register(rule[0]), (rule[1],))

    def _entry_value(self, arguments: list[Any]) -> Located:
        """A register as it was when the function was entered: known at its start."""
        inner = arguments[0] if arguments else []
        low = (
            entries.number(self._function, "DW_AT_low_pc") if self._function is not None else 0
        )
        if low != self._address or len(inner) != 1:
            raise self._absent()
        name = inner[0].op_name
        if not name.startswith("DW_OP_reg") or name == "DW_OP_regx":
            raise self._absent()
        return Located("memory", self._register(int(name[9:])), (0,))


def _drop(stack: list[Located]) -> None:
    stack.pop()


def _swap(stack: list[Located]) -> None:
    stack[-1], stack[-2] = stack[-2], stack[-1]


def _duplicate(stack: list[Located]) -> None:
    stack.append(stack[-1])


def _over(stack: list[Located]) -> None:
    stack.append(stack[-2])


_STACK = {
    "DW_OP_drop": _drop,
    "DW_OP_swap": _swap,
    "DW_OP_dup": _duplicate,
    "DW_OP_over": _over,
}
_ARITHMETIC = frozenset(
    f"DW_OP_{word}" for word in ("plus", "minus", "mul", "and", "or", "shl")
)


def _combined(name: str, left: Located, right: Located) -> Located:
    """Two values, at least one of which is a constant."""
    one, two = _number(left), _number(right)
    if one is not None and two is not None:
        return replace(left, offsets=(_computed(name, one, two),))
    if name == "DW_OP_plus" and two is not None:
        return left.plus(two)
    if name == "DW_OP_plus" and one is not None:
        return right.plus(one)
    if name == "DW_OP_minus" and two is not None:
        return left.plus(-two)
    raise NoPathError(f"the location is computed with {name}, which cannot be followed")


def _number(value: Located) -> int | None:
    return value.offsets[0] if not value.base and len(value.offsets) == 1 else None


def _computed(name: str, left: int, right: int) -> int:
    match name:
        case "DW_OP_plus":
            value = left + right
        case "DW_OP_minus":
            value = left - right
        case "DW_OP_mul":
            value = left * right
        case "DW_OP_and":
            value = left & right
        case "DW_OP_or":
            value = left | right
        case _:
            value = left << min(right & _MASK, 64)
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value
