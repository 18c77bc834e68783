"""Where the ways through a function meet again: post-dominators, over plain numbers of blocks.

Source: Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm" (2001), for the terms; the
sets here are bits of integers, since functions have some hundred blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def order(edges: Sequence[Sequence[int]], start: int = 0) -> dict[int, int]:
    """Reverse postorder of what `start` reaches: only edges that close a loop go back in it."""
    left: list[int] = []
    seen = {start}
    path = [(start, list(edges[start]))]
    while path:
        number, rest = path[-1]
        if not rest:
            left.append(number)
            path.pop()
            continue
        target = rest.pop()
        if target not in seen:
            seen.add(target)
            path.append((target, list(edges[target])))
    return {number: place for place, number in enumerate(reversed(left))}


def meeting_points(edges: Sequence[Sequence[int]], end: int) -> list[int]:
    """For every block the first one that all ways from it to `end` go through."""
    count = len(edges)
    everything = (1 << count) - 1
    after = [everything] * count
    after[end] = 1 << end
    changed = True
    while changed:
        changed = False
        for number in reversed(range(count)):
            if number == end:
                continue
            common = everything if edges[number] else 0
            for target in edges[number]:
                common &= after[target]
            found = common | 1 << number
            changed = changed or found != after[number]
            after[number] = found
    ends = _leading_to(edges, end)
    return [_nearest(n, after, end) if n in ends else end for n in range(count)]


def _leading_to(edges: Sequence[Sequence[int]], end: int) -> set[int]:
    found = {end}
    size = 0
    while size != len(found):
        size = len(found)
        found |= {number for number, targets in enumerate(edges) if found.intersection(targets)}
    return found


def _nearest(number: int, after: Sequence[int], end: int) -> int:
    others = after[number] & ~(1 << number)
    if number == end:
        return end
    candidates = [other for other in range(len(after)) if others >> other & 1]
    return max(candidates, key=lambda other: after[other].bit_count())


def region(edges: Sequence[Sequence[int]], start: int, stop: int) -> frozenset[int]:
    """The blocks that are reached from `start` without going through `stop`."""
    if start == stop:
        return frozenset()
    seen, pending = {start}, [start]
    while pending:
        for target in edges[pending.pop()]:
            if target != stop and target not in seen:
                seen.add(target)
                pending.append(target)
    return frozenset(seen)
