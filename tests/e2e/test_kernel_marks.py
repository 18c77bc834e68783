"""Scripts of the days of kernel markers on the running kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = [pytest.mark.bpf, pytest.mark.xdist_group("kernel")]


def test_switches_and_forks(run: Runner) -> None:
    script = """global wrong, switches, forks
    probe kernel.mark("kernel_sched_schedule").format("prev_pid %d*") {
      switches++
      if ($arg1 != tid() || $arg2 != $next_pid) wrong++
    }
    probe kernel.mark("process_fork") {
      if (pid() == target()) { forks++; if ($arg1 != tid() || $arg2 != $arg3) wrong++ }
    }
    probe end { printf("%d %d %d\\n", wrong, switches > 0, forks) }"""

    done = run("run", "-e", script, "-c", "sh -c '/bin/true; /bin/true; /bin/true; :'")

    assert (done.code, done.out) == (0, "0 1 3\n")


def test_a_system_call_by_its_number(run: Runner) -> None:
    script = """probe kernel.mark("syscall_entry") {
      if (pid() == target() && $arg2 == __NR_getppid) { println($name) exit() }
    }"""
    script = script.replace("__NR_getppid", "(CONFIG == 0 ? 110 : 173)").replace(
        "CONFIG", '%( arch == "x86_64" %? 0 %: 1 %)'
    )

    done = run("run", "-e", script, "-c", "python3 -c 'import os; os.getppid()'")

    assert (done.code, done.out) == (0, "kernel.syscall_entry\n")


def test_what_a_tracepoint_lacks(run: Runner) -> None:
    done = run("check", "-e", 'probe kernel.mark("kernel_irq_entry") { println($arg1) }')

    assert done.code == 1
    assert "irq:irq_handler_entry, which is at that place today, has no `ip`" in done.err
