"""Scripts that come with SystemTap run unmodified, read where the Debian package put them."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Interrupter, Runner

EXAMPLES = Path("/usr/share/systemtap/examples")
pytestmark = pytest.mark.tools


def test_helloworld(run: Runner) -> None:
    done = run("run", EXAMPLES / "general/helloworld.stp")

    assert (done.code, done.out, done.err) == (0, "hello world\n", "")


@pytest.mark.parametrize(("name", "cells"), [("ansi_colors", 128), ("ansi_colors2", 256)])
def test_ansi_colors(run: Runner, name: str, cells: int) -> None:
    done = run("run", EXAMPLES / f"general/{name}.stp")

    assert done.code == 0, done.err
    assert len(re.findall(r"\x1b\[\d+;\d+;?\d*m", done.out)) >= cells
    assert "fg,t \\ bg |" in done.out


def _next_generation(cells: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """Conway's rule on the field of 15 by 15 cells that the script uses."""
    around = Counter(
        (y + dy, x + dx)
        for y, x in cells
        for dy in (-1, 0, 1)
        for dx in (-1, 0, 1)
        if (dy, dx) != (0, 0)
    )
    alive = {cell for cell, n in around.items() if n == 3 or (n == 2 and cell in cells)}
    return {(y, x) for y, x in alive if 0 <= y < 15 and 0 <= x < 15}


def test_lifegame_follows_the_rule(interrupt_after: Interrupter) -> None:
    screen = r"\x1b\[1;1H\x1b\[J"
    script = EXAMPLES / "stapgames/lifegame.stp"

    done = interrupt_after(rf"(?s)(?:{screen}.*?){{7}}", "run", script)

    assert done.code == 0, done.err
    screens = done.out.split("\x1b[1;1H\x1b[J")[1:-1]  # the last one may be cut off
    fields = [
        {(int(y) - 1, int(x) - 1) for y, x in re.findall(r"\x1b\[(\d+);(\d+)Ho", screen)}
        for screen in screens
    ]
    assert len(fields) >= 5
    assert len(fields[0]) == 5
    for before, after in pairwise(fields):
        assert after == _next_generation(before)


@pytest.mark.bpf
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("process/sched-latency", r"pid:\d+ prio:\d+\nvalue \|-+ count"),
        ("process/sig_by_proc", r"SENDER +RECEIVER +SIGNAL +COUNT"),
        ("process/sig_by_pid", r"SPID +SENDER +RPID +RECEIVER +SIGNAME +COUNT"),
        ("process/syscalls_by_proc", r"#SysCalls +Process Name\n\d+ +\w+"),
        ("process/syscalls_by_pid", r"#SysCalls +PID\n\d+ +\d+"),
        ("process/schedtimes", r"execname: +pid +run\(us\)"),
        ("general/stopwatches", r"wall clock in user-space +\d+us"),
        ("process/cycle_thief", r"^task \d+ migrated: \d+"),
        ("lwtools/bitesize-nd", r"Tracing block I/O\.\.\. Hit Ctrl-C to end\.\n\nI/O size"),
        ("lwtools/execsnoop-nd", r"^TIME +UID +PPID +PID +COMM +ARGS"),
        ("profiling/thread-times", r"comm +tid +%user +%kernel \(of \d+ ticks\)\n +\S+ +\d+"),
        ("memory/mmfilepage", r"Command +Pid +Alloc +Free"),
        ("memory/mmreclaim", r"Command +Pid +Direct"),
        ("virtualization/kvm_service_time", r"count sum\(us\) min\(us\) avg\(us\) max\(us\)"),
    ],
)
def test_kernel_tracepoints(interrupt_after: Interrupter, name: str, shown: str) -> None:
    live = shown if name.endswith("latency") else ""  # the others print at the end

    done = interrupt_after(live, "run", EXAMPLES / f"{name}.stp")

    assert done.code == 0, done.err
    assert re.search(shown, done.out, re.MULTILINE), done.out[-2000:]
