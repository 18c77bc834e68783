"""The kernel lets processes go on when one of ours dies, whatever it dies of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNER = """
import os, signal, sys, threading, time
from bridge._native import ffi, lib
how, *pids = sys.argv[1:]
wake = ffi.new("struct mb_wake *")
assert lib.mb_wake_open(wake) == 0
for pid in map(int, pids):
    assert lib.mb_wake_add(wake, pid) == 0
if how == "given":  # to a process that is killed; this one lives on
    child = os.fork()
    if not child:
        signal.pause()
    assert lib.mb_wake_give(wake) == 0
if how == "again":
    lib.mb_wake_close(wake)
    assert lib.mb_wake_open(wake) == 0
if how == "threads":
    threading.Thread(target=signal.pause, daemon=True).start()
for pid in map(int, pids):
    os.kill(pid, signal.SIGSTOP)
    while ") T" not in open(f"/proc/{pid}/stat").read():
        time.sleep(0.01)
if how == "given":
    os.kill(child, signal.SIGKILL)
    signal.pause()
if how == "closed":
    lib.mb_wake_close(wake)
if how in ("exit", "closed"):
    os._exit(0)
os.kill(os.getpid(), signal.SIGSEGV if how == "fault" else signal.SIGKILL)
"""


@pytest.fixture
def victims() -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [subprocess.Popen(["sleep", "600"]) for _ in range(3)]
    yield started
    for process in started:
        process.kill()
        process.wait()


def _was_let_go(pid: int) -> bool:
    """Whether a child that was stopped was let go; that is only reported of such a one."""
    number, _ = os.waitpid(pid, os.WNOHANG | os.WCONTINUED)
    return bool(number)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("how", ["exit", "kill", "fault", "threads", "again", "given"])
def test_who_is_stopped_goes_on(victims: list[subprocess.Popen[bytes]], how: str) -> None:
    numbers = [str(victim.pid) for victim in victims]
    with subprocess.Popen([sys.executable, "-c", OWNER, how, *numbers]) as owner:
        try:
            for victim in victims:
                wait_until(lambda pid=victim.pid: _was_let_go(pid))
        finally:
            owner.kill()


def test_a_good_end_sends_nothing(victims: list[subprocess.Popen[bytes]]) -> None:
    numbers = [str(victim.pid) for victim in victims]
    subprocess.run([sys.executable, "-c", OWNER, "closed", *numbers], check=True)
    assert all(_state(victim.pid) == "T" for victim in victims)


def test_the_last_256_go_on() -> None:
    """More than that take the places of the first ones."""
    from bridge._native import ffi, lib

    wake = ffi.new("struct mb_wake *")
    assert lib.mb_wake_open(wake) == 0
    try:
        assert wake.count == 256
        assert wake.writer > max(wake.ends)
        assert lib.mb_wake_add(wake, os.getpid()) == 0
        assert lib.mb_wake_add(wake, os.getpid()) == 0
        assert wake.next == 1
        assert lib.mb_wake_add(wake, 0) < 0
        for number in range(256):
            wake.pids[number] = number + 10**6
        assert lib.mb_wake_add(wake, os.getppid()) == 0
        assert list(wake.pids).count(os.getppid()) == 1
    finally:
        lib.mb_wake_close(wake)
