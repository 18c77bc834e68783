"""A trace by column: for each event class one numpy array per field.

Integers keep their width and sign, floats are doubles, text and nested values are objects.
The rule: numbers go from C buffers to arrays without a Python object per event.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.errors import TraceError
from bridge.trace import model
from bridge.trace.ltt import payload
from bridge.trace.ltt.cursor import NONE
from bridge.trace.ltt.reader import EVERYTHING, LttReader, Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from bridge.trace.ltt.cursor import Cursor

Array = Any
"""A numpy array; numpy is optional, so its types are not named here."""

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


@dataclass(frozen=True, slots=True)
class Columns:
    """All events of one class, in order of time."""

    event_class: model.EventClass
    timestamp_ns: Array
    tsc: Array
    cpu: Array
    fields: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.tsc)


@dataclass(slots=True)
class _Pieces:
    """The parts of the columns of a class that each batch gave."""

    time: list[Array] = field(default_factory=list)
    tsc: list[Array] = field(default_factory=list)
    cpu: list[Array] = field(default_factory=list)
    values: dict[str, list[Array]] = field(default_factory=lambda: defaultdict(list))


def _numpy() -> ModuleType:
    try:
        import numpy as np
    except ImportError as error:
        raise TraceError("columns need numpy (pip install markbridge[numpy])") from error
    return np


def _dtype(kind: model.FieldType) -> str | None:
    match kind:
        case model.Enumeration():
            return _dtype(kind.container)
        case model.Integer():
            return f"{'i' if kind.signed else 'u'}{kind.bits // 8}"
        case model.Float():
            return "f8"
        case _:
            return None


def _objects(np: ModuleType, values: list[object]) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


class _Collector:
    def __init__(self, np: ModuleType, cursor: Cursor, reader: LttReader) -> None:
        self.np = np
        self.cursor = cursor
        self.classes = [entry.event_class for entry in reader.tables.classes]
        self.pieces: dict[int, _Pieces] = defaultdict(_Pieces)

    def batch(self, got: int, cpus: Array) -> None:
        """Sort the events in the buffers into the columns of their classes."""
        np, cursor = self.np, self.cursor
        size = got * ffi.sizeof("struct mb_ltt_event")
        events = np.frombuffer(ffi.buffer(cursor.events, size), dtype=_EVENT)
        slots = np.frombuffer(ffi.buffer(cursor.slots, cursor.max_slots * 8), dtype="i8")
        for index in np.unique(events["class_index"]).tolist():
            if index == NONE:
                continue
            own = events[events["class_index"] == index]
            pieces = self.pieces[index]
            pieces.time.append(own["time_ns"].astype("i8"))
            pieces.tsc.append(own["tsc"].copy())
            pieces.cpu.append(cpus[own["stream"]])
            self._fields(self.classes[index].payload, own, slots, pieces)

    def _fields(self, kind: model.Struct, own: Array, slots: Array, pieces: _Pieces) -> None:
        if not all(isinstance(f.type, _SCALARS) for f in kind.fields):
            self._nested(kind, own, slots, pieces)
            return
        for position, member in enumerate(kind.fields):
            column = slots[own["slot"] + position]
            dtype = _dtype(member.type)
            if dtype is None:
                column = self._texts(column)
            elif isinstance(member.type, model.Float):
                column = column.view("f8")
            else:
                column = column.astype(dtype)
            pieces.values[member.name].append(column)

    def _texts(self, column: Array) -> Array:
        arena = self.cursor.arena_view()
        kind = model.Struct((model.Field("", model.Text()),))
        decode = payload.decoder(kind)
        return _objects(self.np, [decode([slot], arena)[""] for slot in column.tolist()])

    def _nested(self, kind: model.Struct, own: Array, slots: Array, pieces: _Pieces) -> None:
        arena = self.cursor.arena_view()
        decode = payload.decoder(kind)
        rows = [
            decode(slots[first : first + count].tolist(), arena)
            for first, count in zip(own["slot"].tolist(), own["slots"].tolist(), strict=True)
        ]
        for member in kind.fields:
            values: list[object] = [row[member.name] for row in rows]
            pieces.values[member.name].append(_objects(self.np, values))

    def columns(self, indices: list[int]) -> Columns:
        """The columns of a class, which may have had several ids."""
        join = self.np.concatenate
        all_pieces = [self.pieces[index] for index in indices]
        tsc = join([part for p in all_pieces for part in p.tsc])
        order = self.np.argsort(tsc, kind="stable") if len(indices) > 1 else slice(None)

        def joined(parts: list[Array]) -> Array:
            return join(parts)[order]

        return Columns(
            self.classes[indices[0]],
            joined([part for p in all_pieces for part in p.time]),
            tsc[order],
            joined([part for p in all_pieces for part in p.cpu]),
            {
                name: joined([part for p in all_pieces for part in p.values[name]])
                for name in all_pieces[0].values
            },
        )


def columns(
    reader: LttReader, names: Iterable[str] | None = None, selection: Selection = EVERYTHING
) -> dict[str, Columns]:
    """The events of a trace by class name; only the classes `names` if given."""
    from dataclasses import replace

    np = _numpy()
    if names is not None:
        selection = replace(selection, names=frozenset(names))
    cursor, tables = reader.select(selection)
    cursor.enlarge(_BATCH)
    cpus = np.array([stream.cpu for stream in tables.streams], dtype="i4")
    collector = _Collector(np, cursor, reader)
    for got in cursor.batches(lib.MB_LTT_WITH_FIELDS):
        collector.batch(got, cpus)
    reader.report(cursor, tables)
    indices: dict[str, list[int]] = defaultdict(list)
    for index in collector.pieces:
        indices[collector.classes[index].name].append(index)
    return {name: collector.columns(own) for name, own in indices.items()}
