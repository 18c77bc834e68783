"""Facility -> CTF 2 metadata: JSON fragments for a stream class with the facility's events.

The streams that it describes are those that markbridge writes for CTF 1.8, and the fields lie
as in `bridge.describe.tsdl`. Source: CTF2-SPEC-2.0, sections 5 and 6. The rule: names need no
change here, so they stay as the description has them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, assert_never

from bridge.describe import tsdl
from bridge.trace import model
from bridge.trace.ctf.layout import alignment
from bridge.trace.ctf.normal import normal
from bridge.trace.ltt.facility_payload import event_payload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.facility.model import Facility

Json = dict[str, Any]
Path = tuple[str, ...]
"""Names of members, from the payload on; an array is passed through."""
SEPARATOR = "\x1e"
_PAYLOAD = "event-record-payload"
_COMPACT_LAST = 65534
"""The header's first word up to this is the event's number; the next says that it follows."""


def _integer(kind: model.Integer, *roles: str) -> Json:
    sign = "signed" if kind.signed else "unsigned"
    found: Json = {
        "type": f"fixed-length-{sign}-integer",
        "length": kind.bits,
        "byte-order": "big-endian" if kind.big_endian else "little-endian",
        "alignment": kind.align_bits,
        "preferred-display-base": kind.base,
    }
    return found | ({"roles": list(roles)} if roles else {})


def _number(bits: int, *roles: str) -> Json:
    return _integer(model.Integer(bits, signed=False), *roles)


def _field(kind: model.FieldType, path: Path) -> Json:
    """A field class; `path` leads to it."""
    match kind:
        case model.Integer():
            return _integer(kind)
        case model.Float():
            return {
                "type": "fixed-length-floating-point-number",
                "length": kind.bits,
                "byte-order": "big-endian" if kind.big_endian else "little-endian",
                "alignment": kind.align_bits,
            }
        case model.Text():
            return {"type": "null-terminated-string"}
        case model.Enumeration():
            ranges: dict[str, list[list[int]]] = {}
            for name, low, high in kind.labels:
                ranges.setdefault(name, []).append([low, high])
            mappings = {"mappings": ranges} if ranges else {}
            return _integer(kind.container) | mappings
        case model.FixedArray():
            inner = _field(kind.element, path)
            return {
                "type": "static-length-array",
                "length": kind.length,
                "element-field-class": inner,
            }
        case model.Sequence():
            # what counts it is a field beside it
            where = {"origin": _PAYLOAD, "path": [*path[:-1], kind.length]}
            inner = _field(kind.element, path)
            return {
                "type": "dynamic-length-array",
                "length-field-location": where,
                "element-field-class": inner,
            }
        case model.Struct():
            return _structure(kind, path)
        case model.Variant() | model.Optional():
            raise AssertionError("facilities have no variants")
    assert_never(kind)


def _structure(kind: model.Struct, path: Path = ()) -> Json:
    members = [_member(f.name, _field(f.type, (*path, f.name))) for f in kind.fields]
    return _struct(members, alignment(kind))


def _member(name: str, field_class: Json) -> Json:
    return {"name": name, "field-class": field_class}


def _struct(members: Iterable[Json], align: int = 1) -> Json:
    return {"type": "structure", "member-classes": list(members), "minimum-alignment": align}


def _packet_header() -> Json:
    uuid = {"type": "static-length-blob", "length": 16, "roles": ["metadata-stream-uuid"]}
    return _struct(
        (
            _member("magic", _number(32, "packet-magic-number")),
            _member("uuid", uuid),
            _member("stream_id", _number(32, "data-stream-class-id")),
            _member("stream_instance_id", _number(64, "data-stream-id")),
        )
    )


def _packet_context() -> Json:
    return _struct(
        (
            _member("timestamp_begin", _number(64, "default-clock-timestamp")),
            _member("timestamp_end", _number(64, "packet-end-default-clock-timestamp")),
            _member("content_size", _number(64, "packet-content-length")),
            _member("packet_size", _number(64, "packet-total-length")),
            _member("packet_seq_num", _number(64, "packet-sequence-number")),
            _member("events_discarded", _number(64, "discarded-event-record-counter-snapshot")),
            _member("cpu_id", _number(32)),
        )
    )


def _event_header() -> Json:
    ids, time = "event-record-class-id", "default-clock-timestamp"
    compact = _struct((_member("timestamp", _number(32, time)),))
    extended = _struct(
        (_member("id", _number(32, ids)), _member("timestamp", _number(64, time)))
    )
    last = _COMPACT_LAST
    options = [
        {"name": "compact", "selector-field-ranges": [[0, last]], "field-class": compact},
        {
            "name": "extended",
            "selector-field-ranges": [[last + 1, last + 1]],
            "field-class": extended,
        },
    ]
    variant = {
        "type": "variant",
        "selector-field-location": {"origin": "event-record-header", "path": ["id"]},
        "options": options,
    }
    return _struct((_member("id", _number(16, ids)), _member("v", variant)))


def _event(facility: Facility, number: int, word_size: int) -> Json:
    event = facility.events[number]
    payload, _ = normal(event_payload(facility, event, tsdl.sizes(facility, word_size)))
    assert isinstance(payload, model.Struct)
    return {
        "type": "event-record-class",
        "id": number,
        "name": f"{facility.name}:{event.name}",
        "payload-field-class": _structure(payload),
    }


def fragments(facility: Facility, word_size: int = 8) -> list[Json]:
    """The fragments in their order."""
    uuid = list(tsdl.uuid(facility).bytes)
    clock = {"type": "clock-class", "id": tsdl.CLOCK, "frequency": 1_000_000_000}
    clock |= {"origin": "unix-epoch"}
    stream = {
        "type": "data-stream-class",
        "default-clock-class-id": tsdl.CLOCK,
        "packet-context-field-class": _packet_context(),
        "event-record-header-field-class": _event_header(),
    }
    return [
        {"type": "preamble", "version": 2, "uuid": uuid},
        clock,
        {"type": "trace-class", "packet-header-field-class": _packet_header()},
        stream,
        *(_event(facility, number, word_size) for number in range(len(facility.events))),
    ]


def write(facility: Facility, word_size: int = 8) -> str:
    """The metadata stream: a JSON text sequence (RFC 7464)."""
    texts = (json.dumps(fragment) for fragment in fragments(facility, word_size))
    return "".join(f"{SEPARATOR}{text}\n" for text in texts)


__all__ = ["fragments", "write"]
