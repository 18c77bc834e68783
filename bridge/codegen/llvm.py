"""ir.Function -> LLVM IR text, the same for every target.

Registers of type LONG become `alloca i64` (SROA removes them), control flow, arithmetic and
the edges of errors are lowered here; whatever depends on the target's run time (captures,
globals, arrays, strings, calls, output) comes from a `Backend`: a table of one emitter per
operation. The rule: an operation that the backend has no entry for is refused before any text
reaches LLVM, because LLVM's back ends end the process over what they cannot do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bridge.ir import ops
from bridge.ir.program import Label, Reg, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.ir.program import BasicBlock, Function

DIVISION_BY_ZERO = b"division by 0"
INT64_MIN = -(1 << 63)

_SIMPLE = {"+": "add", "-": "sub", "*": "mul", "&": "and", "|": "or", "^": "xor"}
_SHIFTS = {"<<": "shl", ">>": "ashr", ">>>": "lshr"}
_DIVISIONS = {"/": "udiv", "%": "urem"}
PREDICATES = {"==": "eq", "!=": "ne", "<": "slt", "<=": "sle", ">": "sgt", ">=": "sge"}
"""The icmp predicate of each comparison of two LONGs."""


class UnsupportedOperationError(Exception):
    """A bug of ours: placement let an operation through that the target has no emitter for."""


class Backend(Protocol):
    """What a target adds. `Emitter` is the function being written."""

    @property
    def operations(self) -> Mapping[type, Callable[[Emitter, Any], None]]:
        """An emitter for every IR operation that is not lowered here.

        Lowered here: Const, Copy of a LONG, Arith, Compare of LONGs, Jump, Branch. An emitter
        reads LONG registers with `e.get`, writes them with `e.set`, and keeps STRING registers
        in whatever form it likes. Terminators IterNext, Return and NextOverload are entries
        too and must end the block.
        """
        ...

    def signature(self, e: Emitter) -> str:
        """What stands between `define` and `{`: result, name, parameters, attributes."""
        ...

    def prologue(self, e: Emitter) -> None:
        """Runs in the entry block, after the allocas of LONG registers were set to 0.

        Stores parameters, allocates STRING registers, and loads what must be loaded first.
        """
        ...

    def raise_error(self, e: Emitter, site: int | None, message: bytes) -> None:
        """Set the error state; the jump to the error edge follows by itself."""
        ...

    def error_exit(self, e: Emitter) -> None:
        """End the block that leaves the function with an error that nothing caught."""
        ...


@dataclass(slots=True)
class Emitter:
    """One function being written.

    `name` is its symbol. `lines` is the body so far; a block is open until its terminator.
    """

    function: Function
    name: str
    backend: Backend
    lines: list[str] = field(default_factory=list)
    entry: list[str] = field(default_factory=list)
    """Allocas, which come first of all."""
    globals: list[str] = field(default_factory=list)
    """Definitions outside the function (constants)."""
    memory: str = ""
    """A pointer to where LONG registers are, if that is not the frame."""
    _count: int = 0
    _block: int = 0
    _uses_exit: bool = False

    # --- names --------------------------------------------------------------------------------

    def temp(self) -> str:
        """A new name of a value."""
        self._count += 1
        return f"%t{self._count}"

    def label(self, hint: str = "l") -> str:
        """A new name of a block, without the percent sign."""
        self._count += 1
        return f"{hint}{self._count}"

    def block_label(self, label: Label) -> str:
        """The name of an IR block."""
        return f"b{label}"

    # --- text ---------------------------------------------------------------------------------

    def emit(self, line: str) -> None:
        """Add an instruction without a result, or a terminator."""
        self.lines.append(f"  {line}")

    def value(self, expression: str) -> str:
        """Add an instruction with a result, and return its name."""
        name = self.temp()
        self.emit(f"{name} = {expression}")
        return name

    def alloca(self, kind: str, align: int = 8) -> str:
        """Space in the frame, allocated at the function's entry."""
        name = self.temp()
        self.entry.append(f"  {name} = alloca {kind}, align {align}")
        return name

    def start(self, label: str) -> None:
        """Begin a block (the one before must be terminated)."""
        self.lines.append(f"{label}:")

    def jump(self, label: str) -> None:
        """Terminate the block with a jump."""
        self.emit(f"br label %{label}")

    def branch(self, condition: str, then: str, orelse: str) -> None:
        """Terminate the block with a jump by an i1."""
        self.emit(f"br i1 {condition}, label %{then}, label %{orelse}")

    def constant(self, data: bytes) -> str:
        """A pointer to constant bytes, which end in a NUL that is added here."""
        name = f"@{self.name}.c{len(self.globals)}"
        text = "".join(f"\\{byte:02x}" for byte in (*data, 0))
        self.globals.append(
            f'{name} = private unnamed_addr constant [{len(data) + 1} x i8] c"{text}", align 8'
        )
        return name

    # --- registers ----------------------------------------------------------------------------

    def slot(self, reg: Reg) -> str:
        """The pointer to a LONG register."""
        return f"%r{reg}"

    def type(self, reg: Reg) -> Value:
        """The type of a register."""
        return self.function.registers[reg]

    def get(self, reg: Reg) -> str:
        """Load a LONG register."""
        return self.value(f"load i64, ptr {self.slot(reg)}")

    def set(self, reg: Reg, value: str) -> None:
        """Store a LONG register."""
        self.emit(f"store i64 {value}, ptr {self.slot(reg)}")

    def set_bool(self, reg: Reg, condition: str) -> None:
        """Store an i1 as 0 or 1."""
        self.set(reg, self.value(f"zext i1 {condition} to i64"))

    # --- errors -------------------------------------------------------------------------------

    def error_edge(self) -> str:
        """The block that an error in the current IR block leads to."""
        handler = self.function.blocks[self._block].on_error
        return self.exit_edge() if handler is None else self.block_label(handler)

    def exit_edge(self) -> str:
        """The block that leaves the function with an error that nothing here may catch."""
        self._uses_exit = True
        return "error_exit"

    def fail_if(self, condition: str, site: int | None, message: bytes) -> None:
        """Raise `message` at `site` when an i1 is true; the code goes on in a new block."""
        failed, on = self.label("fail"), self.label("on")
        self.branch(condition, failed, on)
        self.start(failed)
        self.backend.raise_error(self, site, message)
        self.jump(self.error_edge())
        self.start(on)

    def leave_if(self, condition: str) -> None:
        """Follow the error edge when an i1 is true: the run time has set the error already."""
        on = self.label("on")
        self.branch(condition, self.error_edge(), on)
        self.start(on)

    # --- lowering -----------------------------------------------------------------------------

    def lower(self) -> str:
        """The whole function as text, constants first."""
        for number, block in enumerate(self.function.blocks):
            self._block = number
            self._lower_block(Label(number), block)
        body, self.lines = self.lines, []
        self._block = 0
        self._lower_entry()
        prologue, self.lines = self.lines, []
        if self._uses_exit:
            self.start("error_exit")
            self.backend.error_exit(self)
        text = [
            *self.globals,
            f"define {self.backend.signature(self)} {{",
            "entry:",
            *self.entry,
            *prologue,
            *body,
            *self.lines,
            "}",
        ]
        return "\n".join(text) + "\n"

    def _lower_entry(self) -> None:
        for number, type_ in enumerate(self.function.registers):
            if self.memory:
                place = f"getelementptr i8, ptr {self.memory}, i64 {8 * number}"
                self.entry.append(f"  {self.slot(Reg(number))} = {place}")
            elif type_ is Value.LONG:
                self.entry.append(f"  {self.slot(Reg(number))} = alloca i64, align 8")
                self.set(Reg(number), "0")
        self.backend.prologue(self)
        self.jump(self.block_label(Label(0)))

    def _lower_block(self, label: Label, block: BasicBlock) -> None:
        self.start(self.block_label(label))
        for op in block.ops:
            self._lower_op(op)
        self._lower_terminator(block.terminator)

    def _lower_op(self, op: ops.Op) -> None:
        match op:
            case ops.Const(dest=dest, value=value):
                self.set(dest, str(signed(value)))
            case ops.Copy(dest=dest, source=source) if self.type(dest) is Value.LONG:
                self.set(dest, self.get(source))
            case ops.Arith():
                self._lower_arith(op)
            case ops.Compare(op=name, left=left, right=right) if self.type(left) is Value.LONG:
                test = f"icmp {PREDICATES[name]} i64 {self.get(left)}, {self.get(right)}"
                self.set_bool(op.dest, self.value(test))
            case _:
                self._lower_by_backend(op)

    def _lower_terminator(self, op: ops.Terminator) -> None:
        match op:
            case ops.Jump(target=target):
                self.jump(self.block_label(target))
            case ops.Branch(condition=condition, then=then, orelse=orelse):
                test = self.value(f"icmp ne i64 {self.get(condition)}, 0")
                self.branch(test, self.block_label(then), self.block_label(orelse))
            case _:
                self._lower_by_backend(op)

    def _lower_by_backend(self, op: ops.Op | ops.Terminator) -> None:
        emitter = self.backend.operations.get(type(op))
        if emitter is None:
            raise UnsupportedOperationError(f"{type(op).__name__} in {self.function.name}")
        emitter(self, op)

    def _lower_arith(self, op: ops.Arith) -> None:
        left, right = self.get(op.left), self.get(op.right)
        if op.op in _SIMPLE:
            result = self.value(f"{_SIMPLE[op.op]} i64 {left}, {right}")
        elif op.op in _SHIFTS:
            count = self.value(f"and i64 {right}, 63")
            result = self.value(f"{_SHIFTS[op.op]} i64 {left}, {count}")
        else:
            result = self._divide(op, left, right)
        self.set(op.dest, result)

    def _divide(self, op: ops.Arith, left: str, right: str) -> str:
        zero = self.value(f"icmp eq i64 {right}, 0")
        self.fail_if(zero, op.site, DIVISION_BY_ZERO)
        # By magnitudes: BPF has no signed division before its version 4 (the back end ends the
        # process), and INT64_MIN / -1, which traps on x86, comes out as SystemTap wants it.
        below, under = (self.value(f"icmp slt i64 {x}, 0") for x in (left, right))
        magnitudes = [
            self._negate_if(negative, x) for negative, x in ((below, left), (under, right))
        ]
        result = self.value(f"{_DIVISIONS[op.op]} i64 {', '.join(magnitudes)}")
        negative = self.value(f"xor i1 {below}, {under}") if op.op == "/" else below
        return self._negate_if(negative, result)

    def _negate_if(self, condition: str, value: str) -> str:
        negated = self.value(f"sub i64 0, {value}")
        return self.value(f"select i1 {condition}, i64 {negated}, i64 {value}")


def signed(value: int) -> int:
    """A Python integer wrapped to 64 bits, two's complement."""
    return (value - INT64_MIN) % (1 << 64) + INT64_MIN


def lower_function(function: Function, name: str, backend: Backend, memory: str = "") -> str:
    """The text of one function, with the constants that it uses in front.

    `memory` is a pointer to its registers, all LONG; without it they are in the frame.
    """
    return Emitter(function, name, backend, memory=memory).lower()
