"""Functions of the kernel that a wildcard finds: each is told, by whatever attaches them.

One link for many where the kernel has that, else a trampoline or a kprobe for each. What is
counted is what the kernel's own profiler of functions counts.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.victims import compile_c

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.command import Runner

pytestmark = [
    pytest.mark.root,
    pytest.mark.bpf,
    pytest.mark.guest,
    pytest.mark.needs("kprobes"),
]

WITHOUT = "kprobe_multi", "kprobe_multi,fentry"
CALLS = """
probe kernel.function("vfs_*") { if (pid() == target()) println("call ", probefunc()) }
probe kernel.function("vfs_rea*").return {
  if (pid() == target()) println("return ", probefunc(), " ", returnval())
}
"""


def test_each_function_is_told(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pieces"
    path.write_bytes(bytes(21))
    command = f"dd if={path} of=/dev/null bs=7 count=3 status=none"

    done = run("run", "-e", CALLS, "-c", command)
    monkeypatch.setenv("MARKBRIDGE_WITHOUT", ",".join(WITHOUT))
    one_by_one = run("run", "-e", CALLS, "-c", command)

    assert (done.code, one_by_one.code) == (0, 0), done.err
    told = Counter(done.out.splitlines())
    assert told == Counter(one_by_one.out.splitlines())
    assert told["return vfs_read 7"] == told["call vfs_write"] == 3
    assert told["call vfs_read"] > 4  # the libraries' as well
    assert {"call vfs_open", "call vfs_statx"} <= told.keys() or len(told) > 6


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
probe kernel.function("__x64_sys_getp*") {{ all++; sum <<< 3 }}
probe kernel.function("{CALLED}") {{ if (pid() == target()) by_target++ }}
probe end {{ println(by_target, " ", all, " ", @sum(sum) == 3 * all) }}
"""


@pytest.fixture
def profiler() -> Iterator[None]:
    """The kernel counts the calls of a function, as we do."""
    switch, wanted = TRACING / "function_profile_enabled", TRACING / "set_ftrace_filter"
    if not switch.exists():
        pytest.skip("this kernel has no profiler of functions (CONFIG_FUNCTION_PROFILER)")
    wanted.write_text(CALLED)
    switch.write_text("1")
    try:
        yield
    finally:
        switch.write_text("0")
        wanted.write_text("")


def _profiled() -> int:
    rows = (
        line.split()
        for file in (TRACING / "trace_stat").glob("function*")
        for line in file.read_text().splitlines()
    )
    return sum(int(words[1]) for words in rows if words[:1] == [CALLED])


@pytest.mark.parametrize("without", ["", *WITHOUT])
@pytest.mark.usefixtures("profiler")
def test_half_a_million_calls_are_what_the_kernel_counts(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    program = compile_c(tmp_path, "program", PROGRAM, "-O2")
    monkeypatch.setenv("MARKBRIDGE_WITHOUT", without)

    done = run("run", "-e", COUNTS, "-c", f"{program} {CALLS_MADE}")

    assert (done.code, done.err) == (0, "")
    by_target, all_, sums = done.out.split()
    assert (int(by_target), sums) == (CALLS_MADE, "1")
    assert int(all_) >= CALLS_MADE
    assert 0 <= _profiled() - CALLS_MADE < 1000  # other programs ask for their groups, too
