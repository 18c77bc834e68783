"""The cases of test_stap_run in the reference interpreter, with the texts of errors too."""

import json
import re
from pathlib import Path

import pytest

from bridge.errors import CompileError
from bridge.interpreter.interpret import Interpreter, Outcome
from bridge.pipeline import compile_script
from bridge.probes.live import LiveTargets
from bridge.script.builtins import CONTEXTS
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from bridge.world import LiveWorld
from tests.support.stap_runs import (
    DIFFERENT,
    PLAIN,
    Case,
    comparable,
    read_case,
)

pytestmark = pytest.mark.shared


def _run(name: str, case: Case) -> Outcome:
    sources = SourceMap()
    source = sources.add(f"{name}.stp", case.text)
    options = AnalyseOptions(extra=tuple(case.extra), **case.options)
    try:
        compiled = compile_script(source, sources, LiveTargets(LiveWorld()), options)
    except CompileError:
        return Outcome(b"", (), 1)
    return Interpreter(compiled.placed.program, CONTEXTS).run_session()


def _comparable(messages: list[str]) -> list[str]:
    """The errors, without the places in SystemTap's own library, whose files are not ours."""
    errors = [line for line in messages if line.startswith("ERROR")]
    return [re.sub(r"(TAPSET|tapset)/\S+", "TAPSET", line) for line in errors]


@pytest.mark.parametrize("name", PLAIN)
def test_the_interpreter_does_as_systemtap(name: str, reference: Path) -> None:
    known = json.loads((reference / "stap" / "run" / f"{name}.json").read_text())
    case = read_case(name, known)
    if name in DIFFERENT:
        pytest.skip(DIFFERENT[name])
    outcome = _run(name, case)
    expected = known["stdout"].encode("utf-8", "surrogateescape")
    assert comparable(name, outcome.output) == comparable(name, expected)
    assert outcome.exit_code == known["exit"]
    compiled = "Pass 2" not in known["stderr"] and "Pass 1" not in known["stderr"]
    if "5.6" in known["made_by"] and compiled:
        wanted = _comparable(known["stderr"].splitlines())
        assert _comparable(list(outcome.messages)) == wanted
