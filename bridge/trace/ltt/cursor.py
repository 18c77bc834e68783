"""The tables of an opened trace -> batches of decoded events in merged order, made by C.

The one place where LTT reading meets `bridge._native`. A `Tables` says what C must know (files
with their layouts, event classes with their ops); a `LttCursor` is one pass over it. The rule:
a cursor owns its buffers and they grow only for one event that is larger than all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.trace import model
    from bridge.trace.ltt.payload import PayloadLayout

NONE = 0xFFFFFFFF
_NO_PLACES = (
    "magic_at",
    "begin_at",
    "end_at",
    "size_at",
    "used_at",
    "lost_at",
    "corrupt_at",
    "time_at",
    "end_time_at",
)
_EVENT_BYTES = ffi.sizeof("struct mb_ltt_event")


@dataclass(slots=True)
class StreamFile:
    """One file: where it is, what its layout is, and the class of each event id."""

    path: Path
    name: str
    """Channel and CPU as the trace names them: `kernel_0`, `/control/facilities_0`."""
    channel: str
    cpu: int
    layout: dict[str, int | float]
    ids: dict[int, int] = field(default_factory=dict)
    context: dict[str, model.Value] = field(default_factory=dict)
    """What the file's name says of all its events: tid, pgid, creation of a user trace."""


@dataclass(frozen=True, slots=True)
class ClassEntry:
    """An event class as C sees it."""

    event_class: model.EventClass
    layout: PayloadLayout
    align: int = 1
    flags: int = 0


@dataclass(slots=True)
class Tables:
    """Everything that a cursor needs. Streams are in order of rank (channel, CPU)."""

    streams: list[StreamFile]
    classes: list[ClassEntry]


def layout_struct(values: dict[str, int | float]) -> Any:  # noqa: ANN401 - a C structure
    """A `struct mb_ltt_layout`; places that are not given do not exist in the file."""
    layout = ffi.new("struct mb_ltt_layout *")
    for name in _NO_PLACES:
        setattr(layout, name, NONE)
    layout.head_align = layout.tsc_align = layout.arch_align = 1
    layout.freq = layout.scale = 1.0
    for name, value in values.items():
        setattr(layout, name, value)
    return layout


def class_tables(classes: list[ClassEntry]) -> tuple[Any, Any, int]:
    """The classes and their ops as C arrays, and the number of ops."""
    ops = [op for entry in classes for op in entry.layout.ops]
    c_ops = ffi.new("struct mb_ltt_op[]", len(ops) + 1)
    for at, op in enumerate(ops):
        c_ops[at] = (op.kind, op.size, op.align, op.flags, op.count, op.body)
    c_classes = ffi.new("struct mb_ltt_class[]", len(classes) + 1)
    first = 0
    for at, entry in enumerate(classes):
        count = len(entry.layout.ops)
        flags = entry.flags | (lib.MB_LTT_HAS_TEXT if entry.layout.has_text else 0)
        c_classes[at] = (first, count, entry.align, entry.layout.fixed, flags)
        first += count
    return c_classes, c_ops, len(ops)


@dataclass(frozen=True, slots=True)
class Damage:
    """A block that could not be read whole."""

    stream: int
    block: int
    byte: int
    code: int
    id: int
    size: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What C counted in one stream."""

    events: int
    lost: int
    corrupt: int
    damaged: int
    blocks: int
    first_ns: int
    last_ns: int
    first_tsc: int
    last_tsc: int


@dataclass(frozen=True, slots=True)
class RawLttEvent:
    """An event of a batch before its fields are made."""

    tsc: int
    time_ns: int
    stream: int
    class_index: int
    id: int
    size: int
    block: int
    offset: int
    slots: list[int]
    payload: int
    """Where its payload is in the arena, if it was asked for or has text."""


class LttCursor:
    """One pass over a trace. Buffers are valid until the next call of `fill`."""

    def __init__(self, tables: Tables, unwanted: frozenset[int] = frozenset()) -> None:
        self._cursor = ffi.gc(lib.mb_ltt_open(), lib.mb_ltt_close)
        self._tables = tables
        self.found: list[Damage] = []
        for stream in tables.streams:
            self._add(stream)
        c_classes, c_ops, count = class_tables(tables.classes)
        for index in unwanted:
            c_classes[index].flags |= lib.MB_LTT_UNWANTED
        if lib.mb_ltt_set_classes(self._cursor, c_classes, len(tables.classes), c_ops, count):
            raise TraceError("event classes that cannot be decoded")
        self.max_events, self.max_slots, self.max_bytes = 2048, 32768, 1 << 20
        self._allocate()

    def enlarge(self, events: int) -> None:
        """Give out up to this many events at once."""
        self.max_events, self.max_slots, self.max_bytes = events, 8 * events, 64 * events
        self._allocate()

    def _allocate(self) -> None:
        self.events = ffi.new("struct mb_ltt_event[]", self.max_events)
        self.slots = ffi.new("int64_t[]", self.max_slots)
        self.arena = ffi.new("uint8_t[]", self.max_bytes)

    def _add(self, stream: StreamFile) -> None:
        count = max(stream.ids, default=-1) + 1
        ids = ffi.new("uint32_t[]", [NONE] * count if count else 1)
        for number, index in stream.ids.items():
            ids[number] = index
        path = str(stream.path).encode("utf8", "surrogateescape")
        layout = layout_struct(stream.layout)
        if lib.mb_ltt_add_stream(self._cursor, path, layout, ids, count) < 0:
            raise TraceError(f"{stream.path}: cannot be opened as a trace buffer")

    def set_range(self, begin_ns: int, end_ns: int) -> None:
        """Give out only events of this time."""
        lib.mb_ltt_set_range(self._cursor, begin_ns, end_ns)

    def fill(self, what: int) -> int:
        """Decode the next events into the buffers; 0 at the end."""
        while True:
            got: int = lib.mb_ltt_next(
                self._cursor,
                what,
                self.events,
                self.max_events,
                self.slots,
                self.max_slots,
                self.arena,
                self.max_bytes,
            )
            if got >= 0:
                return got
            self.max_slots *= 4
            self.max_bytes *= 4
            self._allocate()

    def batches(self, what: int) -> Iterator[int]:
        """Fill the buffers again and again; what was damaged is appended to `found`."""
        while True:
            got = self.fill(what)
            pending = lib.mb_ltt_pending(self._cursor)
            self.found += self.damages()
            if got:
                yield got
            elif not pending:
                return

    def raw_events(self, got: int) -> Iterator[RawLttEvent]:
        """The events in the buffers."""
        view = memoryview(ffi.buffer(self.events, got * _EVENT_BYTES))
        words, halves = view.cast("Q").tolist(), view.cast("I").tolist()
        used = halves[-4] + halves[-3] if got else 0
        slots = memoryview(ffi.buffer(self.slots, used * 8)).cast("q").tolist()
        at = 0
        for base in range(4, got * 14, 14):
            stream, index, number, size, block, offset, slot, count = halves[base : base + 8]
            yield RawLttEvent(
                words[at],
                words[at + 1],
                stream,
                index,
                number,
                size,
                block,
                offset,
                slots[slot : slot + count],
                words[at + 6],
            )
            at += 7

    def arena_view(self) -> memoryview:
        """The bytes that text slots and payloads point into."""
        return memoryview(ffi.buffer(self.arena, self.max_bytes))

    def damages(self) -> list[Damage]:
        """The damages found since the last call."""
        found = ffi.new("struct mb_ltt_damage[]", 256)
        count = lib.mb_ltt_damages(self._cursor, found, 256)
        return [
            Damage(d.stream, d.block, d.byte, d.code, d.id, d.size)
            for d in (found[i] for i in range(count))
        ]

    def count(self) -> tuple[list[dict[int, int]], list[Totals], list[Damage]]:
        """Per stream: events by class index (NONE: not described), and totals; the damages."""
        streams, width = len(self._tables.streams), len(self._tables.classes) + 1
        counts = ffi.new("uint64_t[]", streams * width + 1)
        totals = ffi.new("struct mb_ltt_totals[]", streams + 1)
        damages = []
        while lib.mb_ltt_count(self._cursor, counts, totals):
            damages += self.damages()
        damages += self.damages()
        rows = []
        for at in range(streams):
            row = ffi.unpack(counts + at * width, width)
            found = {index: number for index, number in enumerate(row) if number}
            if width - 1 in found:
                found[NONE] = found.pop(width - 1)
            rows.append(found)
        return rows, [_totals(totals[at]) for at in range(streams)], damages

    def totals(self, stream: int) -> Totals:
        """Lost events and damaged blocks of a stream so far."""
        totals = ffi.new("struct mb_ltt_totals *")
        lib.mb_ltt_totals(self._cursor, stream, totals)
        return _totals(totals)


def _totals(c: Any) -> Totals:  # noqa: ANN401 - a C structure
    return Totals(
        c.events,
        c.lost,
        c.corrupt,
        c.damaged,
        c.blocks,
        c.first_ns,
        c.last_ns,
        c.first_tsc,
        c.last_tsc,
    )
