"""The library's probe aliases on tracepoints, live, and again over the trace."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf]

COMMAND = "#!/bin/sh\ntrap : USR1\nkill -USR1 $$\n/bin/true\n/bin/true\nsleep 0.3\n"
SCHEDULER = r"""
global seen
probe scheduler.ctxswitch {
  if (!seen[name]++)
    printf("%s %d %d %s %d -> %d %d %s %d %d\n", name, prev_pid > prev_tid, prev_task < 0,
           prev_task_name, prevtsk_state >= 0, next_pid > next_tid, next_task < 0,
           next_task_name, nexttsk_state >= 0, prev_priority >= 0 && next_priority >= 0)
}
probe scheduler.cpu_off {
  if (!seen[name]++)
    printf("%s %d %d %d\n", name, task_prev < 0, task_next < 0, idle == (tid() == 0))
}
probe scheduler.wakeup, scheduler.wakeup_new {
  if (!seen[name]++)
    printf("%s %d %d %d %d %d\n", name, task_pid > task_tid, task_priority > 0,
           task_cpu < 1024, task_state >= 0, task < 0)
}
probe scheduler.process_fork {
  if (parent_pid == target() && !seen[name]++)
    printf("%s %d %d\n", name, parent_pid == pid(), child_pid != pid())
}
probe scheduler.process_exit {
  if (pid == target() && !seen[name]++) printf("%s %d\n", name, priority)
}
probe kprocess.create {
  if (pid() == target() && !seen["create"]++)
    printf("create %d %d\n", new_pid == new_tid, task < 0)
}
"""
EVENTS = r"""
global seen
probe signal.send {
  if (sig_name == "SIGUSR1" && sig_pid == target())
    println(name, " ", sig, " ", pid_name, " ", shared, " ", si_code)
}
probe signal.handle {
  if (pid() == target() && sig == 10) println(name, " ", sig_name, " ", sig_code)
}
probe scheduler.signal_send { if (pid == target() && signal_number == 10) println(name) }
probe softirq.entry { if (!seen["in"]++) println("softirq ", vec_nr < 10) }
probe softirq.exit { if (!seen["out"]++) println("softirq done ", vec_nr < 10) }
probe irq_handler.entry, irq_handler.exit {
  if (!seen["irq"]++)
    println("interrupt ", irq >= 0, strlen(kernel_string(dev_name)) > 0, handler < 0,
            strlen(flags_str) > 0)
}
probe syscall_any {
  if (pid() == target() && !seen[name]++) println("call ", name, " ", syscall_nr)
}
probe syscall_any.return {
  if (pid() == target() && name == "kill") println("result ", name, " ", retval)
}
"""


def _run(run: Runner, folder: Path, text: str) -> tuple[list[str], list[str]]:
    command, script = folder / "command.sh", folder / "x.stp"
    command.write_text(COMMAND)
    command.chmod(0o755)
    script.write_text(text)
    live = run("run", script, "-c", command, "--trace", folder / "trace")
    assert live.code == 0, live.err
    again = run("run", script, "--replay", folder / "trace")
    return live.out.splitlines(), again.out.splitlines()


def test_a_signal_without_information(run: Runner) -> None:
    """Who is killed together with another thread has none."""
    script = "probe signal.handle { if (sig == 9) seen[sig_code]++ }"
    script += " probe end { println(seen[0] > 0) } global seen"
    threads = "import os, threading; threading.Thread(target=threading.Event().wait).start();"
    command = f"{sys.executable} -c '{threads} os.kill(os.getpid(), 9)'"

    done = run("run", "-e", script, "-c", command)

    assert done.out == "1\n", done.err
    assert "ERROR" not in done.err


def test_the_scheduler(run: Runner, tmp_path: Path) -> None:
    live, again = _run(run, tmp_path, SCHEDULER)
    by_name = {line.split()[0]: line for line in live}
    assert re.fullmatch(r"ctxswitch 0 1 .+ 1 -> 0 1 .+ 1 1", by_name["ctxswitch"])
    assert by_name["cpu_off"] == "cpu_off 1 1 1"
    assert by_name["wakeup"] == "wakeup 0 1 1 1 1"
    assert by_name["wakeup_new"] == "wakeup_new 0 1 1 1 1"
    assert by_name["process_fork"] == "process_fork 1 1"
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    assert by_name["process_exit"] == f"process_exit {120 + nice}"
    assert by_name["create"] == "create 1 1"
    assert sorted(live) == sorted(again)


def test_signals_interrupts_and_system_calls(run: Runner, tmp_path: Path) -> None:
    live, again = _run(run, tmp_path, EVENTS)
    assert "signal_generate 10 command.sh 1 SI_USER or SI_TIMER or SI_ASYNCIO" in live
    assert {"handle SIGUSR1 0", "signal_send", "softirq 1", "softirq done 1"} <= {*live}
    assert {"call kill 62", "call execve 59", "result kill 0"} <= {*live}
    assert [line for line in live if line.startswith("interrupt")] in ([], ["interrupt 1111"])
    assert sorted(live) == sorted(again)
