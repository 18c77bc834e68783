"""Classes of a CTF trace -> programs by which C prints their events.

The programs are those of `csrc/trace/print.cdef.h`. As text they print what `trace.ctf.text`
prints, as JSON what `trace.text.as_object` and `json_text` do; property tests hold them equal.
What C cannot print is `Unprintable`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, assert_never

from bridge._native import ffi, lib
from bridge.json_text import dumps
from bridge.trace.ctf.description import NO_PAYLOAD
from bridge.trace.ctf.layout import CtfScope, width
from bridge.trace.ctf.shown import ShownFields, shown
from bridge.trace.ctf.text import origin_text, quoted
from bridge.trace.model import (
    BYTES,
    Enumeration,
    FieldType,
    FixedArray,
    Float,
    Integer,
    Optional,
    Sequence,
    Struct,
    Text,
    Value,
    Variant,
    is_raw,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.trace.ctf.reader import CtfReader
    from bridge.trace.model import Field

MOST_OPS = 1 << 16
SCOPES = (CtfScope.EVENT_CONTEXT, CtfScope.CONTEXT, CtfScope.PAYLOAD)


class Unprintable(Exception):
    """A class whose events only Python can print."""


@dataclass(slots=True)
class PrintProgram:
    """The ops of one class, their labels and their text.

    The first `packet` of the ops are for the packet's context.
    """

    ops: list[list[int]] = field(default_factory=list)
    labels: list[tuple[int, int, int, int]] = field(default_factory=list)
    text: bytearray = field(default_factory=bytearray)
    packet: int = 0
    timed: bool = False

    def literal(self, text: str) -> None:
        """Print this; what follows another literal becomes part of it."""
        raw = text.encode("utf-8", "surrogateescape")
        if not raw:
            return
        self.add(lib.MB_LINE_LITERAL, first=len(self.text), length=len(raw))
        self.text += raw

    def add(
        self,
        kind: int,
        *,
        bits: int = 0,
        flags: int = 0,
        count: int = 0,
        first: int = 0,
        length: int = 0,
    ) -> int:
        """Another op; its place."""
        if len(self.ops) >= MOST_OPS:
            raise Unprintable
        self.ops.append([kind, bits, flags, count, first, length, 0])
        return len(self.ops) - 1

    def around(self, at: int, make: Callable[[], None]) -> None:
        """What is made now is the body of the op at this place."""
        make()
        self.ops[at][-1] = len(self.ops) - at - 1

    def label(self, text: str, low: int, high: int) -> None:
        """Another label of numbers from `low` to `high`."""
        raw = text.encode("utf-8", "surrogateescape")
        self.labels.append((_signed(low), _signed(high), len(self.text), len(raw)))
        self.text += raw

    def native(self) -> tuple[Any, list[Any]]:
        """The `struct mb_print_program`, and what it points to."""
        ops = ffi.new("struct mb_print_op[]", self.ops or 1)
        labels = ffi.new("struct mb_print_label[]", self.labels or 1)
        text = ffi.from_buffer("char[]", self.text)
        sizes = len(self.ops), len(self.labels), len(self.text), self.packet, self.timed
        made = ffi.new("struct mb_print_program *", (ops, labels, text, *sizes))
        return made, [ops, labels, text]


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


# --- values -----------------------------------------------------------------------------------


def _round_up(bits: int, to: int) -> int:
    """How many bits digits of `to` bits show."""
    return min((bits + to - 1) // to * to, 64)


def _encoding(type_: Text | FixedArray | Sequence) -> str:
    """Of text, or of an array that is taken as a whole."""
    if isinstance(type_, Text):
        return type_.encoding
    assert isinstance(type_.element, Integer)
    return type_.element.encoding


class _Values:
    """Adds the ops of values; text and JSON differ in what this class's children say."""

    def __init__(self, program: PrintProgram, flags: int) -> None:
        self.program = program
        self.flags = flags

    def value(self, type_: FieldType, depth: int) -> None:
        """The ops of a value of this type."""
        match type_:
            case Integer():
                self.integer(type_)
            case Enumeration():
                self.enumeration(type_)
            case Float():
                self.program.add(lib.MB_LINE_REAL, flags=self.flags)
            case Text():
                self._raw(type_)
            case FixedArray() | Sequence():
                self._elements(type_, depth)
            case Struct():
                self.struct(type_, depth)
            case Variant(options=options):
                self._variant(options, depth)
            case Optional(element=element):
                at = self.program.add(lib.MB_LINE_OPTIONAL, flags=self.flags)
                self.program.around(at, lambda: self.option(element, depth))
            case _:
                assert_never(type_)

    def integer(self, type_: Integer) -> None:
        """A number, a truth value, or a row of bits."""
        raise NotImplementedError

    def enumeration(self, type_: Enumeration) -> None:
        """A number with names."""
        raise NotImplementedError

    def struct(self, type_: Struct, depth: int) -> None:
        """All members."""
        raise NotImplementedError

    def option(self, type_: FieldType, depth: int) -> None:
        """What a variant or an optional field holds."""
        raise NotImplementedError

    def _raw(self, type_: Text | FixedArray | Sequence) -> None:
        encoding = _encoding(type_)
        if encoding != BYTES and width(encoding) > 1:
            raise Unprintable
        kind = lib.MB_LINE_BYTES if encoding == BYTES else lib.MB_LINE_TEXT
        self.program.add(kind, flags=self.flags)

    def _elements(self, type_: FixedArray | Sequence, depth: int) -> None:
        if is_raw(type_.element):
            self._raw(type_)
            return
        counted = isinstance(type_, Sequence)
        at = self.program.add(
            lib.MB_LINE_ARRAY,
            flags=self.flags | (lib.MB_LINE_COUNTED if counted else 0),
            count=0 if isinstance(type_, Sequence) else type_.length,
        )
        self.program.around(at, lambda: self.value(type_.element, depth + 1))

    def _variant(self, options: tuple[Field, ...], depth: int) -> None:
        program = self.program

        def bodies() -> None:
            for member in options:
                at = program.add(lib.MB_LINE_OPTION)
                program.around(at, lambda kind=member.type: self.option(kind, depth))  # type: ignore[misc]

        program.around(program.add(lib.MB_LINE_VARIANT, count=len(options)), bodies)


class _TextValues(_Values):
    """As `trace.ctf.text` prints them; `rule` decides what is hidden."""

    def __init__(self, program: PrintProgram, rule: ShownFields) -> None:
        super().__init__(program, 0)
        self._rule = rule

    def integer(self, type_: Integer) -> None:
        add = self.program.add
        match type_.form, type_.base:
            case "bool", _:
                add(lib.MB_LINE_TRUTH)
            case _, _ if type_.form == "bits":
                self._bits(type_)
            case _, 2:
                add(lib.MB_LINE_BINARY, bits=type_.bits)
            case _, 8:
                bits = _round_up(type_.bits, 3) if type_.signed and type_.bits < 64 else 0
                add(lib.MB_LINE_OCTAL, bits=bits)
            case _, 16:
                add(lib.MB_LINE_HEXADECIMAL, bits=_round_up(type_.bits, 4))
            case _:
                add(lib.MB_LINE_SIGNED if type_.signed else lib.MB_LINE_UNSIGNED)

    def _bits(self, type_: Integer) -> None:
        program, flags = self.program, sorted(type_.flags)
        first = len(program.labels)
        for name, low, high in flags:
            program.label(quoted(name), low, high)
        program.add(lib.MB_LINE_FLAGS, first=first, count=len(flags))

    def enumeration(self, type_: Enumeration) -> None:
        program, first = self.program, len(self.program.labels)
        for name, low, high in type_.labels:
            bounds = _bounds(type_.container, low, high)
            if bounds is not None:
                program.label(quoted(name), *bounds)
        flags = 0 if type_.container.signed else lib.MB_LINE_WHOLE
        flags |= lib.MB_LINE_BRACES if self._rule.exact else 0
        count = len(program.labels) - first
        at = program.add(lib.MB_LINE_ENUMERATION, flags=flags, count=count, first=first)
        program.around(at, lambda: self._container(type_.container))

    def _container(self, type_: Integer) -> None:
        """A truth value with names is printed as a number."""
        if type_.form != "bool":
            self.integer(type_)
        elif type_.base != 10:
            raise Unprintable
        else:
            signed = lib.MB_LINE_SIGNED if type_.signed else lib.MB_LINE_UNSIGNED
            self.program.add(signed)

    def struct(self, type_: Struct, depth: int) -> None:
        program, comma = self.program, ""
        program.literal("{")
        for member in type_.fields:
            if self._rule.hides(member.name, member.type, depth):
                self.hidden(member.type)
                continue
            program.literal(f"{comma} {member.name} = ")
            self.value(member.type, depth + 1)
            comma = ","
        program.literal(" }")

    def hidden(self, type_: FieldType) -> None:
        """What takes the slots of a value and prints nothing."""
        at = self.program.add(lib.MB_LINE_HIDE)
        self.program.around(at, lambda: _JsonValues(self.program).value(type_, 0))

    def option(self, type_: FieldType, depth: int) -> None:
        self.program.literal("{ ")
        self.value(type_, depth + 1)
        self.program.literal(" }")


def _bounds(type_: Integer, low: int, high: int) -> tuple[int, int] | None:
    """The part of a range that 64 bits hold; None if there is none."""
    least, most = (-(1 << 63), (1 << 63) - 1) if type_.signed else (0, (1 << 64) - 1)
    low, high = max(low, least), min(high, most)
    return (low, high) if low <= high else None


class _JsonValues(_Values):
    """As `json_text` prints values of the model."""

    def __init__(self, program: PrintProgram) -> None:
        super().__init__(program, lib.MB_LINE_JSON)

    def integer(self, type_: Integer) -> None:
        if type_.form == "bool":
            self.program.add(lib.MB_LINE_TRUTH)
        else:
            signed = lib.MB_LINE_SIGNED if type_.signed else lib.MB_LINE_UNSIGNED
            self.program.add(signed)

    def enumeration(self, type_: Enumeration) -> None:
        self.integer(type_.container)

    def struct(self, type_: Struct, depth: int) -> None:
        self.program.literal("{")
        self.members(type_.fields, depth)
        self.program.literal("}")

    def members(self, fields: tuple[Field, ...], depth: int, comma: str = "") -> None:
        """The members of an object; one name is one member, so no name may come twice."""
        if len({member.name for member in fields}) < len(fields):
            raise Unprintable
        for member in fields:
            self.program.literal(f"{comma}{json_name(member.name)}: ")
            self.value(member.type, depth + 1)
            comma = ", "

    def option(self, type_: FieldType, depth: int) -> None:
        self.value(type_, depth)


def json_name(name: str) -> str:
    """A name of a member."""
    return dumps({name: 0})[1 : -len(": 0}")]


# --- events -----------------------------------------------------------------------------------


class TextPrograms:
    """Makes the programs of a trace's classes for lines of text."""

    def __init__(self, reader: CtfReader) -> None:
        self._plan = reader.plan
        self._streams = {stream.id: stream for stream in reader.plan.streams}
        self._rules = {scope: shown(reader.plan, scope) for scope in CtfScope}
        self._origin = origin_text(reader.environment)

    def program(self, index: int) -> PrintProgram:
        """The program of a class, by its index."""
        event = self._plan.events[index]
        stream = self._streams[event.stream_id]
        program = PrintProgram(timed=bool(stream.clock))
        has_packet = self._packet(program, stream.packet_context)
        program.literal(f"{self._origin}{event.event.name or '<unknown>'}: ")
        comma = ""
        if has_packet:
            program.add(lib.MB_LINE_PACKET)
            comma = ", "
        payload = None if event.event.payload is NO_PAYLOAD else event.event.payload
        structs = (stream.event_context, event.event.context, payload)
        for scope, struct in zip(SCOPES, structs, strict=True):
            values = _TextValues(program, self._rules[scope])
            if struct is None:
                continue
            if self._rules[scope].hides("", struct, -1):
                values.hidden(struct)
                continue
            program.literal(comma)
            values.value(struct, 0)
            comma = ", "
        return program

    def _packet(self, program: PrintProgram, struct: Struct | None) -> bool:
        """The ops of the packet's context; whether any of it is shown."""
        rule = self._rules[CtfScope.PACKET_CONTEXT]
        if struct is None or rule.hides("", struct, -1):
            return False
        _TextValues(program, rule).value(struct, 0)
        program.packet = len(program.ops)
        return True


class JsonPrograms:
    """Makes the programs of a trace's classes for JSON; `origin` is in each event's context."""

    def __init__(self, reader: CtfReader, origin: Mapping[str, Value]) -> None:
        self._plan = reader.plan
        self._streams = {stream.id: stream for stream in reader.plan.streams}
        self._rule = shown(reader.plan, CtfScope.PACKET_CONTEXT)
        self._origin = origin

    def program(self, index: int) -> PrintProgram:
        """The program of a class, by its index."""
        event = self._plan.events[index]
        stream = self._streams[event.stream_id]
        own = [s for s in (stream.event_context, event.event.context) if s is not None]
        program = PrintProgram()
        shown_names = self._packet(program, stream.packet_context)
        self._check_names([*self._origin, *shown_names], own)
        self._event(program, event.event.name)
        at = program.add(lib.MB_LINE_LATER)
        members = tuple(f for struct in own for f in struct.fields)
        program.around(at, lambda: self._context(program, members, bool(shown_names)))
        program.literal(', "fields": ')
        _JsonValues(program).value(event.event.payload, 0)
        if self._origin or shown_names or members:
            self._end(program, bool(members), bool(shown_names))
        program.literal("}")
        return program

    def _check_names(self, names: list[str], own: list[Struct]) -> None:
        """A name that two scopes have is one member, with the value of the inner one."""
        every = [*names, *(f.name for struct in own for f in struct.fields)]
        if len(set(every)) < len(every):
            raise Unprintable

    def _event(self, program: PrintProgram, name: str) -> None:
        program.literal(f'{{"name": {dumps(name)}, "timestamp_ns": ')
        program.add(lib.MB_LINE_TIME)
        program.literal(', "cpu": ')
        program.add(lib.MB_LINE_CPU)
        program.literal(', "tsc": ')
        program.add(lib.MB_LINE_CLOCK)
        program.literal(', "stream": ')
        program.add(lib.MB_LINE_STREAM)

    def _context(self, program: PrintProgram, members: tuple[Field, ...], packet: bool) -> None:
        """What the event's contexts have, which comes behind the payload."""
        comma = ", " if packet or self._origin else ""
        _JsonValues(program).members(members, 0, comma)

    def _end(self, program: PrintProgram, kept: bool, packet: bool) -> None:
        entries = (f"{json_name(n)}: {dumps(v)}" for n, v in self._origin.items())
        program.literal(f', "context": {{{", ".join(entries)}')
        if packet:
            program.literal(", " if self._origin else "")
            program.add(lib.MB_LINE_PACKET)
        if kept:
            program.add(lib.MB_LINE_KEPT)
        program.literal("}")

    def _packet(self, program: PrintProgram, struct: Struct | None) -> list[str]:
        """The ops of the packet's context; the names that are shown."""
        names: list[str] = []
        for member in struct.fields if struct is not None else ():
            if self._rule.hides(member.name, member.type):
                at = program.add(lib.MB_LINE_HIDE)
                body = _JsonValues(program)
                program.around(at, lambda kind=member.type, to=body: to.value(kind, 0))  # type: ignore[misc]
                continue
            program.literal(f"{', ' if names else ''}{json_name(member.name)}: ")
            _JsonValues(program).value(member.type, 0)
            names.append(member.name)
        program.packet = len(program.ops)
        if not names:
            program.ops.clear()
            program.packet = 0
        return names
