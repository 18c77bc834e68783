"""Scalar globals that nothing writes are constants: `-G` settings, thresholds, switches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.passes.bodies import on_bodies
from bridge.ir.program import Scalar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.ir.ops import Op
    from bridge.ir.program import Function, IrProgram

_WRITES = (ops.GlobalSet, ops.GlobalAdd, ops.ArrayDelete, ops.StatAdd)


def run(program: IrProgram) -> IrProgram:
    """Replace the reads of such globals by their initial values."""
    written = {op.variable for op in _operations(program) if isinstance(op, _WRITES)}
    values = {
        number: declaration.initial
        for number, declaration in enumerate(program.globals)
        if isinstance(declaration, Scalar)
        and declaration.initial is not None
        and number not in written
    }
    return on_bodies(program, lambda function, _: _function(function, values))


def _operations(program: IrProgram) -> Iterator[Op]:
    bodies = [*program.functions, *(handler.body for handler in program.handlers)]
    return (op for body in bodies for block in body.blocks for op in block.ops)


def _function(function: Function, values: dict[int, int | bytes]) -> Function:
    blocks = [replace(b, ops=[_op(op, values) for op in b.ops]) for b in function.blocks]
    return replace(function, blocks=blocks)


def _op(op: Op, values: dict[int, int | bytes]) -> Op:
    if not isinstance(op, ops.GlobalGet) or op.variable not in values:
        return op
    match values[op.variable]:
        case bytes() as text:
            return ops.ConstString(op.dest, text)
        case int() as number:
            return ops.Const(op.dest, number)
