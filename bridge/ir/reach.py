"""What a handler can get to: the functions that it calls, and all their operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.kernel import operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.ir.ops import Op
    from bridge.ir.program import Function, Handler, IrProgram


def reachable(program: IrProgram, function: Function) -> Iterator[Function]:
    """A function and all that it calls, directly or not."""
    seen: set[int] = set()
    pending = [function]
    while pending:
        current = pending.pop()
        yield current
        for op in operations(current):
            if isinstance(op, ops.Call):
                fresh = [number for number in op.overloads if number not in seen]
                seen.update(fresh)
                pending += [program.functions[number] for number in fresh]


def all_operations(program: IrProgram, handler: Handler) -> Iterator[Op]:
    """The operations of a handler, of its condition and of all that they call."""
    tops = [handler.body] + ([handler.condition] if handler.condition else [])
    return (op for top in tops for f in reachable(program, top) for op in operations(f))
