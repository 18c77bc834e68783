"""What a handler's body may do in the kernel: facts about BPF, as data.

`obstacle` says why a body cannot run there, with exact semantics; whether its globals allow it
is the business of placement, which sees all handlers at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.operands import successors
from bridge.ir.program import (
    Argument,
    Array,
    Computed,
    Context,
    Literal,
    Load,
    Value,
    capture_type,
)
from bridge.markers import MarkerAttachment, TracepointField

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.ir.ops import Op
    from bridge.ir.program import Capture, Function, Handler, IrProgram

STRING_BYTES = 63
"""How long a string may be that the kernel compares or uses as a key."""

SHORT_CONTEXTS = frozenset({"execname", "pexecname"})
"""Contexts that are strings, all of which are short enough."""

OPERATIONS = frozenset(
    {
        ops.Const,
        ops.ConstString,
        ops.Copy,
        ops.Arith,
        ops.Compare,
        ops.Capture,
        ops.GlobalAdd,
        ops.ArrayAdd,
        ops.StatAdd,
        ops.ArrayGet,
        ops.ArraySet,
        ops.ArrayHas,
        ops.ArrayDelete,
        ops.Tick,
    }
)
TERMINATORS = frozenset({ops.Jump, ops.Branch, ops.Return})

MERGEABLE_STATISTICS = frozenset({"count", "sum", "min", "max", "avg"})
"""`variance` depends on the order of the values."""

MAXIMUM_OPERATIONS = 1000

_WORDS = {
    ops.PrintFormat: "prints",
    ops.FormatString: "formats strings",
    ops.HistogramText: "prints a histogram",
    ops.Concat: "builds strings",
    ops.Match: "matches a regular expression",
    ops.GlobalGet: "reads a global",
    ops.GlobalSet: "sets a global",
    ops.StatGet: "reads a statistic",
    ops.HistogramGet: "reads a histogram",
    ops.IterBegin: "iterates over an array",
    ops.IterNext: "iterates over an array",
    ops.Caught: "catches errors",
    ops.Call: "calls a function that is not inlined",
}


def obstacle(program: IrProgram, handler: Handler) -> str:
    """Why the body cannot run in the kernel; "" if nothing stands against it."""
    function = handler.body
    if handler.condition is not None:
        return "has a condition, which is evaluated in user space"
    for op in operations(function):
        if type(op) not in OPERATIONS:
            return _word(op)
    if any(type(block.terminator) not in TERMINATORS for block in function.blocks):
        return "iterates over an array"
    if any(block.on_error is not None for block in function.blocks):
        return "catches errors"
    if _has_loop(function):
        return "loops"
    return _size(program, function) or _strings(program, handler) or ""


def operations(function: Function) -> Iterator[Op]:
    """All operations but the terminators."""
    return (op for block in function.blocks for op in block.ops)


def _word(op: Op) -> str:
    if isinstance(op, ops.CallBuiltin):
        return f"calls {op.name}()"
    return _WORDS.get(type(op), "does what the kernel cannot")


def _has_loop(function: Function) -> bool:
    """Whether a block can reach itself: depth-first; 1 is on the path, 2 is done."""
    state = {0: 1}
    path = [(0, list(successors(function.blocks[0].terminator)))]
    while path:
        number, rest = path[-1]
        if not rest:
            state[number] = 2
            path.pop()
            continue
        target = int(rest.pop())
        if state.get(target) == 1:
            return True
        if target not in state:
            state[target] = 1
            path.append((target, list(successors(function.blocks[target].terminator))))
    return False


def _size(program: IrProgram, function: Function) -> str:
    found = list(operations(function))
    ticks = sum(op.count for op in found if isinstance(op, ops.Tick))
    if ticks >= program.limits.maxaction:
        return "may exceed MAXACTION"
    return "is too large" if len(found) > MAXIMUM_OPERATIONS else ""


def _strings(program: IrProgram, handler: Handler) -> str:
    """Strings must fit without being cut anywhere else than in user space."""
    shown = [
        op for op in operations(handler.body) if isinstance(op, ops.ConstString | ops.Capture)
    ]
    for op in shown:
        if isinstance(op, ops.ConstString):
            short = len(op.value) <= STRING_BYTES
        else:
            capture = handler.captures[op.index]
            short = capture_type(capture) is Value.LONG or is_short(capture, handler)
        if not short:
            return "uses a string that may be longer than the kernel keeps"
    uses = any(type_ is Value.STRING for type_ in handler.body.registers)
    if uses and program.limits.maxstringlen <= STRING_BYTES:
        return "uses strings, and MAXSTRINGLEN is small"
    return ""


def is_short(capture: Capture, handler: Handler) -> bool:
    """Whether a string capture always fits into STRING_BYTES."""
    match capture:
        case Context(name=name):
            return name in SHORT_CONTEXTS
        case Load(limit=limit):
            return limit is not None and limit <= STRING_BYTES
        case Argument(name=name):
            return _is_short_field(name, handler)
        case Literal() | Computed():
            return False


def _is_short_field(name: str, handler: Handler) -> bool:
    attachment = handler.expansion.attachment
    if not isinstance(attachment, MarkerAttachment):
        return False
    operands = [o for v in attachment.marker.variables if v.name == name for o in v.operands]
    return bool(operands) and all(
        isinstance(o, TracepointField) and o.array == "char" and o.size <= STRING_BYTES
        for o in operands
    )


def mergeable(program: IrProgram, variable: int) -> str:
    """Why additions to a global cannot be merged later; "" if they can."""
    declaration = program.globals[variable]
    if isinstance(declaration, Array) and declaration.wrap:
        return "wraps around, so the order of insertion decides"
    stat = declaration.stat
    if stat is not None and not stat.parts <= MERGEABLE_STATISTICS:
        return "has a @variance, which depends on the order"
    if stat is None and _value(declaration) is Value.STRING:
        return "holds strings"
    return ""


def _value(declaration: Array | object) -> Value | None:
    if isinstance(declaration, Array):
        return declaration.value
    return getattr(declaration, "type", None)
