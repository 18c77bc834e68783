"""A million hits a second on two threads: `python -m bench load`, or `-m bench.load SECONDS`.

Each hit is counted in the kernel, or sent to a handler in user space; what is measured is the
CPU time of the program for a hit, beside the same hits counted by bpftrace. Whatever is lost
must be told: hits handled and hits lost are together what the program made.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
INCLUDE = HERE.parent / "csrc" / "include"
SECONDS, RATE = 30, 1_000_000
WANTED = 3.0
COUNT = """
global n, sum
probe process("{0}").mark("hit") {{ n[$arg1]++; sum <<< $arg2 }}
probe end {{ foreach (k in n) all += n[k]; println(all, " ", @count(sum), " ", @sum(sum)) }}
"""
SEND = """
global n, texts
probe process("{0}").mark("hit") {{ n++; if (sprint($arg1) == "7") texts++ }}
probe end {{ println(n, " ", n, " ", texts) }}
"""
PEER = "usdt:{0}:bench:hit {{ @[arg0] = count(); @s = stats(arg1); }}"
LOST = re.compile(r"(\d[\d,]*) (?:hits|events|records) (?:were )?lost")


@dataclass(frozen=True)
class Load:
    """What the program made in some seconds, and what a hit took it."""

    hits: int
    seconds: float
    cost_ns: float


def _load(tracer: list[str], program: Path, seconds: int) -> tuple[Load, str, str]:
    result = program.with_name("result")
    command = shlex.join([str(program), str(result), str(seconds), str(RATE)])
    done = subprocess.run([*tracer, command], capture_output=True, text=True, check=True)
    hits, wall, cost = result.read_text().split()
    return Load(int(hits), float(wall), float(cost)), done.stdout, done.stderr


def _row(what: str, script: str, program: Path, seconds: int, peer: Load) -> Row:
    ours = [sys.executable, "-m", "bridge", "run", "-e", script.format(program), "-c"]
    load, out, err = _load(ours, program, seconds)
    counted, *_ = map(int, out.split())
    lost = sum(int(found.replace(",", "")) for found in LOST.findall(err))
    assert counted + lost == load.hits, f"{counted} + {lost} are not {load.hits}: {err}"
    note = f"{load.hits / load.seconds:,.0f} hits/s, {100 * lost / load.hits:.1f} % lost"
    return Row(what, "ns/hit", [load.cost_ns], [peer.cost_ns], "bpftrace", WANTED, note=note)


def run(seconds: int = SECONDS) -> Iterator[Row]:
    """Both rows; needs root and bpftrace."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "load"
        flags = ["-O2", "-pthread", f"-I{INCLUDE}"]
        subprocess.run(["gcc", *flags, "-o", program, HERE / "load.c"], check=True)
        peer, _, _ = _load(["bpftrace", "-e", PEER.format(program), "-c"], program, seconds)
        yield _row("1 M hits/s: aggregates", COUNT, program, seconds, peer)
        yield _row("1 M hits/s: user space", SEND, program, seconds, peer)


if __name__ == "__main__":
    from bench.table import show

    sys.exit(0 if show(run(int((sys.argv[1:] or [SECONDS])[0]))) else 1)
