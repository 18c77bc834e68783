"""Verdicts, places and texts of `stap -p1`: over all its examples, its library, and more."""

from __future__ import annotations

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from bridge.diagnostics import Sink
from bridge.probes.live import LiveTargets
from bridge.script.analysis.analyse import analyse
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from bridge.world import LiveWorld
from tests.support.stap_front_end import (
    EXAMPLES,
    LIBRARY,
    OPTIONS,
    Parsed,
    Stap,
    macros_only,
    make_kernel,
    parse_here,
)
from tests.support.trees import prints_back

ARGUMENTS = ("1", "2", "3", "4")


@pytest.fixture(scope="module")
def stap(tmp_path_factory: pytest.TempPathFactory) -> Stap:
    return Stap(
        make_kernel(tmp_path_factory.mktemp("kernel")),
        macros_only(tmp_path_factory.mktemp("macros")),
    )


def files() -> list[Path]:
    """All files of the examples (manuals and pictures, too), all scripts of the library."""
    examples = sorted(path for path in EXAMPLES.rglob("*") if path.is_file())
    return [*examples, *sorted(LIBRARY.rglob("*.stp")), *sorted(LIBRARY.rglob("*.stpm"))]


@cache
def ours(path: Path) -> Parsed:
    return parse_here(path.read_bytes(), *ARGUMENTS)


@pytest.mark.tools
def test_all_files_of_stap_have_the_same_errors_at_the_same_places(
    stap: Stap, tmp_path: Path
) -> None:
    paths = files()
    scripts = sum(path.suffix == ".stp" for path in paths)
    assert scripts > 700

    def theirs(path: Path) -> object:
        # a copy: stap does not want to be given what it loads by itself
        copy = tmp_path / "_".join(path.parts[1:])
        copy.write_bytes(path.read_bytes())
        return stap.parse(copy, *ARGUMENTS)

    # stap runs beside us
    with ThreadPoolExecutor(2) as pool:
        expected = pool.map(theirs, paths)
        own = [ours(path).verdict for path in paths]
        compared = list(zip(paths, expected, own, strict=True))
    refused = sum(not verdict.accepted for verdict in own)
    errors = sum(len(verdict.errors) for verdict in own)
    print(f"{len(paths)} files, {scripts} scripts; {refused} refused with {errors} errors")
    assert [(str(path), a, b) for path, a, b in compared if a != b] == []


@pytest.mark.tools
def test_all_scripts_of_stap_print_back() -> None:
    options = replace(OPTIONS, guru=True)
    scripts = [(path, script) for path in files() if (script := ours(path).script) is not None]
    print(f"{len(scripts)} scripts")
    assert len(scripts) > 700
    assert [str(p) for p, script in scripts if not prints_back(script, options)] == []


def _refused(path: Path) -> tuple[str, str, int, int]:
    """Our first error of a script: message, token, line, column."""
    sources, sink = SourceMap(), Sink()
    source = sources.add(path.name, path.read_bytes())
    targets = LiveTargets(LiveWorld())
    assert analyse(source, sources, targets, sink, AnalyseOptions()) is None, path.name
    error = sink.errors[0]
    place = sources.place(error.span)
    assert place is not None
    return error.message, error.token, place.line, place.column


def _build_targets(reference: Path) -> None:
    for name in ("target1", "target2", "target3"):
        source = Path(f"{name}.c")
        source.write_bytes((reference / "stap" / "targets" / source).read_bytes())
        build = ["gcc", "-g", "-O0", "-o", name, str(source)]
        subprocess.run(build, check=True, capture_output=True)


@pytest.mark.shared
def test_refused_cases_are_refused_at_the_same_place(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _build_targets(reference)
    wrong, seen = [], 0
    for path in sorted((reference / "stap" / "check").glob("*.stp")):
        expected = json.loads(path.with_suffix(".json").read_text())["stderr"]
        expected = re.sub(r"\n\s+saw: ", ": ", expected)
        # a C compiler tells no place of the script
        found = re.search(r"^\w+ error: ([^\n]*) at [^:\n]*:(\d+):(\d+)\n", expected, re.M)
        compiler = re.search(r": error: (.*) \[-Werror\]", expected)
        message, token, *place = _refused(path)
        seen += 1
        if found is not None:
            said = re.sub(r" (0x[0-9a-f]+|\(similar:[^)]*\))", "", f"{message}: {token}")
            theirs = re.sub(r" (0x[0-9a-f]+|\(similar:[^)]*\))", "", found[1])
            same = said == theirs and place == [int(found[2]), int(found[3])]
        else:
            same = compiler is not None and compiler[1] == message
        if not same:
            wrong.append((path.name, message, token, place, expected))
    assert seen > 15
    assert wrong == []
