"""What starting costs: processor time of `markbridge --help`, beside Python that does nothing.

It has a bound of its own: 60 ms.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

REPEATS = 15


def _milliseconds(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *arguments]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used * 1e3


def run() -> Iterator[Row]:
    """The row, the two commands in turn."""
    pairs = [
        (_milliseconds("-m", "bridge", "--help"), _milliseconds("-c", "pass"))
        for _ in range(REPEATS)
    ]
    ours, bare = ([*column] for column in zip(*pairs, strict=True))
    yield Row("markbridge --help", "ms of CPU", ours, bare, "python", float("inf"), 60.0)
