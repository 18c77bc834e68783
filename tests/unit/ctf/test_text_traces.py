"""The traces of tests/traces: written as commented text, printed as babeltrace2 prints them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.trace.ctf.reader import CtfReader
from bridge.trace.ctf.text import TextOptions, lines
from bridge.trace.open import open_trace
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


def _packets(numbers: list[int]) -> str:
    """A stream with a packet for each number, which is its time and what its event holds."""
    head = "packet u32:0xC1FC1FC1 x:00112233445566778899aabbccddeeff"
    return "\n".join(
        f'{head} u64:{n} u64:{n} u32:content u32:whole u64:0 u8:1 u32:{n} u8:{n} "s"'
        for n in numbers
    )


def test_packets_in_two_folders_of_a_trace_are_read_once(tmp_path: Path) -> None:
    damage = next(p for p in TRACES if p.stem == "damage").read_text()
    metadata = damage.partition("--- stream\n")[0]
    for folder, numbers in (("a", [1, 2, 3]), ("b", [2, 3, 4, 5])):
        compile_trace(f"{metadata}--- stream\nle\n{_packets(numbers)}\n", tmp_path / folder)
    other = metadata.replace("00112233", "ffffffff")
    stream = _packets([3]).replace("00112233", "ffffffff")
    compile_trace(f"{other}--- stream\nle\n{stream}\n", tmp_path / "c")

    with open_trace(tmp_path) as reader:
        found = [(e.stream, e.fields["n"]) for e in reader]
        assert reader.diagnostics == []
        assert list(reader) != []
        counts = {name: sum(s.events.values()) for name, s in reader.statistics().items()}

    a, b, c = (f"{name}/stream" for name in "abc")
    assert found == [(a, 1), (a, 2), (a, 3), (c, 3), (b, 4), (b, 5)]
    assert counts == {a: 3, b: 2, c: 1}


END_ONLY = """--- metadata
/* CTF 1.8 */
typealias integer { size = 8; } := u8;
trace { major = 1; minor = 8; byte_order = le; };
clock { name = "c"; };
stream { packet.context := struct { u8 packet_size; u8 content_size; u8 timestamp_end; }; };
event { name = "e"; fields := struct { u8 n; }; };
--- stream
packet u8:whole u8:content u8:100 u8:1 u8:2
packet u8:whole u8:content u8:250 u8:3
packet u8:whole u8:content u8:20 u8:4
packet u8:whole u8:content u8:21 u8:5
"""


def test_a_packet_without_a_begin_starts_where_the_one_before_ends(tmp_path: Path) -> None:
    with CtfReader(compile_trace(END_ONLY, tmp_path / "trace")) as reader:
        found = [(e.timestamp_ns, e.fields["n"]) for e in reader]

    # eight bits of the clock: 20 after 250 is 276
    assert found == [(0, 1), (0, 2), (100, 3), (250, 4), (276, 5)]
