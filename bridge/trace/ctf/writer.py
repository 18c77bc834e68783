"""Events of the model -> a CTF 1.8 folder that babeltrace2 and Trace Compass read.

Streams become files, per-event context becomes the event's own context. Times are nanoseconds
on a clock whose origin is that of the events (1970).
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge._native import lib
from bridge.errors import TraceError
from bridge.trace.ctf import tsdl_writer as tsdl
from bridge.trace.ctf.folder import PACKET_BYTES, Folder
from bridge.trace.ctf.layout import LayoutError, Scope
from bridge.trace.ctf.normal import normal
from bridge.trace.ctf.values import Encoding, Misfit, encoder
from bridge.trace.model import Event, Field, Float, Integer, Struct, Text, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from bridge.trace.ctf.values import Encoder
    from bridge.trace.model import EventClass, FieldType

NS_PER_S = 1_000_000_000
CLOCK = "origin"
CPU_FIELDS = frozenset(("cpu_id",))
"""Context that the packets hold."""


@dataclass(frozen=True, slots=True)
class _Class:
    """A class as it is written: its number on the C side, and what makes its slots."""

    index: int
    context: Encoder | None
    change: Callable[[Value], Value]
    payload: Encoder


class CtfWriter:
    """Writes events into the folder `path`, which must not exist or be empty.

    `environment` goes into the metadata. A stream's times may not go back: such an event is a
    TraceError, or with `move_late` it is written at the time of the one before it and counted
    in `moved`. `numbers` are those of classes, from 0 on, that the environment speaks of. See
    `bridge.trace.model.Writer`.
    """

    def __init__(
        self,
        path: Path | str,
        environment: Mapping[str, str | int] | None = None,
        packet_bytes: int = PACKET_BYTES,
        *,
        move_late: bool = False,
        numbers: Mapping[EventClass, int] | None = None,
    ) -> None:
        self._folder = Folder(Path(path), packet_bytes)
        self._move_late = move_late
        self.moved = 0
        self._last_of: dict[int, int] = {}
        self._classes: dict[object, _Class] = {}
        self._streams: dict[tuple[str, int], int] = {}
        self._stream_names: set[str] = set()
        self._stream_classes: set[int] = set()
        self._reserved = dict(numbers or {})
        self._numbers = [len(self._reserved)] * 2
        self._last = 0
        entries = {tsdl.identifier(name): value for name, value in (environment or {}).items()}
        self._folder.describe(tsdl.header(str(self._folder.uuid), entries))
        description = "nanoseconds since the origin of the events' time"
        self._folder.describe(tsdl.clock(CLOCK, NS_PER_S, 0, 0, description))

    def write(self, events: Event | Iterable[Event]) -> None:
        """Append one event, or all of a trace.

        TraceError names the event and the field if a value does not fit.
        """
        for event in (events,) if isinstance(events, Event) else events:
            with self._folder.writer as handle:
                self._write(event, handle)

    def _write(self, event: Event, handle: Any) -> None:  # noqa: ANN401 - of cffi
        if event.timestamp_ns < 0:
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
        time_ns = self._time(event, stream)
        code = lib.mb_ctf_write(
            handle, stream, class_.index, time_ns, into.slots, len(into.slots)
        )
        if code in _REFUSALS:
            raise _refused(event, _REFUSALS[code])
        if code:
            raise self._folder.failure(code)
        self._last_of[stream] = time_ns
        self._last = max(self._last, time_ns)

    def _time(self, event: Event, stream: int) -> int:
        """The time that the event is written with."""
        last = self._last_of.get(stream, 0)
        if event.timestamp_ns >= last:
            return event.timestamp_ns
        if not self._move_late:
            raise _refused(
                event,
                f"its time {event.timestamp_ns} is earlier than that of the event before it in"
                f" stream {event.stream} ({last})",
            )
        self.moved += 1
        return last

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
                raise _refused(event, str(error)) from error
        return self._classes[key]

    def _declare(self, event: Event, stream_class: int) -> _Class:
        if stream_class not in self._stream_classes:
            self._stream_classes.add(stream_class)
            self._folder.describe(tsdl.stream(stream_class, None, with_cpu=not stream_class))
        event_class = event.event_class
        reserved = self._reserved.pop(event_class, None)
        number = self._numbers[stream_class] if reserved is None else reserved
        self._numbers[stream_class] += reserved is None
        context = _context(event_class, event.context)
        payload, change = normal(event_class.payload)
        assert isinstance(payload, Struct)
        scopes = {Scope.CONTEXT: context} if context else {}
        scopes[Scope.PAYLOAD] = payload
        index = self._folder.add_class(number, scopes)
        self._folder.describe(
            tsdl.event(event_class.name, number, stream_class, context, payload)
        )
        return _Class(index, encoder(context) if context else None, change, encoder(payload))

    # --- the end ---

    def close(self) -> None:
        """Finish all packets and the metadata."""
        if not self._folder.writer.closed:
            self._folder.close(self._last)

    def __enter__(self) -> CtfWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self.close()


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
