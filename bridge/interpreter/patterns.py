"""Regular expressions by trying: where a pattern occurs in a text, and what its groups hold.

The definition that the machine in csrc/runtime/regex.c is compared with. For every end in the
text, the match that ends there is the one with the earliest start, and of its ways the first in
the order of preference. The first end at which there is a match says where the match starts; a
later end replaces it if its match starts there, too. A group without part in the later one
keeps what it had.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, assert_never

from bridge.ir.patterns import tree
from bridge.ir.patterns.parse import parse_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

_Marks = tuple[int, int, "_Marks"] | None
"""Positions that a way has noted, the last first: which, where, those before."""


@dataclass(slots=True, eq=False)
class _Node:
    """A place in the pattern: what is tried there, and what comes then, the preferred first."""

    what: tree.OneOf | tree.Start | int | None = None
    """Consume a byte; be at the start; note the position of this number; nothing."""
    ways: list[_Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Match:
    """A match in `text`: where each group starts and ends, with -1 for one without part."""

    text: bytes
    positions: tuple[int, ...]

    def group(self, number: int) -> bytes:
        """What a group holds; of one without part nothing."""
        start, end = self.positions[2 * number : 2 * number + 2]
        return self.text[start:end] if start >= 0 <= end else b""

    @property
    def groups(self) -> int:
        """How many groups there are, with the whole."""
        return len(self.positions) // 2


@dataclass(frozen=True, slots=True)
class _Compiled:
    first: _Node
    last: _Node
    groups: int


@cache
def _compiled(pattern: bytes) -> _Compiled:
    parsed = parse_bytes(pattern)
    last = _Node()
    return _Compiled(_link(tree.Group(parsed.tree, 0), last), last, parsed.groups)


def search(pattern: bytes, text: bytes) -> Match | None:
    """Where the pattern occurs in the text; None if nowhere."""
    compiled = _compiled(pattern)
    starts = _starts(compiled, text)
    if not starts:
        return None
    start = starts[min(starts)]
    positions = [-1] * (2 * compiled.groups)
    for end, marks in sorted(_walk(compiled, text, start, set()), key=itemgetter(0)):
        if starts[end] == start:
            for slot, position in _latest(marks, len(positions)).items():
                positions[slot] = position
    return Match(text, tuple(positions))


def _starts(compiled: _Compiled, text: bytes) -> dict[int, int]:
    """For every end of a match its earliest start; `$` ends one after the text."""
    found: dict[int, int] = {}
    seen = set[tuple[int, int]]()
    for start in range(len(text) + 1):
        for end, _ in _walk(compiled, text, start, seen):
            found.setdefault(end, start)
    return found


def _latest(marks: _Marks, most: int) -> dict[int, int]:
    latest: dict[int, int] = {}
    while marks and len(latest) < most:
        slot, position, marks = marks
        latest.setdefault(slot, position)
    return latest


def _walk(
    compiled: _Compiled, text: bytes, start: int, seen: set[tuple[int, int]]
) -> Iterator[tuple[int, _Marks]]:
    """The ends that can be reached from a start, each by its first way, without those seen."""
    todo: list[tuple[_Node, int, _Marks]] = [(compiled.first, start, None)]
    while todo:
        node, at, marks = todo.pop()
        if (id(node), at) in seen:
            continue
        seen.add((id(node), at))
        if node is compiled.last:
            yield at, marks
        match node.what:
            case None:
                pass
            case int(slot):
                marks = (slot, at, marks)
            case tree.Start():
                if at:
                    continue
            case tree.OneOf(mask=mask):
                if at > len(text) or not mask >> (text[at] if at < len(text) else 0) & 1:
                    continue
                at += 1
            case _:
                assert_never(node.what)
        todo += [(way, at, marks) for way in reversed(node.ways)]


def _link(part: tree.Tree, then: _Node) -> _Node:
    """The place where a part begins that `then` follows."""
    match part:
        case tree.OneOf() | tree.Start():
            return _Node(part, [then])
        case tree.End():
            return _Node(tree.OneOf(tree.END_OF_TEXT), [then])
        case tree.Series(parts=parts):
            for inner in reversed(parts):
                then = _link(inner, then)
            return then
        case tree.Either(choices=choices):
            return _Node(None, [_link(choice, then) for choice in choices])
        case tree.Many(body=body):
            after = _Node()
            after.ways = [_link(body, after), then]
            return after.ways[0]
        case tree.Times():
            return _link_times(part, then)
        case tree.Group(body=body, number=number):
            if number is None:
                return _link(body, then)
            return _Node(2 * number, [_link(body, _Node(2 * number + 1, [then]))])
        case _:
            assert_never(part)


def _link_times(part: tree.Times, then: _Node) -> _Node:
    for number in range(part.low):
        written_first = number == part.low - 1
        body = tree.Many(part.body) if part.high is None and written_first else part.body
        then = _link(body, then)
    required = then
    for _ in range((part.high or part.low) - part.low):
        then = _Node(None, [_link(part.body, then), required])
    return then
