"""Built-in functions, case by case: the text of the real SystemTap, from both engines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.functions import ENGINES, run

FOLDER = Path(__file__).resolve().parents[2] / "cases" / "functions"
CASES = sorted(path.stem for path in FOLDER.glob("*.stp"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CASES)
def test_the_text_is_systemtaps(name: str, engine: str, tmp_path: Path) -> None:
    text = (FOLDER / f"{name}.stp").read_text()
    printed = run(engine, text, tmp_path)
    expected = (FOLDER / f"{name}.expected").read_bytes()
    assert printed.output == expected
    warnings = FOLDER / f"{name}.messages"
    known = warnings.read_text().splitlines() if warnings.exists() else []
    assert list(printed.messages) == known


@pytest.mark.parametrize("engine", ENGINES)
def test_sessions_and_groups_are_the_process_s(engine: str, tmp_path: Path) -> None:
    # A container may start a process in a group or session outside of its name space: 0.
    text = 'probe begin { printf("%d %d %d\\n", pid(), pgrp(), sid()); exit() }'
    printed = run(engine, text, tmp_path)
    assert printed.output.split() == [b"%d" % of() for of in (os.getpid, os.getpgrp, _session)]


def _session() -> int:
    return os.getsid(0)
