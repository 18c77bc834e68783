"""Payload type <-> the op table that C runs, and slots <-> values.

A payload is a `model.Struct` whose alignments are already those of the trace (a type's
`align_bits` counts from the start of the payload). C turns payload bytes into one 64-bit slot
per scalar, in order; text is (offset << 32 | length) into a byte arena. The rule: everything
that depends on the generation is in the type; this module knows no generation.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from bridge._native import lib
from bridge.errors import TraceError
from bridge.trace import model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

WORD = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class LttOp:
    """One step of decoding: the Python side of `struct mb_ltt_op`."""

    kind: int
    size: int = 0
    align: int = 1
    flags: int = 0
    count: int = 0
    body: int = 0


@dataclass(frozen=True, slots=True)
class PayloadLayout:
    """The ops of a payload, its size if that is constant (else -1), and whether it has text."""

    ops: tuple[LttOp, ...]
    fixed: int
    has_text: bool


# --- compilation ------------------------------------------------------------------------------


def _integer(kind: model.Integer, big: bool) -> LttOp:
    flags = lib.MB_LTT_SIGNED if kind.signed else 0
    if kind.big_endian and not big and kind.bits > 8:
        flags |= lib.MB_LTT_BIG
    return LttOp(lib.MB_LTT_INT, kind.bits // 8, kind.align_bits // 8, flags)


def alignment(kind: model.FieldType) -> int:
    """Bytes to whose multiple a value of this type starts."""
    match kind:
        case model.Integer() | model.Float():
            return kind.align_bits // 8
        case model.Enumeration():
            return kind.container.align_bits // 8
        case model.Text():
            return 1
        case model.FixedArray():
            return alignment(kind.element)
        case model.Sequence():
            count = kind.count.align_bits // 8 if kind.count else 1
            return max(count, alignment(kind.element))
        case model.Struct():
            return max([alignment(f.type) for f in kind.fields], default=1)
        case model.Variant() | model.Optional():
            raise TraceError("LTT payloads hold no variants and no optional fields")
    assert_never(kind)


class _Compiler:
    """Emits ops. `pad` is the alignment of what follows a text or sequence."""

    def __init__(self, pad: int, big: bool) -> None:
        self.pad = pad
        self.big = big
        self.ops: list[LttOp] = []

    def _align(self, to: int) -> None:
        if to > 1:
            self.ops.append(LttOp(lib.MB_LTT_ALIGN, align=to))

    def _nested(self, kind: int, flags: int, count: int, body: Callable[[], None]) -> None:
        at = len(self.ops)
        self.ops.append(LttOp(kind))
        body()
        self.ops[at] = LttOp(kind, flags=flags, count=count, body=len(self.ops) - at - 1)

    def value(self, kind: model.FieldType) -> None:
        """Append the ops of one value."""
        match kind:
            case model.Integer():
                self.ops.append(_integer(kind, self.big))
            case model.Enumeration():
                self.ops.append(_integer(kind.container, self.big))
            case model.Float():
                self.ops.append(LttOp(lib.MB_LTT_REAL, kind.bits // 8, kind.align_bits // 8))
            case model.Text():
                self.ops.append(LttOp(lib.MB_LTT_TEXT))
                self._align(self.pad)
            case model.FixedArray():
                self._nested(lib.MB_LTT_LOOP, 0, kind.length, lambda: self.value(kind.element))
            case model.Sequence():
                self._sequence(kind)
            case model.Struct():
                self._struct(kind)
            case model.Variant() | model.Optional():
                raise TraceError("LTT payloads hold no variants and no optional fields")
            case _:
                assert_never(kind)

    def _sequence(self, kind: model.Sequence) -> None:
        if kind.count is None:
            raise TraceError("a sequence in an LTT payload carries its own count")
        self._align(alignment(kind))
        self.ops.append(_integer(kind.count, self.big))
        self._align(alignment(kind.element))
        self._nested(lib.MB_LTT_LOOP, lib.MB_LTT_DYNAMIC, 0, lambda: self.value(kind.element))
        self._align(self.pad)

    def _struct(self, kind: model.Struct) -> None:
        align = alignment(kind)
        self._align(align)
        if kind.overlay:
            size = max([_size(compile_payload(f.type, 1, self.big)) for f in kind.fields])
            self._nested(
                lib.MB_LTT_UNION, 0, size + (-size % align), lambda: self._members(kind)
            )
            return
        for member in kind.fields:
            self.value(member.type)
        if kind.align_bits > 1:  # a C struct that was copied whole: padded at its end, too
            self._align(align)

    def _members(self, kind: model.Struct) -> None:
        for number, member in enumerate(kind.fields):
            if number:
                self.ops.append(LttOp(lib.MB_LTT_REWIND))
            self.value(member.type)


def _size(layout: PayloadLayout) -> int:
    if layout.fixed < 0:
        raise TraceError("a union holds no member of variable size")
    return layout.fixed


def _fixed(ops: tuple[LttOp, ...], at: int) -> int:
    """The position after the ops, -1 if it depends on the content."""
    index = 0
    while index < len(ops):
        op = ops[index]
        at += -at % op.align
        if op.kind in (lib.MB_LTT_TEXT, lib.MB_LTT_BLOB) or op.flags & lib.MB_LTT_DYNAMIC:
            return -1
        if op.kind == lib.MB_LTT_LOOP:
            body = ops[index + 1 : index + 1 + op.body]
            for _ in range(op.count):
                at = _fixed(body, at)
                if at < 0:
                    return -1
        elif op.kind == lib.MB_LTT_UNION:
            at += op.count
        else:
            at += op.size
        index += 1 + op.body
    return at


def compile_payload(payload: model.FieldType, pad: int, big: bool) -> PayloadLayout:
    """The op table of a payload in a trace of the given byte order.

    The events of facilities are padded to `pad` after each text and sequence (1: not at all).
    """
    compiler = _Compiler(pad, big)
    if isinstance(payload, model.Struct) and not payload.overlay:
        for member in payload.fields:
            compiler.value(member.type)
    else:
        compiler.value(payload)
    ops = tuple(compiler.ops)
    texts = any(op.kind in (lib.MB_LTT_TEXT, lib.MB_LTT_BLOB) for op in ops)
    return PayloadLayout(ops, _fixed(ops, 0), texts)


# --- slots -> values --------------------------------------------------------------------------


def _real(bits: int) -> float:
    return array("d", array("q", [bits]).tobytes())[0]


def _bits(value: float) -> int:
    return array("q", array("d", [value]).tobytes())[0]


def _text(slot: int, arena: memoryview) -> str:
    start = (slot >> 32) & 0xFFFFFFFF
    return bytes(arena[start : start + (slot & 0xFFFFFFFF)]).decode("utf8", "surrogateescape")


def _scalar(kind: model.FieldType, slot: int, arena: memoryview) -> model.Value:
    match kind:
        case model.Integer():
            return slot if kind.signed or kind.bits < 64 else slot & WORD
        case model.Enumeration():
            return _scalar(kind.container, slot, arena)
        case model.Float():
            return _real(slot)
        case _:
            return _text(slot, arena)


def _is_letters(kind: model.FieldType) -> bool:
    return isinstance(kind, model.Integer) and bool(kind.encoding)


def _letters(numbers: list[int]) -> str:
    data = bytes(number & 0xFF for number in numbers)
    return data.rstrip(b"\0").decode("utf8", "surrogateescape")


def _value(kind: model.FieldType, slots: Iterator[int], arena: memoryview) -> model.Value:
    match kind:
        case model.FixedArray() if _is_letters(kind.element):
            return _letters([next(slots) for _ in range(kind.length)])
        case model.FixedArray():
            return [_value(kind.element, slots, arena) for _ in range(kind.length)]
        case model.Sequence():
            return [_value(kind.element, slots, arena) for _ in range(next(slots) & WORD)]
        case model.Struct():
            return {f.name: _value(f.type, slots, arena) for f in kind.fields}
        case _:
            return _scalar(kind, next(slots), arena)


def _is_plain(kind: model.FieldType) -> bool:
    if isinstance(kind, model.Enumeration):
        kind = kind.container
    return isinstance(kind, model.Integer) and (kind.signed or kind.bits < 64)


def decoder(
    payload: model.Struct,
) -> Callable[[list[int], memoryview], dict[str, model.Value]]:
    """The function that turns the slots of an event into its fields."""
    names = [f.name for f in payload.fields]
    kinds = [f.type for f in payload.fields]
    if all(_is_plain(kind) for kind in kinds):
        return lambda slots, arena: dict(zip(names, slots, strict=True))
    flat = (model.Integer, model.Float, model.Text, model.Enumeration)
    if all(isinstance(kind, flat) for kind in kinds):
        pairs = list(zip(names, kinds, strict=True))

        def scalars(slots: list[int], arena: memoryview) -> dict[str, model.Value]:
            return {
                name: _scalar(kind, slot, arena)
                for (name, kind), slot in zip(pairs, slots, strict=True)
            }

        return scalars

    def nested(slots: list[int], arena: memoryview) -> dict[str, model.Value]:
        left = iter(slots)
        return {f.name: _value(f.type, left, arena) for f in payload.fields}

    return nested


# --- values -> slots --------------------------------------------------------------------------


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise TraceError(f"not a text without NUL: {value!r}")
    try:
        return value.encode("utf8", "surrogateescape")
    except UnicodeEncodeError:
        raise TraceError(f"{value!r} has characters that UTF-8 has not") from None


def _numbers(kind: model.FixedArray | model.Sequence, text: str | bytes) -> list[model.Value]:
    """A text as the elements of an array of bytes, which is padded with zeros."""
    data = _bytes(text)
    if isinstance(kind, model.FixedArray):
        data = data.ljust(kind.length, b"\0")
    signed = isinstance(kind.element, model.Integer) and kind.element.signed
    return [b - 256 if signed and b > 127 else b for b in data]


class Flat:
    """Values on their way to C: slots, and the arena that text slots point into."""

    def __init__(self) -> None:
        self.slots: list[int] = []
        self.arena = bytearray()

    def text(self, value: object) -> None:
        """Append a text: a slot with its place and length, its bytes to the arena."""
        data = _bytes(value)
        if 0 in data:
            raise TraceError(f"not a text without NUL: {value!r}")
        self.slots.append(len(self.arena) << 32 | len(data))
        self.arena += data + b"\0"

    def integer(self, kind: model.Integer, value: object) -> None:
        """Append an integer that the type holds."""
        if not isinstance(value, int):
            raise TraceError(f"not an integer: {value!r}")
        low = -(1 << (kind.bits - 1)) if kind.signed else 0
        if not low <= value < low + (1 << kind.bits):
            raise TraceError(
                f"{value} does not fit {kind.bits} bits {'' if kind.signed else 'un'}signed"
            )
        self.slots.append(value - (1 << 64) if value > WORD >> 1 else value)

    def value(self, kind: model.FieldType, value: model.Value) -> None:
        """Append the slots of one value."""
        match kind:
            case model.Integer():
                self.integer(kind, value)
            case model.Enumeration():
                self.integer(kind.container, value)
            case model.Float():
                if not isinstance(value, (int, float)):
                    raise TraceError(f"not a number: {value!r}")
                self.slots.append(_bits(float(value)))
            case model.Text():
                self.text(value)
            case model.FixedArray() | model.Sequence():
                self._elements(kind, value)
            case model.Struct():
                self.struct(kind, value)
            case model.Variant() | model.Optional():
                raise TraceError("LTT payloads hold no variants and no optional fields")
            case _:
                assert_never(kind)

    def _elements(self, kind: model.FixedArray | model.Sequence, value: model.Value) -> None:
        if isinstance(value, (str, bytes)):
            value = _numbers(kind, value)
        if not isinstance(value, list):
            raise TraceError(f"not a list: {value!r}")
        if isinstance(kind, model.Sequence):
            if kind.count is None:
                raise TraceError("a sequence in an LTT payload carries its own count")
            self.integer(kind.count, len(value))
        elif len(value) != kind.length:
            raise TraceError(f"{len(value)} elements where {kind.length} belong")
        for element in value:
            self.value(kind.element, element)

    def struct(self, kind: model.Struct, value: object) -> None:
        """Append the slots of all members."""
        if not isinstance(value, dict):
            raise TraceError(f"not a structure: {value!r}")
        for member in kind.fields:
            if member.name not in value:
                raise TraceError(f"no value for the field `{member.name}`")
            try:
                self.value(member.type, value[member.name])
            except TraceError as error:
                raise TraceError(f"field `{member.name}`: {error}") from None


def flatten(payload: model.Struct, fields: Mapping[str, model.Value]) -> Flat:
    """The slots of an event's fields."""
    flat = Flat()
    flat.struct(payload, fields)
    return flat
