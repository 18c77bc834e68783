"""Events of any reader -> lines of text, from their values; and the same as JSON objects.

The form is babeltrace2's. CTF traces have a faster and exact way (`trace.ctf.text`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.trace.ctf.text import Stamps, TextOptions, number, quoted
from bridge.trace.model import (
    Enumeration,
    Event,
    FieldType,
    FixedArray,
    Float,
    Integer,
    Sequence,
    Struct,
    Value,
    is_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


def _enumeration(type_: Enumeration, value: int) -> str:
    found = dict.fromkeys(n for n, low, high in type_.labels if low <= value <= high)
    labels = ", ".join(map(quoted, found)) if found else "<unknown>"
    return f"( {labels} : container = {number(type_.container)(value)} )"


def _untyped(value: Value) -> str:
    """A value whose type is not known."""
    match value:
        case str():
            return quoted(value)
        case dict():
            return "{" + ",".join(f" {k} = {_untyped(v)}" for k, v in value.items()) + " }"
        case list():
            return "[" + ",".join(f" [{i}] = {_untyped(v)}" for i, v in enumerate(value)) + " ]"
        case _:
            return str(value)


def written(type_: FieldType | None, value: Value) -> str:
    """A value as text."""
    match type_, value:
        case Integer(), int():
            return number(type_)(value)
        case Enumeration(), int():
            return _enumeration(type_, value)
        case Float(), float() | int():
            return f"{value:g}"
        case Struct(), dict():
            return _fields(type_, value)
        case FixedArray(element=element) | Sequence(element=element), list() if not is_text(
            element
        ):
            items = (f" [{i}] = {written(element, v)}" for i, v in enumerate(value))
            return f"[{','.join(items)} ]"
        case _:
            return _untyped(value)


def _fields(type_: Struct | None, values: Mapping[str, Value]) -> str:
    types = {f.name: f.type for f in type_.fields} if type_ else {}
    parts = (f" {name} = {written(types.get(name), value)}" for name, value in values.items())
    return f"{{{','.join(parts)} }}"


def event_lines(events: Iterable[Event], options: TextOptions) -> Iterator[str]:
    """A line per event, without the newline."""
    stamps = Stamps(options)
    for event in events:
        parts = [f"{{ cpu_id = {event.cpu} }}"] if event.cpu >= 0 else []
        if event.context:
            parts.append(_fields(event.event_class.context, event.context))
        parts.append(_fields(event.event_class.payload, event.fields))
        stamp = stamps.stamp(event.timestamp_ns, event.tsc)
        yield f"{stamp}{event.event_class.name}: {', '.join(parts)}"


def as_object(event: Event) -> dict[str, object]:
    """An event as plain data for JSON."""
    result: dict[str, object] = {
        "name": event.event_class.name,
        "timestamp_ns": event.timestamp_ns,
        "cpu": event.cpu,
        "tsc": event.tsc,
        "stream": event.stream,
        "fields": event.fields,
    }
    if event.context:
        result["context"] = event.context
    return result
