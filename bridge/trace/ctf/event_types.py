"""Types of fields by short names, as a program gives them to a writer -> an event class.

`u8 .. u64`, `i8 .. i64`, `f32`, `f64`, `bool`, `string` (ends at a NUL, so it holds none),
`bytes`; `[type]` is as many of a type as a value has, `[type, 3]` three of it, and a dict is a
structure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.errors import TraceError
from bridge.trace.model import (
    BYTES,
    EventClass,
    Field,
    FieldType,
    FixedArray,
    Float,
    Integer,
    Sequence,
    Struct,
    Text,
)

Spec = str | list[Any] | Mapping[str, Any] | FieldType
"""The type of a field, for a writer: a name, `[element]`, fields by name, or a type itself."""

COUNT = Integer(32, signed=False)
_BYTE = Integer(8, signed=False, encoding=BYTES)
NAMES: dict[str, FieldType] = {
    **{f"u{bits}": Integer(bits, signed=False) for bits in (8, 16, 32, 64)},
    **{f"i{bits}": Integer(bits, signed=True) for bits in (8, 16, 32, 64)},
    "f32": Float(32),
    "f64": Float(64),
    "bool": Integer(8, signed=False, form="bool"),
    "string": Text(),
    "bytes": Sequence(_BYTE, "", COUNT),
}


def _type(spec: Spec, path: str) -> FieldType:
    match spec:
        case str() if spec in NAMES:
            return NAMES[spec]
        case [element]:
            return Sequence(_type(element, path), "", COUNT)
        case [element, int() as length] if length > 0:
            return FixedArray(_type(element, path), length)
        case Mapping():
            return _struct(spec, path)
        case _ if isinstance(spec, FieldType):
            return spec
        case _:
            raise TraceError(f"field `{path}`: no type {spec!r}; there are: {', '.join(NAMES)}")


def _struct(fields: Mapping[str, Spec], path: str) -> Struct:
    dot = f"{path}." if path else ""
    return Struct(tuple(Field(name, _type(s, f"{dot}{name}")) for name, s in fields.items()))


def event_class(name: str, fields: Mapping[str, Spec]) -> EventClass:
    """The class of events with these fields."""
    return EventClass(name, 0, _struct(fields, ""))
