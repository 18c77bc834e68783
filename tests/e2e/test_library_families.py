"""Signals, terminals, paths, tasks by number: the library on functions of the kernel."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = [
    pytest.mark.root,
    pytest.mark.bpf,
    pytest.mark.needs("kprobes"),
    pytest.mark.guest,
]

PROGRAM = """
import os, signal
ours, theirs = os.openpty()
os.write(theirs, b"to the terminal")
os.read(ours, 15)
signal.signal(signal.SIGUSR1, lambda *given: None)
os.kill(os.getpid(), signal.SIGUSR1)
with open("/tmp/library-families", "w") as file:
    file.write("seven b")
    file.flush()
"""
SCRIPT = r"""
global said
function once(text) { if (!said[text]++) println(text) }
probe signal.checkperm, signal.syskill {
  if (pid() == target()) once(sprint(name, " ", sig_name, " ", sig_pid == target()))
}
probe signal.wakeup { }  # kill(2) has a copy of its function, which nothing hits
probe signal.checkperm.return {
  if (pid() == target()) once(sprint(name, " returns ", retstr))
}
probe signal.do_action {
  if (pid() == target() && sig == 10) once(sprint(name, " ", sig_name, " ", sa_handler > 1))
}
probe tty.write {
  if (pid() == target()) once(sprint("tty.write ", buffer, " ", nr, " ", driver_name))
}
probe vfs.open {
  if (pid() == target() && isinstr(pathname, "families")) once(sprint(name, " ", pathname))
}
probe vfs.write {
  if (pid() == target() && isinstr(pathname, "families"))
    once(sprint(name, " ", pathname, " ", bytes_to_write))
}
probe signal.syskill {
  if (pid() == target()) {
    task = pid2task(pid())
    once(sprint("tasks ", task == task_current(), " ", task_ns_pid(task) == pid(), " ",
                task_ns_tid(task) == tid(), " ", task_ns_uid(task), " ", task_ns_egid(task),
                " ", pid2task(4000000)))
  }
}
probe generic.fop.*, ioscheduler_trace.*, _vfs.*, tty.open { }
"""
EXPECTED = {
    "signal.checkperm SIGUSR1 1",
    "signal.checkperm returns 0",
    "signal.syskill SIGUSR1 1",
    "signal.do_action SIGUSR1 1",
    'tty.write "to the terminal" 15 "pty_slave"',
    "vfs.open /tmp/library-families",
    "vfs.write /tmp/library-families 7",
    "tasks 1 1 1 0 0 0",
}


def test_families(run: Runner, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = run("run", "-e", SCRIPT, "-c", f"{sys.executable} -IS {program}")
    assert done.code == 0, done.err
    assert {*done.out.splitlines()} >= EXPECTED, done.out + done.err
    assert "in this kernel" not in done.err  # the library itself uses the names of today
