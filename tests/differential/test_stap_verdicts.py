"""Verdicts, places and texts of `stap -p1`: over all its examples, its library, and more."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from stap_front_end import (
    EXAMPLES,
    LIBRARY,
    OPTIONS,
    Parsed,
    Stap,
    macros_only,
    make_kernel,
    parse_here,
)
from trees import prints_back

from bridge.diagnostics import Sink
from bridge.script.analyse import analyse
from bridge.script.assumed import AssumedTargets
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from bridge.targets.live import LiveTargets
from bridge.world import LiveWorld

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
