"""Programs that cannot be probed: a clear message with the path, exit code 1."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.annotated import SOURCE, WARNINGS
from tests.support.victims import compile_c

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program and what can be wrong with one."""
    folder = tmp_path_factory.mktemp("programs")
    good = compile_c(folder, "good", SOURCE, "-O2", *WARNINGS)
    data = good.read_bytes()
    (folder / "cut").write_bytes(data[: len(data) // 2])
    (folder / "head").write_bytes(data[:40])
    (folder / "narrow").write_bytes(data[:4] + b"\1" + data[5:])
    (folder / "empty").write_bytes(b"")
    (folder / "script").write_text("#!/bin/sh\n")
    (folder / "folder").mkdir()
    compile_c(folder, "plain", "int main(void) { return 0; }")
    subprocess.run(["strip", folder / "plain"], check=True)
    return folder


@pytest.mark.parametrize(
    ("name", "point", "message"),
    [
        ("none", 'mark("x")', "no such file"),
        ("folder", 'mark("x")', "is a directory, not a program"),
        ("empty", 'mark("x")', "not an ELF file"),
        ("script", 'mark("x")', "is a script (`#!`), not an ELF file"),
        ("narrow", 'mark("x")', "a 32-bit ELF file; only 64-bit ones are supported"),
        ("cut", 'mark("one")', "truncated ELF file: segment"),
        ("head", 'function("work")', "truncated ELF file: the ELF header lies beyond"),
        ("plain", 'mark("x")', "has no markers"),
        ("plain", 'function("main")', "has no symbols of functions (it is stripped)"),
        ("good", 'mark("onee")', "no match (similar marks: one,"),
        ("good", 'function("wrok")', "no match (similar functions: work,"),
        ("good", 'mark("one") { println($arg2) } probe never', "'$arg2'"),
    ],
)
def test_the_message_says_what_is_wrong(
    run: Runner, folder: Path, name: str, point: str, message: str
) -> None:
    path = folder / name

    done = run("run", "-e", f'probe process("{path}").{point} {{ println(1) }}')

    assert done.code == 1
    assert done.out == ""
    assert message in done.err
    assert "Traceback" not in done.err
    if not message.startswith(("no match", "'$")):
        assert str(path) in done.err


def test_a_command_that_does_not_exist(run: Runner) -> None:
    done = run("run", "-e", 'probe process.mark("x") { println(1) }', "-c", "/none/such")

    assert (done.code, done.out) == (1, "")
    assert "cannot find executable '/none/such'" in done.err


def test_a_good_program_is_fine(run: Runner, folder: Path) -> None:
    script = f'probe process("{folder / "good"}").mark("*") {{ println($$name) }}'

    assert run("check", "-e", script).code == 0
