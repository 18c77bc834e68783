"""Field types and event classes -> CTF 2 metadata: a JSON text sequence (RFC 7464).

The streams are those of `tsdl_writer`, described in the other language. Paths of lengths and
tags start at a scope (`bridge.trace.ctf.locate`). Source: CTF2-SPEC-2.0, sections 5 and 6.
"""

from __future__ import annotations

import json
import uuid as uuids
from typing import TYPE_CHECKING, Any, assert_never

from bridge.trace.ctf.description import LOG_LEVELS
from bridge.trace.ctf.field_classes import ENCODINGS, ORIGINS
from bridge.trace.ctf.layout import alignment
from bridge.trace.model import (
    BYTES,
    Enumeration,
    FieldType,
    FixedArray,
    Float,
    Integer,
    Optional,
    Sequence,
    Struct,
    Text,
    Variant,
    is_raw,
    names_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridge.trace.ctf.description import Clock
    from bridge.trace.model import EventClass

Json = dict[str, Any]
SEPARATOR = "\x1e"
ATTRIBUTES = "babeltrace.org,2020"
"""Under this name babeltrace2 keeps what only CTF 1.8 has a place for."""
COMPACT_LAST = 65534
"""The header's first word up to this is the event's number; the next says that it follows."""
_NAMES_OF_ENCODINGS = {ours: name for name, ours in ENCODINGS.items()}
_SCOPES = {scope: origin for origin, scope in ORIGINS.items()}


def _order(kind: Integer | Float) -> Json:
    found: Json = {"byte-order": "big-endian" if kind.big_endian else "little-endian"}
    if kind.reversed_bits:
        found["bit-order"] = "first-to-last" if kind.big_endian else "last-to-first"
    return found


def _ranges(rows: Iterable[tuple[str, int, int]]) -> dict[str, list[list[int]]]:
    found: dict[str, list[list[int]]] = {}
    for name, low, high in rows:
        found.setdefault(name, []).append([low, high])
    return found


def integer(kind: Integer, *roles: str) -> Json:
    """A number, a truth value, or a row of bits."""
    sign = "signed" if kind.signed else "unsigned"
    if kind.form == "leb128":
        found: Json = {"type": f"variable-length-{sign}-integer"}
    else:
        found = {"length": kind.bits, "alignment": kind.align_bits, **_order(kind)}
        found["type"] = f"fixed-length-{sign}-integer"
    if kind.form == "bool":
        found["type"] = "fixed-length-boolean"
    elif kind.form == "bits":
        found["type"] = f"fixed-length-bit-{'map' if kind.flags else 'array'}"
        found |= {"flags": _ranges(kind.flags)} if kind.flags else {}
    else:
        found["preferred-display-base"] = kind.base
    return found | ({"roles": list(roles)} if roles else {})


def location(path: str) -> Json:
    """Where a path that starts at a scope leads."""
    scope, names = next(
        (origin, path[len(scope) + 1 :])
        for scope, origin in _SCOPES.items()
        if path.startswith(f"{scope}.")
    )
    return {"origin": scope, "path": list(names_of(names))}


def _raw(kind: FixedArray | Sequence, element: Integer) -> Json:
    """Text or bytes of a length."""
    found: Json = {"type": f"{'static' if isinstance(kind, FixedArray) else 'dynamic'}-length-"}
    if element.encoding == BYTES:
        found["type"] += "blob"
    else:
        found["type"] += "string"
        found["encoding"] = _NAMES_OF_ENCODINGS.get(element.encoding, "utf-8")
    return found


def _elements(kind: FixedArray | Sequence) -> Json:
    if isinstance(kind.element, Integer) and is_raw(kind.element):
        found = _raw(kind, kind.element)
    else:
        static = isinstance(kind, FixedArray)
        found = {"type": f"{'static' if static else 'dynamic'}-length-array"}
        found["element-field-class"] = field_class(kind.element)
        found["minimum-alignment"] = kind.align_bits
    if isinstance(kind, FixedArray):
        return found | {"length": kind.length}
    return found | {"length-field-location": location(kind.length)}


def _variant(kind: Variant) -> Json:
    options = []
    for option, ranges in zip(kind.options, kind.ranges, strict=True):
        found: Json = {"selector-field-ranges": [list(pair) for pair in ranges]}
        found["field-class"] = field_class(option.type)
        options.append(found | ({"name": option.name} if option.name else {}))
    where = location(kind.tag)
    return {"type": "variant", "selector-field-location": where, "options": options}


def _optional(kind: Optional) -> Json:
    found: Json = {"type": "optional", "selector-field-location": location(kind.tag)}
    found["field-class"] = field_class(kind.element)
    if kind.ranges:
        found["selector-field-ranges"] = [list(pair) for pair in kind.ranges]
    return found


def field_class(kind: FieldType) -> Json:
    """The field class of a type whose paths all start at a scope."""
    match kind:
        case Integer():
            return integer(kind)
        case Float():
            number = {"length": kind.bits, "alignment": kind.align_bits, **_order(kind)}
            return {"type": "fixed-length-floating-point-number", **number}
        case Text():
            encoding = _NAMES_OF_ENCODINGS.get(kind.encoding, "utf-8")
            return {"type": "null-terminated-string", "encoding": encoding}
        case Enumeration():
            mappings = {"mappings": _ranges(kind.labels)} if kind.labels else {}
            return integer(kind.container) | mappings
        case FixedArray() | Sequence():
            return _elements(kind)
        case Struct():
            return structure(kind)
        case Variant():
            return _variant(kind)
        case Optional():
            return _optional(kind)
    assert_never(kind)


# --- structures -------------------------------------------------------------------------------


def member(name: str, found: Json) -> Json:
    """A member of a structure."""
    return {"name": name, "field-class": found}


def struct_of(members: Iterable[Json], align: int = 1) -> Json:
    """A structure."""
    return {"type": "structure", "member-classes": list(members), "minimum-alignment": align}


def structure(kind: Struct) -> Json:
    """The field class of a structure."""
    members = (member(f.name, field_class(f.type)) for f in kind.fields)
    return struct_of(members, alignment(kind))


def _number(bits: int, *roles: str) -> Json:
    return integer(Integer(bits, signed=False), *roles)


def packet_header() -> Json:
    """What each packet of our writer starts with."""
    uuid = {"type": "static-length-blob", "length": 16, "roles": ["metadata-stream-uuid"]}
    return struct_of(
        (
            member("magic", _number(32, "packet-magic-number")),
            member("uuid", uuid),
            member("stream_id", _number(32, "data-stream-class-id")),
            member("stream_instance_id", _number(64, "data-stream-id")),
        )
    )


def packet_context(*, with_cpu: bool) -> Json:
    """What a packet of our writer says of itself."""
    rows = [
        ("timestamp_begin", "default-clock-timestamp"),
        ("timestamp_end", "packet-end-default-clock-timestamp"),
        ("content_size", "packet-content-length"),
        ("packet_size", "packet-total-length"),
        ("packet_seq_num", "packet-sequence-number"),
        ("events_discarded", "discarded-event-record-counter-snapshot"),
    ]
    members = [member(name, _number(64, role)) for name, role in rows]
    return struct_of([*members, member("cpu_id", _number(32))] if with_cpu else members)


def event_header() -> Json:
    """The number of an event's class and its time, in one of two sizes."""
    ids, time = "event-record-class-id", "default-clock-timestamp"
    compact = struct_of((member("timestamp", _number(32, time)),))
    extended = struct_of(
        (member("id", _number(32, ids)), member("timestamp", _number(64, time)))
    )
    sizes = (("compact", 0, COMPACT_LAST, compact), ("extended", 65535, 65535, extended))
    options = [
        {"name": name, "selector-field-ranges": [[low, high]], "field-class": found}
        for name, low, high, found in sizes
    ]
    where = {"origin": "event-record-header", "path": ["id"]}
    variant = {"type": "variant", "selector-field-location": where, "options": options}
    return struct_of((member("id", _number(16, ids)), member("v", variant)))


# --- fragments --------------------------------------------------------------------------------


def text(*fragments: Json) -> str:
    """Fragments as texts of the sequence."""
    return "".join(f"{SEPARATOR}{json.dumps(fragment)}\n" for fragment in fragments)


def header(uuid: str, environment: Mapping[str, str | int]) -> str:
    """The preamble and the trace class."""
    trace = {"type": "trace-class", "packet-header-field-class": packet_header()}
    entries = {"environment": dict(environment)} if environment else {}
    preamble = {"type": "preamble", "version": 2, "uuid": list(uuids.UUID(uuid).bytes)}
    return text(preamble, trace | entries)


def clock(found: Clock) -> str:
    """A clock; its name is what streams call it."""
    offset = {"seconds": found.offset_s, "cycles": found.offset}
    fragment: Json = {"type": "clock-class", "id": found.name, "name": found.name}
    fragment |= {"frequency": found.frequency, "offset-from-origin": offset}
    if found.absolute:
        fragment["origin"] = "unix-epoch"
    elif found.origin is not None:
        namespace, name, uid = found.origin
        own = {"namespace": namespace} if namespace else {}
        fragment["origin"] = {"name": name, "uid": uid, **own}
    kept = {
        "description": found.description or None,
        "namespace": found.namespace or None,
        "uid": found.uid or found.uuid or None,
        "precision": found.precision,
        "accuracy": found.accuracy,
    }
    return text(fragment | {name: value for name, value in kept.items() if value is not None})


def stream(number: int, clock_name: str, *, with_cpu: bool) -> str:
    """A data stream class."""
    return text(
        {
            "type": "data-stream-class",
            "id": number,
            "default-clock-class-id": clock_name,
            "packet-context-field-class": packet_context(with_cpu=with_cpu),
            "event-record-header-field-class": event_header(),
        }
    )


def _attributes(event_class: EventClass) -> Json:
    """What CTF 2 has no property for, as babeltrace2 writes it; and the rest by its name."""
    own = dict(event_class.attributes)
    level, uri = own.pop("loglevel", None), own.pop("model.emf.uri", None)
    found: Json = {name: own.pop(name) for name in ("namespace", "uid") if name in own}
    kept: Json = dict(own)
    if level is not None:
        is_known = level.isdecimal() and int(level) < len(LOG_LEVELS)
        kept["log-level"] = LOG_LEVELS[int(level)] if is_known else level
    if uri is not None:
        kept["emf-uri"] = uri
    return found | ({"attributes": {ATTRIBUTES: kept}} if kept else {})


def event(
    event_class: EventClass,
    number: int,
    stream_number: int,
    context: Struct | None,
    payload: Struct,
) -> str:
    """An event record class. The structures are those that are written, located."""
    fragment: Json = {"type": "event-record-class", "id": number, "name": event_class.name}
    fragment |= {"data-stream-class-id": stream_number, **_attributes(event_class)}
    if context is not None:
        fragment["specific-context-field-class"] = structure(context)
    return text(fragment | {"payload-field-class": structure(payload)})
