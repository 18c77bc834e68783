"""Records of a live session -> typed hits, one by one or as columns.

`EventBuffer` stands between the session's thread, which fills it (`csrc/live/events.h`), and
who reads. The rule: a hit that finds no room is counted, and nobody waits for a reader.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge._native import ffi, lib
from bridge.artifact import FAULT, HEADER_BYTES, SLOT_BYTES
from bridge.declared import MB_EVENTS_CHECKED, MB_EVENTS_LONG, MB_EVENTS_TEXT
from bridge.engine.trace.record import event_name, payload_of
from bridge.handles import Handle
from bridge.ir.program import Context, Load, Value, capture_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bridge.artifact import Hook
    from bridge.ir.program import Capture
    from bridge.markers import Marker

BUFFER_BYTES = 1 << 26
Argument = int | str | None
"""The value of an argument; None: its memory could not be read."""


class Hit(NamedTuple):
    """One hit of a marker.

    `timestamp_ns` is nanoseconds since 1970, `comm` the name of the thread's process, and
    `arguments` are those of the marker by name, with what the script reads besides: the text of
    `user_string($arg2)` is `arg2_string`. An argument is None if its memory could not be read.
    """

    marker: Marker
    timestamp_ns: int
    cpu: int
    pid: int
    tid: int
    comm: str
    arguments: Mapping[str, Argument]

    @property
    def name(self) -> str:
        """The marker's name as a recording has it: `shop:order`, `sched_switch`."""
        return event_name(self.marker)


@dataclass(frozen=True, slots=True)
class Batch:
    """Hits of one marker as numpy arrays of the same length, in order.

    Numbers are int64; texts are bytes ("S"), as long as the longest, and so is `comm`.
    `unreadable` has for texts and for what is read behind a pointer where that failed.
    """

    marker: Marker
    timestamp_ns: Any
    cpu: Any
    pid: Any
    tid: Any
    comm: Any
    arguments: Mapping[str, Any]
    unreadable: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.timestamp_ns)


class EventBuffer:
    """The hits that were not read yet. `descriptor` can be read (poll) when there are some."""

    def __init__(self, size: int = BUFFER_BYTES) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        pointer = lib.mb_events_new(size, self.descriptor)
        if pointer == ffi.NULL:
            os.close(self.descriptor)
            raise MemoryError(f"{size} bytes for events")
        self.lent = Handle(pointer, lib.mb_events_free, "the session")
        self._size = ffi.new("uint64_t *")

    def take(self) -> memoryview:
        """The hits that have come since the last call; valid until the next one."""
        with self.lent as handle:
            self._reset()
            piece = lib.mb_events_take(handle, self._size)
        return memoryview(ffi.buffer(ffi.cast("char *", piece), self._size[0]))

    def _reset(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self.descriptor)

    def wake(self) -> None:
        """Let who waits look again."""
        os.eventfd_write(self.descriptor, 1)

    @property
    def dropped(self) -> int:
        """How many hits found no room."""
        with self.lent as handle:
            return int(lib.mb_events_dropped(handle))

    def close(self) -> None:
        """Free it; the session must be over."""
        if not self.lent.closed:
            self.lent.close()
            os.close(self.descriptor)


# --- one by one -------------------------------------------------------------------------------


def _kind(capture: Capture) -> int:
    if capture_type(capture) is Value.STRING:
        return MB_EVENTS_TEXT
    return MB_EVENTS_CHECKED if isinstance(capture, Load) else MB_EVENTS_LONG


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where things are in the records of a hook: slots by name."""

    hook: int
    marker: Marker
    slots: Struct
    contexts: tuple[int, ...]
    """Those of realtime_ns, cpu, pid, tid, execname."""
    fields: tuple[tuple[str, int, int], ...]
    """Name, slot, kind."""


_CONTEXTS = ("realtime_ns", "cpu", "pid", "tid", "execname")
_HEADER = Struct("<II")


def _shape(hook: Hook) -> _Shape:
    layout = hook.layout
    return _Shape(
        hook.id,
        hook.attachment.marker,
        Struct(f"<{layout.slot_count}q"),
        tuple(layout.slot(Context(name)) for name in _CONTEXTS),
        tuple((name, slot, _kind(capture)) for name, capture, slot in payload_of(hook)),
    )


def _text(record: memoryview, word: int) -> str | None:
    """A text by its slot: offset in the low half, length in the high half."""
    offset, length = word & 0xFFFFFFFF, (word >> 32) & 0xFFFFFFFF
    if length == FAULT:
        return None
    return bytes(record[offset : offset + length]).decode("utf-8", "surrogateescape")


class Decoder:
    """Knows the records of a session's hooks."""

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self._shapes = {hook.id: _shape(hook) for hook in hooks}
        self._names: dict[bytes, str] = {}

    def hits(self, piece: memoryview) -> Iterator[Hit]:
        """The hits in a piece, in order."""
        at, end, names = 0, len(piece), self._names
        make, header, shapes = tuple.__new__, _HEADER.unpack_from, self._shapes
        while at < end:
            size, hook = header(piece, at)
            shape = shapes[hook]
            words = shape.slots.unpack_from(piece, at + HEADER_BYTES)
            time, cpu, pid, tid, comm = shape.contexts
            word = words[comm]
            start, length = word & 0xFFFFFFFF, word >> 32
            name = bytes(piece[at + start : at + start + length]) if length > 0 else b""
            shown = names.get(name)
            if shown is None:
                shown = names[name] = name.decode("utf-8", "surrogateescape")
            values: dict[str, Argument] = {}
            for field_, slot, kind in shape.fields:
                if kind == MB_EVENTS_LONG:
                    values[field_] = words[slot]
                elif kind == MB_EVENTS_TEXT:
                    values[field_] = _text(piece[at : at + size], words[slot])
                else:
                    bad = words[slot + 1] & 0xFFFFFFFF == FAULT
                    values[field_] = None if bad else words[slot]
            yield make(
                Hit,
                (
                    shape.marker,
                    words[time],
                    words[cpu],
                    words[pid],
                    words[tid],
                    shown,
                    values,
                ),
            )
            at += size

    # --- as columns -----------------------------------------------------------------------

    def batches(self, piece: memoryview) -> Iterator[Batch]:
        """The hits in a piece by marker; TraceError, if numpy is not installed."""
        data = ffi.from_buffer(piece)
        for shape in self._shapes.values():
            batch = _batch(shape, data, len(piece))
            if batch is not None:
                yield batch


def _batch(shape: _Shape, data: Any, size: int) -> Batch | None:  # noqa: ANN401 - cffi
    from bridge.trace.arrays import numpy

    np = numpy()
    contexts = zip(_CONTEXTS, shape.contexts, strict=True)
    rows = [(name, slot, MB_EVENTS_LONG) for name, slot in contexts]
    rows[-1] = (*rows[-1][:2], MB_EVENTS_TEXT)
    rows += shape.fields
    columns = ffi.new("struct mb_column[]", len(rows))
    for column, (_, slot, kind) in zip(columns, rows, strict=True):
        column.slot, column.kind = slot, kind
        column.width = 1 if kind == MB_EVENTS_TEXT else SLOT_BYTES
    count = lib.mb_events_count(data, size, shape.hook, columns, len(rows))
    if not count:
        return None
    arrays, bad = [], {}
    for number, (column, (name, _, kind)) in enumerate(zip(columns, rows, strict=True)):
        is_text = kind == MB_EVENTS_TEXT
        array = np.empty(count, f"S{column.width}" if is_text else "i8")
        column.values = ffi.cast("void *", array.ctypes.data)
        arrays.append(array)
        if kind != MB_EVENTS_LONG and number >= len(_CONTEXTS):
            bad[name] = np.empty(count, "?")
            column.unreadable = ffi.cast("uint8_t *", bad[name].ctypes.data)
    lib.mb_events_fill(data, size, shape.hook, columns, len(rows))
    names = [name for name, _, _ in shape.fields]
    arguments = dict(zip(names, arrays[len(_CONTEXTS) :], strict=True))
    time, cpu, pid, tid, comm = arrays[: len(_CONTEXTS)]
    return Batch(shape.marker, time, cpu, pid, tid, comm, arguments, bad)
