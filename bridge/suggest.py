"""A misspelt name -> the known names that are most like it, in SystemTap's order."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 5
LONGEST = 200
"""Names that are longer are not compared, which takes time by the square."""


def distance(left: str, right: str) -> int:
    """An edit distance: 2 for a letter more, less or changed, 1 where only its case differs.

    Letters that are more or less at the beginning count 1, as in SystemTap.
    """
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            changed = 0 if a == b else 1 if a.lower() == b.lower() else 2
            diagonal, row[j] = row[j], min(row[j] + 2, row[j - 1] + 2, diagonal + changed)
    return row[-1]


def similar(name: str, known: Iterable[str], most: int = MOST) -> tuple[str, ...]:
    """The nearest names; equally near ones by alphabet."""
    if len(name) > LONGEST:
        return ()
    return _nearest(name, frozenset(other for other in known if len(other) <= LONGEST), most)


@lru_cache(maxsize=256)
def _nearest(name: str, short: frozenset[str], most: int) -> tuple[str, ...]:
    """Kept, since an optional probe point may be missing in a thousand places."""
    letters = Counter(name.lower())
    nearest: list[tuple[int, str]] = []
    for least, other in sorted((_least(letters, other), other) for other in short):
        if len(nearest) == most and least > nearest[-1][0]:
            break
        nearest = sorted([*nearest, (distance(name, other), other)])[:most]
    return tuple(other for _, other in nearest)


def _least(letters: Counter[str], other: str) -> int:
    """What the distance is at least: letters that only one of both has are changed or gone."""
    others = Counter(other.lower())
    return max((letters - others).total(), (others - letters).total())


def among(names: Iterable[str], what: str = "similar") -> str:
    """The names as messages have them: ` (similar: a, b)`, or nothing."""
    listed = ", ".join(names)
    return f" ({what}: {listed})" if listed else ""
