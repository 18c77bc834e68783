"""The language at its edges: what SystemTap printed, in native code and in the interpreter.

Each case is a script in tests/cases/run with the expected output beside it: what is printed,
and after a line `--- messages` what goes to standard error. A first line `// -D NAME=VALUE ...`
sets limits and globals. The texts were taken from SystemTap 4.8. Its messages lack the ends of
those of 5.6 and ours (`near`, `in probe`), so they are compared as far as they go.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.engine.base import SessionOptions
from bridge.engine.session.native import run_native
from bridge.interpreter.interpret import Interpreter
from bridge.script.builtins import CONTEXTS
from tests.support.scripts import compile_text

if TYPE_CHECKING:
    from bridge.artifact import Placed

FOLDER = Path(__file__).resolve().parents[2] / "cases" / "run"
CASES = sorted(path.stem for path in FOLDER.glob("*.stp"))
SUMMARY = "WARNING: Number of errors: "


def _placed(name: str) -> Placed:
    text = (FOLDER / f"{name}.stp").read_text()
    words = text.partition("\n")[0].split()
    options: dict[str, dict[str, str]] = {"-D": {}, "-G": {}}
    if words[:1] == ["//"]:
        for letter, setting in zip(words[1::2], words[2::2], strict=True):
            key, _, value = setting.partition("=")
            options[letter][key] = value
    compiled = compile_text(text, f"{name}.stp", defines=options["-D"], globals_=options["-G"])
    return compiled.placed


def _native(placed: Placed) -> tuple[bytes, list[str]]:
    out, err = os.memfd_create("out"), os.memfd_create("err")
    try:
        run_native(placed, SessionOptions(out, err), lambda: True)
        seen = [os.pread(file, os.fstat(file).st_size, 0) for file in (out, err)]
    finally:
        os.close(out)
        os.close(err)
    return seen[0], _without_summary(seen[1].decode("latin-1").splitlines())


def _interpreted(placed: Placed) -> tuple[bytes, list[str]]:
    outcome = Interpreter(placed.program, CONTEXTS).run_session(duration_ns=0)
    return outcome.output, _without_summary("\n".join(outcome.messages).splitlines())


def _without_summary(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith(SUMMARY)]


def _expected(name: str) -> tuple[bytes, list[str]]:
    output, _, messages = (FOLDER / f"{name}.out").read_bytes().partition(b"--- messages\n")
    return output, messages.decode("latin-1").splitlines()


@pytest.mark.parametrize("name", CASES)
def test_native(name: str) -> None:
    _compare(_native(_placed(name)), _expected(name))


@pytest.mark.parametrize("name", CASES)
def test_interpreter(name: str) -> None:
    _compare(_interpreted(_placed(name)), _expected(name))


def _compare(seen: tuple[bytes, list[str]], expected: tuple[bytes, list[str]]) -> None:
    assert seen[0] == expected[0]
    assert len(seen[1]) == len(expected[1])
    for ours, theirs in zip(seen[1], expected[1], strict=True):
        assert ours.startswith(theirs)
