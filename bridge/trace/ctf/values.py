"""Slots of the C side (`csrc/trace/ctf.cdef.h`) <-> values of the model, by the field types.

For each structure a function is made once; it holds one small function per field. Text points
into the mapped file, so values must be taken before the cursor is closed.
"""

from __future__ import annotations

import struct as binary
from typing import TYPE_CHECKING, Any, assert_never

from bridge._native import ffi
from bridge.trace.model import (
    Enumeration,
    FieldType,
    FixedArray,
    Float,
    Integer,
    Sequence,
    Struct,
    Text,
    Value,
    Variant,
    is_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.trace.model import Field

    Slots = Any
    Decoder = Callable[[Slots, int], tuple[Value, int]]
    """Slots and a position -> the value there, and the position after it."""
    Encoder = Callable[[Value, "Encoding"], None]
    """Appends a value to the slots of an event."""

MASK = (1 << 64) - 1
_LONGEST = 80
"""Of a longer value only the start is shown in a message."""
_DOUBLE = binary.Struct("=d")
_QUAD = binary.Struct("=q")
_buffer = ffi.buffer
_cast = ffi.cast


def text_at(address: int, length: int) -> str:
    """Text in memory."""
    raw: bytes = _buffer(_cast("char *", address), length)[:] if length else b""
    return raw.decode("utf-8", "surrogateescape")


# --- slots to values --------------------------------------------------------------------------


def _decode_signed(slots: Slots, at: int) -> tuple[Value, int]:
    value: int = slots[at]
    return value, at + 1


def _decode_unsigned(slots: Slots, at: int) -> tuple[Value, int]:
    return slots[at] & MASK, at + 1


def _decode_float(slots: Slots, at: int) -> tuple[Value, int]:
    value: float = _DOUBLE.unpack(_QUAD.pack(slots[at]))[0]
    return value, at + 1


def _decode_text(slots: Slots, at: int) -> tuple[Value, int]:
    return text_at(slots[at], slots[at + 1]), at + 2


def _array_decoder(element: Decoder, length: int | None) -> Decoder:
    def decode(slots: Slots, at: int) -> tuple[Value, int]:
        count = length
        if count is None:
            count, at = slots[at], at + 1
        values: list[Value] = []
        for _ in range(count):
            value, at = element(slots, at)
            values.append(value)
        return values, at

    return decode


def _struct_decoder(fields: tuple[Field, ...]) -> Decoder:
    members = [(f.name, decoder(f.type)) for f in fields]

    def decode(slots: Slots, at: int) -> tuple[Value, int]:
        values: dict[str, Value] = {}
        for name, member in members:
            values[name], at = member(slots, at)
        return values, at

    return decode


def _variant_decoder(options: tuple[Field, ...]) -> Decoder:
    members = [decoder(f.type) for f in options]

    def decode(slots: Slots, at: int) -> tuple[Value, int]:
        chosen: int = slots[at]
        return members[chosen](slots, at + 1)

    return decode


def decoder(type_: FieldType) -> Decoder:
    """The function that takes a value of this type from slots."""
    match type_:
        case Integer(signed=signed) | Enumeration(container=Integer(signed=signed)):
            return _decode_signed if signed else _decode_unsigned
        case Float():
            return _decode_float
        case Text():
            return _decode_text
        case FixedArray(element=element) | Sequence(element=element) if is_text(element):
            return _decode_text
        case FixedArray(element=element, length=length):
            return _array_decoder(decoder(element), length)
        case Sequence(element=element):
            return _array_decoder(decoder(element), None)
        case Struct(fields=fields):
            return _struct_decoder(fields)
        case Variant(options=options):
            return _variant_decoder(options)
        case _:
            assert_never(type_)


# --- values to slots --------------------------------------------------------------------------


class Misfit(Exception):
    """A value that its type cannot hold: in which field, and why."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(f"field `{path}`: {reason}" if path else reason)
        self.reason = reason
        self.path = path

    def within(self, name: str) -> Misfit:
        """The same, seen from one structure further out."""
        dot = "" if self.path.startswith("[") or not self.path else "."
        return Misfit(self.reason, f"{name}{dot}{self.path}")


class Encoding:
    """The slots of one event: `alive` is what they point to, `around` the structures so far."""

    def __init__(self) -> None:
        self.slots: list[int] = []
        self.alive: list[object] = []
        self.around: list[dict[str, Value]] = []


def _signed(value: int) -> int:
    value &= MASK
    return value - (1 << 64) if value >> 63 else value


def _int_encoder(type_: Integer) -> Encoder:
    low = -(1 << (type_.bits - 1)) if type_.signed else 0
    high = (1 << (type_.bits - type_.signed)) - 1

    def encode(value: Value, into: Encoding) -> None:
        if not isinstance(value, int):
            raise Misfit(f"{_short(value)} is no integer")
        if not low <= value <= high:
            sign = "" if type_.signed else "un"
            raise Misfit(f"{value} does not fit {type_.bits} bits {sign}signed")
        into.slots.append(_signed(value))

    return encode


def _encode_float(value: Value, into: Encoding) -> None:
    if not isinstance(value, int | float):
        raise Misfit(f"{_short(value)} is no number")
    into.slots.append(_QUAD.unpack(_DOUBLE.pack(value))[0])


def _short(value: Value) -> str:
    """A value in a message."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _raw(value: Value) -> bytes:
    """The bytes of a text."""
    try:
        return value if isinstance(value, bytes) else _encoded(value)
    except UnicodeEncodeError:
        raise Misfit(f"{_short(value)} has characters that UTF-8 has not") from None


def _encoded(value: Value) -> bytes:
    if not isinstance(value, str):
        raise Misfit(f"{_short(value)} is no text")
    return value.encode("utf-8", "surrogateescape")


def _put(raw: bytes, into: Encoding) -> None:
    held = ffi.from_buffer("char[]", raw)
    into.alive.append(held)
    into.slots += (int(_cast("intptr_t", held)), len(raw))


def _encode_string(value: Value, into: Encoding) -> None:
    raw = _raw(value)
    if b"\0" in raw:
        raise Misfit(f"{_short(value)} has a NUL, which is where a string ends")
    _put(raw, into)


def _text_encoder(type_: FixedArray | Sequence) -> Encoder:
    """Text in an array: of a length that is declared, padded with NULs, or told by a field."""

    def encode(value: Value, into: Encoding) -> None:
        raw = _raw(value)
        if isinstance(type_, Sequence):
            _check_length(type_, len(raw), into)
        elif len(raw) > type_.length:
            raise Misfit(f"{len(raw)} bytes where {type_.length} have room")
        _put(raw, into)

    return encode


def _check_length(type_: Sequence, count: int, into: Encoding) -> None:
    """The field that tells the length, where it is in the structure around, must tell it."""
    said = into.around[-1].get(type_.length, count) if into.around else count
    if said != count:
        raise Misfit(f"{count} elements, but `{type_.length}` is {_short(said)}")


def _array_encoder(element: Encoder, type_: FixedArray | Sequence) -> Encoder:
    def encode(value: Value, into: Encoding) -> None:
        if not isinstance(value, list):
            raise Misfit(f"{_short(value)} is no array")
        if isinstance(type_, Sequence):
            _check_length(type_, len(value), into)
            into.slots.append(len(value))
        elif len(value) != type_.length:
            raise Misfit(f"{len(value)} elements where {type_.length} belong")
        for number, item in enumerate(value):
            try:
                element(item, into)
            except Misfit as misfit:
                raise misfit.within(f"[{number}]") from None

    return encode


def _struct_encoder(type_: Struct, outer: tuple[Struct, ...]) -> Encoder:
    members = [(f.name, encoder(f.type, (*outer, type_))) for f in type_.fields]

    def encode(value: Value, into: Encoding) -> None:
        if not isinstance(value, dict):
            raise Misfit(f"{_short(value)} is no structure")
        into.around.append(value)
        for name, member in members:
            if name not in value:
                raise Misfit("there is no value", name)
            try:
                member(value[name], into)
            except Misfit as misfit:
                raise misfit.within(name) from None
        into.around.pop()

    return encode


def _tag(type_: Variant, outer: tuple[Struct, ...]) -> tuple[int, Enumeration]:
    """How many structures out the tag of a variant is, and its type."""
    for depth, around in enumerate(reversed(outer)):
        for member in around.fields:
            if member.name == type_.tag and isinstance(member.type, Enumeration):
                return depth, member.type
    raise TypeError(f"a variant has no tag `{type_.tag}` around it")


def _variant_encoder(type_: Variant, outer: tuple[Struct, ...]) -> Encoder:
    depth, tag = _tag(type_, outer)
    members = [(f.name, encoder(f.type, outer)) for f in type_.options]

    def encode(value: Value, into: Encoding) -> None:
        chosen = into.around[-1 - depth][type_.tag]
        names = [
            n
            for n, low, high in tag.labels
            if isinstance(chosen, int) and low <= chosen <= high
        ]
        for index, (name, member) in enumerate(members):
            if name in names:
                into.slots.append(index)
                member(value, into)
                return
        raise Misfit(f"the tag `{type_.tag}` is {_short(chosen)}, which selects no option")

    return encode


def encoder(type_: FieldType, outer: tuple[Struct, ...] = ()) -> Encoder:
    """The function that puts a value of this type into slots.

    `outer` are the structures around it.
    """
    match type_:
        case Integer():
            return _int_encoder(type_)
        case Enumeration(container=container):
            return _int_encoder(container)
        case Float():
            return _encode_float
        case Text():
            return _encode_string
        case FixedArray(element=element) | Sequence(element=element) if is_text(element):
            return _text_encoder(type_)
        case FixedArray(element=element) | Sequence(element=element):
            return _array_encoder(encoder(element, outer), type_)
        case Struct():
            return _struct_encoder(type_, outer)
        case Variant():
            return _variant_encoder(type_, outer)
        case _:
            assert_never(type_)
