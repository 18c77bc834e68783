"""The line table of a unit: the questions asked of its rows, which are in address order.

Source: DWARF 5, section 6.2.
"""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.probes.dwarf.debug import LineRow


def paths_of(files: Sequence[tuple[bytes, bytes]], folder: str) -> list[str]:
    """The paths of a unit's files by their numbers; "" where there is no name."""
    return [
        posixpath.join(folder, _text(inner), _text(name)) if name else ""
        for inner, name in files
    ]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def rows_in(
    rows: Sequence[LineRow], addresses: Sequence[int], ranges: Sequence[tuple[int, int]]
) -> list[LineRow]:
    """The rows whose addresses lie in some ranges, in the order of the table."""
    found: list[LineRow] = []
    for low, high in sorted(ranges):
        found += rows[bisect_left(addresses, low) : bisect_left(addresses, high)]
    return found
