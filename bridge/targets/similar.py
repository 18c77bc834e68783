"""Near names for a message, by edit distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 5


def distance(a: str, b: str) -> int:
    """Levenshtein's: insertions, deletions and substitutions."""
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            above = row[j]
            row[j] = min(above + 1, row[j - 1] + 1, diagonal + (letter != other))
            diagonal = above
    return row[-1]


def similar(name: str, names: Iterable[str], most: int = MOST) -> tuple[str, ...]:
    """The nearest names; equally near ones shorter first, then by alphabet."""
    scored = sorted((distance(name, other), len(other), other) for other in set(names))
    return tuple(other for _, _, other in scored[:most])
