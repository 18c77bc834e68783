"""What C prints is what Python prints, byte for byte: any type, any value, any damage."""

from __future__ import annotations

import random
import shutil
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridge._native import ffi, lib
from bridge.json_text import dumps
from bridge.trace.ctf.cursor import CtfCursor
from bridge.trace.ctf.printed import json_pieces, text_pieces
from bridge.trace.ctf.reader import CtfReader
from bridge.trace.ctf.takers import Takers
from bridge.trace.ctf.text import TextOptions, lines
from bridge.trace.ctf.writer import CtfWriter
from bridge.trace.merge import MergedReader
from bridge.trace.model import (
    Event,
    EventClass,
    Field,
    FixedArray,
    Float,
    Integer,
    Struct,
    Text,
)
from bridge.trace.selection import Selection
from bridge.trace.text import as_object
from tests.support.ctf_strategies import traces
from tests.support.mctf import compile_trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SLOW = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
OPTIONS = (
    TextOptions(),
    TextOptions(clock_cycles=True),
    TextOptions(clock_seconds=True, no_delta=True),
    TextOptions(clock_date=True, clock_gmt=True),
)
TYPES = Path(__file__).parents[2] / "traces"


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp())
    yield made
    shutil.rmtree(made)


def _joined(rows: Iterable[str]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode("utf-8", "surrogateescape")


def _pieces(pieces: Iterable[tuple[object, int]]) -> bytes:
    taken = [(bytes(piece), count) for piece, count in pieces]
    assert all(piece.count(b"\n") == count for piece, count in taken)
    return b"".join(piece for piece, _ in taken)


def _check(reader: CtfReader) -> None:
    for options in OPTIONS:
        assert _pieces(text_pieces([reader], options)) == _joined(lines([reader], options))
    objects = _joined(dumps(as_object(event)) for event in reader)
    assert _pieces(json_pieces([("", reader)], [{}])) == objects


def _written(events: list[Event], folder: Path, version: int) -> Path:
    trace = folder / "trace"
    shutil.rmtree(trace, ignore_errors=True)
    with CtfWriter(trace, packet_bytes=4096, version=version) as writer:
        writer.write(events)
    return trace


@pytest.mark.parametrize("version", [1, 2])
@SLOW
@given(events=traces())
def test_any_events(version: int, events: list[Event], folder: Path) -> None:
    with CtfReader(_written(events, folder, version)) as reader:
        _check(reader)


def test_every_type(folder: Path) -> None:
    for path in sorted(TYPES.glob("*.txt")):
        text = path.read_text().partition("--- expected\n")[0]
        with CtfReader(compile_trace(text, folder / path.stem)) as reader:
            assert list(reader)
            _check(reader)


# Numbers whose shortest digits are not the nearest ones, ties of six digits, limits.
REALS = [
    2.0**-44,
    2.0**-1022,
    5e-324,
    9007199254740993.0,
    1e15,
    1e16,
    1e-4,
    9.9999e-5,
    0.1 + 0.2,
]
REALS += [
    999999.5,
    999998.5,
    100000.5,
    0.0001000005,
    123456.5,
    1e22,
    1e23,
    1.7976931348623157e308,
]
REALS += [
    float("nan"),
    -float("nan"),
    float("inf"),
    -float("inf"),
    -0.0,
    0.5,
    1234565.0,
    2.0**60,
]


def _reals(values: list[float], folder: Path) -> None:
    kind = EventClass("real", 0, Struct((Field("x", Float(64)), Field("y", Float(64)))))
    events = [Event(kind, n, 0, 0, "s", {"x": x, "y": -x}) for n, x in enumerate(values)]
    with CtfReader(_written(events, folder, 1)) as reader:
        _check(reader)


@SLOW
@given(values=st.lists(st.floats(), min_size=1, max_size=50))
@example(values=REALS)
@example(values=[2.0**n for n in range(-1074, 1024)])
@example(values=[n / 8 for n in range(0, 9_000_000, 4001)])
@example(values=[float(f"{n}e-{n % 9}") for n in range(1, 10_000_000, 5003)])
def test_real_numbers(values: list[float], folder: Path) -> None:
    _reals(values, folder)


def test_real_numbers_of_any_bits(folder: Path) -> None:
    chance = random.Random(1)
    _reals([struct.unpack("d", chance.randbytes(8))[0] for _ in range(3000)], folder)


@SLOW
@given(texts=st.lists(st.binary(max_size=30), min_size=1))
@example(
    texts=[bytes(range(1, 128)), "é€😀\x7f".encode(), b"\xed\xa0\x80", b"\xf4\x90\x80\x80"]
)
@example(texts=[b"\xc0\x80", b"a\x00b", b"\xe2\x82", b"\xff", b"\xf8\x88\x80\x80\x80"])
def test_any_bytes_as_text(texts: list[bytes], folder: Path) -> None:
    array = FixedArray(Integer(8, signed=False, encoding="utf8"), 140)
    kind = EventClass("text", 0, Struct((Field("a", array), Field("s", Text()))))
    events = [
        Event(kind, n, 0, 0, "s", {"a": raw, "s": raw.replace(b"\0", b"")})
        for n, raw in enumerate(texts)
    ]
    with CtfReader(_written(events, folder, 1)) as reader:
        _check(reader)


WIDE = """
--- metadata
{"type": "preamble", "version": 2}
{"type": "data-stream-class"}
{"type": "event-record-class", "name": "wide", "payload-field-class": {"type": "structure",
 "member-classes": [{"name": "s", "field-class":
 {"type": "null-terminated-string", "encoding": "utf-16le"}}]}}
--- stream
"""


def test_what_c_does_not_print_python_does(folder: Path) -> None:
    trace = folder / "wide"
    trace.mkdir()
    rows = WIDE.partition("--- metadata\n")[2].partition("--- stream")[0]
    fragments = rows.replace(',\n "', ', "').replace("\n {", " {").strip().split("\n")
    text = "".join(f"\x1e{fragment}\n" for fragment in fragments)
    (trace / "metadata").write_text(text)
    (trace / "stream").write_bytes("é!\0ab\0".encode("utf-16le"))
    with CtfReader(trace) as reader:
        assert [e.fields["s"] for e in reader] == ["é!", "ab"]
        _check(reader)


def test_several_traces_in_order_of_time(folder: Path) -> None:
    kind = EventClass("e", 0, Struct((Field("n", Integer(32, signed=False)),)))
    for name, first in (("a", 0), ("b", 1)):
        with CtfWriter(folder / name, {"hostname": "h", "procname": name}) as writer:
            for n in range(first, 30_000, 2):
                event = Event(kind, n // 3, 0, n % 4, f"s_{n % 4}", {"n": n}, {"pid": n})
                writer.write(event)
    readers = [(name, CtfReader(folder / name)) for name in "ab"]
    with MergedReader(readers) as merged:
        ours = [reader for _, reader in readers]
        origins = [merged.origin(reader) for reader in ours]
        assert origins[1] == {"procname": "b"}
        objects = _joined(dumps(as_object(event)) for event in merged)
        assert _pieces(json_pieces(readers, origins)) == objects
        text = _joined(lines(ours, TextOptions()))
        assert _pieces(text_pieces(ours, TextOptions())) == text
        for reader in ours:
            reader.select(Selection(cpus=[1, 2], begin_ns=500, end_ns=900, channels=["s"]))
        text = _joined(lines(ours, TextOptions()))
        assert _pieces(text_pieces(ours, TextOptions())) == text
        assert text.count(b"\n") == 602


# --- quick ways -------------------------------------------------------------------------------


def _read(reader: CtfReader, *, quick: bool) -> tuple[list[object], list[str]]:
    """All events, their counts, and what was wrong, with or without the quick ways."""
    cursor = CtfCursor(reader.folder, reader.plan)
    if not quick:
        lib.mb_ctf_without_quick(cursor.handle)
    rows: list[object] = []
    takers = Takers(reader, cursor)
    for events, slots in cursor.batches():
        rows += [_plain(takers.event(raw, slots)) for raw in events]
    wrong = [str((d.code, d.message, str(d.file))) for d in cursor.diagnostics]
    cursor.rewind()
    rows.append(cursor.count())
    return rows, wrong


def _plain(event: Event) -> str:
    kept = (event.event_class.name, event.timestamp_ns, event.tsc, event.fields, event.context)
    return repr(kept)


def _counted(reader: CtfReader, *, quick: bool) -> list[object]:
    """What a count without values finds: totals and, in any order, what was wrong."""
    cursor = CtfCursor(reader.folder, reader.plan)
    if not quick:
        lib.mb_ctf_without_quick(cursor.handle)
    counts = cursor.count()
    totals = ffi.new("struct mb_ctf_totals *")
    rows: list[object] = [counts]
    for stream in range(len(cursor.files)):
        lib.mb_ctf_totals(cursor.handle, stream, totals)
        rows.append((totals.events, totals.packets, totals.lost, totals.damaged))
        rows.append((totals.first_ns, totals.last_ns))
    return [*rows, sorted(str((d.code, str(d.file))) for d in cursor.diagnostics)]


def _same(trace: Path) -> None:
    with CtfReader(trace) as reader:
        read = _read(reader, quick=True)
        assert read == _read(reader, quick=False)
        assert [_plain(event) for event in reader] == read[0][:-1]
        counted = _counted(reader, quick=True)
        assert counted == _counted(reader, quick=False)


def _damage(data: bytes, chance: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(made))
        match chance.randrange(4):
            case 0:
                made[at] ^= 1 << chance.randrange(8)
            case 1:
                made[at : at + 8] = chance.randbytes(8)
            case 2:
                del made[at : at + chance.randrange(1, 40)]
            case _:
                made[at] = chance.choice((0, 1, 127, 255))
        if not made:
            return b"\0"
    return bytes(made)


@pytest.mark.parametrize("version", [1, 2])
@SLOW
@given(events=traces(), seed=st.integers(0, 1 << 32))
def test_quick_ways_read_the_same(
    version: int, events: list[Event], seed: int, folder: Path
) -> None:
    trace = _written(events, folder, version)
    _same(trace)
    chance = random.Random(seed)
    for stream in [path for path in trace.iterdir() if path.name != "metadata"]:
        stream.write_bytes(_damage(stream.read_bytes(), chance))
    _same(trace)


HEADERS = {
    "compact": "enum : u5 { compact = 0 ... 30, extended = 31 } id; variant <id> {"
    " struct { u27t timestamp; } compact;"
    " struct { u32 id; u64t timestamp; } extended; } v;",
    "large": "enum : u16 { compact = 0 ... 65534, extended = 65535 } id; variant <id> {"
    " struct { u32t timestamp; } compact;"
    " struct { u32 id; u64t timestamp; } extended; } v;",
    "flat": "u16 id; u32t timestamp;",
    "big": "u16b id; u64tb timestamp;",
    "odd": "u5 id; u27t timestamp; u5 rest;",
    "bare": "u32t timestamp;",
}
METADATA = """/* CTF 1.8 */
typealias integer {{ size = 5; align = 1; }} := u5;
typealias integer {{ size = 16; }} := u16;
typealias integer {{ size = 16; byte_order = be; }} := u16b;
typealias integer {{ size = 32; }} := u32;
clock {{ name = c; freq = 1000000000; }};
typealias integer {{ size = 27; align = 1; map = clock.c.value; }} := u27t;
typealias integer {{ size = 32; map = clock.c.value; }} := u32t;
typealias integer {{ size = 64; map = clock.c.value; }} := u64t;
typealias integer {{ size = 64; byte_order = be; map = clock.c.value; }} := u64tb;
trace {{ major = 1; minor = 8; byte_order = le; }};
stream {{ event.header := struct {{ {header} }} align({align});
  event.context := struct {{ integer {{ size = 32; signed = true; }} tid; }}; }};
event {{ name = "a"; id = 0; fields := struct {{ {fields} }}; }};
event {{ name = "b"; id = 1; fields := struct {{ u16 n; }}; }};
"""
FIELDS = (
    "integer { size = 16; align = 16; } n; floating_point { exp_dig = 8; mant_dig = 24; } f;"
    " string s; integer { size = 64; align = 64; byte_order = be; } w;",
    "integer { size = 8; } n; integer { size = 16; align = 16; signed = true; } q[n];"
    " integer { size = 8; encoding = UTF8; } name[9];",
    "integer { size = 8; } n; integer { size = 8; encoding = UTF8; } name[n]; u32 k[3];",
)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("fields", FIELDS)
def test_headers_and_alignments_on_any_bytes(header: str, fields: str, tmp_path: Path) -> None:
    chance = random.Random(header + fields)
    for number in range(60):
        trace = tmp_path / str(number)
        trace.mkdir()
        align = chance.choice((1, 8, 8, 32, 64))
        text = METADATA.format(header=HEADERS[header], fields=fields, align=align)
        (trace / "metadata").write_text(text)
        few = bytes(chance.choice((0, 0, 0, 1, 2, 3, 255)) for _ in range(600))
        (trace / "stream").write_bytes(few[: chance.randrange(1, 600)])
        _same(trace)
        with CtfReader(trace) as reader:
            _check(reader)
