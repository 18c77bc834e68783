"""What live tracing costs, beside bpftrace: nanoseconds per hit, and the time to start.

The cost of a hit is CPU time of the traced thread: the second fastest of ROUNDS rounds of HITS
hits in a process of its own. The cost of a line is CPU time of all, the program and the tracer,
above that of a run without hits, for each line that arrived: a tracer that drops most of its
lines has done less, and is not faster for it. Runs of the two tracers alternate, REPEATS times;
medians count. Wall time says nothing on a machine that does other things, except for starting
up.
"""

from __future__ import annotations

import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent
INCLUDE = HERE.parent / "csrc" / "include"
ROUNDS, HITS, REPEATS, STARTS, LINES = 10, 100_000, 5, 9, 400_000
PEER = ("bpftrace", "-B", "full")
"""It writes its lines in blocks, as we do where the output is a file."""
LINE = re.compile(rb"\d+ \d+\n")

COUNT = 'global n probe process("{0}").mark("hit") {{ n[$arg1]++ }}'
COUNT_PEER = "usdt:{0}:bench:hit {{ @[arg0] = count(); }}"
PRINT = 'probe process("{0}").mark("hit") {{ printf("%d %d\\n", $arg1, $arg2) }}'
PRINT_PEER = 'usdt:{0}:bench:hit {{ printf("%d %d\\n", arg0, arg1); }}'


def _markbridge(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bridge", "run", *arguments]


def _run(command: list[str]) -> None:
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)


def _used() -> float:
    """CPU seconds of all that ran and ended below us."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def _lines(tracer: list[str], victim: Path, hits: int) -> tuple[float, int]:
    """CPU seconds of the tracer and the victim together, and how many lines arrived."""
    command = shlex.join([str(victim), str(victim.with_name("result")), "1", str(hits)])
    before = _used()
    with tempfile.TemporaryFile() as output:
        subprocess.run([*tracer, command], stdout=output, stderr=subprocess.PIPE, check=True)
        output.seek(0)
        arrived = sum(LINE.fullmatch(line) is not None for line in output)
    return _used() - before, arrived


def _hit_cost(tracer: list[str], victim: Path) -> float:
    """CPU time per hit of the victim under a tracer whose last option takes the command."""
    result = victim.with_name("result")
    command = shlex.join([str(victim), str(result), str(ROUNDS), str(HITS)])
    _run([*tracer, command])
    return float(result.read_text())


def _wall_ms(command: list[str]) -> float:
    start = time.perf_counter()
    _run(command)
    return (time.perf_counter() - start) * 1e3


def _alternate(
    ours: Callable[[], float], peers: Callable[[], float], times: int
) -> tuple[list[float], list[float]]:
    pairs = [(ours(), peers()) for _ in range(times)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _hits(what: str, script: str, peer: str, wanted: float, victim: Path) -> Row:
    ours, peers = _alternate(
        lambda: _hit_cost([*_markbridge("-e", script.format(victim)), "-c"], victim),
        lambda: _hit_cost(["bpftrace", "-e", peer.format(victim), "-c"], victim),
        REPEATS,
    )
    return Row(what, "ns/hit", ours, peers, "bpftrace", wanted)


def _line_cost(tracer: list[str], victim: Path, arrived: list[int]) -> float:
    """Nanoseconds of CPU per line that arrived."""
    idle, _ = _lines(tracer, victim, 0)
    used, count = _lines(tracer, victim, LINES)
    arrived.append(count)
    return (used - idle) * 1e9 / max(count, 1)


def _printing(what: str, script: str, peer: str, wanted: float, victim: Path) -> Row:
    own: list[int] = []
    others: list[int] = []
    ours, peers = _alternate(
        lambda: _line_cost([*_markbridge("-e", script.format(victim)), "-c"], victim, own),
        lambda: _line_cost([*PEER, "-e", peer.format(victim), "-c"], victim, others),
        REPEATS,
    )
    shares = (f"{100 * median(counts) / LINES:.0f} %" for counts in (own, others))
    return Row(
        what, "ns/line", ours, peers, "bpftrace", wanted, note=f"arrived: {', '.join(shares)}"
    )


def _start() -> Row:
    ours, peers = _alternate(
        lambda: _wall_ms(_markbridge("-e", "probe begin { exit() }")),
        lambda: _wall_ms(["bpftrace", "-e", "BEGIN { exit(); }"]),
        STARTS,
    )
    return Row("start and exit", "ms", ours, peers, "bpftrace", 1.0)


def run() -> Iterator[Row]:
    """All rows; needs root and bpftrace."""
    with tempfile.TemporaryDirectory() as folder:
        victim = Path(folder) / "victim"
        source = HERE / "victim.c"
        subprocess.run(["gcc", "-O2", f"-I{INCLUDE}", "-o", victim, source], check=True)
        yield _hits("count by key", COUNT, COUNT_PEER, 0.95, victim)
        yield _printing("printf of two arguments", PRINT, PRINT_PEER, 0.2, victim)
        yield _start()
