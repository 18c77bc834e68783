"""Events of a CTF trace -> a CTF writer, as they were read: slots go to the writer in C.

The rule: what an event would become in `CtfWriter.write` it becomes here. The first event of
each class and each stream goes that way, and so do all of classes whose slots the writer takes
in another form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from bridge._native import ffi
from bridge.trace.ctf.cursor import EVENT_BYTES, raw_events
from bridge.trace.ctf.layout import CtfScope, width
from bridge.trace.ctf.shown import shown
from bridge.trace.ctf.takers import Takers
from bridge.trace.ctf.writer import CPU_FIELDS
from bridge.trace.model import (
    Enumeration,
    FieldType,
    FixedArray,
    Float,
    Integer,
    Optional,
    Sequence,
    Struct,
    Text,
    Variant,
    is_blob,
    is_raw,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.trace.ctf.cursor import RawCtfEvent
    from bridge.trace.ctf.reader import CtfReader
    from bridge.trace.ctf.writer import CtfWriter
    from bridge.trace.model import Event


class Copier:
    """Copies all events of a reader. `first` has the first one of each stream.

    `write` writes an event that is not copied in C, and says whether it was written.
    """

    def __init__(
        self, writer: CtfWriter, reader: CtfReader, write: Callable[[Event], bool]
    ) -> None:
        self._write = write
        self._writer = writer
        self._reader = reader
        self.first: dict[str, Event] = {}
        self._cursor = reader.cursor()
        self._takers = Takers(reader, self._cursor)
        self._of_packet, self._direct = _directly_copied(reader, plain=writer.version == 1)
        classes, streams = len(reader.plan.events), len(self._cursor.files)
        self._classes = ffi.new("int32_t[]", [-1] * (2 * classes) or 1)
        self._streams = ffi.new("int32_t[]", [-1] * streams or 1)
        self._cpus = ffi.new("int32_t[]", streams or 1)
        self._route = ffi.new("struct mb_ctf_route *")
        self._route.classes, self._route.class_count = self._classes, classes
        self._route.streams, self._route.cpus = self._streams, self._cpus
        self._route.stream_count = streams
        self._route.by_clock = writer.inside.by_clock

    @property
    def moved(self) -> int:
        """Events that got the time of the one before them."""
        return int(self._route.moved)

    def run(self) -> Iterator[int]:
        """Copy; after each batch how many were read so far."""
        read = 0
        for events, slots in self._cursor.buffers():
            self._reader.opened.check()
            count = len(events) // EVENT_BYTES
            self._batch(events, slots, count)
            read += count
            yield read

    def _batch(self, events: Any, slots: Any, count: int) -> None:  # noqa: ANN401 - buffers
        first = ffi.cast("struct mb_ctf_event *", ffi.from_buffer(events))
        values = ffi.cast("int64_t *", ffi.from_buffer(slots))
        rows: list[RawCtfEvent] | None = None
        at = 0
        while at < count:
            at += self._writer.inside.copy(self._route, first + at, count - at, values)
            if at < count:
                rows = rows if rows is not None else raw_events(events)
                self._by_hand(rows[at], memoryview(slots).cast("q"))
                at += 1

    def _by_hand(self, raw: RawCtfEvent, slots: Any) -> None:  # noqa: ANN401
        event = self._takers.event(raw, slots)
        if raw.event_class in self._of_packet:
            for name in CPU_FIELDS:
                event.context.pop(name, None)
        if not self._write(event):
            return
        self.first.setdefault(event.stream, event)
        stream, index = self._writer.inside.place(event)
        self._streams[raw.stream], self._cpus[raw.stream] = stream, raw.cpu
        if raw.event_class in self._direct:
            self._classes[2 * raw.event_class + (raw.cpu < 0)] = index


def _directly_copied(reader: CtfReader, *, plain: bool) -> tuple[set[int], set[int]]:
    """Classes whose CPU is that of the packet alone, and classes whose slots fit the writer."""
    rule = shown(reader.plan, CtfScope.PACKET_CONTEXT)
    streams = {stream.id: stream for stream in reader.plan.streams}
    of_packet, direct = set(), set()
    for index, event in enumerate(reader.plan.events):
        stream = streams[event.stream_id]
        packet = stream.packet_context.fields if stream.packet_context else ()
        held = {f.name for f in packet if not rule.hides(f.name, f.type)}
        own = [s for s in (stream.event_context, event.event.context) if s is not None]
        fields = [f for struct in own for f in struct.fields]
        names = {f.name for f in fields}
        if held & CPU_FIELDS and not names & CPU_FIELDS:
            of_packet.add(index)
        fits = held <= CPU_FIELDS and not names & CPU_FIELDS and len(names) == len(fields)
        kinds = [event.event.payload, *(f.type for f in fields)]
        if (
            fits
            and all(_is_same(kind, plain) for kind in kinds)
            and not any(isinstance(f.type, Optional) for f in fields)
        ):
            direct.add(index)
    return of_packet, direct


def _is_same(kind: FieldType, plain: bool) -> bool:
    """Whether the slots of a value are those that the writer takes for it."""
    match kind:
        case Integer() | Enumeration() | Float():
            return True
        case Text(encoding=encoding):
            return width(encoding) == 1
        case FixedArray(element=element) | Sequence(element=element):
            if is_raw(element):
                return not (plain and is_blob(element))
            return _is_same(element, plain) and _encoded(element) == ""
        case Struct(fields=fields) | Variant(options=fields):
            names = {f.name for f in fields}
            whole = isinstance(kind, Variant) or len(names) == len(fields)
            return whole and all(_is_same(f.type, plain) for f in fields)
        case Optional(element=element):
            return _is_same(element, plain)
        case _:
            assert_never(kind)


def _encoded(element: FieldType) -> str:
    """The encoding of an element that is no character by itself."""
    return element.encoding if isinstance(element, Integer) else ""
