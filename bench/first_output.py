"""What it costs until a script has printed its first line: `python -m bench first_output`.

CPU time, ours and its children's, of scripts that end with their first line, beside the same
for bpftrace. `first` is a start for which nothing has been kept of an earlier one but the
parser's tables; `again` is one with machine code kept.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
INCLUDE = HERE.parent / "csrc" / "include"
REPEATS, FEW = 5, 3
WANTED, MOST_MS = 1.5, 1500.0
"""Of the time of bpftrace for one probe, and of CPU for all system calls."""
MARKER = (
    'probe process("{0}").mark("hit") {{ println($arg1) exit() }}',
    'usdt:{0}:bench:hit {{ printf("%d\\n", arg0); exit(); }}',
)
TRACEPOINT = (
    'probe kernel.trace("sched:sched_switch") {{ println(pid()) exit() }}',
    'tracepoint:sched:sched_switch {{ printf("%d\\n", pid); exit(); }}',
)
TIMER = (
    "probe timer.ms(1) {{ println(1) exit() }}",
    'interval:ms:1 {{ printf("1\\n"); exit(); }}',
)
CALLS = (
    'probe syscall.* {{ printf("%s %s\\n", name, argstr) exit() }}',
    'tracepoint:syscalls:sys_enter_* {{ printf("%s\\n", probe); exit(); }}',
)


def _milliseconds(command: list[str], cache: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    subprocess.run(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used * 1e3


def _ours(script: str, victim: Path, cache: Path, *, kept: bool) -> float:
    if not kept:
        for name in ("code", "scripts"):
            shutil.rmtree(cache / "markbridge" / name, ignore_errors=True)
    command = [sys.executable, "-m", "bridge", "run", "-e", script.format(victim)]
    return _milliseconds([*command, "-c", f"{victim} /dev/null 1 1"], cache)


def _rows(
    what: str, scripts: tuple[str, str], where: tuple[Path, Path], times: int, most: float
) -> Iterator[Row]:
    """A first start and one more, the peer's in turn."""
    victim, cache = where
    peer = ["bpftrace", "-e", scripts[1].format(victim), "-c", f"{victim} /dev/null 1 1"]
    wanted = WANTED if most == float("inf") else float("inf")
    for kept in (False, True):
        pairs = [
            (_ours(scripts[0], victim, cache, kept=kept), _milliseconds(peer, cache))
            for _ in range(times)
        ]
        ours, peers = ([*column] for column in zip(*pairs, strict=True))
        name = f"{what}, {'again' if kept else 'first'}"
        yield Row(name, "ms of CPU", ours, peers, "bpftrace", wanted, most)


def run() -> Iterator[Row]:
    """All rows; needs root and bpftrace."""
    with tempfile.TemporaryDirectory() as folder:
        victim, cache = Path(folder) / "victim", Path(folder) / "cache"
        source = HERE / "victim.c"
        subprocess.run(["gcc", "-O2", f"-I{INCLUDE}", "-o", victim, source], check=True)
        where = victim, cache
        _ours("probe begin {{ exit() }}", victim, cache, kept=True)  # the parser's tables
        yield from _rows("a marker", MARKER, where, REPEATS, float("inf"))
        yield from _rows("a tracepoint", TRACEPOINT, where, REPEATS, float("inf"))
        yield from _rows("a timer", TIMER, where, REPEATS, float("inf"))
        yield from _rows("all system calls", CALLS, where, FEW, MOST_MS)
