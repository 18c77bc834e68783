"""Measure beside other tools, and print tables (`python -m bench`). Needs root and bpftrace."""

from __future__ import annotations

import os
import shutil
import sys

from bench import live, native
from bench.table import render


def main() -> int:
    missing = [
        tool for tool in ("bpftrace", "gcc", "mawk", "gawk") if shutil.which(tool) is None
    ]
    if os.geteuid() != 0 or missing:
        what = f"install {' '.join(missing)}" if missing else "run as root"
        print(f"the live measurements need more: {what}", file=sys.stderr)
        return 3
    rows = [*native.run(), *live.run()]
    print(render(rows))
    return 0 if all(row.reached for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
