"""Constant folding: operations with a known result become constants, known branches jumps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.passes.bodies import on_bodies
from bridge.ir.program import Literal
from bridge.ir.values import analyse

if TYPE_CHECKING:
    from bridge.ir.ops import Op, Terminator
    from bridge.ir.program import BasicBlock, Capture, Function, IrProgram
    from bridge.ir.values import State, Values

_FOLDED = (ops.Arith, ops.Compare, ops.Copy)


def run(program: IrProgram) -> IrProgram:
    """Fold all bodies."""
    return on_bodies(program, _function)


def _function(function: Function, captures: tuple[Capture, ...]) -> Function:
    values = analyse(function, captures)
    blocks = [
        _block(values, number, block) if number in values.at_start else block
        for number, block in enumerate(function.blocks)
    ]
    return replace(function, blocks=blocks)


def _block(values: Values, number: int, block: BasicBlock) -> BasicBlock:
    states = values.before(number)
    state = next(states)
    folded: list[Op] = []
    for op in block.ops:
        state = next(states)
        folded.append(_op(op, state))
    return replace(block, ops=folded, terminator=_terminator(block.terminator, state))


def _op(op: Op, after: State) -> Op:
    if not isinstance(op, _FOLDED):
        return op
    match after.get(op.dest):
        case Literal(value=value):
            return ops.Const(op.dest, value)
        case bytes() as text:
            return ops.ConstString(op.dest, text)
        case _:
            return op


def _terminator(terminator: Terminator, state: State) -> Terminator:
    match terminator:
        case ops.Branch(condition, then, orelse):
            match state.get(condition):
                case Literal(value=value):
                    return ops.Jump(then if value else orelse)
                case _:
                    return terminator
        case _:
            return terminator
