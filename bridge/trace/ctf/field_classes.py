"""Field classes of CTF 2 metadata (JSON) -> field types of the model.

Source: CTF2-SPEC-2.0, section 5.3. Types are shared where the metadata shares them, and each
is measured, so what follows ends.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bridge.trace.ctf.measure import Measure
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
    Variant,
    path_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.trace.model import Ranges

    _Taker = Callable[["FieldClasses", Json, int], FieldType]
    """The properties of a field class of some type, and how deep it is -> its type."""

ORIGINS = {
    "packet-header": "trace.packet.header",
    "packet-context": "stream.packet.context",
    "event-record-header": "stream.event.header",
    "event-record-common-context": "stream.event.context",
    "event-record-specific-context": "event.context",
    "event-record-payload": "event.fields",
}
ENCODINGS = {
    "utf-8": "utf8",
    **{name: name for name in ("utf-16be", "utf-16le", "utf-32be", "utf-32le")},
}
UUID_BYTES = 16
MAX_ALIGN = 1 << 20
MAX_LENGTH = (1 << 32) - 1
_NUMBER_ROLES = (
    "packet-magic-number",
    "data-stream-class-id",
    "data-stream-id",
    "default-clock-timestamp",
    "packet-end-default-clock-timestamp",
    "packet-content-length",
    "packet-total-length",
    "packet-sequence-number",
    "discarded-event-record-counter-snapshot",
    "event-record-class-id",
)


def _align(value: object) -> int:
    number = natural(value)
    if not number or number & (number - 1):
        raise Flaw(f"{number} is no power of two")
    if number > MAX_ALIGN:
        raise Flaw(f"{number} bits are more than can be skipped")
    return number


def _length(value: object) -> int:
    number = natural(value)
    if number > MAX_LENGTH:
        raise Flaw(f"{number} is no length")
    return number


def _bits(value: object) -> int:
    number = natural(value)
    if not 1 <= number <= 64:
        raise Flaw(f"numbers have 1 to 64 bits, not {number}")
    return number


def _base(value: object) -> int:
    if natural(value) not in (2, 8, 10, 16):
        raise Flaw(f"unknown base {value}")
    return natural(value)


def _roles(*known: str) -> Callable[[object], tuple[str, ...]]:
    take = keyword(*known)
    return lambda value: tuple(take(role) for role in array(value))


def _ranges(value: object) -> Ranges:
    found = []
    for pair in array(value):
        if not isinstance(pair, list) or len(pair) != 2:
            raise Flaw("a range has two ends")
        low, high = map(integer, pair)
        if low > high:
            raise Flaw(f"range [{low}, {high}] is empty")
        found.append((low, high))
    if not found:
        raise Flaw("has no range")
    return tuple(found)


def _named_ranges(value: object) -> tuple[tuple[str, int, int], ...]:
    found = []
    for name, ranges in object_of({}, None)(value).items():
        try:
            found += [(name, low, high) for low, high in _ranges(ranges)]
        except Flaw as flaw:
            raise flaw.within(name) from None
    return tuple(found)


def _location(value: object) -> str:
    """The path to a field: from a scope on, or from where this stands.

    An empty name leads one structure further out.
    """
    found = object_of({"path": array}, {"origin": keyword(*ORIGINS)})(value)
    path = found["path"]
    if not path or not all(name is None or isinstance(name, str) for name in path):
        raise Flaw("is no path", "path")
    if path[-1] is None:
        raise Flaw("leads to no field", "path")
    inner = path_of(name or "" for name in path)
    return f"{ORIGINS[found['origin']]}.{inner}" if "origin" in found else inner


def _unseen(value: Any) -> Any:  # noqa: ANN401 - built later
    return value


_FIXED: dict[str, Callable[[Any], Any]] = {
    "bit-order": keyword("first-to-last", "last-to-first"),
    "alignment": _align,
}
_FIXED_REQUIRED: dict[str, Callable[[Any], Any]] = {
    "length": _bits,
    "byte-order": keyword("big-endian", "little-endian"),
}
_SHOWN: dict[str, Callable[[Any], Any]] = {
    "preferred-display-base": _base,
    "mappings": _named_ranges,
}
_ENCODED = {"encoding": keyword(*ENCODINGS)}
_LENGTH = {"length": _length}
_COUNTED = {"length-field-location": _location}
_BLOB = {"media-type": text}
_ELEMENTS = {"element-field-class": _unseen}


class FieldClasses:
    """The named field classes so far, and what makes types of JSON."""

    def __init__(self) -> None:
        self._named: dict[str, FieldType] = {}
        self._measure = Measure()

    def name(self, name: str, found: object) -> None:
        """Give a field class a name; it is known from now on."""
        if name in self._named:
            raise Flaw(f"field class `{name}` is there twice")
        self._named[name] = self.build(found)

    def build(self, found: object, depth: int = 0) -> FieldType:
        """The type that a field class, or the name of one, stands for."""
        if isinstance(found, str):
            if found not in self._named:
                raise Flaw(f"unknown field class `{found}`")
            return self._named[found]
        if not isinstance(found, dict):
            raise Flaw("is no field class")
        taker = _TAKERS.get(str(found.get("type")))
        if taker is None:
            raise Flaw(f"has the unknown type {found.get('type')!r}")
        if fault := self._measure.too_deep(depth):
            raise Flaw(fault)
        try:
            kind = taker(self, found, depth + 1)
        except Flaw as flaw:
            raise flaw.within(str(found["type"])) from None
        if fault := self._measure.fault(kind):
            raise Flaw(fault)
        return kind

    def scope(self, found: object) -> FieldType:
        """The type of a scope, which counts towards the most fields of a trace."""
        kind = self.build(found)
        if fault := self._measure.fault_of_scope(kind):
            raise Flaw(fault)
        return kind

    def inner(self, found: Json, key: str, depth: int) -> FieldType:
        """The type of a property that is a field class."""
        try:
            return self.build(found[key], depth)
        except Flaw as flaw:
            raise flaw.within(key) from None


def _named_inner(classes: FieldClasses, found: Json, depth: int) -> FieldType:
    """The type of a member of a structure or of an option."""
    try:
        return classes.inner(found, "field-class", depth)
    except Flaw as flaw:
        raise flaw.within(f"`{found.get('name', '')}`") from None


# --- numbers ----------------------------------------------------------------------------------


def _orders(found: Json) -> dict[str, Any]:
    """The byte order, and whether the bits go the other way than they do in that."""
    big = found["byte-order"] == "big-endian"
    usual = "last-to-first" if big else "first-to-last"
    return {"big_endian": big, "reversed_bits": found.get("bit-order", usual) != usual}


def _fixed(form: str) -> _Taker:
    """Bits that are no number."""

    def take(_classes: FieldClasses, raw: Json, _depth: int) -> FieldType:
        required = _FIXED_REQUIRED | ({"flags": _named_ranges} if form == "map" else {})
        found = checked(raw, required, _FIXED)
        bits, flags = found["length"], found.get("flags", ())
        if form == "map" and not flags:
            raise Flaw("has no flag")
        for name, first, last in flags:
            if first < 0 or last >= bits:
                raise Flaw(f"flag `{name}` is beyond {bits} bits")
        return Integer(
            bits,
            signed=False,
            align_bits=found.get("alignment", 1),
            base=16,
            form="bool" if form == "bool" else "bits",
            flags=flags,
            **_orders(found),
        )

    return take


def _labelled(number: Integer, found: Json) -> FieldType:
    labels = found.get("mappings", ())
    low = -(1 << 63) if number.signed else 0
    high = (1 << (64 - number.signed)) - 1
    for name, first, last in labels:
        if first < low or last > high:
            raise Flaw(f"mapping `{name}` is beyond what the number can be")
    return Enumeration(number, labels) if labels else number


def _integer(signed: bool) -> _Taker:
    def take(_classes: FieldClasses, raw: Json, _depth: int) -> FieldType:
        roles = {} if signed else {"roles": _roles(*_NUMBER_ROLES)}
        found = checked(raw, _FIXED_REQUIRED, _FIXED | _SHOWN | roles)
        number = Integer(
            found["length"],
            signed,
            found.get("alignment", 1),
            base=found.get("preferred-display-base", 10),
            roles=found.get("roles", ()),
            **_orders(found),
        )
        return _labelled(number, found)

    return take


def _leb128(signed: bool) -> _Taker:
    def take(_classes: FieldClasses, raw: Json, _depth: int) -> FieldType:
        roles = {} if signed else {"roles": _roles(*_NUMBER_ROLES)}
        found = checked(raw, {}, _SHOWN | roles)
        number = Integer(
            64,
            signed,
            base=found.get("preferred-display-base", 10),
            form="leb128",
            roles=found.get("roles", ()),
        )
        return _labelled(number, found)

    return take


def _real(_classes: FieldClasses, raw: Json, _depth: int) -> FieldType:
    found = checked(raw, _FIXED_REQUIRED, _FIXED)
    if found["length"] not in (32, 64):
        raise Flaw("only 32- and 64-bit IEEE 754 numbers can be read")
    return Float(found["length"], found.get("alignment", 1), **_orders(found))


# --- text and bytes ---------------------------------------------------------------------------


def _element(encoding: str) -> Integer:
    return Integer(8, signed=False, encoding=encoding)


def _text(_classes: FieldClasses, raw: Json, _depth: int) -> FieldType:
    found = checked(raw, {}, _ENCODED)
    return Text(ENCODINGS[found.get("encoding", "utf-8")])


def _static_text(_classes: FieldClasses, raw: Json, _depth: int) -> FieldType:
    found = checked(raw, _LENGTH, _ENCODED)
    return FixedArray(_element(ENCODINGS[found.get("encoding", "utf-8")]), found["length"])


def _dynamic_text(_classes: FieldClasses, raw: Json, _depth: int) -> FieldType:
    found = checked(raw, _COUNTED, _ENCODED)
    encoding = ENCODINGS[found.get("encoding", "utf-8")]
    return Sequence(_element(encoding), found["length-field-location"])


def _static_blob(_classes: FieldClasses, raw: Json, _depth: int) -> FieldType:
    optional = _BLOB | {"roles": _roles("metadata-stream-uuid")}
    found = checked(raw, _LENGTH, optional)
    roles = found.get("roles", ())
    if roles and found["length"] != UUID_BYTES:
        raise Flaw("the uuid has 16 bytes")
    return FixedArray(_element(BYTES), found["length"], roles=roles)


def _dynamic_blob(_classes: FieldClasses, raw: Json, _depth: int) -> FieldType:
    found = checked(raw, _COUNTED, _BLOB)
    return Sequence(_element(BYTES), found["length-field-location"])


# --- composed types ---------------------------------------------------------------------------


def _members(classes: FieldClasses, found: list[Any], depth: int) -> tuple[Field, ...]:
    fields = []
    for member in found:
        if not isinstance(member, dict):
            raise Flaw("is no member", "member-classes")
        own = checked(member, {"name": text, "field-class": _unseen}, {})
        fields.append(Field(own["name"], _named_inner(classes, own, depth)))
    if len({f.name for f in fields}) != len(fields):
        raise Flaw("two members have the same name")
    return tuple(fields)


def _structure(classes: FieldClasses, raw: Json, depth: int) -> FieldType:
    found = checked(raw, {}, {"member-classes": array, "minimum-alignment": _align})
    members = _members(classes, found.get("member-classes", []), depth)
    return Struct(members, found.get("minimum-alignment", 1))


def _static_array(classes: FieldClasses, raw: Json, depth: int) -> FieldType:
    found = checked(raw, _LENGTH | _ELEMENTS, {"minimum-alignment": _align})
    element = classes.inner(found, "element-field-class", depth)
    return FixedArray(element, found["length"], found.get("minimum-alignment", 1))


def _dynamic_array(classes: FieldClasses, raw: Json, depth: int) -> FieldType:
    found = checked(raw, _COUNTED | _ELEMENTS, {"minimum-alignment": _align})
    element = classes.inner(found, "element-field-class", depth)
    align = found.get("minimum-alignment", 1)
    return Sequence(element, found["length-field-location"], align_bits=align)


def _optional(classes: FieldClasses, raw: Json, depth: int) -> FieldType:
    required = {"field-class": _unseen, "selector-field-location": _location}
    found = checked(raw, required, {"selector-field-ranges": _ranges})
    element = classes.inner(found, "field-class", depth)
    ranges = found.get("selector-field-ranges", ())
    return Optional(element, found["selector-field-location"], ranges)


def _variant(classes: FieldClasses, raw: Json, depth: int) -> FieldType:
    found = checked(raw, {"options": array, "selector-field-location": _location}, {})
    options, ranges, names = [], [], []
    for option in found["options"]:
        if not isinstance(option, dict):
            raise Flaw("is no option", "options")
        required = {"field-class": _unseen, "selector-field-ranges": _ranges}
        own = checked(option, required, {"name": text})
        names += [own["name"]] if "name" in own else []
        options.append(Field(own.get("name", ""), _named_inner(classes, own, depth)))
        ranges.append(own["selector-field-ranges"])
    if not options:
        raise Flaw("has no options")
    if len(set(names)) != len(names):
        raise Flaw("two options have the same name")
    _check_overlap([pair for own in ranges for pair in own])
    return Variant(found["selector-field-location"], tuple(options), tuple(ranges))


def _check_overlap(pairs: list[tuple[int, int]]) -> None:
    ordered = sorted(pairs)
    for (low, high), (following, _) in pairwise(ordered):
        if following <= high:
            raise Flaw(f"[{low}, {high}] and what starts at {following} choose two options")


_TAKERS: dict[str, _Taker] = {
    "fixed-length-bit-array": _fixed("bits"),
    "fixed-length-bit-map": _fixed("map"),
    "fixed-length-boolean": _fixed("bool"),
    "fixed-length-unsigned-integer": _integer(signed=False),
    "fixed-length-signed-integer": _integer(signed=True),
    "fixed-length-floating-point-number": _real,
    "variable-length-unsigned-integer": _leb128(signed=False),
    "variable-length-signed-integer": _leb128(signed=True),
    "null-terminated-string": _text,
    "static-length-string": _static_text,
    "dynamic-length-string": _dynamic_text,
    "static-length-blob": _static_blob,
    "dynamic-length-blob": _dynamic_blob,
    "structure": _structure,
    "static-length-array": _static_array,
    "dynamic-length-array": _dynamic_array,
    "optional": _optional,
    "variant": _variant,
}
