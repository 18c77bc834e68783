"""The tree of a regular expression, and what it costs to match.

The order of alternatives is the order in which they are preferred, and SystemTap's: see
`alternatives`. The rule: how a tree is matched is not known here.
"""

from __future__ import annotations

from typing import assert_never

from bridge.declared import MB_MAX_GROUPS, MB_REGEX_OPS
from bridge.values import dataclass

MAX_OPERATIONS = MB_REGEX_OPS
MAX_GROUPS = MB_MAX_GROUPS
MAX_SLOTS = 65536
"""What one pattern may need: operations, groups (the whole is one), operations times groups."""

END_OF_TEXT = 1
ANY = (1 << 256) - 1 - END_OF_TEXT


@dataclass(frozen=True, slots=True)
class OneOf:
    """One byte of a set: bit n of `mask` is byte n, bit 0 the end of the text."""

    mask: int


@dataclass(frozen=True, slots=True)
class Start:
    """`^`: nothing, at the start of the text."""


@dataclass(frozen=True, slots=True)
class End:
    """`$`: the end of the text, which is consumed, so that it counts as longer."""


@dataclass(frozen=True, slots=True)
class Series:
    """One after the other; no parts match the empty text."""

    parts: tuple[Tree, ...] = ()


@dataclass(frozen=True, slots=True)
class Either:
    """Alternatives, the preferred ones first."""

    choices: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Many:
    """Once or more, rather more."""

    body: Tree


@dataclass(frozen=True, slots=True)
class Times:
    """`low` to `high` times; those that may be left out come first. None: without a bound."""

    body: Tree
    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Group:
    """A part in brackets; `number` is None for `(?:…)`."""

    body: Tree
    number: int | None


Tree = OneOf | Start | End | Series | Either | Many | Times | Group


def alternatives(first: Tree, second: Tree) -> Tree:
    """`first|second`: characters and sets that lead either side become one, at the front."""
    left, right = _choices(first), _choices(second)
    heads = [side.pop(0) for side in (left, right) if isinstance(side[0], OneOf)]
    if heads:
        mask = 0
        for head in heads:
            assert isinstance(head, OneOf)
            mask |= head.mask
        left.insert(0, OneOf(mask))
    choices = (*left, *right)
    return choices[0] if len(choices) == 1 else Either(choices)


def _choices(tree: Tree) -> list[Tree]:
    return list(tree.choices) if isinstance(tree, Either) else [tree]


def operations(tree: Tree) -> int:
    """How many operations a machine needs for it at most, by arithmetic."""
    match tree:
        case OneOf() | Start() | End():
            return 1
        case Series(parts=parts):
            return sum(map(operations, parts))
        case Either(choices=choices):
            return sum(map(operations, choices)) + 2 * (len(choices) - 1)
        case Many(body=body):
            return operations(body) + 1
        case Times(body=body, low=low, high=high):
            most = low + 1 if high is None else high
            return operations(body) * most + most - low
        case Group(body=body):
            return operations(body) + 2
        case _:
            assert_never(tree)
