"""Facility -> JSON: all that the description says, with sizes and alignments per word size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, assert_never

from bridge.facility import checksum, model
from bridge.facility.layout import WORD_SIZES, layout

if TYPE_CHECKING:
    from collections.abc import Iterable

    Json = dict[str, Any]


def _without_empty(entries: Json) -> Json:
    return {name: value for name, value in entries.items() if value not in ("", None, False)}


def _label(label: model.Label) -> Json:
    found = {"name": label.name, "value": label.value, "description": label.description}
    return _without_empty(found) | {"value": label.value}


def _type(kind: model.Type) -> Json:
    match kind:
        case model.Scalar():
            return _without_empty(
                {
                    "type": kind.word,
                    "size": kind.size,
                    "format": kind.format,
                    "byte_order": "network" if kind.network else "",
                    "custom_write": kind.custom,
                }
            )
        case model.Enum():
            labels = [_label(label) for label in kind.labels]
            return _without_empty(
                {"type": "enum", "size": kind.size, "format": kind.format, "labels": labels}
            )
        case model.Array():
            found = {"type": "array", "length": kind.length, "element": _type(kind.element)}
            return _without_empty(found | {"format": kind.format, "custom_write": kind.custom})
        case model.Sequence():
            found = {"type": "sequence", "count": _type(kind.count)}
            found |= {"element": _type(kind.element), "format": kind.format}
            return _without_empty(found | {"custom_write": kind.custom})
        case model.Compound():
            members = [_member(member) for member in kind.members]
            return _without_empty({"type": kind.word, "format": kind.format, "fields": members})
        case model.Ref():
            return {"type": "typeref", "name": kind.name}
    assert_never(kind)


def _member(member: model.Member) -> Json:
    found = {
        "name": member.name,
        "description": member.description,
        "line": member.line or None,
    }
    return _without_empty(found) | {"of": _type(member.type)}


def _fields(facility: model.Facility, members: Iterable[model.Member]) -> list[Json]:
    found = []
    for member in members:
        layouts = {
            str(8 * size): {"size": one.size, "alignment": one.alignment}
            for size in WORD_SIZES
            for one in (layout(facility, member.type, size),)
        }
        found.append(_member(member) | {"layout": layouts})
    return found


def _event(facility: model.Facility, number: int, event: model.Event) -> Json:
    attributes = [list(pair) for pair in event.attributes if pair[0] != "name"]
    found = {
        "name": event.name,
        "description": event.description,
        "attributes": attributes or None,
        "line": event.line or None,
    }
    return {"id": number} | _without_empty(found) | {"fields": _fields(facility, event.members)}


def tree(facility: model.Facility) -> Json:
    """The description as plain values; layouts are by the bits of a word."""
    found = {
        "facility": facility.name,
        "description": facility.description,
        "arch": facility.arch,
        "align": facility.align,
    }
    return _without_empty(found) | {
        "checksums": sorted(f"{value:08X}" for value in checksum.variants(facility)),
        "types": {name: _type(kind) for name, kind in facility.types.items()},
        "events": [
            _event(facility, number, event) for number, event in enumerate(facility.events)
        ],
    }


def write(facility: model.Facility) -> str:
    """The description as JSON text."""
    return json.dumps(tree(facility), indent=2, ensure_ascii=True) + "\n"


__all__ = ["tree", "write"]
