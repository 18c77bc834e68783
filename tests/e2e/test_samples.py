"""Counters of the kernel: `timer.profile`, `perf.*`, live and from a recording."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = pytest.mark.bpf

BUSY = "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'"
PROFILE = """
global hits
probe timer.profile { if (pid() == target()) hits[user_mode()]++ }
probe end { printf("%d %d\\n", hits[1] > 20, hits[1] > hits[0]) }
"""


@pytest.mark.parametrize("engine", ["native", "interpreter"])
def test_a_profile_sees_what_runs_and_in_which_mode(run: Runner, engine: str) -> None:
    done = run("run", f"--engine={engine}", "-e", PROFILE, "-c", BUSY)

    assert (done.code, done.out) == (0, "1 1\n"), done.err


@pytest.mark.guest
def test_every_cpu_is_sampled(run: Runner) -> None:
    script = """
    global hits
    probe timer.profile.freq.hz(50) { if (!hits[cpu()]++ && ++n == $1) exit() }
    probe end { println(n); delete hits }
    global n
    """
    cpus = len(os.sched_getaffinity(0))

    done = run("run", "-T", "300", "-e", script, cpus)

    assert done.code == 0, done.err
    assert int(done.out.split()[0]) == cpus, done.out


@pytest.mark.guest
def test_a_counter_hits_after_so_many_counts(run: Runner) -> None:
    script = """
    global all, tenth
    probe perf.sw.page_faults.sample(1) { if (pid() == target()) all++ }
    probe perf.type(1).config(2).sample(10) { if (pid() == target()) tenth++ }
    probe end { printf("%d %d\\n", all > 30, all >= 5 * tenth) }
    """

    done = run("run", "-e", script, "-c", "true")

    assert (done.code, done.out) == (0, "1 1\n"), done.err


def test_a_recording_prints_the_same(run: Runner, tmp_path: Path) -> None:
    script, trace = tmp_path / "s.stp", tmp_path / "trace"
    script.write_text("""
    probe timer.profile.freq.hz(200) {
        if (pid() == target()) printf("%s %d\\n", execname(), user_mode())
    }
    """)

    live = run("run", script, "--trace", trace, "-c", BUSY)
    again = run("run", script, "--replay", trace)

    assert live.code == again.code == 0, live.err + again.err
    assert live.out == again.out != ""


def test_what_the_machine_does_not_count_is_told(run: Runner) -> None:
    done = run("run", "-e", "probe perf.type(1).config(4711) { exit() }")

    assert (done.code, done.out) == (3, "")
    assert "type 1, config 4711" in done.err
    assert "no such counter" in done.err
