"""Macros of the library that make statements: what they become, and what SystemTap's become."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.script.options import AnalyseOptions
from tests.support.stap_front_end import OPTIONS, listed_here

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tools

THEIRS = replace(OPTIONS, own_tapset=False, assume_types=True)
OURS = AnalyseOptions(
    include=(), conditions=OPTIONS.conditions, compatible="4.8", assume_types=True
)


def _dump(keys: int, kind: str) -> str:
    """A script that prints an array of some keys as metrics."""
    columns = ", ".join(f'"c{i}"' for i in range(keys))
    functions = "".join(f", {('text', 'other')[i % 2]}" for i in range(keys + 1) if kind)
    return f"""
        global array
        function text(value:long) {{ return sprint(value) }}
        function other(value:long) {{ return sprint("", value) }}
        probe begin {{ array[{", ".join("1" * keys)}] = 1 }}
        probe procfs("x").read {{
          @prometheus_dump_array{keys}{kind}(array, "metric", {columns}{functions})
        }}"""


def _probes(script: Path, options: AnalyseOptions) -> str:
    """What the probes do; what the library is for the one is built in for the other."""
    printed = listed_here(script, options, verbose=True)
    assert printed is not None
    probes = printed[printed.index("# probes") :]
    return re.sub(r"__global_(string_quoted|text_str)__overload_0", r"\1", probes)


# Theirs of four keys name a function that is not there; the last of eight lacks a parenthesis.
@pytest.mark.parametrize("keys", [1, 2, 7])
@pytest.mark.parametrize("kind", ["", "_map", "_map_unquoted"])
def test_metrics_of_arrays(keys: int, kind: str, tmp_path: Path) -> None:
    script = tmp_path / "x.stp"
    script.write_text(_dump(keys, kind))
    theirs = _probes(script, THEIRS)
    assert "metric{c0=" in theirs
    assert _probes(script, OURS) == theirs


@pytest.mark.parametrize("kind", ["", "_map", "_map_unquoted"])
@pytest.mark.parametrize("keys", [4, 8])
def test_metrics_of_four_and_eight_keys(keys: int, kind: str, tmp_path: Path) -> None:
    script = tmp_path / "x.stp"
    script.write_text(_dump(keys, kind))
    printed = _probes(script, OURS)
    assert printed.count('"metric{c0="') == 1
    assert [printed.count(f'"c{i}"') for i in range(1, keys)] == [1] * (keys - 1)
    assert ("string_quoted" in printed) == (kind != "_map_unquoted")
