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
    own = [_own(block) for block in function.blocks]
    changed = True
    while changed:
        changed = False
        for number in reversed(range(len(function.blocks))):
            block = function.blocks[number]
            read, written = own[number]
            now = (_after(block, live) - written) | read
            if block.on_error is not None:
                # an error may leave before any operation: its handler's needs hold throughout
                now |= live[block.on_error]
            changed = changed or now != live[number]
            live[number] = now
    return live


def _own(block: BasicBlock) -> tuple[Live, Live]:
    """What a block reads that it has not written before, and what it writes."""
    read: set[Reg] = set()
    written: set[Reg] = set()
    for op in (*block.ops, block.terminator):
        for reg in reads(op):
            if reg not in written:
                read.add(reg)
        written.update(writes(op))
    return frozenset(read), frozenset(written)


def live_at_end(block: BasicBlock, live: Mapping[int, Live]) -> Live:
    """The registers that may be read after a block's operations, by its terminator or later."""
    return (_after(block, live) - frozenset(writes(block.terminator))) | frozenset(
        reads(block.terminator)
    )


def _after(block: BasicBlock, live: Mapping[int, Live]) -> Live:
    found: Live = frozenset()
    for label in successors(block.terminator):
        found |= live[label]
    return found
