"""Checking with assumed types: what a place would answer passes, the rest is checked."""

from __future__ import annotations

import pytest

from bridge.diagnostics import Sink
from bridge.probes.live import LiveTargets
from bridge.script.analysis.analyse import analyse
from bridge.script.analysis.assumed import AssumedTargets
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from bridge.world import LiveWorld


def _errors(text: str) -> list[str]:
    sources, sink = SourceMap(), Sink()
    targets = AssumedTargets(LiveTargets(LiveWorld()))
    options = AnalyseOptions(assume_types=True)
    analyse(sources.add("a.stp", text), sources, targets, sink, options)
    return [error.message for error in sink.errors]


@pytest.mark.parametrize(
    "value",
    [
        "pointer_arg(1)",
        "u32_arg(2) + s64_arg(3)",
        'register("rdi") & u_register("esi")',
        "returnval() < 0 && ulong_arg(1)",
        "$x->y + int_arg(4)",
    ],
)
@pytest.mark.parametrize("point", ['process("/no/such").function("f")', 'kprobe.function("g")'])
def test_registers_and_arguments_pass(point: str, value: str) -> None:
    assert not _errors(f"probe {point}.return {{ println({value}) }}")


def test_they_are_numbers_and_the_rest_is_checked() -> None:
    place = 'probe module("no_such").function("f")'
    (error,) = _errors(f"{place} {{ println(strlen(pointer_arg(1))) }}")
    assert error.startswith("type mismatch")
    assert _errors(f"{place} {{ println(no_such_function(int_arg(1))) }}")
    assert _errors("probe begin { println(int_arg(1)) }")
