"""Batches of an LTT cursor -> columns. Numbers go from C buffers to arrays without a Python

object per event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge._native import ffi, lib
from bridge.trace import model
from bridge.trace.arrays import Array, Pieces, numbers, numpy, objects
from bridge.trace.ltt import payload
from bridge.trace.ltt.cursor import NONE

if TYPE_CHECKING:
    from bridge.trace.ltt.cursor import LttCursor
    from bridge.trace.ltt.reader import LttReader
    from bridge.trace.selection import Selection

_EVENT = [
    ("tsc", "u8"),
    ("time_ns", "u8"),
    ("stream", "u4"),
    ("class_index", "u4"),
    ("id", "u4"),
    ("size", "u4"),
    ("block", "u4"),
    ("offset", "u4"),
    ("slot", "u4"),
    ("slots", "u4"),
    ("bytes", "u8"),
]
_BATCH = 1 << 16
_SCALARS = (model.Integer, model.Float, model.Text, model.Enumeration)


class _Collector:
    def __init__(self, cursor: LttCursor, reader: LttReader) -> None:
        self.np = numpy()
        self.cursor = cursor
        self.classes = [entry.event_class for entry in reader.tables.classes]
        self.pieces: dict[int, Pieces] = {}
        self._seen = 0

    def batch(self, got: int, cpus: Array) -> None:
        """Sort the events in the buffers into the columns of their classes."""
        np, cursor = self.np, self.cursor
        size = got * ffi.sizeof("struct mb_ltt_event")
        events = np.frombuffer(ffi.buffer(cursor.events, size), dtype=_EVENT)
        slots = np.frombuffer(ffi.buffer(cursor.slots, cursor.max_slots * 8), dtype="i8")
        order = np.arange(self._seen, self._seen + got)
        self._seen += got
        for index in np.unique(events["class_index"]).tolist():
            if index == NONE:
                continue
            chosen = events["class_index"] == index
            own = events[chosen]
            if index not in self.pieces:
                self.pieces[index] = Pieces(self.classes[index])
            pieces = self.pieces[index]
            pieces.order.append(order[chosen])
            pieces.time.append(own["time_ns"].astype("i8"))
            pieces.tsc.append(own["tsc"].copy())
            pieces.cpu.append(cpus[own["stream"]])
            self._fields(self.classes[index].payload, own, slots, pieces)

    def _fields(self, kind: model.Struct, own: Array, slots: Array, pieces: Pieces) -> None:
        if not all(isinstance(f.type, _SCALARS) for f in kind.fields):
            self._nested(kind, own, slots, pieces)
            return
        for position, member in enumerate(kind.fields):
            column = slots[own["slot"] + position]
            values = numbers(member.type, column)
            pieces.fields[member.name].append(self._texts(column) if values is None else values)

    def _texts(self, column: Array) -> Array:
        arena = self.cursor.arena_view()
        kind = model.Struct((model.Field("", model.Text()),))
        decode = payload.decoder(kind)
        return objects([decode([slot], arena)[""] for slot in column.tolist()])

    def _nested(self, kind: model.Struct, own: Array, slots: Array, pieces: Pieces) -> None:
        arena = self.cursor.arena_view()
        decode = payload.decoder(kind)
        rows = [
            decode(slots[first : first + count].tolist(), arena)
            for first, count in zip(own["slot"].tolist(), own["slots"].tolist(), strict=True)
        ]
        for member in kind.fields:
            pieces.fields[member.name].append(objects([row[member.name] for row in rows]))


def collect(reader: LttReader, selection: Selection) -> list[Pieces]:
    """The pieces of each class of the selected events."""
    cursor, tables = reader.select(selection)
    cursor.enlarge(_BATCH)
    cpus = numpy().array([stream.cpu for stream in tables.streams], dtype="i4")
    collector = _Collector(cursor, reader)
    for got in cursor.batches(lib.MB_LTT_WITH_FIELDS):
        collector.batch(got, cpus)
    reader.report(cursor, tables)
    return list(collector.pieces.values())
