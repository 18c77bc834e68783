"""Rows of measurements as a plain table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: medians of us and of a peer, and the ratio that is wanted at most.

    `most` bounds our median itself.
    """

    what: str
    unit: str
    ours: list[float]
    peers: list[float]
    peer: str
    wanted: float
    most: float = math.inf

    @property
    def ratio(self) -> float:
        """Our median as a part of the peer's."""
        return median(self.ours) / median(self.peers)

    @property
    def reached(self) -> bool:
        return self.ratio <= self.wanted and median(self.ours) <= self.most


def _spread(values: list[float]) -> str:
    return f"{median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


def render(rows: list[Row]) -> str:
    """The table, one line per row."""
    cells = [("measurement", "unit", "markbridge", "peer", "", "ratio", "wanted", "")]
    for row in rows:
        verdict = "ok" if row.reached else "MISSED"
        cells.append(
            (
                row.what,
                row.unit,
                _spread(row.ours),
                row.peer,
                _spread(row.peers),
                f"{row.ratio:.2f}",
                f"<= {row.wanted:.2f}" + ("" if row.most == math.inf else f", {row.most:g}"),
                verdict,
            )
        )
    widths = [max(len(line[n]) for line in cells) for n in range(len(cells[0]))]
    lines = ("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)
