"""Field types of any reader -> field types that CTF can write, and values along with them.

A count that stands before its elements becomes a field of its own; unions become structures
that hold every reading. For CTF 1.8 (`plain`) numbers of any length become numbers of 64 bits,
truth values numbers, bytes arrays of numbers, and all text UTF-8. Nothing else changes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from bridge.trace.ctf.layout import width
from bridge.trace.ctf.values import Misfit
from bridge.trace.model import (
    BYTES,
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
    Value,
    Variant,
    is_raw,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[Value], Value]

COUNT, ELEMENTS = "length", "elements"


def _same(value: Value) -> Value:
    return value


def normal(type_: FieldType, *, plain: bool = False) -> tuple[FieldType, Change]:
    """A type that can be written, and what makes its values of the given type's values."""
    return _normal(_simple(type_) if plain else type_)


def _normal(type_: FieldType) -> tuple[FieldType, Change]:
    match type_:
        case Struct():
            return _struct(type_)
        case FixedArray() | Sequence(count=None):
            return _elements(type_)
        case Sequence():
            return _counted(type_)
        case Variant(options=options):
            return replace(type_, options=tuple(_option(f) for f in options)), _same
        case Optional(element=element):
            inner, change = _normal(element)
            return replace(type_, element=inner), _if_there(change)
        case _:
            return type_, _same


def _elements(type_: FixedArray | Sequence) -> tuple[FieldType, Change]:
    """Elements each; text and bytes as a whole, and bytes that became numbers as a list."""
    if is_raw(type_.element):
        return type_, _same
    inner, change = _each_of(type_.element)
    return replace(type_, element=inner), change


def _each_of(element: FieldType) -> tuple[FieldType, Change]:
    """The type of elements, and what makes their array of a value."""
    inner, change = _normal(element)
    if change is _same:
        return inner, _same if is_raw(element) else _as_list
    return inner, _each(change)


def _as_list(value: Value) -> Value:
    """Bytes as the numbers that they are."""
    return list(value) if isinstance(value, bytes) else value


def _if_there(change: Change) -> Change:
    return change if change is _same else lambda value: None if value is None else change(value)


# --- what CTF 1.8 has -------------------------------------------------------------------------


def _simple(type_: FieldType) -> FieldType:
    """The nearest type that CTF 1.8 can describe."""
    match type_:
        case Integer():
            return _simple_number(type_)
        case Enumeration(container=container):
            return replace(type_, container=_simple_number(container))
        case Float():
            return replace(type_, reversed_bits=False)
        case Text():
            return type_ if width(type_.encoding) == 1 else Text()
        case FixedArray() | Sequence():
            return _simple_elements(type_)
        case Struct() | Variant():
            return _simple_members(type_)
        case Optional():
            return type_
    assert_never(type_)


def _simple_elements(type_: FixedArray | Sequence) -> FieldType:
    element = type_.element
    if isinstance(element, Integer) and width(element.encoding) > 1:
        return Text()
    inner = _simple(element)
    if isinstance(type_, FixedArray):
        return FixedArray(inner, type_.length)
    return Sequence(inner, type_.length, type_.count)


def _simple_members(type_: Struct | Variant) -> FieldType:
    if isinstance(type_, Struct):
        fields = tuple(replace(f, type=_simple(f.type)) for f in type_.fields)
        return replace(type_, fields=fields)
    options = tuple(replace(o, type=_simple(o.type)) for o in type_.options)
    return replace(type_, options=options)


def _simple_number(type_: Integer) -> Integer:
    align = 8 if type_.form == "leb128" else type_.align_bits
    encoding, base = type_.encoding, type_.base
    if encoding == BYTES:
        encoding, base = "", 16
    return Integer(
        type_.bits, type_.signed, align, type_.big_endian, base, encoding, type_.clock
    )


def _option(option: Field) -> Field:
    inner, change = _normal(option.type)
    if change is not _same:
        raise TypeError("a sequence with its own count cannot be in a variant")
    return replace(option, type=inner)


def _each(change: Change) -> Change:
    if change is _same:
        return _same

    def apply(value: Value) -> Value:
        return [change(item) for item in value] if isinstance(value, list) else value

    return apply


def _counted(type_: Sequence) -> tuple[FieldType, Change]:
    """Where no field can be put before it: a structure of the count and the elements."""
    inner, elements = _each_of(type_.element)
    assert type_.count is not None
    struct = Struct((Field(COUNT, type_.count), Field(ELEMENTS, Sequence(inner, COUNT))))

    def apply(value: Value) -> Value:
        return {COUNT: _length(value), ELEMENTS: elements(value)}

    return struct, apply


def _length(value: Value) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    return len(value) if isinstance(value, list | bytes) else 0


def _struct(type_: Struct) -> tuple[FieldType, Change]:
    taken = {f.name for f in type_.fields}
    fields: list[Field] = []
    changes: list[tuple[str, str, Change]] = []
    for member in type_.fields:
        if isinstance(member.type, Sequence) and member.type.count is not None:
            name = f"{member.name}_{COUNT}"
            while name in taken:
                name += "_"
            taken.add(name)
            inner, change = _each_of(member.type.element)
            fields.append(Field(name, member.type.count))
            fields.append(Field(member.name, Sequence(inner, name)))
            changes.append((member.name, name, change))
        else:
            changed, change = _normal(member.type)
            fields.append(Field(member.name, changed))
            changes.append((member.name, "", change))
    result = Struct(tuple(fields), type_.align_bits)
    if all(not length and change is _same for _, length, change in changes):
        return result, _same

    def apply(value: Value) -> Value:
        if not isinstance(value, dict):
            return value
        made: dict[str, Value] = {}
        for name, length, change in changes:
            if name not in value:
                raise Misfit("there is no value", name)
            if length:
                made[length] = _length(value[name])
            made[name] = change(value[name])
        return made

    return result, apply
