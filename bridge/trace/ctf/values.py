"""Slots of the C side (`csrc/trace/ctf.cdef.h`) <-> values of the model, by the field types.

For each structure a function is made once; it holds one small function per field. Text points
into the mapped file, so values must be taken before the cursor is closed.
"""

from __future__ import annotations

import struct as binary
from typing import TYPE_CHECKING, Any, assert_never

from bridge._native import ffi
from bridge.trace.ctf.layout import is_text
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
            raise TypeError(f"{value!r} is no integer")
        if not low <= value <= high:
            raise OverflowError(f"{value} does not fit {type_.bits} bits")
        into.slots.append(_signed(value))

    return encode


def _encode_float(value: Value, into: Encoding) -> None:
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    into.slots.append(_QUAD.unpack(_DOUBLE.pack(value))[0])


def _encode_text(value: Value, into: Encoding) -> None:
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogateescape")
    elif isinstance(value, bytes):
        raw = value
    else:
        raise TypeError(f"{value!r} is no text")
    held = ffi.from_buffer("char[]", raw)
    into.alive.append(held)
    into.slots += (int(_cast("intptr_t", held)), len(raw))


def _array_encoder(element: Encoder, length: int | None) -> Encoder:
    def encode(value: Value, into: Encoding) -> None:
        if not isinstance(value, list) or (length is not None and len(value) != length):
            raise TypeError(f"{value!r} is no array of {length or 'some'} elements")
        if length is None:
            into.slots.append(len(value))
        for item in value:
            element(item, into)

    return encode


def _struct_encoder(type_: Struct, outer: tuple[Struct, ...]) -> Encoder:
    members = [(f.name, encoder(f.type, (*outer, type_))) for f in type_.fields]

    def encode(value: Value, into: Encoding) -> None:
        if not isinstance(value, dict):
            raise TypeError(f"{value!r} is no structure")
        into.around.append(value)
        for name, member in members:
            member(value[name], into)
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
        raise TypeError(f"tag {chosen!r} selects no option")

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
            return _encode_text
        case FixedArray(element=element) | Sequence(element=element) if is_text(element):
            return _encode_text
        case FixedArray(element=element) | Sequence(element=element):
            length = type_.length if isinstance(type_, FixedArray) else None
            return _array_encoder(encoder(element, outer), length)
        case Struct():
            return _struct_encoder(type_, outer)
        case Variant():
            return _variant_encoder(type_, outer)
        case _:
            assert_never(type_)
