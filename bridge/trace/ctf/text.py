"""Events of a CTF folder -> lines of text in the form of babeltrace2's `sink.text.pretty`.

Byte for byte, with its default options. Each structure gets a function from slots to text.
"""

from __future__ import annotations

import heapq
import math
import struct as binary
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, assert_never

from bridge.trace.ctf.description import NO_PAYLOAD
from bridge.trace.ctf.layout import CtfScope
from bridge.trace.ctf.shown import ShownFields, shown
from bridge.trace.ctf.values import MASK, decoder, raw_taker, text_at
from bridge.trace.model import (
    Enumeration,
    Field,
    FieldType,
    FixedArray,
    Float,
    Integer,
    Optional,
    Sequence,
    Struct,
    Text,
    Variant,
    is_raw,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bridge.trace.ctf.cursor import CtfCursor, RawCtfEvent
    from bridge.trace.ctf.reader import CtfReader

    Slots = Any
    Line = tuple[int, int, bool, str]
    """Time in ns and in cycles, whether there is a clock, and the text after the time."""
    Printer = Callable[[Slots, int], tuple[str, int]]
    """Slots and a position -> the text of the value there, and the position after it."""

NS_PER_S = 1_000_000_000
_DOUBLE = binary.Struct("=d")
_QUAD = binary.Struct("=q")

_ESCAPES = str.maketrans(
    {
        **{chr(code): f"\\x{code:02x}" for code in (*range(32), 127)},
        "\\": "\\\\",
        "'": "\\'",
        '"': '\\"',
        "?": "\\?",
        "\a": "\\a",
        "\b": "\\b",
        "\x1b": "\\e",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
    }
)


def quoted(text: str) -> str:
    """Text between quotes, with what is special escaped."""
    return f'"{text.translate(_ESCAPES)}"'


# --- values -----------------------------------------------------------------------------------


def _binary(bits: int) -> Callable[[int], str]:
    return lambda value: f"0b{value & ((1 << bits) - 1):0{bits}b}"


def _octal(bits: int, signed: bool) -> Callable[[int], str]:
    mask = MASK if not signed or bits >= 64 else (1 << (((bits - 1) // 3 + 1) * 3)) - 1
    return lambda value: f"0{value & mask:o}"


def _hexadecimal(bits: int) -> Callable[[int], str]:
    mask = MASK if bits >= 64 else (1 << ((bits + 3) & ~3)) - 1
    return lambda value: f"0x{value & mask:X}"


def number(type_: Integer) -> Callable[[int], str]:
    """How numbers of a type are written."""
    if type_.form == "bits":
        return bits_text(type_)
    match type_.base:
        case 2:
            return _binary(type_.bits)
        case 8:
            return _octal(type_.bits, type_.signed)
        case 16:
            return _hexadecimal(type_.bits)
        case _:
            return str if type_.signed else lambda value: str(value & MASK)


def bits_text(type_: Integer) -> Callable[[int], str]:
    """How rows of bits are written: as a number, and the flags that have a bit set."""

    def written(value: int) -> str:
        value &= MASK
        names = sorted(
            {
                name
                for name, first, last in type_.flags
                if value >> first & ((1 << (last - first + 1)) - 1)
            }
        )
        shown = f" {{ {', '.join(map(quoted, names))} }}" if names else ""
        return f"0x{value:X}{shown}"

    return written


def _integer(type_: Integer) -> Printer:
    if type_.form == "bool":
        return lambda slots, at: ("true" if slots[at] else "false", at + 1)
    if type_.base == 10 and type_.signed:
        return lambda slots, at: (str(slots[at]), at + 1)
    if type_.base == 10:
        return lambda slots, at: (str(slots[at] & MASK), at + 1)
    written = number(type_)
    return lambda slots, at: (written(slots[at]), at + 1)


def _enumeration(type_: Enumeration, braces: bool) -> Printer:
    """Several labels stand in braces where babeltrace2 2.2 writes them, which reads CTF 2."""
    written = number(type_.container)
    unsigned = 0 if type_.container.signed else MASK

    @cache
    def labels(value: int) -> str:
        found = dict.fromkeys(n for n, low, high in type_.labels if low <= value <= high)
        shown = ", ".join(map(quoted, found)) if found else "<unknown>"
        return f"{{ {shown} }}" if braces and len(found) > 1 else shown

    def show(slots: Slots, at: int) -> tuple[str, int]:
        value = slots[at]
        known = labels(value & unsigned if unsigned else value)
        return f"( {known} : container = {written(value)} )", at + 1

    return show


def _real(slots: Slots, at: int) -> tuple[str, int]:
    value: float = _DOUBLE.unpack(_QUAD.pack(slots[at]))[0]
    if math.isnan(value):
        return ("-nan" if math.copysign(1, value) < 0 else "nan"), at + 1
    return f"{value:g}", at + 1


def _raw(encoding: str) -> Printer:
    """What writes text of an encoding, or bytes."""
    take = raw_taker(encoding)
    if take is text_at:
        return _text

    def show(slots: Slots, at: int) -> tuple[str, int]:
        value = take(slots[at], slots[at + 1])
        if isinstance(value, bytes):
            return "{ " + "".join(f"{byte:02x} " for byte in value) + "}", at + 2
        return quoted(value.partition("\0")[0]), at + 2

    return show


def _text(slots: Slots, at: int) -> tuple[str, int]:
    text = text_at(slots[at], slots[at + 1])
    if not text.isalnum():  # as babeltrace2, whose strings end at a NUL
        text = text.partition("\0")[0].translate(_ESCAPES)
    return f'"{text}"', at + 2


def _array(element: Printer, length: int | None) -> Printer:
    def show(slots: Slots, at: int) -> tuple[str, int]:
        count = length
        if count is None:
            count, at = slots[at], at + 1
        parts = []
        for i in range(count):
            text, at = element(slots, at)
            parts.append(f" [{i}] = {text}")
        return f"[{','.join(parts)} ]", at

    return show


def _skipping(type_: FieldType) -> Printer:
    skip = decoder(type_)

    def show(slots: Slots, at: int) -> tuple[str, int]:
        return "", skip(slots, at)[1]

    return show


FLAT = {Integer: 1, Enumeration: 1, Float: 1, Text: 2}
"""Types that always take the same number of slots."""


def _piece(type_: FieldType, at: str, name: str) -> str:
    """The replacement field of an f-string that writes a flat value at slot `at`."""
    match type_:
        case Integer(form="bool" | "bits"):
            return f"{{{name}(s, {at})[0]}}"
        case Integer(base=10, signed=True):
            return f"{{s[{at}]}}"
        case Integer(base=10, bits=bits):
            return f"{{s[{at}] & {MASK}}}" if bits == 64 else f"{{s[{at}]}}"
        case _:
            return f"{{{name}(s, {at})[0]}}"


def _flat(members: tuple[Field, ...], shown: ShownFields, depth: int) -> Printer:
    """What writes a structure of flat fields: one f-string, which is three times as fast."""
    pieces: list[str] = []
    printers: dict[str, Printer] = {}
    slot = 0
    for number, member in enumerate(members):
        if not shown.hides(member.name, member.type, depth):
            printers[f"p{number}"] = _printer(member.type, shown, depth + 1)
            piece = _piece(member.type, f"at + {slot}", f"p{number}")
            pieces.append(f" {member.name} = {piece}")
        slot += FLAT[type(member.type)]
    text = "{{" + ",".join(pieces) + " }}"
    made: Printer = eval(f"lambda s, at: (f'{text}', at + {slot})", printers)  # noqa: S307 - names of the metadata are identifiers
    return made


def _struct(type_: Struct, shown: ShownFields, depth: int) -> Printer:
    if all(type(f.type) in FLAT and f.name.isidentifier() for f in type_.fields):
        return _flat(type_.fields, shown, depth)
    members: list[tuple[str, Printer]] = []
    for member in type_.fields:
        if shown.hides(member.name, member.type, depth):
            members.append(("", _skipping(member.type)))
        else:
            members.append((f" {member.name} = ", _printer(member.type, shown, depth + 1)))

    def show(slots: Slots, at: int) -> tuple[str, int]:
        parts = []
        for label, member in members:
            text, at = member(slots, at)
            if label:
                parts.append(label + text)
        return f"{{{','.join(parts)} }}", at

    return show


def _variant(options: tuple[Field, ...], shown: ShownFields, depth: int) -> Printer:
    members = [_printer(f.type, shown, depth + 1) for f in options]

    def show(slots: Slots, at: int) -> tuple[str, int]:
        text, at = members[slots[at]](slots, at + 1)
        return f"{{ {text} }}", at

    return show


def _optional(element: Printer) -> Printer:
    def show(slots: Slots, at: int) -> tuple[str, int]:
        if not slots[at]:
            return "<none>", at + 1
        text, at = element(slots, at + 1)
        return f"{{ {text} }}", at

    return show


def _elements(type_: FixedArray | Sequence, shown: ShownFields, depth: int) -> Printer:
    element = type_.element
    if isinstance(element, Integer) and is_raw(element):
        return _raw(element.encoding)
    length = type_.length if isinstance(type_, FixedArray) else None
    return _array(_printer(element, shown, depth + 1), length)


def _printer(type_: FieldType, shown: ShownFields, depth: int) -> Printer:
    match type_:
        case Integer():
            return _integer(type_)
        case Enumeration():
            return _enumeration(type_, shown.exact)
        case Float():
            return _real
        case Text(encoding=encoding):
            return _raw(encoding)
        case FixedArray() | Sequence():
            return _elements(type_, shown, depth)
        case Struct():
            return _struct(type_, shown, depth)
        case Variant(options=options):
            return _variant(options, shown, depth)
        case Optional(element=element):
            return _optional(_printer(element, shown, depth + 1))
        case _:
            assert_never(type_)


# --- time -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextOptions:
    """How time is written: as babeltrace2's options of the same names."""

    clock_cycles: bool = False
    clock_seconds: bool = False
    clock_date: bool = False
    clock_gmt: bool = False
    no_delta: bool = False


class Stamps:
    """Writes time stamps and the time since the event before."""

    def __init__(self, options: TextOptions) -> None:
        self._options = options
        self._before: int | None = None
        self._second: int | None = None
        self._second_text = ""

    def stamp(self, time_ns: int, cycles: int) -> str:
        """`[time] (+delta) `."""
        if self._options.clock_cycles:
            text = f"[{cycles:020d}] "
            now, digits = cycles, 0
        else:
            text = f"[{self._wall(time_ns)}] "
            now, digits = time_ns, 9
        if self._options.no_delta:
            return text
        before, self._before = self._before, now
        return text + _delta(None if before is None else now - before, digits)

    def _wall(self, time_ns: int) -> str:
        if time_ns < 0 or self._options.clock_seconds:
            seconds, ns = divmod(abs(time_ns), NS_PER_S)
            return f"{'-' if time_ns < 0 else ''}{seconds}.{ns:09d}"
        seconds, ns = divmod(time_ns, NS_PER_S)
        if seconds != self._second:
            self._second = seconds
            broken = (
                time.gmtime(seconds) if self._options.clock_gmt else time.localtime(seconds)
            )
            date = "%Y-%m-%d " if self._options.clock_date else ""
            self._second_text = time.strftime(f"{date}%H:%M:%S", broken)
        return f"{self._second_text}.{ns:09d}"


def _delta(delta: int | None, digits: int) -> str:
    if not digits:
        return "(+????????????) " if delta is None else f"(+{delta & MASK:012d}) "
    if delta is None:
        return "(+?.?????????) "
    seconds, ns = divmod(delta & MASK, NS_PER_S)
    return f"(+{seconds}.{ns:09d}) "


# --- events -----------------------------------------------------------------------------------


def origin_text(environment: dict[str, str | int]) -> str:
    """`host:process:(pid) `, as far as the trace knows them."""
    parts = [str(environment[n]) for n in ("hostname", "procname") if n in environment]
    if isinstance(vpid := environment.get("vpid"), int):
        parts.append(f"({vpid})")
    return ":".join(parts) + " " if parts else ""


class Lines:
    """The events of one trace as text, without their time stamps."""

    def __init__(self, reader: CtfReader) -> None:
        self._reader = reader
        origin = origin_text(reader.environment)
        by_scope = {scope: shown(reader.plan, scope) for scope in CtfScope}
        streams = {stream.id: stream for stream in reader.plan.streams}
        self._classes = []
        for event in reader.plan.events:
            stream = streams[event.stream_id]
            payload = event.event.payload
            scopes = (
                (CtfScope.EVENT_CONTEXT, stream.event_context),
                (CtfScope.CONTEXT, event.event.context),
                (CtfScope.PAYLOAD, None if payload is NO_PAYLOAD else payload),
            )
            printers = [_scope(by_scope[scope], struct) for scope, struct in scopes]
            packet = _scope(by_scope[CtfScope.PACKET_CONTEXT], stream.packet_context)
            head = f"{origin}{event.event.name or '<unknown>'}: "
            self._classes.append((bool(stream.clock), head, packet, printers))

    def __iter__(self) -> Iterator[Line]:
        cursor = self._reader.cursor()
        return self._reader.opened.guard(self._lines(cursor))

    def _lines(self, cursor: CtfCursor) -> Iterator[Line]:
        packets = _Packets(cursor)
        for events, slots in cursor.batches():
            for raw in events:
                if self._reader.keeps(raw):
                    yield self._line(raw, slots, packets)

    def of(self, cursor: CtfCursor) -> Callable[[RawCtfEvent, Slots], Line]:
        """What makes the line of one event of a cursor."""
        packets = _Packets(cursor)
        return lambda raw, slots: self._line(raw, slots, packets)

    def _line(self, raw: RawCtfEvent, slots: Slots, packets: _Packets) -> Line:
        timed, head, packet, printers = self._classes[raw.event_class]
        parts = []
        if packet is not None:
            parts.append(packets.text(raw, packet[0]))
        at = raw.slot
        for printer in printers:
            if printer is None:
                continue
            shown, at = printer[0](slots, at)
            if printer[1]:
                parts.append(shown)
        return raw.time_ns, raw.clock, timed, head + ", ".join(parts)


class _Packets:
    """The contexts of the packets that a cursor is in, as text."""

    def __init__(self, cursor: CtfCursor) -> None:
        self._cursor = cursor
        self._texts: dict[int, tuple[int, str]] = {}

    def text(self, raw: RawCtfEvent, printer: Printer) -> str:
        """The context of an event's packet."""
        known = self._texts.get(raw.stream)
        if known is None or known[0] != raw.packet:
            slots = self._cursor.packet_context(raw.stream, raw.packet)
            known = raw.packet, printer(slots, 0)[0]
            self._texts[raw.stream] = known
        return known[1]


def lines(readers: Iterable[CtfReader], options: TextOptions) -> Iterator[str]:
    """The events of some traces in order of time, a line each, without the newline."""
    rows = [Lines(reader) for reader in readers]
    merged: Iterable[Line] = rows[0]
    if len(rows) > 1:
        merged = heapq.merge(*rows, key=lambda line: line[0])
    stamps = Stamps(options)
    for time_ns, clock, timed, text in merged:
        yield stamps.stamp(time_ns, clock) + text if timed else text


def _scope(rule: ShownFields, struct: Struct | None) -> tuple[Printer, bool] | None:
    """What writes a scope, and whether any of it is rule."""
    if struct is None:
        return None
    if rule.hides("", struct, -1):
        return None if rule.scope is CtfScope.PACKET_CONTEXT else (_skipping(struct), False)
    return _struct(struct, rule, 0), True
