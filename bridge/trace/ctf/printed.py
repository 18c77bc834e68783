"""CTF traces -> pieces of printed text, made in C: the events in order of time, a line each.

The fast way beside `trace.ctf.text` and `json_text`, with the same bytes. The rule: events of
a class that C cannot print are printed by those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.json_text import dumps
from bridge.trace.ctf.cursor import raw_events
from bridge.trace.ctf.print_programs import JsonPrograms, TextPrograms, Unprintable
from bridge.trace.ctf.takers import Takers
from bridge.trace.ctf.text import Lines
from bridge.trace.merge import labelled
from bridge.trace.text import as_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bridge.trace.ctf.reader import CtfReader
    from bridge.trace.ctf.text import TextOptions
    from bridge.trace.model import Value

    Piece = tuple[Any, int]
    """Memory that is good until the next piece, and how many lines are in it."""

EVENT_BYTES = ffi.sizeof("struct mb_ctf_event")


def text_pieces(readers: Sequence[CtfReader], options: TextOptions) -> Iterator[Piece]:
    """The events as `trace.ctf.text.lines` writes them."""
    flags = (
        (options.clock_cycles, lib.MB_LINE_CYCLES),
        (options.clock_seconds, lib.MB_LINE_SECONDS),
        (options.clock_date, lib.MB_LINE_DATE),
        (options.clock_gmt, lib.MB_LINE_UTC),
        (options.no_delta, lib.MB_LINE_NO_DELTA),
    )
    native = sum(flag for wanted, flag in flags if wanted)
    return _pieces([_TextSource(reader) for reader in readers], native)


def json_pieces(
    readers: Sequence[tuple[str, CtfReader]], origins: Sequence[Mapping[str, Value]]
) -> Iterator[Piece]:
    """The events as JSON objects; of several traces with their labels and origins."""
    return _pieces(
        [
            _JsonSource(reader, label, origin)
            for (label, reader), origin in zip(readers, origins, strict=True)
        ],
        0,
    )


class _Source:
    """One trace: its cursor, and the printer that has the programs of its classes."""

    def __init__(
        self, reader: CtfReader, programs: TextPrograms | JsonPrograms, label: str
    ) -> None:
        self.reader = reader
        self._programs = programs
        self._label = label
        self._unprintable: set[int] = set()
        self._held: tuple[Any, Any]
        self._lines: Any = None

    def open(self) -> None:
        """At the start of what is selected."""
        cursor = self.reader.cursor()
        self.cursor = cursor  # outlives the printer
        self._buffers = cursor.buffers()
        classes, streams = len(self.reader.plan.events), len(cursor.files)
        printer = lib.mb_printer_new(cursor.handle, classes, streams)
        if printer == ffi.NULL:
            raise MemoryError
        self.printer = ffi.gc(printer, lib.mb_printer_free)
        for index, path in enumerate(cursor.files):
            raw = dumps(self._label + path.name).encode()
            if lib.mb_printer_name(printer, index, raw, len(raw)):
                raise MemoryError

    def fill(self, row: Any) -> None:  # noqa: ANN401 - a struct mb_print_source
        """The next events, or that there are none."""
        self.reader.opened.check()
        row.printer, row.at, row.count = self.printer, 0, 0
        try:
            self._held = events, slots = next(self._buffers)
        except StopIteration:
            row.ended = 1
            return
        row.events = ffi.cast("struct mb_ctf_event *", ffi.from_buffer(events))
        row.slots = ffi.cast("int64_t *", ffi.from_buffer(slots))
        row.count = len(events) // EVENT_BYTES
        row.slot_count = len(slots) // 8

    def help(self, printing: Any, row: Any) -> None:  # noqa: ANN401 - structures of C
        """The program that the next event misses, or its line."""
        index = row.events[row.at].event_class
        if index not in self._unprintable:
            try:
                self._add(index)
            except Unprintable:
                self._unprintable.add(index)
            return
        raw = raw_events(self._held[0])[row.at]
        slots = memoryview(self._held[1]).cast("q")
        timed, text = self.line(raw, slots)
        line = text.encode("utf-8", "surrogateescape")
        if lib.mb_print_given(printing, ffi.addressof(row), timed, line, len(line)):
            raise MemoryError

    def line(self, raw: Any, slots: Any) -> tuple[bool, str]:  # noqa: ANN401 - of one event
        """An event's line, and whether its time stands before it."""
        raise NotImplementedError

    def _add(self, index: int) -> None:
        native, _alive = self._programs.program(index).native()
        if lib.mb_printer_add(self.printer, index, native):
            raise Unprintable


class _TextSource(_Source):
    def __init__(self, reader: CtfReader) -> None:
        super().__init__(reader, TextPrograms(reader), "")

    def line(self, raw: Any, slots: Any) -> tuple[bool, str]:  # noqa: ANN401
        if self._lines is None:
            self._lines = Lines(self.reader).of(self.cursor)
        _, _, timed, text = self._lines(raw, slots)
        return timed, text


class _JsonSource(_Source):
    def __init__(self, reader: CtfReader, label: str, origin: Mapping[str, Value]) -> None:
        super().__init__(reader, JsonPrograms(reader, origin), f"{label}/" if label else "")
        self._name = label
        self._origin = dict(origin)

    def line(self, raw: Any, slots: Any) -> tuple[bool, str]:  # noqa: ANN401
        if self._lines is None:
            self._lines = Takers(self.reader, self.cursor)
        event = self._lines.event(raw, slots)
        if self._name:
            (event,) = labelled(self._name, [event], self._origin)
        return False, dumps(as_object(event))


def _pieces(sources: Sequence[_Source], options: int) -> Iterator[Piece]:
    """Print until all sources have ended."""
    cpus = sorted(sources[0].reader.cpus or ()) if sources else []
    printing = lib.mb_printing_new(options, cpus, len(cpus))
    if printing == ffi.NULL:
        raise MemoryError
    printing = ffi.gc(printing, lib.mb_printing_free)
    rows = ffi.new("struct mb_print_source[]", len(sources) or 1)
    for number, source in enumerate(sources):
        source.open()
        source.fill(rows[number])
    code = 0
    while code != lib.MB_LINE_DONE:
        code = lib.mb_print_next(printing, rows, len(sources))
        if code >= 0:
            sources[code].fill(rows[code])
        elif code == lib.MB_LINE_MISSING:
            number = next(i for i in range(len(sources)) if rows[i].missing)
            rows[number].missing = 0
            sources[number].help(printing, rows[number])
        elif code == lib.MB_LINE_NO_MEMORY:
            raise MemoryError
        else:
            yield _taken(printing)
            lib.mb_printing_taken(printing)


def _taken(printing: Any) -> Piece:  # noqa: ANN401 - a struct mb_printing
    """What was printed since the last time."""
    length, count = ffi.new("uint64_t *"), ffi.new("uint64_t *")
    text = lib.mb_printing_text(printing, length, count)
    return ffi.buffer(text, length[0]) if length[0] else b"", count[0]
