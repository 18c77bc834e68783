"""Slots of the C side (`csrc/trace/ctf.cdef.h`) <-> values of the model, by the field types.

For each structure a function is made once; it holds one small function per field. Text points
into the mapped file, so values must be taken before the cursor is closed.
"""

from __future__ import annotations

import struct as binary
from typing import TYPE_CHECKING, Any, assert_never

from bridge._native import ffi
from bridge.trace.ctf.layout import width
from bridge.trace.model import (
    BYTES,
    Enumeration,
    FieldType,
    FixedArray,
    Float,
    Integer,
    Optional,
    Ranges,
    Sequence,
    Struct,
    Text,
    Value,
    Variant,
    is_raw,
    names_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
_SINGLE = binary.Struct("=f")
_QUAD = binary.Struct("=q")
_buffer = ffi.buffer
_cast = ffi.cast


def bytes_at(address: int, length: int) -> bytes:
    """Bytes in memory."""
    raw: bytes = _buffer(_cast("char *", address), length)[:] if length else b""
    return raw


def text_at(address: int, length: int) -> str:
    """Text in memory."""
    return bytes_at(address, length).decode("utf-8", "surrogateescape")


def raw_taker(encoding: str) -> Callable[[int, int], str | bytes]:
    """What takes bytes in memory as text of an encoding, or as they are."""
    if encoding == BYTES:
        return bytes_at
    if width(encoding) == 1:
        return text_at

    def take(address: int, length: int) -> str:
        # A unit that is no character is shown by its number; NULs at the end are padding.
        raw = bytes_at(address, length)
        return raw.decode(encoding, "backslashreplace").rstrip("\0")

    return take


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


def _decode_truth(slots: Slots, at: int) -> tuple[Value, int]:
    return bool(slots[at]), at + 1


def _raw_decoder(encoding: str) -> Decoder:
    take = raw_taker(encoding)
    if take is text_at:
        return _decode_text
    return lambda slots, at: (take(slots[at], slots[at + 1]), at + 2)


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


def _optional_decoder(element: Decoder) -> Decoder:
    def decode(slots: Slots, at: int) -> tuple[Value, int]:
        return element(slots, at + 1) if slots[at] else (None, at + 1)

    return decode


def _number_decoder(type_: Integer | Enumeration) -> Decoder:
    number = type_.container if isinstance(type_, Enumeration) else type_
    if number.form == "bool":
        return _decode_truth
    return _decode_signed if number.signed else _decode_unsigned


def _elements_decoder(type_: FixedArray | Sequence) -> Decoder:
    element = type_.element
    if isinstance(element, Integer) and is_raw(element):
        return _raw_decoder(element.encoding)
    return _array_decoder(
        decoder(element), type_.length if isinstance(type_, FixedArray) else None
    )


def decoder(type_: FieldType) -> Decoder:
    """The function that takes a value of this type from slots."""
    match type_:
        case Integer() | Enumeration(container=Integer()):
            return _number_decoder(type_)
        case Float():
            return _decode_float
        case Text(encoding=encoding):
            return _raw_decoder(encoding)
        case FixedArray() | Sequence():
            return _elements_decoder(type_)
        case Struct(fields=fields):
            return _struct_decoder(fields)
        case Variant(options=options):
            return _variant_decoder(options)
        case Optional(element=element):
            return _optional_decoder(decoder(element))
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
    try:
        into.slots.append(_QUAD.unpack(_DOUBLE.pack(value))[0])
    except OverflowError:
        raise Misfit(f"{_short(value)} does not fit a 64-bit number") from None


def _encode_single(value: Value, into: Encoding) -> None:
    _encode_float(value, into)
    try:
        _SINGLE.pack(value)
    except OverflowError:
        raise Misfit(f"{_short(value)} does not fit a 32-bit number") from None


def _short(value: Value) -> str:
    """A value in a message."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _raw(value: Value, encoding: str = "utf8") -> bytes:
    """The bytes of a text, or of what is given as bytes."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str) or encoding == BYTES:
        raise Misfit(f"{_short(value)} is no {'bytes' if encoding == BYTES else 'text'}")
    try:
        if width(encoding) > 1:
            return value.encode(encoding)
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        name = encoding.replace("utf", "UTF-").replace("--", "-")
        raise Misfit(f"{_short(value)} has characters that {name} has not") from None


def _put(raw: bytes, into: Encoding) -> None:
    held = ffi.from_buffer("char[]", raw)
    into.alive.append(held)
    into.slots += (int(_cast("intptr_t", held)), len(raw))


def _string_encoder(encoding: str) -> Encoder:
    size = width(encoding)

    def encode(value: Value, into: Encoding) -> None:
        raw = _raw(value, encoding)
        units = (raw[i : i + size] for i in range(0, len(raw), size)) if size > 1 else (raw,)
        if len(raw) % size or any((bytes(size) in u) for u in units):
            raise Misfit(f"{_short(value)} has a NUL, which is where a string ends")
        _put(raw, into)

    return encode


def _text_encoder(type_: FixedArray | Sequence) -> Encoder:
    """Text or bytes in an array: of a declared length, or one that a field tells.

    Text is padded with NULs.
    """
    assert isinstance(type_.element, Integer)
    encoding = type_.element.encoding

    def encode(value: Value, into: Encoding) -> None:
        raw = _raw(value, encoding)
        if isinstance(type_, Sequence):
            _check_length(type_, len(raw), into)
        elif encoding == BYTES and len(raw) != type_.length:
            raise Misfit(f"{len(raw)} bytes where {type_.length} belong")
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


_OWN_SCOPE = "event.fields."


def _place(path: str, outer: tuple[Struct, ...]) -> tuple[int, tuple[str, ...]]:
    """Where a path leads: the number of the structure around, and the names from there on."""
    if path.startswith(_OWN_SCOPE):
        return 0, names_of(path[len(_OWN_SCOPE) :])
    names = names_of(path)
    ups = next((i for i, name in enumerate(names) if name), len(names))
    if ups:
        return max(len(outer) - 1 - ups, 0), names[ups:]
    for number in range(len(outer) - 1, -1, -1):
        if any(f.name == names[0] for f in outer[number].fields):
            return number, names
    raise TypeError(f"there is no field `{path}` around")


def _type_at(struct: Struct, names: tuple[str, ...]) -> FieldType | None:
    """The type that names lead to."""
    kind: FieldType | None = struct
    for name in names:
        members = kind.fields if isinstance(kind, Struct) else ()
        kind = next((f.type for f in members if f.name == name), None)
    return kind


def _selector(path: str, outer: tuple[Struct, ...]) -> Callable[[Encoding], Value]:
    """What takes the value of a tag from the structures around."""
    number, names = _place(path, outer)

    def take(into: Encoding) -> Value:
        value: Value = into.around[number]
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    return take


def _chosen(value: Value, ranges: Iterable[tuple[int, int]]) -> bool:
    return isinstance(value, int) and any(low <= value <= high for low, high in ranges)


def _option_ranges(type_: Variant, outer: tuple[Struct, ...]) -> tuple[Ranges, ...]:
    """The values of the tag that choose each option."""
    if type_.ranges:
        return type_.ranges
    number, names = _place(type_.tag, outer)
    tag = _type_at(outer[number], names)
    if not isinstance(tag, Enumeration):
        raise TypeError(f"a variant has no tag `{type_.tag}` around it")
    return tuple(
        tuple((low, high) for n, low, high in tag.labels if n == option.name)
        for option in type_.options
    )


def _variant_encoder(type_: Variant, outer: tuple[Struct, ...]) -> Encoder:
    ranges = _option_ranges(type_, outer)
    members = [encoder(f.type, outer) for f in type_.options]
    select = _selector(type_.tag, outer)

    def encode(value: Value, into: Encoding) -> None:
        tag = select(into)
        for index, member in enumerate(members):
            if _chosen(tag, ranges[index]):
                into.slots.append(index)
                member(value, into)
                return
        raise Misfit(f"the tag `{type_.tag}` is {_short(tag)}, which selects no option")

    return encode


def _optional_encoder(type_: Optional, outer: tuple[Struct, ...]) -> Encoder:
    element = encoder(type_.element, outer)
    select, ranges = _selector(type_.tag, outer), type_.ranges or ((1, 1),)

    def encode(value: Value, into: Encoding) -> None:
        is_there = _chosen(select(into), ranges)
        if is_there != (value is not None):
            told = "" if is_there else "not "
            raise Misfit(
                f"it is {_short(value)}, but `{type_.tag}` says that it is {told}there"
            )
        into.slots.append(int(is_there))
        if is_there:
            element(value, into)

    return encode


def _elements_encoder(type_: FixedArray | Sequence, outer: tuple[Struct, ...]) -> Encoder:
    if is_raw(type_.element):
        return _text_encoder(type_)
    return _array_encoder(encoder(type_.element, outer), type_)


def encoder(type_: FieldType, outer: tuple[Struct, ...] = ()) -> Encoder:
    """The function that puts a value of this type into slots.

    `outer` are the structures around it.
    """
    match type_:
        case Integer() | Enumeration():
            return _int_encoder(type_ if isinstance(type_, Integer) else type_.container)
        case Float():
            return _encode_float if type_.bits == 64 else _encode_single
        case Text(encoding=encoding):
            return _string_encoder(encoding)
        case FixedArray() | Sequence():
            return _elements_encoder(type_, outer)
        case Struct():
            return _struct_encoder(type_, outer)
        case Variant():
            return _variant_encoder(type_, outer)
        case Optional():
            return _optional_encoder(type_, outer)
        case _:
            assert_never(type_)
