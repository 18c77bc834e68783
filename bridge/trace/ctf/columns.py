"""Batches of a CTF cursor -> columns.

Where all fields of a class take the same number of slots in each event, numbers go from C
buffers to arrays without a Python object per event; any other class is decoded event by event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge._native import ffi
from bridge.trace.arrays import Array, Pieces, dtype, numbers, numpy, objects
from bridge.trace.ctf.values import decoder, raw_taker
from bridge.trace.model import Enumeration, FixedArray, Float, Integer, Sequence, Text, is_raw

if TYPE_CHECKING:
    from bridge.trace.ctf.reader import CtfReader
    from bridge.trace.model import Field, FieldType, Struct
    from bridge.trace.selection import Selection

_FORMATS = {
    "clock": "u8",
    "time_ns": "i8",
    "stream": "u4",
    "event_class": "u4",
    "packet": "u8",
    "slot": "u4",
    "slots": "u4",
    "cpu": "i4",
}


def _event_type() -> dict[str, object]:
    """A `struct mb_ctf_event` as numpy sees it."""
    return {
        "names": list(_FORMATS),
        "formats": list(_FORMATS.values()),
        "offsets": [ffi.offsetof("struct mb_ctf_event", name) for name in _FORMATS],
        "itemsize": ffi.sizeof("struct mb_ctf_event"),
    }


def _slots_of(kind: FieldType) -> int:
    """How many slots values of a type take; 0 if that depends on the value."""
    match kind:
        case Integer() | Enumeration() | Float():
            return 1
        case Text():
            return 2
        case FixedArray(element=element) | Sequence(element=element) if is_raw(element):
            return 2
        case _:
            return 0


def _encoding(kind: FieldType) -> str:
    """Of text, or of what is taken as a whole like text."""
    if isinstance(kind, Text):
        return kind.encoding
    assert isinstance(kind, FixedArray | Sequence)
    assert isinstance(kind.element, Integer)
    return kind.element.encoding


@dataclass(frozen=True, slots=True)
class _Shape:
    """The scopes of a class in the order of the stream, and whether they are the payload."""

    scopes: tuple[tuple[Struct, bool], ...]

    @property
    def flat(self) -> bool:
        """Whether each field is at the same slot in all events."""
        return all(_slots_of(f.type) for struct, _ in self.scopes for f in struct.fields)

    def type_of(self, payload: bool, name: str) -> FieldType:
        """The type of a field; of two of one name in the context the later one counts."""
        structs = [struct for struct, own in self.scopes if own is payload]
        return [f.type for struct in structs for f in struct.fields if f.name == name][-1]


class _Collector:
    def __init__(self, reader: CtfReader, selection: Selection) -> None:
        plan = reader.plan
        streams = {stream.id: stream for stream in plan.streams}
        self._np = numpy()
        self._type = self._np.dtype(_event_type())
        self._classes = reader.classes
        self._shapes = []
        for event in plan.events:
            common = streams[event.stream_id].event_context
            scopes = [(s, False) for s in (common, event.event.context) if s is not None]
            self._shapes.append(_Shape((*scopes, (event.event.payload, True))))
        self._cpus = selection.cpus
        self._seen = 0
        self.pieces: dict[int, Pieces] = {}

    def batch(self, events_memory: object, slots_memory: object) -> None:
        """Sort the events of a batch into the columns of their classes."""
        np = self._np
        events = np.frombuffer(events_memory, dtype=self._type)
        slots = np.frombuffer(slots_memory, dtype="i8")
        order = np.arange(self._seen, self._seen + len(events))
        self._seen += len(events)
        kept = np.ones(len(events), dtype=bool)
        if self._cpus is not None:
            kept = np.isin(events["cpu"], list(self._cpus))
        for index in np.unique(events["event_class"][kept]).tolist():
            chosen = kept & (events["event_class"] == index)
            if index not in self.pieces:
                self.pieces[index] = Pieces(self._classes[index])
            pieces = self.pieces[index]
            own = events[chosen]
            pieces.order.append(order[chosen])
            pieces.time.append(own["time_ns"].copy())
            pieces.tsc.append(own["clock"].copy())
            pieces.cpu.append(own["cpu"].copy())
            take = self._flat if self._shapes[index].flat else self._nested
            take(self._shapes[index], own["slot"], slots, pieces)

    def _flat(self, shape: _Shape, first: Array, slots: Array, pieces: Pieces) -> None:
        at = 0
        found: dict[tuple[bool, str], Array] = {}
        for struct, is_payload in shape.scopes:
            for member in struct.fields:
                found[is_payload, member.name] = self._column(member, first + at, slots)
                at += _slots_of(member.type)
        for (is_payload, name), column in found.items():
            (pieces.fields if is_payload else pieces.context)[name].append(column)

    def _column(self, member: Field, places: Array, slots: Array) -> Array:
        values = numbers(member.type, slots[places])
        if values is not None:
            return values
        pairs = zip(slots[places].tolist(), slots[places + 1].tolist(), strict=True)
        take = raw_taker(_encoding(member.type))
        return objects([take(address, length) for address, length in pairs])

    def _nested(self, shape: _Shape, first: Array, slots: Array, pieces: Pieces) -> None:
        decoders = [(decoder(struct), payload) for struct, payload in shape.scopes]
        row_slots = slots.tolist()
        columns: dict[tuple[bool, str], list[object]] = {
            (payload, f.name): [] for struct, payload in shape.scopes for f in struct.fields
        }
        for start in first.tolist():
            at, row = start, {}
            for decode, payload in decoders:
                values, at = decode(row_slots, at)
                assert isinstance(values, dict)
                row.update({(payload, name): value for name, value in values.items()})
            for key, value in row.items():
                columns[key].append(value)
        for (payload, name), found in columns.items():
            into = pieces.fields if payload else pieces.context
            into[name].append(self._values(shape, payload, name, found))

    def _values(self, shape: _Shape, payload: bool, name: str, found: list[object]) -> Array:
        wanted = dtype(shape.type_of(payload, name))
        return objects(found) if wanted is None else self._np.array(found, dtype=wanted)


def collect(reader: CtfReader, selection: Selection) -> list[Pieces]:
    """The pieces of each class of the selected events."""
    collector = _Collector(reader, selection)
    for events, slots in reader.cursor(selection).buffers():
        reader.opened.check()
        collector.batch(events, slots)
    return list(collector.pieces.values())
