"""Facility -> a document of the XML dialect that parses to the same facility.

Named types stand first, as they were declared; then the events. The rule: what the dialect
cannot say (a quote or a new line in a value, '<' in a description) is an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from bridge.errors import TraceError
from bridge.facility import model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_VALUE = re.compile(r'(?:\\.|[^"\\\n])*', re.DOTALL)
_WORD = re.compile(r"[A-Za-z_-][A-Za-z0-9_-]*", re.ASCII)

Attributes = tuple[tuple[str, str], ...]


def _attributes(attributes: Iterable[tuple[str, str]]) -> str:
    """` name="value"`; a word alone where it has no value."""
    parts = []
    for name, value in attributes:
        if not _VALUE.fullmatch(value):
            raise TraceError(f"{value!r} cannot be written as a value of {name}")
        if not _WORD.fullmatch(name):
            raise TraceError(f"{name!r} cannot be written as the name of an attribute")
        parts.append(
            f' {name}="{value}"' if value or name in ("name", "format") else f" {name}"
        )
    return "".join(parts)


def _of_type(kind: model.Type) -> Attributes:
    """The attributes of a type, in the order of the stock files: the size first."""
    match kind:
        case model.Ref():
            return (("name", kind.name),)
        case model.Array():
            found = [("size", str(kind.length))]
        case model.Compound():
            found = []
        case _:
            found = [("size", kind.size)] if kind.size else []
    if kind.format is not None:
        found.append(("format", kind.format))
    if isinstance(kind, model.Scalar) and kind.network:
        found.append(("byte_order", "network"))
    if isinstance(kind, model.Scalar | model.Array | model.Sequence) and kind.custom:
        found.append(("write", "custom"))
    return tuple(found)


def _tag(kind: model.Type) -> str:
    match kind:
        case model.Scalar() | model.Compound():
            return kind.word
        case model.Enum():
            return "enum"
        case model.Array():
            return "array"
        case model.Sequence():
            return "sequence"
        case model.Ref():
            return "typeref"
    assert_never(kind)


def _inner(kind: model.Type) -> list[str]:
    """The lines between the tags of a type."""
    match kind:
        case model.Enum():
            return [line for label in kind.labels for line in _label(label)]
        case model.Array():
            return _type(kind.element)
        case model.Sequence():
            # the old dialect writes only the size of the count
            return ([] if kind.size else _type(kind.count)) + _type(kind.element)
        case model.Compound():
            return [line for member in kind.members for line in _field(member)]
        case _:
            return []


def _label(label: model.Label) -> Iterator[str]:
    value = (("value", label.written),) if label.written else ()
    yield f"<label{_attributes((('name', label.name), *value))}/>"
    yield from _description(label.description)


def _type(kind: model.Type) -> list[str]:
    tag, inner = _tag(kind), _inner(kind)
    if isinstance(kind, model.Scalar | model.Ref):
        return [f"<{tag}{_attributes(_of_type(kind))}/>"]
    return [f"<{tag}{_attributes(_of_type(kind))}>", *_indented(inner), f"</{tag}>"]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _description(text: str) -> list[str]:
    if "<" in text:
        raise TraceError(f"'<' cannot be written in a description: {text[:60]!r}")
    return [f"<description>{text}</description>"] if text else []


def _field(member: model.Member) -> list[str]:
    inner = [*_description(member.description), *_type(member.type)]
    opened = f"<field{_attributes((('name', member.name),))}>"
    if len(inner) == 1:
        return [f"{opened}{inner[0]}</field>"]
    return [opened, *_indented(inner), "</field>"]


def _event(event: model.Event) -> list[str]:
    fields = [line for member in event.members for line in _field(member)]
    if event.struct:
        fields = ["<struct>", *_indented(fields), "</struct>"]
    attributes = event.attributes or (("name", event.name),)
    inner = [*_description(event.description), *fields]
    return [f"<event{_attributes(attributes)}>", *_indented(inner), "</event>"]


def _named(name: str, kind: model.Type) -> list[str]:
    return [f"<type{_attributes((('name', name),))}>", *_indented(_type(kind)), "</type>"]


def write(facility: model.Facility) -> str:
    """The description as a document.

    Raises:
        TraceError: a name or a text that the dialect cannot hold.

    """
    attributes = [("name", facility.name)]
    attributes += [(n, v) for n in ("arch", "align") if (v := getattr(facility, n))]
    inner = _description(facility.description)
    for name, kind in facility.types.items():
        inner += ["", *_named(name, kind)]
    for event in facility.events:
        inner += ["", *_event(event)]
    lines = [
        '<?xml version="1.0"?>',
        f"<facility{_attributes(attributes)}>",
        *(f"  {line}" if line else "" for line in inner),
        "</facility>",
    ]
    return "\n".join([*lines, ""])


__all__ = ["write"]
