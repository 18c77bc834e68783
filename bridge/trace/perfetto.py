"""A trace -> a file for Perfetto (ui.perfetto.dev): tracks of CPUs and threads.

Every event is on the track of its thread, or of its CPU where it interrupts one or the trace
knows no threads; begin and end (`pairs`) make a slice, others an instant, both with the fields
as annotations. Switches of the scheduler and frequencies of CPUs become ftrace events, of which
Perfetto makes its own views. The rule: nothing is left out; what has no better place is an
instant.

Sources: trace_packet.proto, track_event/*.proto and ftrace/ftrace_event.proto in Perfetto's
protos/perfetto/trace; the wire format is that of protobuf's "Encoding".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.errors import TraceError
from bridge.trace.pairs import Part, part

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from typing import BinaryIO

    from bridge.trace.model import Event, Value

SEQUENCE = 1
"""All packets come from one writer."""
_BOOT, _REALTIME = 6, 1
"""Clocks of ClockSnapshot: the one that packets count, and the one of the day."""
_BEGIN, _END, _INSTANT, _COUNTER = 1, 2, 3, 4
"""TrackEvent.Type."""
_SWITCHES = frozenset({"sched_switch", "sched_schedule", "schedchange"})
_FREQUENCIES = frozenset({"cpu_frequency", "power_cpu_frequency"})
_THREAD = ("tid", "vtid")
_PROCESS = ("pid", "vpid", "tgid")
_NAMES = ("execname", "procname", "comm")
_IDLE = 0


# --- the wire format --------------------------------------------------------------------------


def varint(value: int) -> bytes:
    """A number, seven bits a byte; a negative one as 64 bits."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(tag: int, value: int) -> bytes:
    """A field with a number."""
    return varint(tag << 3) + varint(value)


def double(tag: int, value: float) -> bytes:
    """A field with a floating-point number."""
    return varint(tag << 3 | 1) + struct.pack("<d", value)


def data(tag: int, value: bytes) -> bytes:
    """A field with a message or bytes."""
    return varint(tag << 3 | 2) + varint(len(value)) + value


def text(tag: int, value: str) -> bytes:
    """A field with a text; what is no UTF-8 is replaced, for Perfetto refuses it."""
    return data(tag, value.encode("utf-8", "replace"))


# --- values -----------------------------------------------------------------------------------


def _annotation(name: str, value: Value) -> bytes:
    """A DebugAnnotation: a name and a value, or several in it."""
    return text(10, name) + _value(value)


def _value(value: Value) -> bytes:
    match value:
        case bool():
            return number(2, value)
        case int():
            return number(3 if value >= 1 << 63 else 4, value)
        case float():
            return double(5, value)
        case dict():
            return b"".join(data(11, _annotation(str(k), v)) for k, v in value.items())
        case list() | tuple():
            return b"".join(data(12, _value(one)) for one in value)
        case _:
            return text(6, value.hex(" ") if isinstance(value, bytes) else str(value))


# --- tracks -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Track:
    """A track and what has begun on it."""

    uuid: int
    begun: list[Part] = field(default_factory=list)


@dataclass(slots=True)
class PerfettoWriter:
    """Writes packets; `counters` are fields, as `EVENT.FIELD`, whose values get tracks.

    `known` has the names of the trace's event classes.
    """

    file: BinaryIO
    counters: frozenset[str] = frozenset()
    known: Container[str] = ()
    counted: set[str] = field(default_factory=set)
    """Those of which there was a value."""
    _tracks: dict[tuple[str, object], _Track] = field(default_factory=dict)
    _running: dict[int, int] = field(default_factory=dict)
    """By CPU: the thread that runs, where the scheduler's events tell."""
    _first: bool = True

    def write(self, event: Event) -> None:
        """Append one event; times must not go back."""
        if self._first:
            self._first = False
            self._begin(event.timestamp_ns)
        name = event.event_class.name
        short = name.rpartition(":")[2].rpartition(".")[2]
        if short in _SWITCHES and self._switch(event):
            return
        if short in _FREQUENCIES and self._frequency(event):
            return
        track = self._track(event, interrupts="irq" in short)
        for wanted in self.counters:
            self._count(event, wanted)
        self._parts(event, name, track)

    def _packet(self, body: bytes) -> None:
        try:
            self.file.write(data(1, body))
        except OSError as error:
            raise TraceError(f"{self.file.name}: {error.strerror}") from None

    def _begin(self, now: int) -> None:
        """That clocks of the machine and of the day are the same here, and a new sequence."""
        clocks = b"".join(
            data(1, number(1, clock) + number(2, now)) for clock in (_BOOT, _REALTIME)
        )
        self._packet(data(6, clocks) + number(10, SEQUENCE) + number(13, 1) + number(87, 1))

    # --- of the kernel ------------------------------------------------------------------------

    def _ftrace(self, event: Event, thread: int, body: bytes) -> None:
        one = number(1, event.timestamp_ns) + number(2, thread) + body
        self._packet(data(1, number(1, max(event.cpu, 0)) + data(2, one)))

    def _switch(self, event: Event) -> bool:
        """A switch of the scheduler; False if the event does not tell from whom to whom."""
        fields = event.fields
        before = _first_of(fields, ("prev_tid", "prev_pid", "out"))
        after = _first_of(fields, ("next_tid", "next_pid", "in"))
        if not isinstance(before, int) or not isinstance(after, int):
            return False
        self._running[event.cpu] = after
        body = _comm(1, fields.get("prev_comm")) + number(2, before)
        body += _whole(3, fields.get("prev_prio")) + _whole(4, fields.get("prev_state"))
        body += _comm(5, fields.get("next_comm")) + number(6, after)
        body += _whole(7, fields.get("next_prio"))
        self._ftrace(event, before, data(4, body))
        return True

    def _frequency(self, event: Event) -> bool:
        state, cpu = event.fields.get("state"), event.fields.get("cpu_id", event.cpu)
        if not isinstance(state, int) or not isinstance(cpu, int):
            return False
        self._ftrace(
            event, self._running.get(event.cpu, 0), data(11, number(1, state) + number(2, cpu))
        )
        return True

    # --- events -------------------------------------------------------------------------------

    def _parts(self, event: Event, name: str, track: _Track) -> None:
        """A begin, an end with what had begun in it, or an instant."""
        found = part(name, self.known)
        if found is None:
            self._event(event, track, _INSTANT, name)
        elif found.begins:
            track.begun.append(found)
            self._event(event, track, _BEGIN, found.base)
        elif any(found.ends(begun) for begun in track.begun):
            while not found.ends(track.begun.pop()):
                self._event(event, track, _END, "")
            self._event(event, track, _END, found.base)
        else:
            self._event(event, track, _INSTANT, name)

    def _event(self, event: Event, track: _Track, type_: int, name: str) -> None:
        body = number(9, type_) + number(11, track.uuid)
        if name:
            body += text(23, name) + text(22, event.stream or "events")
            values = {**event.context, **event.fields}
            body += b"".join(data(4, _annotation(k, v)) for k, v in values.items())
        self._at(event, data(11, body))

    def _at(self, event: Event, body: bytes) -> None:
        self._packet(number(8, event.timestamp_ns) + body + number(10, SEQUENCE))

    def _count(self, event: Event, wanted: str) -> None:
        """A counter's value, if this is its event."""
        name, _, of = wanted.rpartition(".")
        value = event.fields.get(of)
        if event.event_class.name != name or not isinstance(value, int | float):
            return
        self.counted.add(wanted)
        track = self._known(("counter", wanted), text(2, wanted) + data(8, b""))
        counted = double(44, value) if isinstance(value, float) else number(30, value)
        self._at(event, data(11, number(9, _COUNTER) + number(11, track.uuid) + counted))

    # --- tracks -------------------------------------------------------------------------------

    def _track(self, event: Event, *, interrupts: bool) -> _Track:
        thread = _first_of(event.context, _THREAD)
        if thread is None:
            thread = self._running.get(event.cpu)
        if not interrupts and isinstance(thread, int) and thread != _IDLE:
            return self._of_thread(thread, event.context)
        if event.cpu >= 0:
            return self._known(("cpu", event.cpu), text(2, f"CPU {event.cpu}"))
        return self._known(("stream", event.stream), text(2, event.stream or "events"))

    def _of_thread(self, thread: int, context: Mapping[str, Value]) -> _Track:
        process = _first_of(context, _PROCESS)
        owner = process if isinstance(process, int) else thread
        name = _first_of(context, _NAMES)
        called = str(name) if name is not None else ""
        if ("process", owner) not in self._tracks:
            about = number(1, owner) + (text(6, called) if called else b"")
            self._known(("process", owner), data(3, about))
        about = number(1, owner) + number(2, thread) + (text(5, called) if called else b"")
        return self._known(("thread", thread), data(4, about))

    def _known(self, key: tuple[str, object], described: bytes) -> _Track:
        """A track, which is described before its first event."""
        track = self._tracks.get(key)
        if track is None:
            track = self._tracks[key] = _Track(len(self._tracks) + 1)
            self._packet(data(60, number(1, track.uuid) + described) + number(10, SEQUENCE))
        return track


def _first_of(values: Mapping[str, Value], names: Iterable[str]) -> Value | None:
    return next((values[name] for name in names if name in values), None)


def _comm(tag: int, value: Value | None) -> bytes:
    return b"" if value is None else text(tag, str(value))


def _whole(tag: int, value: Value | None) -> bytes:
    return number(tag, value) if isinstance(value, int) else b""
