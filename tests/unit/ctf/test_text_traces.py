"""The traces of tests/traces: written as commented text, printed as babeltrace2 prints them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.trace.ctf.reader import CtfReader
from bridge.trace.ctf.text import TextOptions, lines
from tests.support.mctf import compile_trace

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


EMPTY = """
--- metadata
/* CTF 1.8 */
typealias integer { size = 8; } := u8;
trace { major = 1; minor = 8; byte_order = le; };
stream { event.header := struct { u8 id; }; };
struct nothing { };
event { name = "some"; id = 1; fields := struct { struct nothing a[3]; u8 n; }; };
event { name = "deep"; id = 2; fields := struct { struct nothing a[60000][60000][60000]; }; };
event { name = "long"; id = 3; fields := struct { u8 n; struct nothing a[n][4000000000]; }; };
--- stream
le u8:1 u8:7 u8:1 u8:8 u8:%d u8:9 u8:9
"""


@pytest.mark.parametrize("event", [2, 3])
def test_elements_of_no_bits_do_not_take_forever(event: int, tmp_path: Path) -> None:
    with CtfReader(compile_trace(EMPTY % event, tmp_path / "trace")) as reader:
        assert [e.fields["n"] for e in reader] == [7, 8]
        assert [d.code for d in reader.diagnostics] == ["bad-event"]
