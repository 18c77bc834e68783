"""Measure beside other tools, print one table: `python -m bench [live native check ...]`.

The live measurements need root and bpftrace; without them the others are made all the same.
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib import import_module

from bench.table import show

MODULES = (
    "start",
    "live",
    "load",
    "events",
    "first_output",
    "native",
    "check",
    "read_ltt",
    "read_ctf",
    "debug_information",
    "points",
    "marker",
)
LIVE = ("live", "load", "events", "first_output")


def _missing() -> str:
    """What the live measurements lack."""
    tools = [tool for tool in ("bpftrace", "gcc") if shutil.which(tool) is None]
    return "root" if os.geteuid() != 0 else " ".join(tools)


def main(names: list[str]) -> int:
    unknown = set(names) - set(MODULES)
    if unknown:
        print(f"no such measurements: {' '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    wanted = list(names or MODULES)
    if missing := _missing():
        print(f"the live measurements are left out, they need {missing}", file=sys.stderr)
        wanted = [name for name in wanted if name not in LIVE]
    rows = (row for name in wanted for row in import_module(f"bench.{name}").run())
    return 0 if show(rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
