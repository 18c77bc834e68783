"""The line table of a unit: the questions asked of its rows, which are in address order.

Source: DWARF 5, section 6.2. Where functions' prologues end follows SystemTap, so that a probe
stands where its `$variables` are right in unoptimised code.
"""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.probes.dwarf.debug import Row


def paths_of(files: Sequence[tuple[bytes, bytes]], folder: str) -> list[str]:
    """The paths of a unit's files by their numbers; "" where there is no name."""
    return [
        posixpath.join(folder, _text(inner), _text(name)) if name else ""
        for inner, name in files
    ]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def rows_in(
    rows: Sequence[Row], addresses: Sequence[int], ranges: Sequence[tuple[int, int]]
) -> list[Row]:
    """The rows whose addresses lie in some ranges, in the order of the table."""
    found: list[Row] = []
    for low, high in sorted(ranges):
        found += rows[bisect_left(addresses, low) : bisect_left(addresses, high)]
    return found


def prologue_end(
    rows: Sequence[Row], names: Sequence[str], low: int, high: int, file: str
) -> int:
    """Where the prologue of the function [low, high) ends; `low` if that is not known.

    That is at the first row that is marked so, of another line or file, or the second one of
    the function. `rows` begin with those at `low`.
    """
    first = next((n for n, r in enumerate(rows) if r.address == low and not r.end), None)
    if first is None:
        return low
    start = rows[first].line
    at = first
    while at < len(rows):
        row = rows[at]
        name = names[row.file] if row.file < len(names) else ""
        inside = low <= row.address < high
        if not inside or row.prologue_end or name != file or row.line != start:
            break
        if at != first:
            break
        at += 1
    if at < len(rows) and low <= rows[at].address < high:
        return rows[at].address
    return rows[at - 1].address if at > first else low
