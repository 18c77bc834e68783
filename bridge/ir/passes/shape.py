"""The shape of the control flow: unreachable blocks go, chains become one block.

Blocks that are left keep their order. A block that only jumps is skipped.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.operands import retarget, successors
from bridge.ir.passes.bodies import on_bodies
from bridge.ir.program import BasicBlock, Label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.ir.program import Function, IrProgram


def run(program: IrProgram) -> IrProgram:
    """Simplify all bodies."""
    return on_bodies(program, lambda function, _: _function(function))


def _function(function: Function) -> Function:
    blocks = _drop(_skip(function.blocks))
    while True:
        joined = _drop(_join(blocks))
        if len(joined) == len(blocks):
            return replace(function, blocks=_without_lost_iterations(joined))
        blocks = joined


def _without_lost_iterations(blocks: Sequence[BasicBlock]) -> list[BasicBlock]:
    """Nothing is left to be dropped of an iteration whose begin cannot be reached."""
    begun = {op.iterator for b in blocks for op in b.ops if isinstance(op, ops.IterBegin)}
    return [
        replace(
            block,
            ops=[
                op
                for op in block.ops
                if not isinstance(op, ops.IterDelete) or op.iterator in begun
            ],
        )
        for block in blocks
    ]


def _skip(blocks: Sequence[BasicBlock]) -> list[BasicBlock]:
    """Jump over blocks that only jump."""

    def final(label: Label) -> Label:
        seen = set()
        while label not in seen:
            seen.add(label)
            block = blocks[label]
            if block.ops or not isinstance(block.terminator, ops.Jump):
                break
            label = block.terminator.target
        return label

    return [
        replace(
            block,
            terminator=_same_ways(retarget(block.terminator, final)),
            on_error=None if block.on_error is None else final(block.on_error),
        )
        for block in blocks
    ]


def _same_ways(terminator: ops.Terminator) -> ops.Terminator:
    if isinstance(terminator, ops.Branch) and terminator.then == terminator.orelse:
        return ops.Jump(terminator.then)
    return terminator


def _edges(block: BasicBlock) -> tuple[Label, ...]:
    caught = () if block.on_error is None else (block.on_error,)
    return (*successors(block.terminator), *caught)


def _join(blocks: Sequence[BasicBlock]) -> list[BasicBlock]:
    """Append a block to the only one that jumps to it, if errors go the same way."""
    ways = Counter(label for block in blocks for label in _edges(block))
    ways[Label(0)] += 1
    joined = list(blocks)
    moved: set[int] = set()
    for number, start in enumerate(joined):
        block = start
        while number not in moved and isinstance(block.terminator, ops.Jump):
            target = block.terminator.target
            after = joined[target]
            if ways[target] != 1 or target == number or after.on_error != block.on_error:
                break
            block = replace(after, ops=[*block.ops, *after.ops])
            joined[number] = block
            joined[target] = BasicBlock([], ops.NextOverload())
            moved.add(target)
    return joined


def _drop(blocks: Sequence[BasicBlock]) -> list[BasicBlock]:
    """Without the blocks that cannot be reached."""
    reached, pending = {0}, [0]
    while pending:
        for label in _edges(blocks[pending.pop()]):
            if label not in reached:
                reached.add(label)
                pending.append(label)
    order = sorted(reached)
    new = {old: Label(at) for at, old in enumerate(order)}
    return [
        replace(
            blocks[old],
            terminator=retarget(blocks[old].terminator, lambda label: new[label]),
            on_error=None if (caught := blocks[old].on_error) is None else new[caught],
        )
        for old in order
    ]
