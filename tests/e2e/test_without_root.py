"""What works without rights: kernel tracepoints are known from the kernel's types."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("open_checkout")]

ROOT = Path(__file__).resolve().parent.parent.parent
# The interpreter may be in a folder that only root can enter, so what the command loads on its
# way is loaded first.
AS_NOBODY = """
import contextlib, io, os, sys
from bridge.cli.front import dispatch
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    for command in (["check"], ["explain"], ["run", "-T", "1"]):
        dispatch([*command, "-e", 'probe kernel.trace("sched_switch") { exit() }'])
    dispatch(["check", "-e", 'probe kernel.trace("nothing") { }'])
    dispatch(["list", "nothing"])
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(dispatch(sys.argv[1:]))
"""


def as_nobody(*words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *words],
        cwd=ROOT,
        env=os.environ | {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return done.returncode, done.stdout, done.stderr


def test_arguments_are_known_without_tracefs() -> None:
    script = 'probe kernel.trace("sched:sched_switch") { println($next->pid) exit() }'

    assert as_nobody("check", "-e", script) == (0, "", "")
    code, out, _ = as_nobody("explain", "-e", script)
    assert code == 0
    assert "at: tracepoint sched:sched_switch" in out


def test_the_list_has_the_arguments_and_says_what_is_missing() -> None:
    code, out, err = as_nobody("list", 'kernel.trace("sched_switch")')

    assert code == 0
    assert out.startswith(
        'kernel.trace("sched_switch") $preempt:bool $prev:struct task_struct*'
    )
    assert "$prev_comm" not in out
    assert "only arguments are listed" in err


@pytest.mark.parametrize("body", ["println($next_comm)", "println(@defined($next_comm))"])
def test_what_only_tracefs_knows_needs_root(body: str) -> None:
    code, _, err = as_nobody("check", "-e", f'probe kernel.trace("sched_switch") {{ {body} }}')

    assert code == 3
    assert "tracefs cannot be read, which needs root" in err


def test_an_event_that_only_tracefs_knows_needs_root() -> None:
    code, _, err = as_nobody("check", "-e", 'probe kernel.trace("sched:*") { exit() }')

    assert code == 3
    assert "tracefs cannot be read, which needs root" in err


def test_attaching_needs_root() -> None:
    code, _, err = as_nobody("run", "-e", 'probe kernel.trace("sched_switch") { exit() }')

    assert code == 3
    assert "run markbridge as root" in err
    assert err.splitlines()[-1].startswith("`markbridge doctor`")


def test_the_doctor_says_what_root_has() -> None:
    code, out, _ = as_nobody("doctor")

    assert code == 3
    assert "capabilities  missing  without CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN" in out
    assert "remedy: run markbridge as root, or give it CAP_BPF and CAP_PERFMON" in out
