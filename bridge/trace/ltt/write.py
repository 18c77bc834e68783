"""Events -> files of an LTT trace: what the writers of all versions share.

A `TraceWriter` takes events of any reader; a version's module says how event classes are
described and where an event belongs (`place`). The rule: descriptions are written before the
first event, and a value that the version cannot hold is an error, never dropped.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING

from bridge._native import ffi, lib
from bridge.errors import TraceError
from bridge.handles import Closing, Handle, Opened
from bridge.progress import doing
from bridge.trace.ltt import payload
from bridge.trace.ltt.cursor import NONE, ClassEntry, LttCursor, class_tables, layout_struct
from bridge.trace.output import Unwritable, check_free, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from construct import Struct

    from bridge.trace import model

NANOSECONDS = 1_000_000_000
_EXACT_IN_DOUBLE = 1 << 52


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How to write a trace.

    `use_tsc` keeps the clock values of the events, counted `frequency` / `divisor` times a
    second; else times in nanoseconds are the clock. With `heartbeat` events of 0.7 and 0.8
    carry 32 bits of the clock instead of 64.
    """

    version: str = "2.6"
    arch_size: int = 8
    big_endian: bool = False
    aligned: bool = True
    block_bytes: int = 65536
    use_tsc: bool = False
    frequency: int = NANOSECONDS
    divisor: int = 1
    start_tsc: int = 0
    start_sec: int = 0
    start_usec: int = 0
    heartbeat: bool = False
    arch_type: int = 0
    """0.7 and 0.8: the architecture by its number; 0: i386 or x86_64 by the word size."""

    @property
    def architecture(self) -> int:
        """The number of the architecture."""
        return self.arch_type or (8 if self.arch_size == 8 else 1)

    @property
    def alignment(self) -> int:
        """0 is packed."""
        return self.arch_size if self.aligned else 0

    def pad(self, size: int) -> int:
        """The alignment of something of `size` bytes."""
        return min(size, self.alignment) if self.alignment else 1


@dataclass(frozen=True, slots=True)
class EventSpot:
    """Where an event goes: its file (relative), and its number there."""

    file: str
    class_index: int
    id: int


def check(path: Path, code: int) -> None:
    """Raise what a negative code of the C side means."""
    if code == -errno.EFBIG:
        raise TraceError(f"{path}: an event is larger than a sub-buffer")
    raise TraceError(f"{path}: {os.strerror(-code)}")


class OutputFile:
    """A file being written by C."""

    def __init__(
        self,
        path: Path,
        layout: dict[str, int | float],
        header: bytes,
        options: WriteOptions,
        begin: int,
    ) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        name = str(path).encode("utf8", "surrogateescape")
        writer = lib.mb_ltt_create(
            name, layout_struct(layout), header, options.block_bytes, 4096, begin
        )
        if writer == ffi.NULL:
            raise TraceError(
                f"{path}: cannot be written with sub-buffers of {options.block_bytes} bytes"
            )
        self.writer = Handle(writer, lib.mb_ltt_finish, f"{path}: the trace")
        self.last = begin

    def classes(self, entries: list[ClassEntry]) -> None:
        """The event classes that `write` refers to by index."""
        c_classes, c_ops, count = class_tables(entries)
        with self.writer as writer:
            self._check(lib.mb_ltt_write_classes(writer, c_classes, len(entries), c_ops, count))

    def write(self, index: int, number: int, tsc: int, flat: payload.Flat) -> None:
        """Append one event."""
        slots = ffi.new("int64_t[]", flat.slots or 1)
        arena = ffi.from_buffer("uint8_t[]", flat.arena) if flat.arena else ffi.NULL
        with self.writer as writer:
            self._check(
                lib.mb_ltt_write(
                    writer, index, number, tsc, slots, len(flat.slots), arena, len(flat.arena)
                )
            )
        self.last = max(self.last, tsc)

    def _check(self, code: int) -> None:
        if code:
            check(self.path, code)

    def lost(self, count: int) -> None:
        """Set the cumulative number of lost events."""
        with self.writer as writer:
            lib.mb_ltt_write_lost(writer, count & NONE)

    def switch(self, tsc: int) -> None:
        """Close the sub-buffer and open the next."""
        with self.writer as writer:
            self._check(lib.mb_ltt_switch(writer, tsc))

    def finish(self) -> None:
        """Close the file."""
        self._check(self.writer.close(self.last) or 0)


class TraceWriter(Closing):
    """Base of the writers: a folder of output files with one table of event classes."""

    counts_lost = False
    """Whether the files of this version have a place for the number of lost events."""

    def __init__(self, path: Path, options: WriteOptions) -> None:
        if options.arch_size not in (4, 8):
            raise TraceError(f"unsupported word size: {options.arch_size} bytes")
        self.path = path
        self.options = options
        self.entries: list[ClassEntry] = []
        self._files: dict[str, OutputFile] = {}
        self._spots: dict[tuple[int, int], EventSpot] = {}
        self._kept: list[model.EventClass] = []
        self._declared: dict[object, int] = {}
        self._origin: int | None = 0 if options.use_tsc else None
        self._started = False
        self.moved = 0
        """Events from before the trace's first second, which were written at its start."""
        self._lock = RLock()
        self._opened = Opened(f"{path}: the trace")
        check_free(path)
        make_folder(path)

    # --- what a version says ---

    def layout(self) -> tuple[dict[str, int | float], Struct]:
        """The layout of the files for C, and the construct layout of their block header."""
        raise NotImplementedError

    def header(self, start_sec: int, start_usec: int, file: str) -> dict[str, int]:
        """The fields of a block header, those that change with the block as 0."""
        raise NotImplementedError

    def describe(self, event_class: model.EventClass) -> ClassEntry:
        """The class as it will be written; its id is the number in the file."""
        raise NotImplementedError

    def file_of(self, entry: ClassEntry, cpu: int) -> str:
        """The file for events of a class."""
        raise NotImplementedError

    def begin(self) -> None:
        """Write what stands at the start of a trace."""
        raise NotImplementedError

    def end(self) -> None:
        """Write what stands at the end of a trace, if anything."""

    def publish(self) -> None:
        """Write all descriptions to disk now: no class will be added any more.

        What is killed afterwards leaves a trace that can be read.
        """
        raise NotImplementedError

    # --- writing ---

    def output(self, name: str) -> OutputFile:
        """The file of this name, made when first needed."""
        if name not in self._files:
            layout, struct = self.layout()
            options = self.options
            sec, usec = options.start_sec, options.start_usec
            if self._origin:
                sec, usec = self._origin // NANOSECONDS, 0
            fields = self.header(sec, usec, name)
            header = struct.build({sub.name: fields.get(sub.name, 0) for sub in struct.subcons})
            file = OutputFile(self.path / name, layout, header, options, options.start_tsc)
            file.classes(self.entries)
            self._files[name] = file
        return self._files[name]

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self.begin()

    def declare(self, event_class: model.EventClass) -> int:
        """Describe a class before its first event; returns its index."""
        self._start()
        try:
            entry = self.describe(event_class)
        except TraceError as error:
            raise Unwritable(str(error)) from None
        self.entries.append(entry)
        for file in self._files.values():
            file.classes(self.entries)
        self.announce(entry)
        return len(self.entries) - 1

    def announce(self, entry: ClassEntry) -> None:
        """Write the description of a class into the trace."""
        raise NotImplementedError

    def spot(self, event_class: model.EventClass, cpu: int) -> EventSpot:
        """Where events of a class and CPU go; declares the class if it is new."""
        self._start()
        return self._spot(event_class, cpu)

    def _spot(self, event_class: model.EventClass, cpu: int) -> EventSpot:
        key = (id(event_class), cpu)
        if key not in self._spots:
            self._kept.append(event_class)  # so that its id stays its own
            index = self._index(event_class)
            entry = self.entries[index]
            number = entry.event_class.id
            self._spots[key] = EventSpot(self.file_of(entry, cpu), index, number)
        return self._spots[key]

    def _index(self, event_class: model.EventClass) -> int:
        """The class in this trace; classes that say the same (of several traces) are one."""
        attributes = tuple(sorted(event_class.attributes.items()))
        identity = event_class.name, event_class.payload, attributes
        if identity not in self._declared:
            self._declared[identity] = self.declare(event_class)
        return self._declared[identity]

    def tsc(self, event: model.Event) -> int:
        """The clock value of an event in this trace."""
        if self.options.use_tsc:
            return event.tsc
        if self._origin is None:
            time = event.timestamp_ns
            self._origin = time // NANOSECONDS * NANOSECONDS if time >= _EXACT_IN_DOUBLE else 0
        if event.timestamp_ns < self._origin:
            self.moved += 1
            return 0
        return event.timestamp_ns - self._origin

    def declare_all(self, classes: Iterable[model.EventClass]) -> None:
        """Declare classes before the first event."""
        with self._lock:
            self._opened.check()
            for event_class in classes:
                self.spot(event_class, 0)

    def write(self, event: model.Event) -> None:
        """Append one event."""
        with self._lock:
            self._opened.check()
            self._write(event)

    def _write(self, event: model.Event) -> None:
        tsc = self.tsc(event)
        self._start()
        spot = self._spot(event.event_class, max(event.cpu, 0))
        entry = self.entries[spot.class_index]
        try:
            fields = _positional(entry, event)
            flat = payload.flatten(entry.event_class.payload, fields)
        except TraceError as error:
            place = f"event {event.event_class.name} at {event.timestamp_ns}"
            raise TraceError(f"{place}: {error}") from None
        self.output(spot.file).write(spot.class_index, spot.id, tsc, flat)

    def lost(self, file: str, count: int) -> None:
        """Set the number of events lost so far in a file."""
        with self._lock:
            self._opened.check()
            self._start()
            self.output(file).lost(count)

    def finish_at(self, tsc: int) -> None:
        """Close all sub-buffers and files, which C has written events to until then."""
        with self._lock:
            for file in self._files.values():
                file.last = max(file.last, tsc)
            self.close()

    def close(self) -> None:
        """Close all sub-buffers and files."""
        with self._lock:
            if self._opened.closed:
                return
            self._start()
            self.end()
            self._opened.close()
            for file in self._files.values():
                file.finish()

    # --- the fast way for another LTT trace ---

    def copy(self, cursor: LttCursor, route: Route) -> int:
        """All events of a cursor; returns how many were written."""
        self._start()
        names = sorted({name for row in route.files for name in row if name is not None})
        outputs = [self.output(name) for name in names]
        numbers = {name: at for at, name in enumerate(names)}
        files = [NONE if name is None else numbers[name] for row in route.files for name in row]
        kept = (
            ffi.new(
                "struct mb_ltt_writer *[]",
                [file.writer.pointer for file in outputs] + [ffi.NULL],
            ),
            ffi.new("uint32_t[]", [*files, NONE]),
            ffi.new("uint32_t[]", [index for index, _ in route.classes] + [0]),
            ffi.new("uint32_t[]", [number for _, number in route.classes] + [0]),
        )
        c_route = ffi.new("struct mb_ltt_route *")
        c_route.writers, c_route.files, c_route.classes, c_route.ids = kept
        c_route.writer_count, c_route.stream_count = len(outputs), len(route.files)
        c_route.class_count = len(route.classes)
        written = 0
        for got in _told(cursor.batches(lib.MB_LTT_WITH_FIELDS)):
            code = lib.mb_ltt_write_batch(
                c_route,
                cursor.events,
                got,
                cursor.slots,
                cursor.max_slots,
                cursor.arena,
                cursor.max_bytes,
            )
            if code < 0:
                check(self.path, code)
            written += code
            last = cursor.events[got - 1].tsc
            for file in outputs:
                file.last = max(file.last, last)
        return written


def _told(batches: Iterable[int]) -> Iterator[int]:
    """The sizes of batches of events, while they are converted."""
    done = 0
    with doing("converting", "events") as activity:
        for got in batches:
            yield got
            done += got
            activity.count(done)


@dataclass(frozen=True, slots=True)
class Route:
    """Where the events of another LTT trace go.

    `files` names the output file by stream and class of the source (None: left out), `classes`
    the class index and the id there.
    """

    files: list[list[str | None]]
    classes: list[tuple[int, int]]


def _positional(entry: ClassEntry, event: model.Event) -> dict[str, model.Value]:
    """The fields under the names that they have in the output; order is kept."""
    wanted = [f.name for f in entry.event_class.payload.fields]
    own = [f.name for f in event.event_class.payload.fields]
    missing = [name for name in own if name not in event.fields]
    if missing:
        raise TraceError(f"no value for the field `{missing[0]}`")
    return {new: event.fields[old] for new, old in zip(wanted, own, strict=True)}


def split_name(event_class: model.EventClass) -> tuple[str, str]:
    """Channel (or facility) and name of an event: `kernel.irq_entry`, `provider:event`."""
    for mark in (".", ":"):
        channel, found, name = event_class.name.partition(mark)
        if found and channel and name:
            return channel.strip("/").replace("/", "_") or "events", name
    return "events", event_class.name
