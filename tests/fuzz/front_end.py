#!/usr/bin/env python3
"""Coverage-guided fuzzing of the front end: any text is understood or refused, in bounds.

    python tests/fuzz/front_end.py [LIBFUZZER OPTION ...] [CORPUS FOLDER ...]

One input is a text, of which the first byte chooses the options; it goes through lexer,
preprocessor, parser and analysis. Anything but diagnostics is a finding: an exception, and by
libFuzzer's own options a time-out or too much memory. `check_text` is that without the fuzzer.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

if TYPE_CHECKING:
    from bridge.markers import Targets
    from bridge.script.options import AnalyseOptions

ASSUME, GURU, UNOPTIMIZED, LIBRARY = 1, 2, 4, 8
"""Bits of the first byte."""


@cache
def _options(first: int) -> AnalyseOptions:
    from bridge.script.options import AnalyseOptions

    return AnalyseOptions(
        arguments=("12", "text", "x"),
        assume_types=bool(first & ASSUME),
        guru=bool(first & GURU),
        unoptimized=bool(first & UNOPTIMIZED),
        own_tapset=bool(first & LIBRARY),
        conditions={"arch": "x86_64", "kernel_v": "6.1.0", "CONFIG_HZ": "250"},
    )


def _machine() -> Targets:
    """Points are checked as on a live machine, which has the markers of `DemoTargets`."""
    from bridge.probes.live import LiveTargets
    from bridge.world import LiveWorld
    from tests.support.scripts import DemoTargets

    class Machine(LiveTargets):
        def _markers(self) -> Targets:
            return DemoTargets()

    return Machine(LiveWorld())


def check_text(data: bytes) -> bool:
    """Whether the text behind the first byte is understood; else there are diagnostics."""
    from bridge.diagnostics import Sink, as_json, render
    from bridge.script.analysis.analyse import analyse
    from bridge.script.analysis.assumed import AssumedTargets
    from bridge.script.printing.print_typed import typed_text
    from bridge.source import SourceMap

    options = _options(data[0] if data else 0)
    targets: Targets = _machine()
    if options.assume_types:
        targets = AssumedTargets(targets)
    sources, sink = SourceMap(), Sink()
    main = sources.add("input.stp", data[1:].decode("latin-1"))
    typed = analyse(main, sources, targets, sink, options)
    assert (typed is None) == sink.failed, "a stage gave up without a word"
    for diagnostic in sink.items:
        render(diagnostic, sources)
        as_json(diagnostic, sources)
    if typed is not None:
        typed_text(typed)
    return typed is not None


def _one_input(data: bytes) -> None:
    check_text(data)


def _fuzz() -> None:
    import atheris

    with atheris.instrument_imports(include=["bridge"]):
        check_text(b"\0probe begin { }")
    atheris.Setup(sys.argv, _one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    _fuzz()
