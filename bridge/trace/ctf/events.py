"""Batches of a CTF cursor -> events of the model, by one function for each class.

The function is one expression with the places of the fields in it; events of classes that have
none (with options, say) are made by `Takers`, which the functions are held equal to.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.trace.ctf.cursor import EVENT_BYTES, event_columns, raw_events
from bridge.trace.ctf.layout import width
from bridge.trace.ctf.takers import Takers
from bridge.trace.ctf.values import MASK, raw_taker
from bridge.trace.model import (
    BYTES,
    Enumeration,
    Event,
    FieldType,
    FixedArray,
    Float,
    Integer,
    Sequence,
    Struct,
    Text,
    is_raw,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.trace.ctf.cursor import CtfCursor
    from bridge.trace.ctf.reader import CtfReader
    from bridge.trace.model import Value

    Maker = Callable[..., Event]

MOST_FIELDS = 250
"""Of a class that gets a function."""


class _Piece:
    """The expressions of a class's fields, and how many slots they take.

    Places count from `base`, which a sequence moves by the number of its elements.
    """

    def __init__(self) -> None:
        self.slots = 0
        self.base = "a"
        self.others: dict[str, Callable[[int, int], str | bytes]] = {}

    def value(self, kind: FieldType) -> str | None:
        """The expression of the next field; None if it has none."""
        at = f"{self.base} + {self.slots}"
        self.slots += 1
        match kind:
            case Enumeration(container=container):
                self.slots -= 1
                return self.value(container)
            case Integer(form="bool"):
                return f"s[{at}] != 0"
            case Integer(signed=signed, bits=bits):
                return f"s[{at}]" if signed or bits < 64 else f"s[{at}] & {MASK}"
            case Float():
                return f"d[{at}]"
            case Text(encoding=encoding):
                return self._text(encoding, at)
            case (
                FixedArray(element=Integer(encoding=encoding) as element)
                | Sequence(element=Integer(encoding=encoding) as element)
            ) if is_raw(element):
                return self._text(encoding, at)
            case _:
                return self._compound(kind, at)

    def _compound(self, kind: FieldType, at: str) -> str | None:
        match kind:
            case FixedArray(element=element, length=length):
                self.slots += length - 1
                return _elements(element, at, f"{self.base} + {self.slots}")
            case Sequence(element=element):
                start = f"{self.base} + {self.slots}"
                end = f"(q := {self.base} + s[{at}]) + {self.slots}"
                self.base = "q"
                return _elements(element, start, end)
            case Struct(overlay=False):
                self.slots -= 1
                rows = _members(kind, self)
                return None if rows is None else f"{{{', '.join(rows)}}}"
            case _:
                return None

    def _text(self, encoding: str, at: str) -> str:
        self.slots += 1
        if encoding != BYTES and width(encoding) > 1:
            name = f"t{len(self.others)}"
            self.others[name] = raw_taker(encoding)
            return f"{name}(s[{at}], s[{at} + 1])"
        decode = "" if encoding == BYTES else ".decode('utf-8', 'surrogateescape')"
        return f"m[s[{at}] - b:s[{at}] - b + s[{at} + 1]]{decode}"


def _elements(kind: FieldType, start: str, end: str) -> str | None:
    """The expression of numbers in a row."""
    row = f"s[{start}:{end}]"
    match kind:
        case Enumeration(container=container):
            return _elements(container, start, end)
        case Integer(form="bool"):
            return f"list(map(bool, {row}))"  # a comprehension may not hold `:=`
        case Integer(signed=signed, bits=bits):
            return row if signed or bits < 64 else f"list(map(({MASK}).__and__, {row}))"
        case Float():
            return f"d[{start}:{end}].tolist()"
        case _:
            return None


def _members(struct: Struct, piece: _Piece) -> list[str] | None:
    """The members of a dictionary; None if a field has no expression."""
    rows = []
    for member in struct.fields:
        value = piece.value(member.type)
        if value is None:
            return None
        rows.append(f"{member.name!r}: {value}")
    return rows


def _mapped(cursor: CtfCursor, stream: int) -> tuple[mmap.mmap, int, str]:
    """The bytes of a stream, the address that they have for C, and the stream's name.

    They are mapped once more, because slices of a `mmap` are the fastest way to bytes.
    """
    size = ffi.new("uint64_t *")
    data = lib.mb_ctf_mapped(cursor.handle, stream, size)
    path = cursor.files[stream]
    with path.open("rb") as file:
        bytes_ = mmap.mmap(file.fileno(), size[0], prot=mmap.PROT_READ)
    return bytes_, int(ffi.cast("uintptr_t", data)), path.name


class _Makers(dict[int, "Maker"]):
    """What makes the events of a class, made when its first event comes."""

    def __init__(self, make: Callable[[int], Maker]) -> None:
        self._make = make

    def __missing__(self, index: int) -> Maker:
        made = self[index] = self._make(index)
        return made


class Events:
    """Makes the events of one iteration."""

    def __init__(self, reader: CtfReader, cursor: CtfCursor) -> None:
        self._reader = reader
        self._cursor = cursor
        self._takers = Takers(reader, cursor)
        self._streams = {stream.id: stream for stream in reader.plan.streams}
        self._makers = _Makers(self._maker)
        self._mapped = [_mapped(cursor, index) for index in range(len(cursor.files))]

    def __iter__(self) -> Iterator[Event]:
        """The selected ones, as long as the trace is open."""
        opened, cpus, makers = self._reader.opened, self._reader.cpus, self._makers
        for events, slots in self._cursor.buffers():
            s, d = memoryview(slots).cast("q").tolist(), memoryview(slots).cast("d")
            clock, time, stream, index, packet, slot, cpu = event_columns(events)
            packets = list(zip(stream, packet, strict=True))
            known = {key: self._of_packet(events, packets.index(key)) for key in set(packets)}
            rows = zip(clock, time, index, slot, cpu, packets, strict=True)
            for c, t, k, a, n, key in rows:
                if opened.closed:
                    opened.check()
                if cpus is None or n in cpus:
                    yield makers[k](s, d, a, t, c, n, *known[key])
        opened.check()

    def _of_packet(self, events: Any, at: int) -> tuple[dict[str, Value], mmap.mmap, int, str]:  # noqa: ANN401
        """What the events of a packet share."""
        raw = raw_events(events[at * EVENT_BYTES : (at + 1) * EVENT_BYTES])[0]
        return self._takers.packet_context(raw, raw.event_class), *self._mapped[raw.stream]

    def _maker(self, index: int) -> Maker:
        return self._expression(index) or self._takers.maker(index)

    def _expression(self, index: int) -> Maker | None:
        """The function of a class; None if it gets none."""
        event = self._reader.plan.events[index]
        piece = _Piece()
        common = self._streams[event.stream_id].event_context
        structs = [s for s in (common, event.event.context) if s is not None]
        if sum(len(s.fields) for s in (*structs, event.event.payload)) > MOST_FIELDS:
            return None
        context = []
        for struct in structs:
            members = _members(struct, piece)
            if members is None:
                return None
            context += members
        if piece.base != "a":
            return None  # fields are read before the context, whose sequences move them
        fields = _members(event.event.payload, piece)
        if fields is None:
            return None
        text = (
            "lambda s, d, a, time, clock, cpu, p, m, b, stream: Event(kind, time, clock, cpu,"
            f" stream, {{{', '.join(fields)}}}, {{**p, {', '.join(context)}}})"
        )
        known = {"Event": Event, "kind": self._reader.classes[index], **piece.others}
        made: Maker = eval(text, known)  # noqa: S307 - of names in quotes and numbers
        return made
