"""Hooks of a placed program -> an LTT trace of all their hits, 2.6, 0.8 or 0.7.

The files' writers are those of `trace.ltt`; records go from the ring to them in C, a file per
CPU (0.x) or per channel and CPU (2.6). The clock is CLOCK_MONOTONIC in nanoseconds. One rule:
all descriptions are on disk before the first hit, so that also a killed recording is a trace.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from threading import RLock
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.engine.trace.record import EventRows, class_for, cpu_slot
from bridge.engine.trace.recorders import RecordingSummary, marker_itself
from bridge.errors import TraceError
from bridge.handles import Handle
from bridge.trace.convert import writer as writer_of
from bridge.trace.model import EventClass, Struct
from bridge.trace.output import check_free

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.artifact import Placed
    from bridge.engine.trace.record import WrittenClass
    from bridge.engine.trace.recorders import Outputs
    from bridge.trace.ltt.write import TraceWriter, WriteOptions

NS_PER_S = 1_000_000_000


class LttRecorder:
    """Records all hits of a placed program into the folder `path`.

    `realtime_offset_ns` is the distance of CLOCK_MONOTONIC from 1970. What cannot be read at a
    hit is 0 or an empty text, and counted.
    """

    def __init__(
        self,
        placed: Placed,
        path: Path,
        realtime_offset_ns: int,
        options: WriteOptions,
        outputs: Outputs = marker_itself,
    ) -> None:
        check_free(path)
        self._path = path
        self._options = options
        self._offset_ns = realtime_offset_ns
        self._classes = [
            [(class_for(hook, one), one.name) for one in outputs(hook)] for hook in placed.hooks
        ]
        self._writer: TraceWriter | None = None
        self._summary: RecordingSummary | None = None
        self._lock = RLock()
        self.lent = self._handle(None)

    def _handle(self, pointer: Any) -> Handle:  # noqa: ANN401 - of cffi
        return Handle(pointer, lib.mb_recorder_close, f"{self._path}: the recording")

    @property
    def handle(self) -> Any:  # noqa: ANN401 - of cffi
        """The C recorder, for a caller that no other thread can come between."""
        return self.lent.pointer

    def start(self, now_ns: int) -> None:
        """Get ready for the first record; `now_ns` is CLOCK_MONOTONIC."""
        with self._lock:
            if self._summary is not None or not self.lent.closed:
                raise TraceError(f"{self._path}: a recording starts once")
            # a whole second of the calendar is the trace's start: files say it in microseconds
            second, into = divmod(now_ns + self._offset_ns, NS_PER_S)
            clock = max(now_ns - into, 0)
            self._writer = writer_of(
                self._path,
                replace(
                    self._options,
                    use_tsc=True,
                    start_tsc=clock,
                    start_sec=second,
                    start_usec=(clock + self._offset_ns - second * NS_PER_S) // 1000,
                ),
            )
            self._open(self._writer)

    def _open(self, out: TraceWriter) -> None:
        cpus = range(os.sysconf("SC_NPROCESSORS_CONF"))
        events, fields, classes = self._tables()
        spots = [[out.spot(class_, cpu) for class_ in classes] for cpu in cpus]
        out.publish()
        names = list(dict.fromkeys(spot.file for row in spots for spot in row))
        numbers = {name: number for number, name in enumerate(names)}
        kept = (
            ffi.new("struct mb_ltt_writer *[]", [out.output(n).writer.pointer for n in names]),
            ffi.new("uint32_t[]", [numbers[spot.file] for row in spots for spot in row]),
            ffi.new("uint32_t[]", [spot.class_index for spot in spots[0]]),
            ffi.new("uint32_t[]", [spot.id for spot in spots[0]]),
        )
        route = ffi.new("struct mb_ltt_route *")
        route.writers, route.files, route.classes, route.ids = kept
        route.writer_count, route.stream_count = len(names), len(cpus)
        route.class_count = len(classes)
        handle = lib.mb_recorder_create_ltt(
            route,
            ffi.new("struct mb_recorder_hook[]", events.rows),
            len(events.rows),
            ffi.new("struct mb_recorder_field[]", fields or 1),
            len(fields),
        )
        if handle == ffi.NULL:
            raise TraceError(f"{self._path}: these markers cannot be recorded")
        self.lent = self._handle(handle)

    def _tables(self) -> tuple[EventRows, list[tuple[int, int]], list[EventClass]]:
        """The rows of the C side's tables, and the classes that they number."""
        events = EventRows(len(self._classes))
        fields: list[tuple[int, int]] = []
        classes: list[EventClass] = []
        for hook, made in enumerate(self._classes):
            for class_, name in made:
                rows = [(f.slot, f.kind) for f in class_.payload]
                events.add(hook, (len(fields), len(rows), cpu_slot(class_), len(classes)))
                fields += rows
                classes.append(_event_class(class_, name, len(classes)))
        return events, fields, classes

    def lost(self, cpu: int, total: int) -> None:
        """So many hits of this CPU (-1: of some CPU) did not get into the ring so far."""
        with self.lent as handle:
            lib.mb_recorder_lost(handle, cpu, total)

    def flush(self) -> None:
        """Write out what is there; call it about once a second while nothing comes."""
        with self.lent as handle:
            lib.mb_recorder_flush(handle)

    def close(self) -> RecordingSummary:
        """Finish the trace; what it holds, also if that was done before."""
        with self._lock:
            if self._summary is None:
                if self.lent.closed:
                    self.start(time.monotonic_ns())
                self._summary = self._finish()
            return self._summary

    def _finish(self) -> RecordingSummary:
        with self.lent as handle:
            written, dropped = lib.mb_recorder_written(handle), lib.mb_recorder_dropped(handle)
            unreadable, last = (
                lib.mb_recorder_unreadable(handle),
                lib.mb_recorder_last(handle),
            )
            self.lent.close(0)
        error = ""
        if self._writer is not None:
            try:
                self._writer.finish_at(last)
            except TraceError as wrong:
                error = str(wrong)
        return RecordingSummary(written, dropped, error, unreadable)


def _event_class(class_: WrittenClass, name: str, number: int) -> EventClass:
    return EventClass(name, number, Struct(tuple(f.field for f in class_.payload)))
