"""Files that are no programs to trace are refused with a clear message each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Compiler, Runner

SOURCE = """
#include <markbridge/marker.h>
int main(void) { MARKBRIDGE_MARK(demo, hit, 1); return 0; }
"""


def _refused(run: Runner, path: Path, point: str) -> str:
    done = run("run", "-e", f'probe process("{path}").{point} {{ println(1) }}')
    assert (done.code, done.out) == (1, "")
    assert "Traceback" not in done.err
    return done.err


def test_a_missing_program(run: Runner, tmp_path: Path) -> None:
    assert "no such file" in _refused(run, tmp_path / "missing", 'mark("hit")')


def test_a_directory(run: Runner, tmp_path: Path) -> None:
    assert "is a directory" in _refused(run, tmp_path, 'mark("hit")')


def test_a_text_file(run: Runner, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("#!/bin/sh\nexit 0\n" * 10)
    text.chmod(0o755)

    assert "ELF" in _refused(run, text, 'mark("hit")')


def test_a_stripped_program_has_no_functions(run: Runner, compile_c: Compiler) -> None:
    stripped = compile_c("stripped", SOURCE, "-s")

    assert "stripped" in _refused(run, stripped, 'function("main")')


def test_a_32_bit_program(run: Runner, compile_c: Compiler) -> None:
    program = compile_c("program", SOURCE)
    data = bytearray(program.read_bytes())
    data[4] = 1  # EI_CLASS: ELFCLASS32
    program.write_bytes(data)

    assert "32" in _refused(run, program, 'mark("hit")')


@pytest.mark.parametrize("length", [3, 40, 64, 200, 4000, 9000])
def test_a_truncated_program(run: Runner, compile_c: Compiler, length: int) -> None:
    program = compile_c("program", SOURCE)
    program.write_bytes(program.read_bytes()[:length])

    error = _refused(run, program, 'mark("hit")')

    assert "truncated" in error or "ELF" in error
