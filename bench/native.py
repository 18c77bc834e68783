"""What handlers cost in user space, beside awk doing the same: counting, printing, sorting.

Ours is the CPU time of the handler alone, awk's that of the whole program. Each has a bound of
its own beside the peer: 60 ns for a count with a statistic, 0.5 s for a million lines, 150 ms
to sort and print 100,000 entries, 100 bytes for an entry with two integer keys.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from typing import TYPE_CHECKING

from bench.table import Row
from bridge._native import lib
from bridge.engine.base import SessionOptions
from bridge.engine.session.native import NativeSession
from bridge.pipeline import compile_script
from bridge.probes.live import LiveTargets
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from bridge.world import LiveWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPEATS, COUNTS, LINES, ENTRIES = 5, 2_000_000, 1_000_000, 100_000
LIMITS = {"MAXACTION_INTERRUPTIBLE": "1000000000000", "MAXMAPENTRIES": str(ENTRIES)}

LOOP = f"for (i = 0; i < {COUNTS}; i++)"
COUNT = f"global a, s probe begin {{ k = tid() {LOOP} {{ a[k]++ s <<< i }} }}"
COUNT += " probe end { println(@sum(s)) foreach (k in a) println(a[k]) }"
COUNT_AWK = f"BEGIN {{ k = 7; for (i = 0; i < {COUNTS}; i++) {{ a[k]++; s += i; n++ }} }}"
PRINT = f'probe begin {{ s = "text" for (i = 0; i < {LINES}; i++) printf("%d %s\\n", i, s) }}'
PRINT_AWK = f'BEGIN {{ s = "text"; for (i = 0; i < {LINES}; i++) printf("%d %s\\n", i, s) }}'
FILL = f"for (i = 0; i < {ENTRIES}; i++) a[i, i % 10] = (i * 7919) % 1000003"
SORT = f"""global a probe begin {{ {FILL} }}
probe begin(1) {{ foreach ([i, k] in a-) printf("%d %d\\n", i, a[i, k]) }}"""
SORT_AWK = f"""BEGIN {{ {FILL}; PROCINFO["sorted_in"] = "@val_num_desc"
for (k in a) {{ split(k, p, SUBSEP); printf("%d %d\\n", p[1], a[k]) }} }}"""


def _seconds(work: Callable[[], object]) -> float:
    """CPU time, ours and that of programs started, because others may use the machine."""
    start = _used()
    work()
    return _used() - start


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class _Script:
    """A compiled script; `times` holds how long its last handler took."""

    def __init__(self, text: str) -> None:
        sources = SourceMap()
        main = sources.add("bench.stp", text)
        options = AnalyseOptions(defines=LIMITS)
        self._placed = compile_script(main, sources, LiveTargets(LiveWorld()), options).placed
        self.bytes_per_entry = 0.0

    def time(self, last: int) -> float:
        """Run the begin handlers up to number `last`, and time that one."""
        with open(os.devnull, "wb") as sink:  # noqa: PTH123 - its descriptor is what counts
            options = SessionOptions(output=sink.fileno())
            with NativeSession.open(self._placed, options) as session:
                for number in range(last):
                    session.run(number)
                taken = _seconds(lambda: (session.run(last), session.flush()))
                entries = max(1, lib.mb_session_array_count(session.handle, 0))
                used = lib.mb_session_array_bytes(session.handle, 0)
                self.bytes_per_entry = used / entries
        return taken


def _awk(program: str, text: str) -> float:
    command = [program, text]
    return _seconds(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True))


def _compare(
    what: str,
    unit: str,
    scale: float,
    script: tuple[str, int],
    awk: tuple[str, str],
    most: float,
) -> Row:
    compiled = _Script(script[0])
    ours = [compiled.time(script[1]) * scale for _ in range(REPEATS)]
    peers = [_awk(*awk) * scale for _ in range(REPEATS)]
    return Row(what, unit, ours, peers, awk[0], 1.0, most)


def run() -> Iterator[Row]:
    """All rows."""
    yield _compare("a[k]++; s <<< x", "ns", 1e9 / COUNTS, (COUNT, 0), ("mawk", COUNT_AWK), 60.0)
    yield _compare("a million printf lines", "ms", 1e3, (PRINT, 0), ("mawk", PRINT_AWK), 500.0)
    yield _compare("sort and print 100,000", "ms", 1e3, (SORT, 1), ("gawk", SORT_AWK), 150.0)
    sorting = _Script(SORT)
    sorting.time(1)
    used = [sorting.bytes_per_entry]
    yield Row("entry with two integers", "bytes", used, [100.0], "bound", 1.0)
