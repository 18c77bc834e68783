"""Events of the model -> a CTF folder that babeltrace2 and Trace Compass read, 1.8 or 2.

Streams become files, per-event context becomes the event's own context. Times are nanoseconds
on a clock whose origin is that of the events (1970), or values of a clock that is given.
"""

from __future__ import annotations

import errno
import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.errors import TraceError
from bridge.handles import Closing
from bridge.trace.ctf import event_types, json_writer
from bridge.trace.ctf import tsdl_writer as tsdl
from bridge.trace.ctf.description import Clock
from bridge.trace.ctf.folder import PACKET_BYTES, TraceFolder
from bridge.trace.ctf.layout import CtfScope, LayoutError
from bridge.trace.ctf.locate import located, relative, shortened
from bridge.trace.ctf.normal import normal
from bridge.trace.ctf.packers import Pending, column_rows, packer
from bridge.trace.ctf.values import Encoding, Misfit, encoder
from bridge.trace.model import Event, Field, Float, Integer, Struct, Text, Value
from bridge.trace.output import Unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bridge.trace.ctf.values import Encoder
    from bridge.trace.model import EventClass, FieldType

VERSIONS = (1, 2)
NEVER = 1 << 64
ROWS = 1 << 16
"""Of columns, that are given to C at once."""
CLOCK = Clock("origin", description="nanoseconds since the origin of the events' time")
CPU_FIELDS = frozenset(("cpu_id",))
"""Context that the packets hold."""


@dataclass(frozen=True, slots=True)
class _Class:
    """A class as it is written: its number on the C side, and what makes its slots."""

    index: int
    context: Encoder | None
    change: Callable[[Value], Value]
    payload: Encoder


@dataclass(frozen=True, slots=True)
class Kept:
    """What the written trace has of another one.

    With a `clock` events have its values (`tsc`), else nanoseconds. `numbers` are those of
    classes, from 0 on, that the environment speaks of.
    """

    clock: Clock | None = None
    numbers: Mapping[EventClass, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inside:
    """What copying events in C asks of a writer.

    `by_clock`: times are values of a clock, not nanoseconds. `copy` writes events as they were
    read, up to the first that cannot be: how many. `place` is the stream and the class of an
    event, as the C side numbers them. Where it `packs`, events of now may be rows that are
    `pending`; `write_now` writes one in any other way; `columns` writes many.
    """

    by_clock: bool
    packs: bool
    copy: Callable[[Any, Any, int, Any], int]
    place: Callable[[Event], tuple[int, int]]
    pending: Pending
    write_now: Callable[[Event], None]
    columns: Callable[[EventClass, tuple[int, int], Any, Mapping[str, Any]], None]


class CtfWriter(Closing):
    """Writes events into the folder `path`, which must not exist or be empty.

    `version` 2 writes CTF 2, 1 CTF 1.8. `environment` goes into the metadata. A stream's times
    may not go back: such an event is a TraceError, or with `move_late` it is written at the
    time of the one before it and counted in `moved`. `kept` is what a converted trace keeps.
    See `bridge.trace.model.Writer`.
    """

    def __init__(
        self,
        path: Path | str,
        environment: Mapping[str, str | int] | None = None,
        packet_bytes: int = PACKET_BYTES,
        *,
        version: int = 1,
        move_late: bool = False,
        kept: Kept | None = None,
    ) -> None:
        if version not in VERSIONS:
            raise TraceError(f"CTF {version} cannot be written; versions 1 and 2 can")
        self.version = version
        self._folder = TraceFolder(Path(path), packet_bytes)
        kept = kept or Kept()
        self._clock = kept.clock
        self._move_late = move_late
        self.moved = 0
        self._classes: dict[object, _Class] = {}
        self._streams: dict[tuple[str, int], int] = {}
        self._stream_names: set[str] = set()
        self._stream_classes: set[int] = set()
        self._reserved = dict(kept.numbers)
        self._numbers = [len(self._reserved)] * 2
        self._describe_trace(environment or {})
        self._pending = Pending(self._write_rows)
        self.inside = Inside(
            self._clock is not None,
            not (move_late or self._clock),
            self._copy,
            self._place,
            self._pending,
            self._write_now,
            self._columns,
        )

    def _describe_trace(self, environment: Mapping[str, str | int]) -> None:
        uuid, shown = str(self._folder.uuid), self._clock or CLOCK
        if self.version == 2:
            text = json_writer.header(uuid, environment) + json_writer.clock(shown)
        else:
            entries = {tsdl.identifier(name): value for name, value in environment.items()}
            text = tsdl.header(uuid, entries) + tsdl.clock(shown)
        self._folder.describe(text)

    def event_class(self, event_name: str, /, **fields: event_types.Spec) -> EventWriter:
        """A class of events whose fields are typed by name: `a="u32", s="string", xs=["i16"]`.

        What comes back writes an event: `tick(a=1, s="y", xs=[1, 2])`. See
        `bridge.trace.ctf.event_types`; TraceError for a type that is none.
        """
        made = event_types.event_class(event_name, fields)
        # A class of its own, because calls look their function up there.
        kind: type[EventWriter] = type("EventWriter", (EventWriter,), {})
        return kind(self, made)

    def write(self, events: Event | Iterable[Event]) -> None:
        """Append one event, or all of a trace.

        TraceError names the event and the field if a value does not fit.
        """
        for event in (events,) if isinstance(events, Event) else events:
            self._pending.flush()
            with self._folder.writer as handle:
                self._write(event, handle)

    def _write_now(self, event: Event) -> None:
        """Append an event of now: the last one's time, if another thread was quicker."""
        self._pending.flush()
        with self._folder.writer as handle:
            last = int(lib.mb_ctf_writer_last(handle, self._stream(event)))
            if event.timestamp_ns < last:
                event = replace(event, timestamp_ns=last)
            self._write(event, handle)

    def _write_rows(self, rows: Any) -> None:  # noqa: ANN401 - bytes, or an array
        with self._folder.writer as handle, ffi.from_buffer(rows) as held:
            code = lib.mb_ctf_write_rows(handle, held, len(held))
        if code in _REFUSALS:
            raise TraceError(f"{self._folder.path}: an event: {_REFUSALS[code]}")
        if code:
            raise self._folder.failure(code)

    def _columns(
        self,
        event_class: EventClass,
        place: tuple[int, int],
        times: Any,  # noqa: ANN401 - an array of numpy
        columns: Mapping[str, Any],
    ) -> None:
        self._pending.flush()
        rows = column_rows(event_class.payload, times, columns, place)
        with self._folder.writer as handle:
            last = int(lib.mb_ctf_writer_last(handle, place[0]))
        if len(rows) and int(rows["clock"][0]) < last:
            raise TraceError(f"the times start before that of the last event ({last})")
        for start in range(0, len(rows), ROWS):
            self._write_rows(rows[start : start + ROWS].view("u1"))
        if len(rows):
            self._pending.came_to(int(rows["clock"][-1]))

    def _write(self, event: Event, handle: Any) -> None:  # noqa: ANN401 - of cffi
        if self._time_of(event) < 0:
            raise _refused(event, f"its time {event.timestamp_ns} is before 1970")
        stream = self._stream(event)
        class_ = self._class(event)
        into = Encoding()
        try:
            if class_.context is not None:
                class_.context(dict(event.context), into)
            class_.payload(class_.change(event.fields), into)
        except Misfit as misfit:
            raise _refused(event, str(misfit)) from None
        clock = self._time(event, int(lib.mb_ctf_writer_last(handle, stream)))
        code = lib.mb_ctf_write(
            handle, stream, class_.index, clock, into.slots, len(into.slots)
        )
        if code in _REFUSALS:
            raise _refused(event, _REFUSALS[code])
        if code:
            raise self._folder.failure(code)
        self._pending.came_to(clock)

    def _time_of(self, event: Event) -> int:
        return event.timestamp_ns if self._clock is None else event.tsc

    def _time(self, event: Event, last: int) -> int:
        """The time that the event is written with, behind one of the time `last`."""
        if self._time_of(event) >= last:
            return self._time_of(event)
        if not self._move_late:
            raise _refused(
                event,
                f"its time {event.timestamp_ns} is earlier than that of the event before it in"
                f" stream {event.stream} ({last})",
            )
        self.moved += 1
        return last

    # --- copying (`trace.ctf.copy`) ---

    def _copy(self, route: Any, events: Any, count: int, slots: Any) -> int:  # noqa: ANN401
        self._pending.flush()
        with self._folder.writer as handle:
            return int(lib.mb_ctf_copy(handle, route, events, count, slots))

    def _place(self, event: Event) -> tuple[int, int]:
        return self._stream(event), self._class(event).index

    # --- streams ---

    def _stream(self, event: Event) -> int:
        key = event.stream, event.cpu
        if key not in self._streams:
            name = base = re.sub(r"[^A-Za-z0-9_.-]", "_", event.stream).lstrip(".") or "stream"
            while name in self._stream_names or name == "metadata":
                name = f"{base}_{len(self._stream_names)}"
            self._stream_names.add(name)
            self._streams[key] = self._folder.add_stream(
                name, _stream_class(event), len(self._streams), max(event.cpu, -1)
            )
        return self._streams[key]

    def lost(self, stream: str, cpu: int, total: int) -> None:
        """So many events of a stream that was written to were lost so far."""
        self._pending.flush()
        with self._folder.writer as handle:
            lib.mb_ctf_writer_lost(handle, self._streams[stream, cpu], total)

    # --- classes ---

    def _class(self, event: Event) -> _Class:
        kinds = tuple((n, type(v)) for n, v in event.context.items() if n not in CPU_FIELDS)
        key = event.event_class, _stream_class(event), kinds
        if key not in self._classes:
            try:
                self._classes[key] = self._declare(event, _stream_class(event))
            except (LayoutError, TypeError) as error:
                raise Unwritable(str(_refused(event, str(error)))) from error
        return self._classes[key]

    def _declare(self, event: Event, stream_class: int) -> _Class:
        if stream_class not in self._stream_classes:
            self._stream_classes.add(stream_class)
            self._describe_stream(stream_class)
        event_class = event.event_class
        reserved = self._reserved.pop(event_class, None)
        number = self._numbers[stream_class] if reserved is None else reserved
        self._numbers[stream_class] += reserved is None
        context = _context(event_class, event.context)
        plain = self.version == 1
        payload, change = normal(event_class.payload, plain=plain)
        assert isinstance(payload, Struct)
        scopes: dict[CtfScope, Struct] = {}
        if context:
            kind, change_context = normal(context, plain=plain)
            assert isinstance(kind, Struct)
            scopes[CtfScope.CONTEXT] = kind
        scopes[CtfScope.PAYLOAD] = payload
        scopes = located(scopes)
        described = relative(scopes) if plain else scopes
        index = self._folder.add_class(number, scopes)
        write = tsdl.event if plain else json_writer.event
        self._folder.describe(
            write(
                event_class,
                number,
                stream_class,
                described.get(CtfScope.CONTEXT),
                described[CtfScope.PAYLOAD],
            )
        )
        encoders = {scope: encoder(struct) for scope, struct in shortened(scopes).items()}
        if context:
            encoders[CtfScope.CONTEXT] = _after(change_context, encoders[CtfScope.CONTEXT])
        return _Class(index, encoders.get(CtfScope.CONTEXT), change, encoders[CtfScope.PAYLOAD])

    def _describe_stream(self, stream_class: int) -> None:
        with_cpu = not stream_class
        if self.version == 2:
            name = (self._clock or CLOCK).name
            text = json_writer.stream(stream_class, name, with_cpu=with_cpu)
        else:
            text = tsdl.stream(stream_class, None, with_cpu=with_cpu)
        self._folder.describe(text)

    # --- the end ---

    def close(self) -> None:
        """Finish all packets and the metadata."""
        if self._folder.writer.closed:
            return
        try:
            self._pending.flush()
        finally:
            self._pending.came_to(NEVER)  # later calls learn that the writer is closed
            self._finish()

    def _finish(self) -> None:
        with self._folder.writer as handle:
            times = [lib.mb_ctf_writer_last(handle, i) for i in self._streams.values()]
        self._folder.close(max(times, default=0))


class EventWriter:
    """Writes events of one class into a stream.

    Events are kept until there are some hundred, another one is written in another way, or the
    writer is closed.
    """

    def __init__(
        self, writer: CtfWriter, event_class: EventClass, stream: str = "stream"
    ) -> None:
        self._writer = writer
        self.event_class = event_class
        self.stream = stream

    def __setattr__(self, name: str, value: object) -> None:
        """Another stream has another function."""
        object.__setattr__(self, name, value)
        if (
            name == "stream"
            and "__call__" in type(self).__dict__
            and type(self) is not EventWriter
        ):
            del type(self).__call__

    def __call__(self, /, **fields: Value) -> None:
        """Write an event of now; TraceError names the field whose value does not fit."""
        self._now(fields)
        self._pack()

    def _now(self, fields: Mapping[str, Value]) -> None:
        self._writer.inside.write_now(self._event(time.time_ns(), fields))

    def _pack(self) -> None:
        """From now on, calls are packed, where all fields are plain."""
        kind = type(self)
        inside = self._writer.inside
        if kind is EventWriter or not inside.packs:
            return
        made = packer(self.event_class.payload, self._now, inside.pending, self._place(-1))
        if made is not None:
            kind.__call__ = made  # type: ignore[method-assign]

    def _place(self, cpu: int) -> tuple[int, int]:
        return self._writer.inside.place(Event(self.event_class, 0, 0, cpu, self.stream, {}))

    def at(self, timestamp_ns: int, fields: Mapping[str, Value], cpu: int = -1) -> None:
        """Write an event of a time (ns since 1970)."""
        self._writer.write(self._event(timestamp_ns, fields, cpu))

    def _event(self, timestamp_ns: int, fields: Mapping[str, Value], cpu: int = -1) -> Event:
        extra = fields.keys() - {f.name for f in self.event_class.payload.fields}
        if extra:
            raise TraceError(f"event {self.event_class.name}: no field `{min(extra)}`")
        return Event(self.event_class, timestamp_ns, 0, cpu, self.stream, dict(fields))

    def columns(self, times_ns: Any, /, *, cpu: int = -1, **columns: Any) -> None:  # noqa: ANN401
        """Write many events at once: their times, and for each field an array of numpy.

        Fields must be numbers or arrays of a fixed length. TraceError names the column whose
        values do not fit; then none is written.
        """
        try:
            place = self._place(cpu)
            self._writer.inside.columns(self.event_class, place, times_ns, columns)
        except TraceError as error:
            raise TraceError(f"event {self.event_class.name}: {error}") from None


def _after(change: Callable[[Value], Value], encode: Encoder) -> Encoder:
    """An encoder of values that are changed first."""
    return lambda value, into: encode(change(value), into)


_REFUSALS = {
    -errno.EINVAL: "a length or a tag in a field of another scope contradicts its values",
    -errno.E2BIG: "it is larger than a packet may be (64 MiB)",
}


def _refused(event: Event, reason: str) -> TraceError:
    return TraceError(f"event {event.event_class.name} at {event.timestamp_ns}: {reason}")


def _stream_class(event: Event) -> int:
    """Streams whose CPU is known, and others."""
    return 0 if event.cpu >= 0 else 1


def _context(event_class: EventClass, values: Mapping[str, Value]) -> Struct | None:
    """The declared context, and what else the event carries, typed by its value."""
    declared = event_class.context.fields if event_class.context else ()
    names = {f.name for f in declared}
    extra = [
        Field(name, _type_of(name, value))
        for name, value in values.items()
        if name not in names and name not in CPU_FIELDS
    ]
    fields = (*(f for f in declared if f.name in values), *extra)
    return Struct(fields, align_bits=8) if fields else None


def _type_of(name: str, value: Value) -> FieldType:
    match value:
        case int():
            return Integer(64, signed=True)
        case float():
            return Float(64)
        case str():
            return Text()
        case _:
            raise TypeError(f"context `{name}` has no type")
