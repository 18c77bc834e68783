"""Field types of any reader -> field types that CTF can write, and values along with them.

A count that stands before its elements becomes a field of its own; unions become structures
that hold every reading. Nothing else changes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.trace.ctf.values import Misfit
from bridge.trace.model import (
    Field,
    FieldType,
    FixedArray,
    Sequence,
    Struct,
    Value,
    Variant,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[Value], Value]

COUNT, ELEMENTS = "length", "elements"


def _same(value: Value) -> Value:
    return value


def normal(type_: FieldType) -> tuple[FieldType, Change]:
    """A type that can be written, and what makes its values of the given type's values."""
    match type_:
        case Struct():
            return _struct(type_)
        case FixedArray(element=element):
            inner, change = normal(element)
            return replace(type_, element=inner), _each(change)
        case Sequence(count=None, element=element):
            inner, change = normal(element)
            return replace(type_, element=inner), _each(change)
        case Sequence():
            return _counted(type_)
        case Variant(options=options):
            return replace(type_, options=tuple(_option(f) for f in options)), _same
        case _:
            return type_, _same


def _option(option: Field) -> Field:
    inner, change = normal(option.type)
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
    inner, change = normal(type_.element)
    assert type_.count is not None
    struct = Struct((Field(COUNT, type_.count), Field(ELEMENTS, Sequence(inner, COUNT))))
    elements = _each(change)

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
            inner, change = normal(member.type.element)
            fields.append(Field(name, member.type.count))
            fields.append(Field(member.name, Sequence(inner, name)))
            changes.append((member.name, name, _each(change)))
        else:
            changed, change = normal(member.type)
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
