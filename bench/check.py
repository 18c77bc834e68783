"""Checking scripts beside `stap -p2`: 100 lines warm, and 5,000 lines in under three seconds.

`python -m bench.check` prints the table. stap is given an empty kernel build folder; ours has
its byte code, as every installation has.
"""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from bench.table import Row, show

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
REPEATS = 11
LARGE_MOST_MS = 3000.0


_PART = """function fNUMBER(x) {
  if (x > NUMBER) return x - NUMBER
  return x * 2
}
probe timer.s(1NUMBER) {
  count[NUMBER, "a"] += fNUMBER(NUMBER)
  times <<< count[NUMBER, "a"]
  foreach ([n, s] in count- limit 3)
    printf("%d %s %d\\n", n, s, count[n, s])
}"""


def script(lines: int) -> str:
    """A script of about so many lines, with functions, arrays, loops and formats."""
    parts = (_PART.replace("NUMBER", str(number)) for number in range(lines // 10))
    return "\n".join(["global count, times", *parts, "probe end { println(@avg(times)) }\n"])


def kernel_folder(folder: Path) -> Path:
    """What stap takes for a kernel's build folder."""
    (folder / "include" / "config").mkdir(parents=True)
    (folder / "include" / "generated").mkdir()
    (folder / "include" / "config" / "kernel.release").write_text("6.1.0-1-amd64\n")
    for name in (".config", "Makefile", "Module.symvers"):
        (folder / name).write_text("")
    return folder


def milliseconds(command: list[str]) -> float:
    start = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (perf_counter() - start) * 1000


def compare(folder: Path, kernel: Path, lines: int, most: float, wanted: float) -> Row:
    """One size, the two commands in turn, after one run of each to warm up."""
    path = folder / f"{lines}.stp"
    path.write_text(script(lines))
    ours = [sys.executable, "-m", "bridge", "check", str(path)]
    peer = ["stap", "-r", str(kernel), "-p2", str(path)]
    times = [(milliseconds(ours), milliseconds(peer)) for _ in range(REPEATS + 1)][1:]
    own, peers = zip(*times, strict=True)
    return Row(f"check of {lines} lines", "ms", [*own], [*peers], "stap -p2", wanted, most)


def run() -> Iterator[Row]:
    """The rows; none without stap."""
    if shutil.which("stap") is None:
        print("the check measurements are left out, they need stap", file=sys.stderr)
        return
    for package in ("bridge", "grammars", "formats"):
        compileall.compile_dir(ROOT / package, quiet=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kernel = kernel_folder(folder / "kernel")
        yield compare(folder, kernel, 100, float("inf"), 0.8)
        yield compare(folder, kernel, 5000, LARGE_MOST_MS, float("inf"))


if __name__ == "__main__":
    show(run())
