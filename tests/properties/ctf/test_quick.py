"""The quick ways of C read what its decoder reads: any events, headers, damage and range."""

from __future__ import annotations

import random
import shutil
import struct
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from bridge._native import ffi, lib
from bridge.trace.ctf.cursor import EVENT_BYTES, CtfCursor, raw_events
from bridge.trace.ctf.reader import CtfReader, load_plan
from bridge.trace.ctf.takers import Takers
from bridge.trace.ctf.writer import CtfWriter
from tests.support.ctf_strategies import traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.trace.model import Event

SLOW = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CLOCK = "integer {{ size = {}; align = {}; map = clock.c.value; }}"
NUMBER = "integer { size = %d; align = %d; }"
# What the header of an event is, and how its bytes are made of a class and a time.
HEADERS: dict[str, tuple[str, Callable[[int, int], bytes]]] = {
    "compact": (
        "struct { enum : integer { size = 5; align = 1; } { small = 0 ... 30, large = 31 } id;"
        f" variant <id> {{ struct {{ {CLOCK.format(27, 1)} time; }} small;"
        f" struct {{ {NUMBER % (32, 8)} id; {CLOCK.format(64, 8)} time; }} large; }} v; }}"
        " align(8)",
        lambda id_, time: (
            struct.pack("<I", id_ | (time & (1 << 27) - 1) << 5)
            if id_ & 1
            else struct.pack("<BIQ", 31, id_, time)
        ),
    ),
    "words": (
        f"struct {{ {NUMBER % (16, 8)} id; {CLOCK.format(32, 8)} time; }}",
        lambda id_, time: struct.pack("<HI", id_, time & 0xFFFFFFFF),
    ),
    "aligned": (
        f"struct {{ {NUMBER % (8, 8)} id; {CLOCK.format(64, 64)} time; }} align(64)",
        lambda id_, time: struct.pack("<B7xQ", id_, time),
    ),
    "no time": (f"struct {{ {NUMBER % (32, 32)} id; }}", lambda id_, _: struct.pack("<I", id_)),
    "bits": (
        f"struct {{ {NUMBER % (3, 1)} id; {CLOCK.format(13, 1)} time; }} align(8)",
        lambda id_, time: struct.pack("<H", id_ | (time & 0x1FFF) << 3),
    ),
}
PAYLOADS = (
    f"{NUMBER % (32, 8)} a; {NUMBER % (64, 8)} b;",
    f"string s; {NUMBER % (16, 8)} a;",
    f"{NUMBER % (8, 8)} n; {NUMBER % (16, 8)} q[n];"
    " integer { size = 8; encoding = UTF8; } t[7];",
    "",
    "integer { size = 32; signed = 1; align = 8; } n;"
    f" {NUMBER % (4, 1)} c; {NUMBER % (12, 1)} d;",
)


def _payload(id_: int, chance: random.Random) -> bytes:
    text = bytes(chance.choices(range(1, 256), k=chance.choice([0, 3, 7, 8, 15, 16, 17, 40])))
    count = chance.randrange(5)
    return (
        chance.randbytes(12),
        text + b"\0" + chance.randbytes(2),
        bytes([count]) + chance.randbytes(2 * count) + text[:7].ljust(7, b"\0"),
        b"",
        chance.randbytes(6),
    )[id_]


def _metadata(header: str) -> str:
    events = "".join(
        f'event {{ name = "e{n}"; id = {n}; stream_id = 0; fields := struct {{ {rows} }}; }};\n'
        for n, rows in enumerate(PAYLOADS)
    )
    return (
        "/* CTF 1.8 */\ntrace { major = 1; minor = 8; byte_order = le;"
        f" packet.header := struct {{ {NUMBER % (32, 8)} magic; }}; }};\n"
        "clock { name = c; freq = 1000000000; offset = 5; };\n"
        f"stream {{ id = 0; event.header := {header}; packet.context := struct {{"
        f" {NUMBER % (64, 8)} packet_size; {NUMBER % (64, 8)} content_size;"
        f" {CLOCK.format(64, 8)} timestamp_begin; {NUMBER % (32, 8)} cpu_id; }}; }};\n{events}"
    )


def _stream(
    header: Callable[[int, int], bytes], align: int, cpu: int, chance: random.Random
) -> bytes:
    """Packets of random events; each has padding behind it."""
    out, time = b"", chance.randrange(1 << 40)
    for _ in range(chance.randint(1, 4)):
        begin, body = time, b""
        for _ in range(chance.randrange(40)):
            time += chance.choice([0, 1, 1, 5, 900])
            id_ = chance.randrange(len(PAYLOADS))
            body += bytes(-(32 + len(body)) % align)
            body += header(id_, time) + _payload(id_, chance)
        content = 32 + len(body)
        row = struct.pack("<IQQQI", 0xC1FC1FC1, 8 * (content + 9), 8 * content, begin, cpu)
        out += row + body + bytes(9)
    return out


def _slots(cursor: CtfCursor, events: Any, slots: Any) -> Iterator[object]:
    """Each event with its values; addresses are places in the file."""
    size = ffi.new("uint64_t *")
    for raw, event in zip(
        raw_events(events),
        ffi.cast("struct mb_ctf_event *", ffi.from_buffer(events))[
            0 : len(events) // EVENT_BYTES
        ],
        strict=True,
    ):
        start = int(ffi.cast("uintptr_t", lib.mb_ctf_mapped(cursor.handle, raw.stream, size)))
        values = memoryview(slots).cast("q")[raw.slot : raw.slot + event.slots].tolist()
        yield (
            raw._replace(slot=0),
            [v - start if 0 <= v - start <= size[0] else v for v in values],
        )


def _all_of(trace: Path, span: tuple[int, int], unwanted: int, *, quick: bool) -> list[object]:
    """Events, counts, totals and notes."""
    cursor = CtfCursor(trace, load_plan(trace))
    if not quick:
        lib.mb_ctf_without_quick(cursor.handle)
    lib.mb_ctf_set_range(cursor.handle, *span)
    if unwanted < len(cursor.plan.events):
        lib.mb_ctf_want(cursor.handle, unwanted, 0)
    found: list[object] = []
    for events, slots in cursor.buffers():
        found += _slots(cursor, events, slots)
    found += [str(note) for note in cursor.diagnostics]
    totals = ffi.new("struct mb_ctf_totals *")
    for _ in range(2):
        for stream in range(len(cursor.files)):
            lib.mb_ctf_totals(cursor.handle, stream, totals)
            found.append(bytes(ffi.buffer(totals)))
        found.append(cursor.count())
    return found


def _same(trace: Path, chance: random.Random) -> int:
    every = (-(1 << 63), (1 << 63) - 1)
    events = _all_of(trace, every, 9, quick=True)
    assert events == _all_of(trace, every, 9, quick=False)
    times = [row[0].time_ns for row in events if isinstance(row, tuple)] or [0]
    first, last = min(times), max(times)
    span = min(first + chance.randrange(2000), last), max(last - chance.randrange(2000), first)
    unwanted = chance.randrange(5)
    found = _all_of(trace, span, unwanted, quick=True)
    assert found == _all_of(trace, span, unwanted, quick=False)
    return len(times)


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp())
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("version", [1, 2])
@SLOW
@given(events=traces())
def test_any_events(version: int, events: list[Event], folder: Path) -> None:
    trace = folder / "trace"
    shutil.rmtree(trace, ignore_errors=True)
    with CtfWriter(trace, packet_bytes=4096, version=version) as writer:
        writer.write(events)
    _same(trace, random.Random(len(events)))
    with CtfReader(trace) as reader:
        cursor = reader.cursor()
        takers = Takers(reader, cursor)
        rows = [(raw, slots) for some, slots in cursor.batches() for raw in some]
        taken = [takers.event(raw, slots) for raw, slots in rows]
        assert [_shown(e) for e in reader] == [_shown(e) for e in taken]
        assert len(taken) == len(events)


def _shown(event: Event) -> str:
    return repr([getattr(event, f.name) for f in fields(event) if f.name != "event_class"])


@pytest.mark.parametrize("kind", HEADERS)
def test_any_header(kind: str, tmp_path: Path) -> None:
    text, header = HEADERS[kind]
    align = 8 if kind == "aligned" else 4 if kind == "no time" else 1
    chance, read = random.Random(kind), 0
    for number in range(60):
        trace = tmp_path / str(number)
        trace.mkdir()
        (trace / "metadata").write_text(_metadata(text))
        for cpu in range(chance.randint(1, 3)):
            (trace / f"s{cpu}").write_bytes(_stream(header, align, cpu, chance))
        read += _same(trace, chance)
        for _ in range(3):
            path = trace / "s0"
            data = bytearray(path.read_bytes())
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            del data[chance.choice([len(data), chance.randrange(len(data)) + 1]) :]
            path.write_bytes(data)
            _same(trace, chance)
    assert read > 1000
