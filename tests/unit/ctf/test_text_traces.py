"""The traces of tests/traces: written as commented text, printed as babeltrace2 prints them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.trace.ctf.reader import CtfReader
from bridge.trace.ctf.text import TextOptions, lines
from tests.build.mctf import compile_trace

TRACES = sorted((Path(__file__).parents[2] / "traces").glob("*.txt"))


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_events_and_faults(path: Path, tmp_path: Path) -> None:
    text, _, expected = path.read_text().partition("--- expected\n")
    expected, _, codes = expected.partition("--- codes\n")

    with CtfReader(compile_trace(text, tmp_path / "trace")) as reader:
        shown = list(lines([reader], TextOptions(clock_gmt=True)))
        found = [d.code for d in reader.diagnostics]

    assert shown == expected.splitlines()
    assert found == codes.split()


def test_faults_name_file_and_byte(tmp_path: Path) -> None:
    text = next(p for p in TRACES if p.stem == "damage").read_text()
    trace = compile_trace(text.partition("--- expected\n")[0], tmp_path / "trace")

    with CtfReader(trace) as reader:
        assert [e.fields["n"] for e in reader] == [1, 2, 4, 6]
        places = [str(d.file) for d in reader.diagnostics]
        assert reader.statistics()["stream"].lost == 5
        assert reader.statistics()["stream"].events == {"e": 4}

    assert places[0] == f"{trace / 'stream'}: byte 0x50 (in packet 1)"
