"""The files of a CTF folder and their description -> the C side's cursor over all events.

`Plan` is the description as the C side wants it; `CtfCursor` owns the native object, gives
batches of events as slots, and turns notes about damage and losses into diagnostics.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge._native import ffi, lib
from bridge.diagnostics import Diagnostic, FileOffset, Severity
from bridge.errors import TraceError
from bridge.trace.ctf.layout import (
    Assembler,
    CtfScope,
    LayoutError,
    Names,
    Stretch,
    native_ops,
    native_ranges,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.trace.ctf.description import CtfEvent, Description, StreamClass

BATCH = 4096
SLOTS = 1 << 16
MAX_SLOTS = 1 << 28
NOTES = 256

DAMAGE: dict[int, tuple[str, str]] = {
    lib.MB_CTF_BAD_MAGIC: ("bad-magic", "no packet starts here"),
    lib.MB_CTF_BAD_UUID: ("foreign-packet", "the packet belongs to another trace"),
    lib.MB_CTF_BAD_STREAM: ("unknown-stream", "the packet's stream class is not described"),
    lib.MB_CTF_BAD_SIZE: ("bad-packet-size", "the packet's sizes contradict each other"),
    lib.MB_CTF_BAD_EVENT: ("bad-event", "the event goes beyond its packet"),
    lib.MB_CTF_BAD_ID: ("unknown-event", "no event class has the number {value}"),
    lib.MB_CTF_BAD_CUT: ("cut-packet", "the file ends before its packet of {value} bytes"),
    lib.MB_CTF_BAD_TAG: ("bad-tag", "a tag selects no option of its variant"),
    lib.MB_CTF_BAD_ORDER: ("time-went-back", "the event is earlier than the one before it"),
    lib.MB_CTF_BAD_HEADER: ("bad-packet-header", "the packet ends inside its header"),
    lib.MB_CTF_BAD_BYTE_ORDER: (
        "mixed-byte-order",
        "two numbers in one byte have different byte orders",
    ),
    lib.MB_CTF_BAD_NUMBER: ("too-large-number", "a number has more than 64 bits"),
    lib.MB_CTF_GAP: ("lost-packets", "{value} packets before this one are missing"),
    lib.MB_CTF_LOST: ("lost-events", "{value} events before or in this packet were lost"),
}


@dataclass(slots=True)
class Plan:
    """The description of a trace, laid out. Stream classes and events have indices here."""

    description: Description
    assembler: Assembler
    packet_header: Stretch = field(default_factory=Stretch)
    streams: list[StreamClass] = field(default_factory=list)
    events: list[CtfEvent] = field(default_factory=list)
    names: list[Names] = field(default_factory=list)
    """What an event's fields are called, by the index of its class."""
    stream_rows: list[tuple[Any, ...]] = field(default_factory=list)
    event_rows: list[tuple[Any, ...]] = field(default_factory=list)


def plan(description: Description, name: str) -> Plan:
    """Lay out all scopes; a description that cannot be is a TraceError."""
    clocks = {clock: number for number, clock in enumerate(description.clocks)}
    result = Plan(description, Assembler(clocks, exact=description.version == 2))
    try:
        _lay_out(result)
    except LayoutError as error:
        raise TraceError(f"{name}: {error}") from None
    return result


def _lay_out(result: Plan) -> None:
    description, assembler = result.description, result.assembler
    result.packet_header = assembler.scope(CtfScope.PACKET_HEADER, description.packet_header)
    for index, stream in enumerate(description.streams.values()):
        clock = assembler.clocks[stream.clock] if stream.clock else lib.MB_CTF_NONE
        result.streams.append(stream)
        result.stream_rows.append(
            (
                stream.id,
                _row(assembler.scope(CtfScope.PACKET_CONTEXT, stream.packet_context)),
                _row(assembler.scope(CtfScope.EVENT_HEADER, stream.event_header)),
                _row(assembler.scope(CtfScope.EVENT_CONTEXT, stream.event_context)),
                clock,
            )
        )
        for event in description.events:
            if event.stream_id == stream.id:
                context = _row(assembler.scope(CtfScope.CONTEXT, event.event.context))
                payload = _row(assembler.scope(CtfScope.PAYLOAD, event.event.payload))
                result.events.append(event)
                result.event_rows.append((event.event.id, index, context, payload))
                result.names.append(assembler.names())


def _row(stretch: Stretch) -> tuple[int, int]:
    return stretch.first, stretch.count


def native_description(result: Plan) -> tuple[Any, list[Any]]:
    """The `struct mb_ctf_description`, and what it points to."""
    description, assembler = result.description, result.assembler
    ops, op_count = native_ops(assembler.ops)
    ranges, range_count = native_ranges(assembler.ranges)
    streams = ffi.new("struct mb_ctf_stream_class[]", result.stream_rows or 1)
    events = ffi.new("struct mb_ctf_event_class[]", result.event_rows or 1)
    rows = [(c.frequency, c.offset_s, c.offset) for c in description.clocks.values()]
    clocks = ffi.new("struct mb_ctf_clock[]", rows or 1)
    native = ffi.new("struct mb_ctf_description *")
    native.ops, native.op_count = ops, op_count
    native.ranges, native.range_count = ranges, range_count
    native.stream_classes, native.stream_class_count = streams, len(result.streams)
    native.event_classes, native.event_class_count = events, len(result.events)
    native.clocks, native.clock_count = clocks, len(rows)
    native.packet_header = _row(result.packet_header)
    native.big = description.big_endian
    native.variables = assembler.variables
    native.has_uuid = description.uuid is not None
    native.uuid = description.uuid or bytes(16)
    return native, [ops, ranges, streams, events, clocks]


class RawCtfEvent(NamedTuple):
    """A `struct mb_ctf_event`; `slot` is where its values start."""

    clock: int
    time_ns: int
    stream: int
    event_class: int
    packet: int
    slot: int
    cpu: int


EVENT_BYTES = ffi.sizeof("struct mb_ctf_event")


def raw_events(memory: Any) -> list[RawCtfEvent]:  # noqa: ANN401 - a buffer of cffi
    """The structures in memory."""
    return list(map(RawCtfEvent._make, zip(*event_columns(memory), strict=True)))


def event_columns(memory: Any) -> tuple[list[int], ...]:  # noqa: ANN401 - a buffer of cffi
    """The members of `RawCtfEvent`, column by column: ten times as fast as one by one."""
    quads, words = memoryview(memory).cast("q"), memoryview(memory).cast("i")
    wide, narrow = len(quads) * 8 // EVENT_BYTES, EVENT_BYTES // 4
    step = len(quads) // wide

    def quad(name: str) -> list[int]:
        return quads[ffi.offsetof("struct mb_ctf_event", name) // 8 :: step].tolist()

    def word(name: str) -> list[int]:
        return words[ffi.offsetof("struct mb_ctf_event", name) // 4 :: narrow].tolist()

    return (
        quad("clock"),
        quad("time_ns"),
        word("stream"),
        word("event_class"),
        quad("packet"),
        word("slot"),
        word("cpu"),
    )


def stream_files(folder: Path) -> list[Path]:
    """The stream files of a folder: all files that are neither hidden nor the metadata."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name != "metadata" and not path.name.startswith(".")
    )


class CtfCursor:
    """All streams of a folder in order of time. Text in slots is good as long as this lives."""

    def __init__(self, folder: Path, result: Plan) -> None:
        self.plan = result
        self.files: list[Path] = []
        self.diagnostics: list[Diagnostic] = []
        self._of_metadata = [
            Diagnostic(
                code,
                text,
                severity=Severity.WARNING,
                phase="trace",
                file=FileOffset(str(folder / "metadata"), byte, ()),
            )
            for code, text, byte in result.description.notes
        ]
        self._slot_count = SLOTS
        self._events: Any = ffi.new("struct mb_ctf_event[]", BATCH)
        self._slots: Any = ffi.new("int64_t[]", self._slot_count)
        native, self._alive = native_description(result)
        handle = lib.mb_ctf_open(native)
        if handle == ffi.NULL:
            raise TraceError(f"{folder}: the metadata describes no stream that can be read")
        # Freed when nothing holds it: an iterator that was left behind may still look at it.
        self.handle: Any = ffi.gc(handle, lib.mb_ctf_close)
        for path in stream_files(folder):
            self._add(path)
        self._rank()

    def _add(self, path: Path) -> None:
        code = lib.mb_ctf_add_stream(self.handle, os.fsencode(path))
        if code >= 0:
            self.files.append(path)
        elif path.stat().st_size:
            raise TraceError(f"{path}: {os.strerror(-code)}")

    def _rank(self) -> None:
        """Events of the same time come in the order of stream class, instance, and name."""
        lib.mb_ctf_probe(self.handle)
        order = sorted(
            range(len(self.files)),
            key=lambda i: (
                lib.mb_ctf_stream_class_of(self.handle, i),
                lib.mb_ctf_instance_of(self.handle, i),
                i,
            ),
        )
        for rank, stream in enumerate(order):
            lib.mb_ctf_rank(self.handle, stream, rank)
        self.rewind()

    def rewind(self) -> None:
        """Start again."""
        lib.mb_ctf_rewind(self.handle)
        self.diagnostics[:] = self._of_metadata

    def batches(self) -> Iterator[tuple[list[RawCtfEvent], list[int]]]:
        """Events and their slots, some thousand at a time."""
        for events, slots in self.buffers():
            yield raw_events(events), memoryview(slots).cast("q").tolist()

    def buffers(self) -> Iterator[tuple[Any, Any]]:
        """The memory of events and of their slots, which is good until the next."""
        while True:
            count = lib.mb_ctf_next(
                self.handle, self._events, BATCH, self._slots, self._slot_count
            )
            noted = self.collect()
            if count == -lib.MB_CTF_FULL:
                self._more_slots()
            elif count > 0:
                last = self._events[count - 1]
                yield (
                    ffi.buffer(self._events, count * EVENT_BYTES),
                    ffi.buffer(self._slots, (last.slot + last.slots) * 8),
                )
            elif not noted:
                return

    def _more_slots(self) -> None:
        if self._slot_count >= MAX_SLOTS:
            raise TraceError(f"{self.files[0].parent}: an event is too large to read")
        self._slot_count *= 4
        self._slots = ffi.new("int64_t[]", self._slot_count)

    def count(self) -> list[list[int]]:
        """Events by stream and class, by a full pass from where the cursor is."""
        classes = len(self.plan.events)
        counts = ffi.new("uint64_t[]", len(self.files) * classes + 1)
        lib.mb_ctf_count(self.handle, counts)
        while self.collect():
            pass
        return [list(counts[i * classes : (i + 1) * classes]) for i in range(len(self.files))]

    def packets(self, stream: int) -> list[tuple[int, int]]:
        """Place and size in bytes of the packets of a stream; the cursor starts again."""
        size = lib.mb_ctf_packets(self.handle, stream, ffi.NULL, 0)
        places = ffi.new("uint64_t[]", size or 1)
        lib.mb_ctf_packets(self.handle, stream, places, size)
        self.rewind()
        return [(places[i], places[i + 1]) for i in range(0, size, 2)]

    def skip(self, stream: int, packets: list[int]) -> None:
        """Leave out the packets of a stream at these places."""
        if lib.mb_ctf_skip(self.handle, stream, sorted(packets), len(packets)):
            raise MemoryError

    def lost(self) -> int:
        """Events that the packets read so far say were lost."""
        totals = ffi.new("struct mb_ctf_totals *")
        total = 0
        for stream in range(len(self.files)):
            lib.mb_ctf_totals(self.handle, stream, totals)
            total += totals.lost
        return total

    def packet_context(self, stream: int, packet: int) -> Any:  # noqa: ANN401 - slots
        """The slots of a packet's context."""
        size = 64
        while True:
            slots = ffi.new("int64_t[]", size)
            count = lib.mb_ctf_packet_context(self.handle, stream, packet, slots, size)
            if count >= 0 or size > MAX_SLOTS:
                return slots
            size *= 8

    def collect(self) -> int:
        """Notes into diagnostics; how many."""
        notes = ffi.new("struct mb_ctf_note[]", NOTES)
        count = lib.mb_ctf_notes(self.handle, notes, NOTES)
        for i in range(count):
            self.diagnostics.append(self._diagnostic(notes[i]))
        return count

    def _diagnostic(self, note: Any) -> Diagnostic:  # noqa: ANN401 - a C structure
        code, message = DAMAGE[note.code]
        text = message.format(value=note.value)
        if note.code == lib.MB_CTF_LOST and not note.value:
            text = "events before or in this packet may have been lost"
        path = self.files[note.stream]
        where = FileOffset(str(path), note.byte, (f"in packet {note.packet}",))
        return Diagnostic(code, text, severity=Severity.WARNING, phase="trace", file=where)

    def close(self) -> None:
        """Unmap the files now; for an owner that has lent it to nobody."""
        ffi.release(self.handle)
