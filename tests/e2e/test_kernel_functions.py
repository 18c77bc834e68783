"""Functions of the kernel, live: what a program's own system calls must have hit.

`dd` reads a file in pieces of seven bytes, so every hit is known beforehand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Runner

pytestmark = [
    pytest.mark.root,
    pytest.mark.bpf,
    pytest.mark.guest,
    pytest.mark.needs("kprobes"),
]

BOTH = pytest.mark.parametrize("without", ["", "fentry"], ids=["trampolines", "kprobes"])
READS = r"""
probe kernel.function("vfs_read") {
  if (pid() == target() && $count == 7)
    printf("call %d %s %s %d\n", $count, kernel_string($file->f_path->dentry->d_name->name),
           probefunc(), $$parms =~ "^file=0x[0-9a-f]+ buf=0x[0-9a-f]+ count=0x7 pos=0x")
}
probe kernel.function("vfs_read").return {
  if (pid() == target() && @entry($count) == 7)
    printf("return %d %d %s\n", $return, @entry($count), $$return)
}
probe kprobe.function("vfs_read") {
  if (pid() == target() && ulong_arg(3) == 7) arguments++
}
probe kprobe.function("vfs_read").return {
  if (pid() == target() && returnval() == 7) results++
}
global arguments, results
probe end { println(arguments, " ", results) }
"""
STATEMENTS = r"""
probe kernel.statement("vfs_read") {
  if (pid() == target() && register("rdx") == 7) printf("%d %s\n", user_mode(), pp())
}
probe kernel.function("vfs_read") {
  if (pid() == target() && $count == 7 && !shown++) print_backtrace()
}
global shown
"""
COUNTS = r"""
probe kernel.function("vfs_rea*") { if (pid() == target()) hits[probefunc()]++ }
probe kernel.function("vfs_read").return.maxactive(64) { if (pid() == target()) returns++ }
probe module("*").function("no_such_function") ? { println("never") }
global hits, returns
probe end { println(hits["vfs_read"] == returns, " ", hits["vfs_read"] >= 3) }
"""
LIBRARY = r"""
probe vfs.read.return {
  if (pid() == target() && bytes_to_read == 7) printf("%s %d %d\n", name, bytes_read, ino)
}
probe scheduler.cpu_on { if (pid() == target() && task_prev < 0 && !idle) on++ }
global on
probe end { println(on > 0) }
"""


@pytest.fixture
def pieces(tmp_path: Path) -> tuple[Path, str]:
    """A file of three pieces, and the command that reads them."""
    path = tmp_path / "pieces"
    path.write_bytes(bytes(21))
    return path, f"dd if={path} of=/dev/null bs=7 count=3 status=none"


@BOTH
@pytest.mark.needs("fentry")
def test_arguments_and_results(
    run: Runner, pieces: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    monkeypatch.setenv("MARKBRIDGE_WITHOUT", without)
    done = run("run", "-e", READS, "-c", pieces[1])

    assert done.code == 0, done.err
    *lines, counts = done.out.splitlines()
    assert sorted(lines) == ["call 7 pieces vfs_read 1"] * 3 + ["return 7 7 return=0x7"] * 3
    assert counts == "3 3"


def test_statements_registers_and_stacks(run: Runner, pieces: tuple[Path, str]) -> None:
    done = run("run", "-e", STATEMENTS, "-c", pieces[1])

    assert done.code == 0, done.err
    assert done.out.count('0 kernel.statement("vfs_read")\n') == 3
    first = next(line for line in done.out.splitlines() if " : " in line)
    # of a kernel for indirect branch tracking the first instruction is ENDBR64, of four bytes
    assert re.search(r" : vfs_read\+0x[04]/0x[0-9a-f]+ \[kernel\]$", first)
    assert "ksys_read" in done.out


@BOTH
@pytest.mark.needs("fentry")
def test_patterns_count_each_function(
    run: Runner, pieces: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    monkeypatch.setenv("MARKBRIDGE_WITHOUT", without)
    done = run("run", "-e", COUNTS, "-c", pieces[1])

    assert done.code == 0, done.err
    assert done.out == "1 1\n"


def test_files_by_the_library(run: Runner, pieces: tuple[Path, str]) -> None:
    done = run("run", "-e", LIBRARY, "-c", pieces[1])

    assert done.code == 0, done.err
    assert done.out == f"vfs.read 7 {pieces[0].stat().st_ino}\n" * 3 + "1\n"
