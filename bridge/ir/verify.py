"""ir.IrProgram -> nothing, or `VerifyError`: what every pass and engine may rely on.

Checked: registers exist and have the type that the operation wants; blocks, globals, functions,
formats, sites and captures exist; keys fit the declared array; captures stand in handlers only;
every iteration is begun by exactly one `IterBegin`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.operands import reads, successors, writes
from bridge.ir.program import Array, Conversion, Function, Scalar, Value, capture_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.ir.ops import Op, Terminator
    from bridge.ir.program import Capture, Format, Global, IrProgram, Reg

LONG, STRING = Value.LONG, Value.STRING
Wanted = tuple[tuple["Reg | None", "Value | None"], ...]


class VerifyError(AssertionError):
    """The IR is malformed: a bug of ours."""


def verify(program: IrProgram) -> None:
    """Raise VerifyError with everything that is wrong."""
    problems: list[str] = []
    for function in program.functions:
        problems += _Checker(program, function, None).run()
    for handler in program.handlers:
        problems += _Checker(program, handler.body, handler.captures).run()
        if handler.body.parameters:
            problems.append(f"{handler.point}: a handler with parameters")
        if handler.condition:
            problems += _Checker(program, handler.condition, None).run()
            if handler.condition.result is not LONG or handler.condition.parameters:
                problems.append(f"{handler.point}: a condition is not a number")
    if problems:
        raise VerifyError("\n".join(problems))


def format_arguments(format_: Format) -> tuple[Value, ...]:
    """The types of the arguments that a format takes, `*` included."""
    found: list[Value] = []
    for piece in format_.pieces:
        if isinstance(piece, Conversion):
            found += [LONG for size in (piece.width, piece.precision) if size == "*"]
            found.append(STRING if piece.letter == "s" else LONG)
    return tuple(found)


@dataclass(slots=True)
class _Checker:
    """One function; `captures` is None outside handlers."""

    program: IrProgram
    function: Function
    captures: tuple[Capture, ...] | None
    problems: list[str] = field(default_factory=list)
    iterators: dict[int, Array] = field(default_factory=dict)
    where: tuple[str, object] = ("", "")

    def run(self) -> list[str]:
        """What is wrong with the function."""
        if not self.function.blocks or self.function.parameters > len(self.function.registers):
            return [f"{self.function.name}: no blocks, or fewer registers than parameters"]
        self._collect_iterators()
        for number, block in enumerate(self.function.blocks):
            for op in (*block.ops, block.terminator):
                self.where = f"b{number}", op
                self._check(op)
            labels = successors(block.terminator)
            for label in (*labels, *(() if block.on_error is None else (block.on_error,))):
                if not 0 <= label < len(self.function.blocks):
                    self._want(condition=False, message=f"no block b{label}")
        return self.problems

    def _want(self, condition: bool, message: str) -> bool:
        if not condition:
            block, op = self.where
            self.problems.append(f"{self.function.name} {block} {op}: {message}")
        return condition

    def _collect_iterators(self) -> None:
        for op in (op for block in self.function.blocks for op in block.ops):
            if isinstance(op, ops.IterBegin):
                self.where = "", op
                self._want(op.iterator not in self.iterators, "iteration begun twice")
                array = self._global(op.variable)
                if isinstance(array, Array):
                    self.iterators[op.iterator] = array

    def _check(self, op: Op | Terminator) -> None:
        used = (*reads(op), *writes(op))
        if used and not 0 <= min(used) <= max(used) < len(self.function.registers):
            self._want(condition=False, message="no such register")
            return
        site = getattr(op, "site", None)
        self._want(site is None or 0 <= site < len(self.program.sites), "no such error site")
        for reg, value in self._wanted(op):
            if reg is not None:
                found = self.function.registers[reg]
                if found is not value:  # the message costs more than the look
                    self._want(condition=False, message=f"%{reg} is {found}, wanted {value}")

    def _wanted(self, op: Op | Terminator) -> Wanted:
        """Each register of the operation with the type it must have."""
        if type(op) in _FIXED:
            return tuple((getattr(op, name), value) for name, value in _FIXED[type(op)])
        match op:
            case ops.Copy() | ops.Compare() | ops.Concat() | ops.Capture():
                return self._plain(op)
            case ops.PrintFormat(format=number, arguments=arguments):
                return self._format(number, arguments)
            case ops.FormatString(dest, number, arguments):
                return (dest, STRING), *self._format(number, arguments)
            case ops.Call() | ops.Return():
                return self._call(op)
            case ops.IterNext() | ops.IterBegin() | ops.IterDelete():
                return self._iteration(op)
            case _:
                return self._on_global(op)

    def _plain(self, op: ops.Copy | ops.Compare | ops.Concat | ops.Capture) -> Wanted:
        match op:
            case ops.Copy(dest, source):
                return ((dest, self._type(source)),)
            case ops.Compare(dest, _, left, right):
                return (dest, LONG), (left, self._type(right))
            case ops.Concat(dest, parts):
                return (dest, STRING), *((part, STRING) for part in parts)
            case ops.Capture(dest, index, _):
                if self._want(index < len(self.captures or ()), "no such capture"):
                    return ((dest, capture_type((self.captures or ())[index])),)
                return ()

    def _type(self, reg: Reg) -> Value:
        return self.function.registers[reg]

    def _format(self, number: int, arguments: tuple[Reg, ...]) -> Wanted:
        if not self._want(number < len(self.program.formats), "no such format"):
            return ()
        return self._pairs(arguments, format_arguments(self.program.formats[number]))

    def _pairs(self, regs: Sequence[Reg | None], values: Iterable[Value]) -> Wanted:
        values = tuple(values)
        self._want(len(regs) == len(values), f"{len(regs)} operands, wanted {len(values)}")
        return tuple(zip(regs, values, strict=False))

    def _call(self, op: ops.Call | ops.Return) -> Wanted:
        if isinstance(op, ops.Return):
            has = op.value is not None
            self._want(has == (self.function.result is not None), "result")
            return ((op.value, self.function.result),)
        wanted: list[tuple[Reg | None, Value | None]] = []
        self._want(bool(op.overloads), "nothing to call")
        for number in op.overloads:
            if self._want(number < len(self.program.functions), "no such function"):
                callee = self.program.functions[number]
                wanted += self._pairs(op.arguments, callee.registers[: callee.parameters])
                wanted.append((op.dest, callee.result))
        return tuple(wanted)

    def _iteration(self, op: ops.IterBegin | ops.IterNext | ops.IterDelete) -> Wanted:
        array = self.iterators.get(op.iterator)
        if array is None:
            self._want(condition=False, message="no such iteration")
            return ()
        match op:
            case ops.IterBegin(order=order, limit=limit, slices=slices):
                key = order.key if order and order.by == "key" else 0
                self._want(0 <= key < len(array.keys), "sort key")
                return (limit, LONG), *(self._pairs(slices, array.keys) if slices else ())
            case ops.IterNext(keys=keys, value=value):
                return (value, array.value), *self._pairs(keys, array.keys)
            case ops.IterDelete():
                return ()

    # --- globals ------------------------------------------------------------------------------

    def _global(self, number: int) -> Global | None:
        if self._want(0 <= number < len(self.program.globals), "no such global"):
            return self.program.globals[number]
        return None

    def _on_global(self, op: Op | Terminator) -> Wanted:
        variable = self._global(op.variable) if hasattr(op, "variable") else None
        match op, variable:
            case ops.GlobalGet(dest=reg) | ops.GlobalSet(source=reg), Scalar(type=value):
                self._want(value is not None, "a statistic has no value")
                return ((reg, value),)
            case ops.GlobalAdd(amount=reg), Scalar(type=Value.LONG):
                return ((reg, LONG),)
            case ops.ArrayGet(dest=reg) | ops.ArraySet(source=reg), Array(value=value):
                self._want(value is not None, "a statistic has no value")
                return (reg, value), *self._keys(op, variable)
            case ops.ArrayAdd(amount=reg), Array(value=Value.LONG):
                return (reg, LONG), *self._keys(op, variable)
            case ops.ArrayHas(dest=reg), Array():
                return (reg, LONG), *self._keys(op, variable)
            case ops.ArrayDelete(), Scalar() | Array():
                return self._keys(op, variable) if op.keys else ()
            case _:
                return self._statistic(op, variable)

    def _statistic(self, op: Op | Terminator, variable: Global | None) -> Wanted:
        self._want(variable is not None and variable.stat is not None, "not a statistic")
        match op:
            case ops.StatAdd(source=reg) | ops.StatGet(dest=reg):
                return (reg, LONG), *self._keys(op, variable)
            case ops.HistogramGet(dest=reg, bucket=bucket):
                return (reg, LONG), (bucket, LONG), *self._keys(op, variable)
            case ops.HistogramText(dest=text):
                return (text, STRING), *self._keys(op, variable)
            case _:
                self._want(condition=False, message="wrong kind of global")
                return ()

    def _keys(self, op: Op | Terminator, variable: Global | None) -> Wanted:
        types = variable.keys if isinstance(variable, Array) else ()
        return self._pairs(getattr(op, "keys", ()), types)


_FIXED: dict[type, tuple[tuple[str, Value], ...]] = {
    ops.Const: (("dest", LONG),),
    ops.ConstString: (("dest", STRING),),
    ops.Arith: (("dest", LONG), ("left", LONG), ("right", LONG)),
    ops.Match: (("dest", LONG), ("text", STRING)),
    ops.CallBuiltin: (),
    ops.Tick: (),
    ops.Caught: (("dest", STRING),),
    ops.Jump: (),
    ops.Branch: (("condition", LONG),),
    ops.NextOverload: (),
}
"""The types of registers where they do not depend on anything else."""
