"""Which registers an operation reads and writes: derived from the fields of its class.

`dest` (and what `IterNext` fetches) is written, every other register is read.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from bridge.ir import ops

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.ir.ops import Op, Terminator
    from bridge.ir.program import Label, Reg

T = TypeVar("T", "Op", "Terminator")
_TYPES = {"Reg", "Reg | None", "tuple[Reg, ...]", "tuple[Reg | None, ...]"}


_OPERATIONS: tuple[type[Op | Terminator], ...] = (*get_args(ops.Op), *get_args(ops.Terminator))
_REGISTERS = {
    class_: tuple(f.name for f in fields(class_) if str(f.type) in _TYPES)
    for class_ in _OPERATIONS
}


_FETCHED = frozenset({"keys", "value"})
_DEST = frozenset({"dest"})


def _written_fields(class_: type[Op | Terminator]) -> frozenset[str]:
    return _FETCHED if class_ is ops.IterNext else _DEST


def _fields(*, written: bool) -> dict[type[Op | Terminator], tuple[str, ...]]:
    """By operation, the fields with the registers that it writes, or reads."""
    return {
        class_: tuple(n for n in names if (n in _written_fields(class_)) == written)
        for class_, names in _REGISTERS.items()
    }


_READ, _WRITTEN = _fields(written=False), _fields(written=True)


def _registers(op: Op | Terminator, names: tuple[str, ...]) -> tuple[Reg, ...]:
    """The registers in some fields: this runs for every operation in every pass."""
    found: list[Reg] = []
    for name in names:
        value: Any = getattr(op, name)
        if isinstance(value, tuple):
            found += [item for item in value if item is not None]
        elif value is not None:
            found.append(value)
    return tuple(found)


def reads(op: Op | Terminator) -> tuple[Reg, ...]:
    """The registers that an operation reads, in order."""
    return _registers(op, _READ[type(op)])


def writes(op: Op | Terminator) -> tuple[Reg, ...]:
    """The registers that an operation writes."""
    return _registers(op, _WRITTEN[type(op)])


def map_registers(
    op: T, change: Callable[[Reg], Reg], *, read: bool = True, written: bool = True
) -> T:
    """The operation with other registers."""
    changes: dict[str, Any] = {}
    for name in _REGISTERS[type(op)]:
        if written if name in _written_fields(type(op)) else read:
            value: Any = getattr(op, name)
            if isinstance(value, tuple):
                changes[name] = tuple(None if v is None else change(v) for v in value)
            elif value is not None:
                changes[name] = change(value)
    return replace(op, **changes)


def with_site(op: Op, site: int) -> Op:
    """The operation with another error site (it must have one)."""
    changes: dict[str, Any] = {"site": site}
    return replace(op, **changes)


def successors(terminator: Terminator) -> tuple[Label, ...]:
    """Where a terminator may go."""
    match terminator:
        case ops.Jump(target):
            return (target,)
        case ops.Branch(_, then, orelse):
            return (then, orelse)
        case ops.IterNext(body=body, done=done):
            return (body, done)
        case ops.Return() | ops.NextOverload():
            return ()


def retarget(terminator: Terminator, change: Callable[[Label], Label]) -> Terminator:
    """The terminator with other block numbers."""
    match terminator:
        case ops.Jump(target):
            return ops.Jump(change(target))
        case ops.Branch(condition, then, orelse):
            return ops.Branch(condition, change(then), change(orelse))
        case ops.IterNext(iterator, keys, value, body, done):
            return ops.IterNext(iterator, keys, value, change(body), change(done))
        case ops.Return() | ops.NextOverload():
            return terminator


_CAN_FAIL = (
    ops.Arith,
    ops.Capture,
    ops.ArraySet,
    ops.ArrayAdd,
    ops.StatAdd,
    ops.StatGet,
    ops.HistogramGet,
    ops.HistogramText,
    ops.Call,
    ops.CallBuiltin,
    ops.PrintFormat,
    ops.FormatString,
    ops.Tick,
)


def can_fail(op: Op) -> bool:
    """Whether the operation may raise an error at run time."""
    return isinstance(op, _CAN_FAIL) and getattr(op, "site", None) is not None


_PURE = (
    ops.Const,
    ops.ConstString,
    ops.Copy,
    ops.Compare,
    ops.Concat,
    ops.GlobalGet,
    ops.ArrayGet,
    ops.ArrayHas,
    ops.FormatString,
    ops.Arith,
    ops.Capture,
)


def is_removable(op: Op) -> bool:
    """Whether the operation does nothing but write its result."""
    return isinstance(op, _PURE) and not can_fail(op)
