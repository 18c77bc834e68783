"""Verdicts and places of `stap -p1`: over its examples, its library, and recorded cases."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from bridge.diagnostics import Sink
from bridge.script.analyse import analyse
from bridge.script.assumed import AssumedTargets
from bridge.script.library import Library
from bridge.script.options import AnalyseOptions
from bridge.script.parse import parse
from bridge.source import SourceMap
from bridge.targets.live import LiveTargets
from bridge.world import LiveWorld

LIBRARY = Path("/usr/share/systemtap/tapset")
EXAMPLES = Path("/usr/share/systemtap/examples")
_PLACE = re.compile(r"(?:saw|at): .* at (?:.*?):(\d+):(\d+)$", re.MULTILINE)


@pytest.fixture(scope="session")
def kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stap takes for a kernel's build folder."""
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "include" / "config").mkdir(parents=True)
    (folder / "include" / "generated").mkdir()
    (folder / "include" / "config" / "kernel.release").write_text("6.1.0-1-amd64\n")
    for name in (".config", "Makefile", "Module.symvers"):
        (folder / name).write_text("")
    return folder


def theirs(folder: Path, path: Path) -> tuple[bool, tuple[int, int] | None]:
    """stap's verdict, and the place of its first error."""
    command = ["stap", "-g", "-r", str(folder), "-p1", str(path), "1", "2", "3", "4"]
    ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if ran.returncode == 0:
        return True, None
    found = _PLACE.search(ran.stderr)
    return False, (int(found[1]), int(found[2])) if found else None


def ours(path: Path, options: AnalyseOptions) -> tuple[bool, tuple[int, int] | None]:
    sources, sink = SourceMap(), Sink()
    library = Library(sources, sink, options)
    source = sources.add(str(path), path.read_bytes())
    if parse(source, sources, sink, options, macros=library.macros) is not None:
        return True, None
    place = sources.place(sink.errors[0].span)
    return False, (place.line, place.column) if place else None


@pytest.mark.tools
def test_parse_verdicts_equal_on_examples_and_library(
    kernel_folder: Path, tmp_path: Path
) -> None:
    found = [*sample(EXAMPLES, 14), *sample(LIBRARY, 60)]
    assert len(found) > 20
    conditions = {"arch": "x86_64", "kernel_v": "6.1.0", "kernel_vr": "6.1.0-1-amd64"}
    options = AnalyseOptions(
        guru=True,
        arguments=("1", "2", "3", "4"),
        include=(LIBRARY,),
        conditions=conditions,
        compatible="4.8",
    )
    different = []
    for number, path in enumerate(found):
        # a copy: stap does not want to be given what it loads by itself
        copy = tmp_path / f"{number}.stp"
        copy.write_bytes(path.read_bytes())
        expected, own = theirs(kernel_folder, copy), ours(copy, options)
        if expected != own:
            different.append((str(path), expected, own))
    assert different == []


def sample(folder: Path, step: int) -> list[Path]:
    """Every so-manieth file: a run of stap takes a third of a second."""
    return sorted(folder.rglob("*.stp"))[::step]


@pytest.mark.shared
def test_refused_cases_are_refused_at_the_same_place(reference: Path) -> None:
    targets = AssumedTargets(LiveTargets(LiveWorld(), "", 0))
    wrong = []
    for path in sorted((reference / "stap" / "check").glob("*.stp")):
        expected = json.loads(path.with_suffix(".json").read_text())["stderr"]
        found = re.search(r" at [^:\n]*:(\d+):(\d+)\n", expected)
        if found is None or path.stem == "up_nosuch_var":
            continue  # said by the C compiler, or by a reader of debug information
        sources, sink = SourceMap(), Sink()
        source = sources.add(path.name, path.read_bytes())
        options = AnalyseOptions(assume_types=True)
        assert analyse(source, sources, targets, sink, options) is None, path.name
        place = sources.place(sink.errors[0].span)
        if place is None or (place.line, place.column) != (int(found[1]), int(found[2])):
            wrong.append((path.name, str(place), found[0].strip()))
        elif sink.errors[0].message.split(" (similar")[0] not in expected:
            wrong.append((path.name, sink.errors[0].message, expected))
    assert wrong == []
