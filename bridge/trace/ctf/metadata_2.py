"""CTF 2 metadata (a JSON text sequence, RFC 7464) -> the description of the trace.

Each text is a fragment: preamble, clock, trace, data streams, events, named field classes.
Source: CTF2-SPEC-2.0, sections 5 and 6. The rule: a property that is not known, or a value that
a property cannot have, is an error that names the fragment and the way to it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bridge.formats import ctf_metadata
from bridge.trace.ctf.description import (
    LOG_LEVELS,
    NO_PAYLOAD,
    Clock,
    CtfEvent,
    Description,
    StreamClass,
    check_clock,
)
from bridge.trace.ctf.field_classes import FieldClasses
from bridge.trace.ctf.layout import CtfScope
from bridge.trace.ctf.parse import MetadataError
from bridge.trace.ctf.properties import (
    Flaw,
    Json,
    array,
    checked,
    integer,
    keyword,
    natural,
    object_of,
    text,
)
from bridge.trace.model import EventClass, FixedArray, Integer, Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.trace.model import FieldType

UUID_BYTES = 16
MAGIC_BITS = 32
_NAMED = {"namespace": text, "name": text, "uid": text}
_CLOCK_TIMES = ("default-clock-timestamp", "packet-end-default-clock-timestamp")
_ALLOWED: dict[CtfScope, frozenset[str]] = {
    CtfScope.PACKET_HEADER: frozenset(
        (
            "packet-magic-number",
            "metadata-stream-uuid",
            "data-stream-class-id",
            "data-stream-id",
        )
    ),
    CtfScope.PACKET_CONTEXT: frozenset(
        (
            *_CLOCK_TIMES,
            "packet-content-length",
            "packet-total-length",
            "packet-sequence-number",
            "discarded-event-record-counter-snapshot",
        )
    ),
    CtfScope.EVENT_HEADER: frozenset(("default-clock-timestamp", "event-record-class-id")),
}
"""The roles that fields of a scope may have."""


def describe(raw: bytes, name: str) -> Description:
    """What metadata says; `name` is its file, for errors."""
    return _Fragments(name).read(raw)


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Flaw("a property is given twice")
    return found


def _parsed(raw: bytes) -> Json:
    """The object in a fragment's text."""
    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except RecursionError:
        raise Flaw("is nested too deeply") from None
    except ValueError as error:
        raise Flaw(f"is no JSON text: {error}") from None
    if not isinstance(found, dict):
        raise Flaw("is no object")
    return found


class _Fragments:
    def __init__(self, name: str) -> None:
        self._name = name
        self._classes = FieldClasses()
        self._has_trace = False
        self._seen: set[tuple[int, int]] = set()
        self.result = Description(version=2)

    def read(self, raw: bytes) -> Description:
        texts = [piece for piece in raw.split(ctf_metadata.SEPARATOR) if piece]
        for number, piece in enumerate(texts):
            try:
                self._fragment(number, _parsed(piece))
            except Flaw as flaw:
                raise MetadataError(f"{self._name}: fragment {number + 1}: {flaw}") from None
        if not self.result.streams:
            raise MetadataError(f"{self._name}: no data stream class is described")
        return self.result

    def _fragment(self, number: int, fragment: Json) -> None:
        takers = {
            "preamble": self._preamble,
            "field-class-alias": self._alias,
            "clock-class": self._clock,
            "trace-class": self._trace,
            "data-stream-class": self._stream,
            "event-record-class": self._event,
        }
        kind = str(fragment.get("type"))
        if kind not in takers:
            raise Flaw(f"has the unknown type {kind!r}")
        if (kind == "preamble") != (number == 0):
            raise Flaw("the preamble, and only that, comes first")
        try:
            takers[kind](fragment)
        except Flaw as flaw:
            raise flaw.within(kind) from None

    # --- fragments ---

    def _preamble(self, fragment: Json) -> None:
        found = checked(fragment, {"version": natural}, {"uuid": array})
        if found["version"] != 2:
            raise Flaw(f"CTF {found['version']} is not CTF 2")
        uuid = found.get("uuid")
        if uuid is None:
            return
        if len(uuid) != UUID_BYTES or not all(type(b) is int and 0 <= b < 256 for b in uuid):
            raise Flaw("the uuid is not 16 bytes")
        self.result.uuid = bytes(uuid)

    def _alias(self, fragment: Json) -> None:
        found = checked(fragment, {"name": text, "field-class": lambda value: value}, {})
        self._classes.name(found["name"], found["field-class"])

    def _clock(self, fragment: Json) -> None:
        optional = {
            **_NAMED,
            "description": text,
            "origin": lambda value: value,
            "offset-from-origin": object_of({}, {"seconds": integer, "cycles": natural}),
            "precision": natural,
            "accuracy": natural,
        }
        found = checked(fragment, {"id": text, "frequency": natural}, optional)
        number, frequency = found["id"], found["frequency"]
        if number in self.result.clocks:
            raise Flaw(f"clock `{number}` is there twice")
        offset = found.get("offset-from-origin", {})
        if not frequency:
            raise Flaw(f"clock `{number}` does not tick")
        if offset.get("cycles", 0) >= frequency:
            raise Flaw(f"the cycles that clock `{number}` is off are a second or more")
        absolute, origin = _origin(found.get("origin"))
        clock = Clock(
            str(found.get("name", number)),
            frequency,
            offset.get("seconds", 0),
            offset.get("cycles", 0),
            absolute,
            description=found.get("description", ""),
            precision=found.get("precision"),
            accuracy=found.get("accuracy"),
            namespace=found.get("namespace", ""),
            uid=found.get("uid", ""),
            origin=origin,
        )
        if flaw := check_clock(clock):
            raise Flaw(flaw)
        self.result.clocks[number] = clock

    def _trace(self, fragment: Json) -> None:
        optional = {**_NAMED, "environment": _environment, "packet-header-field-class": _any}
        found = checked(fragment, {}, optional)
        if self._has_trace:
            raise Flaw("there are two trace classes")
        self._has_trace = True
        self.result.environment = dict(found.get("environment", {}))
        self.result.identity = {n: found[n] for n in _NAMED if n in found}
        header = self._scope(found, "packet-header-field-class", CtfScope.PACKET_HEADER)
        self.result.packet_header = header
        if header is not None:
            self._check_header(header)

    def _check_header(self, header: Struct) -> None:
        magic = [path for path, _ in _with_role(header, "packet-magic-number")]
        if magic and magic != [(header.fields[0].name,)]:
            raise Flaw("the packet's magic number is its first field, and only there")
        for _, kind in _with_role(header, "packet-magic-number"):
            if not isinstance(kind, Integer) or kind.bits != MAGIC_BITS or kind.form:
                raise Flaw("the packet's magic number has 32 bits")
        if list(_with_role(header, "metadata-stream-uuid")) and self.result.uuid is None:
            raise Flaw("packets tell a uuid, but the preamble has none")

    def _stream(self, fragment: Json) -> None:
        optional = {
            **_NAMED,
            "id": natural,
            "default-clock-class-id": text,
            "packet-context-field-class": _any,
            "event-record-header-field-class": _any,
            "event-record-common-context-field-class": _any,
        }
        found = checked(fragment, {}, optional)
        self._has_trace = True
        number, clock = found.get("id", 0), found.get("default-clock-class-id", "")
        if number in self.result.streams:
            raise Flaw(f"data stream class {number} is there twice")
        if clock and clock not in self.result.clocks:
            raise Flaw(f"unknown clock `{clock}`")
        packet, header, common = (
            self._scope(found, key, scope, clock)
            for key, scope in (
                ("packet-context-field-class", CtfScope.PACKET_CONTEXT),
                ("event-record-header-field-class", CtfScope.EVENT_HEADER),
                ("event-record-common-context-field-class", CtfScope.EVENT_CONTEXT),
            )
        )
        self.result.streams[number] = StreamClass(number, packet, header, common, clock)

    def _event(self, fragment: Json) -> None:
        optional = {
            **_NAMED,
            "id": natural,
            "data-stream-class-id": natural,
            "specific-context-field-class": _any,
            "payload-field-class": _any,
        }
        found = checked(fragment, {}, optional)
        self._has_trace = True
        stream, number = found.get("data-stream-class-id", 0), found.get("id", 0)
        if stream not in self.result.streams:
            raise Flaw(f"unknown data stream class {stream}")
        if (stream, number) in self._seen:
            raise Flaw(f"event record class {number} of stream {stream} is there twice")
        self._seen.add((stream, number))
        context = self._scope(found, "specific-context-field-class", CtfScope.CONTEXT)
        payload = self._scope(found, "payload-field-class", CtfScope.PAYLOAD)
        attributes = _attributes(fragment.get("attributes", {}))
        attributes |= {n: found[n] for n in ("namespace", "uid") if n in found}
        event = EventClass(
            found.get("name", ""),
            number,
            NO_PAYLOAD if payload is None else payload,
            context,
            attributes,
        )
        self.result.events.append(CtfEvent(stream, event))

    # --- scopes ---

    def _scope(
        self, found: Mapping[str, Any], key: str, scope: CtfScope, clock: str = ""
    ) -> Struct | None:
        """The structure of a scope; its time stamps hold the clock."""
        if key not in found:
            return None
        kind = self._classes.scope(found[key])
        if not isinstance(kind, Struct):
            raise Flaw(f"`{key}` is no structure")
        for path, inner in _with_roles(kind):
            assert isinstance(inner, Integer | FixedArray)
            odd = set(inner.roles) - _ALLOWED.get(scope, frozenset())
            if odd:
                raise Flaw(f"field `{'.'.join(path)}` cannot have the role {min(odd)} there")
            if not clock and set(inner.roles) & set(_CLOCK_TIMES):
                raise Flaw(f"field `{'.'.join(path)}` is a time, but there is no clock")
        timed = _clocked(kind, clock) if clock else kind
        assert isinstance(timed, Struct)
        return timed


# --- values of properties ---------------------------------------------------------------------


def _any(value: Any) -> Any:  # noqa: ANN401 - looked at later
    return value


def _environment(value: object) -> dict[str, str | int]:
    found = object_of({}, None)(value)
    for name, entry in found.items():
        if type(entry) not in (str, int):
            raise Flaw("is neither an integer nor a text", name)
        if isinstance(entry, int):
            integer(entry)
    return found


def _origin(value: object) -> tuple[bool, tuple[str, str, str] | None]:
    if value is None:
        return False, None
    if isinstance(value, str):
        keyword("unix-epoch")(value)
        return True, None
    found = object_of({"name": text, "uid": text}, {"namespace": text})(value)
    return False, (found.get("namespace", ""), found["name"], found["uid"])


def _attributes(value: Mapping[str, Any]) -> dict[str, str]:
    """What tracers say of an event class: a flat name for each thing.

    LTTng and babeltrace2 put `log-level` and `emf-uri` under a name of their own.
    """
    names = {"log-level": "loglevel", "emf-uri": "model.emf.uri"}
    found: dict[str, str] = {}
    for entries in value.values():
        if isinstance(entries, dict):
            for name, entry in entries.items():
                if name == "log-level" and entry in LOG_LEVELS:
                    found["loglevel"] = str(LOG_LEVELS.index(entry))
                elif isinstance(entry, str | int) and not isinstance(entry, bool):
                    found[names.get(str(name), str(name))] = str(entry)
    return found


# --- roles ------------------------------------------------------------------------------------


def _inside(kind: FieldType) -> Iterator[tuple[str, FieldType]]:
    members = getattr(kind, "fields", ()) or getattr(kind, "options", ())
    yield from ((member.name, member.type) for member in members)
    for name in ("element", "container"):
        if hasattr(kind, name):
            yield "", getattr(kind, name)


def _with_roles(
    kind: FieldType, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldType]]:
    """The fields in a type that have roles, and the names on the way there."""
    if isinstance(kind, Integer | FixedArray) and kind.roles:
        yield path, kind
    for name, inner in _inside(kind):
        yield from _with_roles(inner, (*path, name) if name else path)


def _with_role(kind: FieldType, role: str) -> Iterator[tuple[tuple[str, ...], FieldType]]:
    for path, found in _with_roles(kind):
        if role in getattr(found, "roles", ()):
            yield path, found


def _clocked(kind: FieldType, clock: str) -> Any:  # noqa: ANN401 - of the same type
    """The type, with the clock in the fields that hold its values."""
    changes: dict[str, Any] = {}
    if isinstance(kind, Integer):
        return replace(kind, clock=clock) if set(kind.roles) & set(_CLOCK_TIMES) else kind
    for name in ("fields", "options"):
        if members := getattr(kind, name, ()):
            changes[name] = tuple(replace(m, type=_clocked(m.type, clock)) for m in members)
    for name in ("element", "container"):
        if hasattr(kind, name):
            changes[name] = _clocked(getattr(kind, name), clock)
    return replace(kind, **changes) if changes else kind
