"""What scripts ask of the process that was hit: arguments, parents, groups; live and again."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf]

SCRIPT = """
probe kernel.trace("sched:sched_process_exec") {
  if (pid() == target())
    printf("%s|%s|%s|%s|%d %d %d %d\\n", cmdline_str(), cmdline_arg(2), cmdline_args(3, 4, "+"),
           pexecname(), ppid() == stp_pid(), pgrp(), sid(), task_current() < 0)
}
"""
TREE = """
probe kernel.trace("sched:sched_process_exec") {
  if (target_set_pid(pid()) && execname() == "true") {
    println(pid() == target(), " ", ppid() == target())
    target_set_report()
  }
}
probe end { println(target_set_pid(stp_pid())) }
"""


def test_arguments_and_groups(run: Runner, tmp_path: Path) -> None:
    script = tmp_path / "x.stp"
    script.write_text(SCRIPT)
    command = "/bin/sh -c : '' 'a b' 'ä'"
    live = run("run", script, "-c", command, "--trace", tmp_path / "trace")
    assert live.code == 0, live.err
    words, second, part, parent, numbers = live.out.rstrip("\n").split("|")
    assert words == '/bin/sh -c : "" a b ä'
    assert (second, part) == (":", "+a b")
    assert parent == Path(sys.executable).name[:15] or parent.startswith("python")
    assert numbers.split()[2:] == [str(os.getsid(0)), "1"]
    again = run("run", script, "--replay", tmp_path / "trace")
    assert again.out.replace("|1 ", "|0 ") == live.out.replace("|1 ", "|0 ")


def test_long_command_lines_are_cut(run: Runner, tmp_path: Path) -> None:
    script = tmp_path / "x.stp"
    script.write_text(
        'probe kernel.trace("sched:sched_process_exec")'
        " { if (pid() == target()) println(strlen(cmdline_str())) }"
    )
    live = run("run", script, "-c", f"/bin/true {'x' * 400} {'y' * 400}")
    assert live.out == "511\n"


def test_descendants_of_the_target(run: Runner, tmp_path: Path) -> None:
    script = tmp_path / "x.stp"
    script.write_text(TREE)
    live = run("run", script, "-c", "/bin/sh -c '(/bin/true; :); :'")
    lines = live.out.splitlines()
    assert lines[:2] == ["0 0", "target set:"], live.err
    assert [line.split()[1] for line in lines[2:-1]] == ["begat"] * 3
    assert lines[-1] == "0"
