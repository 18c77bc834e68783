"""Functions of the kernel that a wildcard finds: each is told, by whatever attaches them.

One link for many where the kernel has that, else a trampoline or a kprobe for each. What is
counted is what an event of ftrace at the same place counts.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.victims import compile_c

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.command import Runner

pytestmark = [
    pytest.mark.root,
    pytest.mark.bpf,
    pytest.mark.needs("kprobes"),
]

DAILY = [pytest.param(without, marks=pytest.mark.guest) for without in ("", "fentry")]
WITHOUT = "kprobe_multi", "kprobe_multi,fentry"
CALLS = """
probe kernel.function("vfs_re*") { if (pid() == target()) println("call ", probefunc()) }
probe kernel.function("vfs_re*").return {
  if (pid() == target()) println("return ", probefunc(), " ", returnval())
}
"""


@pytest.mark.guest
def test_each_function_is_told(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pieces"
    path.write_bytes(bytes(21))
    command = f"dd if={path} of=/dev/null bs=7 count=3 status=none"

    done = run("run", "-e", CALLS, "-c", command)
    others = []
    for without in ("fentry", "kprobe_multi,fentry"):
        monkeypatch.setenv("MARKBRIDGE_WITHOUT", without)
        others.append(run("run", "-e", CALLS, "-c", command))

    assert [one.code for one in (done, *others)] == [0] * 3, done.err
    told = Counter(done.out.splitlines())
    assert [Counter(one.out.splitlines()) for one in others] == [told] * 2
    returns = sum(told[line] for line in told if line.startswith("return vfs_read "))
    assert told["return vfs_read 7"] == 3
    assert told["call vfs_read"] == returns > 4  # the libraries' as well


TRACING = Path("/sys/kernel/tracing")
CALLED = "__x64_sys_getpgid"
PROGRAM = """
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    for (long i = 0, n = argc > 1 ? atol(argv[1]) : 0; i < n; i++) syscall(SYS_getpgid, 0);
    return 0;
}
"""
CALLS_MADE = 500_000
COUNTS = f"""
global all, by_target, sum
probe kernel.function("__x64_sys_get*") {{ all++; sum <<< 3 }}
probe kernel.function("{CALLED}") {{ if (pid() == target()) by_target++ }}
probe end {{ println(by_target, " ", all, " ", @sum(sum) == 3 * all) }}
"""


EVENT = "markbridge_test/counted"


@pytest.fixture
def profile() -> Iterator[Callable[[], tuple[int, int]]]:
    """An event of ftrace at the same function; how often it was hit, and how often not."""
    events, switch = TRACING / "kprobe_events", TRACING / "events" / EVENT / "enable"

    def _write(line: str) -> None:
        file = os.open(events, os.O_WRONLY | os.O_APPEND)  # tracefs knows no end to seek
        os.write(file, f"{line}\n".encode())
        os.close(file)

    def _counted() -> tuple[int, int]:
        lines = (TRACING / "kprobe_profile").read_text().splitlines()
        row = next(line.split() for line in lines if line.split()[0] == "counted")
        return int(row[1]), int(row[2])

    _write(f"p:{EVENT} {CALLED}")
    switch.write_text("1")
    try:
        yield _counted
    finally:
        switch.write_text("0")
        _write(f"-:{EVENT}")


@pytest.mark.parametrize("without", [*DAILY, *WITHOUT])
def test_half_a_million_calls_are_what_the_kernel_counts(
    run: Runner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    profile: Callable[[], tuple[int, int]],
    without: str,
) -> None:
    program = compile_c(tmp_path, "program", PROGRAM, "-O2")
    monkeypatch.setenv("MARKBRIDGE_WITHOUT", without)

    done = run("run", "-e", COUNTS, "-c", f"{program} {CALLS_MADE}")

    assert done.code == 0, done.err
    assert "lost" not in done.err
    by_target, all_, sums = done.out.split()
    assert (int(by_target), sums) == (CALLS_MADE, "1")
    assert int(all_) >= CALLS_MADE
    hits, missed = profile()
    assert missed == 0
    assert 0 <= hits - CALLS_MADE < 1000  # other programs ask for their groups, too
