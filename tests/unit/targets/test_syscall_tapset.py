"""The library of system calls: every alias has the variables that SystemTap's has.

`tests/cases/syscalls/*.variables` says what `stap -L 'tp_syscall.*'` does, `events.txt` which
arguments the kernel's events have.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.pipeline import compile_script
from bridge.probes.live import LiveTargets
from bridge.script import library
from bridge.source import SourceMap

if TYPE_CHECKING:
    from bridge.world import RecordedWorld
    from tests.unit.targets.conftest import Recorder

CASES = Path(__file__).resolve().parents[2] / "cases" / "syscalls"
EVENTS = "/sys/kernel/tracing/events"
NUMBER = "\tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n"
RESULT = "\tfield:long ret;\toffset:16;\tsize:8;\tsigned:1;\n"
LIBRARY = Path(library.__file__).resolve().parents[1] / "tapset" / "syscall"


def event(name: str, number: int, fields: str) -> str:
    """What tracefs says of an event."""
    return f'name: {name}\nID: {number}\nformat:\n{NUMBER}{fields}\nprint fmt: ""\n'


def arguments(declarations: str) -> str:
    """The fields of an entry: a register each."""
    return "".join(
        f"\tfield:{declaration.strip()};\toffset:{16 + 8 * at};\tsize:8;\tsigned:0;\n"
        for at, declaration in enumerate(filter(None, declarations.strip().split(";")))
    )


@pytest.fixture
def machine(recorded: Recorder) -> RecordedWorld:
    """A machine with an event for every system call."""
    files: dict[str, bytes | str] = {f"{EVENTS}/syscalls/enable": "0"}
    for number, line in enumerate((CASES / "events.txt").read_text().splitlines(), 100):
        call, _, declarations = line.partition(":")
        for edge, fields in (("enter", arguments(declarations)), ("exit", RESULT)):
            name = f"sys_{edge}_{call}"
            files[f"{EVENTS}/syscalls/{name}/format"] = event(name, number, fields)
    return recorded(files)


def script(path: Path) -> str:
    """A probe for each alias that uses all its variables as what they are."""
    probes = []
    for line in path.read_text().splitlines():
        alias, *variables = line.split()
        shown = [variable.partition(":")[::2] for variable in variables]
        letters = " ".join("%d" if type_ == "long" else "%s" for _, type_ in shown)
        values = ", ".join(name for name, _ in shown)
        probes.append(f'probe tp_syscall.{alias} {{ printf("{letters}", {values}) }}\n')
    return "".join(probes)


@pytest.mark.parametrize("path", sorted(CASES.glob("*.variables")), ids=lambda p: p.stem)
def test_every_alias_has_its_variables(machine: RecordedWorld, path: Path) -> None:
    sources = SourceMap()
    text = script(path)

    done = compile_script(sources.add("all.stp", text), sources, LiveTargets(machine))

    assert not done.warnings
    assert len(done.placed.program.handlers) >= text.count("probe ")


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.stp")), ids=lambda p: p.stem)
def test_calls_have_three_names(path: Path) -> None:
    points = set(re.findall(r"\w+\.[\w.]+(?= =)", path.read_text()))

    names = {point.partition(".")[2] for point in points}
    assert path.stem in names
    assert points == {f"{prefix}.{name}" for prefix in library.FAMILIES for name in names}
