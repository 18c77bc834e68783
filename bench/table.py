"""Rows of measurements as a plain table, printed as they come, below what machine it was."""

from __future__ import annotations

import math
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: medians of us and of a peer, and the ratio that is wanted at most.

    `most` bounds our median itself; `note` stands behind the row.
    """

    what: str
    unit: str
    ours: list[float]
    peers: list[float]
    peer: str
    wanted: float
    most: float = math.inf
    note: str = ""

    @property
    def ratio(self) -> float:
        """Our median as a part of the peer's."""
        return median(self.ours) / median(self.peers)

    @property
    def reached(self) -> bool:
        return self.ratio <= self.wanted and median(self.ours) <= self.most


def _spread(values: list[float]) -> str:
    return f"{median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


HEAD = ("measurement", "unit", "markbridge", "peer", "", "ratio", "wanted", "")
WIDTHS = (31, 12, 24, 10, 24, 5, 14, 0)


def _cells(row: Row) -> tuple[str, ...]:
    wanted = "-" if row.wanted == math.inf else f"<= {row.wanted:.2f}"
    return (
        row.what,
        row.unit,
        _spread(row.ours),
        row.peer,
        _spread(row.peers),
        f"{row.ratio:.2f}",
        wanted + ("" if row.most == math.inf else f", {row.most:g}"),
        ("ok" if row.reached else "MISSED") + (f"; {row.note}" if row.note else ""),
    )


def _line(cells: tuple[str, ...]) -> str:
    return "  ".join(c.ljust(w) for c, w in zip(cells, WIDTHS, strict=True)).rstrip()


def show(rows: Iterable[Row]) -> bool:
    """Print the machine, and each row as soon as it is measured; whether all are reached."""
    print(machine(), _line(HEAD), sep="\n", flush=True)
    reached = True
    for row in rows:
        print(_line(_cells(row)), flush=True)
        reached &= row.reached
    return reached


# --- the machine ------------------------------------------------------------------------------


def _processor() -> str:
    """As the kernel names it: /proc/cpuinfo of x86; elsewhere the machine's kind."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def machine() -> str:
    """What the figures are of: processor, cores that we may use, kernel, how busy it is."""
    cores = len(os.sched_getaffinity(0))
    return (
        f"{_processor()}, {cores} cores; Linux {platform.release()};"
        f" Python {platform.python_version()}; load {os.getloadavg()[0]:.1f}"
    )
