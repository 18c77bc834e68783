"""System calls by their own tracepoints: one program dispatches to all of them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = [pytest.mark.bpf, pytest.mark.tools]

# 20 is getpid for a 32-bit program and writev for one of 64 bits.
CALLS = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	int i;
	long number;
	for (i = 0; i < 3; i++)
		syscall(SYS_getppid);
	syscall(SYS_close, 77);
	for (i = 0; i < 5; i++) {
		number = 20;
		__asm__ volatile("int $0x80" : "+a"(number) : : "memory");
	}
	return number != getpid();
}
"""
COUNT = """
global entered, left, result
probe kernel.trace("syscalls:sys_enter_getppid"), kernel.trace("syscalls:sys_enter_writev"),
      kernel.trace("syscalls:sys_enter_close") { if (pid() == target()) entered[pn()]++ }
probe kernel.trace("syscalls:sys_exit_getppid") { if (pid() == target()) left++ }
probe kernel.trace("syscalls:sys_exit_close") {
    if (pid() == target() && $ret != 0) result = $ret
}
probe end {
    foreach (name+ in entered) println(name, " ", entered[name])
    println(left, " ", result)
}
"""


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """A program that makes system calls of both word sizes."""
    source, program = tmp_path / "calls.c", tmp_path / "calls"
    source.write_text(CALLS)
    subprocess.run(["gcc", "-O1", "-o", program, source], check=True)
    return program


def test_calls_are_counted_by_what_they_are(run: Runner, calls: Path) -> None:
    done = run("run", "-e", COUNT, "-c", calls)

    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert 'kernel.trace("syscalls:sys_enter_getppid") 3' in lines
    assert not any("writev" in line for line in lines)
    assert lines[-1] == "3 -9"


def test_two_places_of_one_call_both_run(run: Runner, calls: Path) -> None:
    script = """
    global all, own
    probe kernel.trace("syscalls:sys_enter_getppid") { if (pid() == target()) all++ }
    probe kernel.trace("sys_enter_getppid") { if (pid() == target()) own++ }
    probe end { println(all, " ", own) }
    """

    done = run("run", "-e", script, "-c", calls)

    assert (done.code, done.out) == (0, "3 3\n"), done.err


RETURN = """
probe syscall.close.return {
    if (pid() == target() && retval < 0)
        printf("%s(%d) = %s %d\\n", name, @entry($fd), retstr, @entry(tid()) == tid())
}
"""


def test_a_return_knows_what_it_was_called_with(
    run: Runner, calls: Path, tmp_path: Path
) -> None:
    done = run("run", "-e", RETURN, "-c", calls, "--trace", tmp_path / "trace")
    again = run("run", "-e", RETURN, "--replay", tmp_path / "trace")

    assert (done.code, done.out) == (0, "close(77) = -9 (EBADF) 1\n"), done.err
    assert (again.code, again.out) == (0, done.out), again.err
