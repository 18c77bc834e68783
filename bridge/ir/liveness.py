"""Which registers are still needed: a backward analysis over one function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.ir.operands import reads, successors, writes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.ir.program import BasicBlock, Function, Reg

Live = frozenset["Reg"]


def live_at_start(function: Function) -> Mapping[int, Live]:
    """For every block, the registers whose value on entry may be read."""
    live: dict[int, Live] = {n: frozenset() for n in range(len(function.blocks))}
    changed = True
    while changed:
        changed = False
        for number in reversed(range(len(function.blocks))):
            block = function.blocks[number]
            now = _before(block, live_at_end(block, live), live)
            changed = changed or now != live[number]
            live[number] = now
    return live


def live_at_end(block: BasicBlock, live: Mapping[int, Live]) -> Live:
    """The registers that may be read after a block's operations, by its terminator or later."""
    found: Live = frozenset()
    for label in successors(block.terminator):
        found |= live[label]
    return (found - frozenset(writes(block.terminator))) | frozenset(reads(block.terminator))


def _before(block: BasicBlock, end: Live, live: Mapping[int, Live]) -> Live:
    # an error may leave before any operation, so what its handler reads is needed throughout
    caught: Live = live[block.on_error] if block.on_error is not None else frozenset()
    now = end | caught
    for op in reversed(block.ops):
        now = (now - frozenset(writes(op))) | frozenset(reads(op)) | caught
    return now
