"""A misspelt name -> the few known names that are most like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def distance(left: str, right: str) -> int:
    """Levenshtein's distance."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def similar(name: str, known: Iterable[str], count: int = 5) -> list[str]:
    """Up to `count` names at most as far away as the name is long, nearest first."""
    ranked = sorted((distance(name, other), other) for other in set(known))
    return [other for far, other in ranked[:count] if far < max(len(name), 3)]
