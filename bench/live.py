"""What live tracing costs, beside bpftrace: nanoseconds per hit, and the time to start.

The cost of a hit is CPU time of the traced thread: the second fastest of ROUNDS rounds of HITS
hits in a process of its own. Runs of the two tracers alternate, REPEATS times; medians count.
Wall time says nothing on a machine that does other things, except for starting up.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
INCLUDE = HERE.parent / "csrc" / "include"
ROUNDS, HITS, REPEATS, STARTS = 10, 100_000, 5, 9

COUNT = 'global n probe process("{0}").mark("hit") {{ n[$arg1]++ }}'
COUNT_PEER = "usdt:{0}:bench:hit {{ @[arg0] = count(); }}"
PRINT = 'probe process("{0}").mark("hit") {{ printf("%d %d\\n", $arg1, $arg2) }}'
PRINT_PEER = 'usdt:{0}:bench:hit {{ printf("%d %d\\n", arg0, arg1); }}'


def _markbridge(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "bridge", "run", *arguments]


def _run(command: list[str]) -> None:
    subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True, timeout=300
    )


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


def _start() -> Row:
    ours, peers = _alternate(
        lambda: _wall_ms(_markbridge("-e", "probe begin { exit() }")),
        lambda: _wall_ms(["bpftrace", "-e", "BEGIN { exit(); }"]),
        STARTS,
    )
    return Row("start and exit", "ms", ours, peers, "bpftrace", 1.0)


def run() -> list[Row]:
    """All rows; needs root and bpftrace."""
    with tempfile.TemporaryDirectory() as folder:
        victim = Path(folder) / "victim"
        source = HERE / "victim.c"
        subprocess.run(["gcc", "-O2", f"-I{INCLUDE}", "-o", victim, source], check=True)
        return [
            _hits("count by key", COUNT, COUNT_PEER, 0.95, victim),
            _hits("printf of two arguments", PRINT, PRINT_PEER, 0.2, victim),
            _start(),
        ]
