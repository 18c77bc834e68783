"""Breakpoints of the machine on memory of the kernel: the name of a thread that waits."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.victims import compile_c

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.command import Runner

pytestmark = pytest.mark.bpf

PROGRAM = """\
#include <poll.h>
#include <sys/prctl.h>
int main(void)
{
    struct pollfd input = { 0, POLLIN, 0 };
    char name[16];
    while (poll(&input, 1, 10) == 0) ;
    for (int i = 0; i < 7; i++) prctl(PR_SET_NAME, "another");
    for (int i = 0; i < 5; i++) prctl(PR_GET_NAME, name);
    return 0;
}
"""


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [compile_c(tmp_path, "victim", PROGRAM)], stdin=subprocess.PIPE
    ) as process:
        yield process
        process.kill()


def _address(run: Runner, pid: int) -> str:
    """Where the kernel has the name of a thread."""
    script = f"""probe kernel.trace("sys_enter") {{
        if (pid() != {pid}) next
        printf("%#x", &@cast(task_current(), "task_struct", "kernel")->comm) exit()
    }}"""
    done = run("run", "-e", script)
    assert done.out.startswith("0xffff"), done.err
    return str(done.out)


def _script(point: str, pid: int) -> str:
    return f"""
        global hits, point
        probe {point} {{ if (pid() == {pid}) {{ hits++ point = pp() }} }}
        probe timer.ms(1) {{ if (!started++) system("echo > /proc/{pid}/fd/0") }}
        probe timer.s(500) {{ exit() }}
        probe kernel.trace("sched_process_exit") {{ if (pid() == {pid}) exit() }}
        probe end {{ println(point, " ", hits) }}
        global started
    """


@pytest.mark.parametrize(
    ("suffix", "least", "most"), [("write", 7, 14), ("length(8).write", 7, 112), ("rw", 12, 60)]
)
def test_accesses_are_counted(
    run: Runner, victim: subprocess.Popen[bytes], suffix: str, least: int, most: int
) -> None:
    point = f"kernel.data({_address(run, victim.pid)}).{suffix}"

    done = run("run", "-g", "-e", _script(point, victim.pid))

    name, _, hits = done.out.strip().rpartition(" ")
    assert name == point, done.err
    assert least <= int(hits) <= most


@pytest.mark.guest
def test_a_variable_by_its_name(run: Runner) -> None:
    """Debian's kernels name variables; one that does not says what it was built without."""
    named = " jiffies\n" in Path("/proc/kallsyms").read_text()

    done = run("run", "-e", 'probe kernel.data("jiffies").rw { println(pp()) exit() }')

    if named:
        assert done.out == 'kernel.data("jiffies").rw\n', done.err
    else:
        assert "the kernel names no variable `jiffies` in /proc/kallsyms" in done.err
        assert "CONFIG_KALLSYMS_ALL; give the address" in done.err


def test_a_breakpoint_that_cannot_be_set(run: Runner) -> None:
    point = "kernel.data(0xffffffff81000001).length(8).write"

    done = run("run", "-e", f"probe {point} {{ exit() }}")

    assert done.code != 0
    assert "watch 8 bytes at 0xffffffff81000001" in done.err
    assert "a machine watches 1, 2, 4 or 8 bytes" in done.err


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ('kernel.data("no_such_thing").rw', "the kernel names no variable `no_such_thing`"),
        ("kernel.data(4096).length(3).rw", "invalid length 3"),
    ],
)
def test_what_is_refused(run: Runner, point: str, message: str) -> None:
    done = run("check", "-e", f"probe {point} {{ }}")

    assert done.code == 1
    assert message in done.err
