"""What a hit costs who reads it in Python: `python -m bench.events` (root).

A program hits a marker of three arguments RATE times a second, another one for each reader.
The cost is CPU time of the thread that reads, per hit; lost hits are counted beside it.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bridge
from bench.table import Row, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge import Session

INCLUDE = Path(__file__).resolve().parent.parent / "csrc" / "include"
RATE, SECONDS, REPEATS = 200_000, 2, 3
PYTHON_US, NUMPY_US = 2.0, 0.2
"""What is wanted."""
VICTIM = f"""
#include <markbridge/marker.h>
#include <time.h>
static double now(void)
{{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}}
int main(void)
{{
	const double start = now();
	const long total = {RATE * SECONDS}l;
	for (long i = 0; i < total;) {{
		long due = (long)((now() - start) * {RATE});
		for (; i < due && i < total; i++)
			MARKBRIDGE_MARK(bench, hit, i, i * 3, (int)-i);
		nanosleep(&(struct timespec){{ 0, 200000 }}, 0);
	}}
	return 0;
}}
"""


def _one_by_one(session: Session) -> int:
    return sum(1 for hit in session.events() if hit.arguments["arg2"] != 1)


def _by_batch(session: Session) -> int:
    return sum(int((batch.arguments["arg2"] != 1).sum()) for batch in session.batches())


def _cost(victim: Path, read: Callable[[Session], int]) -> tuple[float, int, int]:
    """Microseconds per hit, how many came, and how many were lost."""
    program = bridge.compile(f'probe process("{victim}").mark("hit") {{ }}')
    with program.attach(command=[str(victim)], events=True) as session:
        before = time.thread_time()
        count = read(session)
        used = time.thread_time() - before
        lost = session.lost
    return used * 1e6 / max(count, 1), count, lost.kernel + lost.unread


def _row(what: str, victim: Path, read: Callable[[Session], int], wanted: float) -> Row:
    found = [_cost(victim, read) for _ in range(REPEATS)]
    came, lost = sum(count for _, count, _ in found), sum(lost for *_, lost in found)
    note = f"{came} hits came, {lost} were lost"
    return Row(what, "us/hit", [cost for cost, *_ in found], [wanted], "limit", 1.0, note=note)


def run() -> Iterator[Row]:
    """The rows of the table."""
    with tempfile.TemporaryDirectory() as folder:
        source, victim = Path(folder) / "victim.c", Path(folder) / "victim"
        source.write_text(VICTIM)
        command = ["gcc", "-O2", f"-I{INCLUDE}", "-o", victim, source]
        subprocess.run(command, check=True)
        yield _row("hits in Python, one by one", victim, _one_by_one, PYTHON_US)
        yield _row("hits as numpy arrays", victim, _by_batch, NUMPY_US)


if __name__ == "__main__":
    show(run())
