"""Reductions of `grammars/facility.lark` -> `model.Facility`.

What each element needs of its attributes is checked here, at the element's line. The rule: an
attribute that no element knows is passed over as the generators did; `strict` refuses it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from bridge.facility import model
from bridge.facility.check import references
from bridge.facility.tokens import FacilityError, FacilityToken

MOST_ELEMENTS = 1 << 16
"""Of an array: what a trace may hold in one event bounds it."""
_MOST_EVENTS = 256
_SIZES = ("1", "2", "4", "8")
_OLD_SIZES = ("short", "medium", "long")
_FLOATS = ("4", "8", *_OLD_SIZES)
_COUNTS = frozenset(("uint_fixed", "uchar", "ushort", "uint", "ulong", "size_t", "off_t"))
_NUMBER = re.compile(r"[ \t]*([+-]?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))", re.ASCII)
_KNOWN = {
    "facility": {"name", "arch", "align"},
    "event": {"name", "scope", "param", "attribute", "per_trace", "per_tracefile"},
    "field": {"name"},
    "type": {"name"},
    "label": {"name", "value"},
    "typeref": {"name"},
    "description": set(),
}
_KNOWN_OF_TYPES = {"size", "format", "byte_order", "write", "custom_write"}

Node = Any
"""What the parser hands to a reduction: tokens, and results of reductions."""


@dataclass(frozen=True, slots=True)
class XmlAttribute:
    """`name="value"`, or a word alone (value None)."""

    name: str
    value: str | None
    quoted: bool
    line: int


@dataclass(frozen=True, slots=True)
class _Description:
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
    type: model.Type


@dataclass(frozen=True, slots=True)
class _Parts:
    """An element taken apart: its tag, its attributes, what it holds."""

    tag: FacilityToken
    attributes: tuple[XmlAttribute, ...]
    inner: tuple[Node, ...] = ()

    def value(self, name: str) -> str | None:
        """The last value of an attribute; None where it is missing, "" for a word alone."""
        found = [a.value or "" for a in self.attributes if a.name == name]
        return found[-1] if found else None

    @property
    def custom(self) -> bool:
        """Whether a function written by hand serialises it."""
        return self.value("custom_write") is not None or self.value("write") == "custom"


def _parts(children: list[Node]) -> _Parts:
    """The opened element among the children with all that it holds."""
    opened: _Parts = next(child for child in children if isinstance(child, _Parts))
    inner = (c for c in children if not isinstance(c, FacilityToken | _Parts))
    return replace(opened, inner=tuple(inner))


class _End:
    """The end of a tag."""


class FacilityBuilder:
    """One text being read. `used` and `undeclared` are the references of the document."""

    def __init__(self, name: str, strict: bool) -> None:
        self.name = name
        self.strict = strict
        self.types: dict[str, model.Type] = {}
        self.waiting: list[model.Ref] = []
        self.structs: bool | None = None

    def fail(self, line: int, message: str) -> FacilityError:
        """The error at a line, to be raised."""
        return FacilityError(f"{self.name}:{line}: {message}")

    # --- tags -------------------------------------------------------------------------------

    def attribute(self, children: list[Node]) -> XmlAttribute:
        """A word with its value, a word alone, or a text alone (which is passed over)."""
        word = children[0]
        name = word.text if word.type == "WORD" else ""
        written = children[2] if len(children) > 2 else None
        if written is None:
            return XmlAttribute(name, None, False, word.line)
        quoted = written.type == "STRING"
        return XmlAttribute(
            name, written.text[1:-1] if quoted else written.text, quoted, word.line
        )

    def attributes(self, children: list[Node]) -> tuple[XmlAttribute, ...]:
        """All of a tag."""
        return tuple(children)

    def end(self, _children: list[Node]) -> _End:
        """`>` or `/>`."""
        return _End()

    def scalar_tag(self, children: list[Node]) -> Node:
        """The tag of a type without parts."""
        return children[0]

    def _opened(self, children: list[Node]) -> _Parts:
        """`<element attributes>`."""
        tag, attributes = children[0], children[1]
        known = _KNOWN.get(tag.text, _KNOWN_OF_TYPES)
        for attribute in attributes if self.strict else ():
            if attribute.name not in known:
                what = attribute.name or "a text alone"
                raise self.fail(attribute.line, f"<{tag.text}> knows no {what}")
        return _Parts(tag, attributes)

    def _named(self, children: list[Node]) -> _Parts:
        parts = self._opened(children)
        self._name(parts)
        return parts

    description_open = struct_open = union_open = _opened
    type_open = field_open = facility_open = event_open = _named

    def _name(self, parts: _Parts) -> str:
        """The attribute `name`, which may not be missing."""
        found = [a for a in parts.attributes if a.name == "name"]
        line = found[-1].line if found else parts.tag.line
        name = (found[-1].value or "") if found else ""
        if not name:
            raise self.fail(line, "a name is missing")
        if not found[-1].quoted and (name[0].isdigit() or name[0] == "-"):
            raise self.fail(line, f"<{parts.tag.text}>: {name} is no name")
        strict = self.strict and parts.tag.text != "label"
        if strict and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII):
            raise self.fail(line, f"<{parts.tag.text}>: {name} is no name of C")
        return name

    def _size(self, parts: _Parts, allowed: tuple[str, ...]) -> str:
        size = parts.value("size") or ""
        if size not in allowed:
            words = " or ".join((", ".join(allowed[:-1]), allowed[-1]))
            raise self.fail(parts.tag.line, f"{parts.tag.text} needs a size of {words}")
        return size

    # --- types ------------------------------------------------------------------------------

    def scalar(self, children: list[Node]) -> model.Scalar:
        """An integer, pointer, float or string."""
        parts = self._opened(children)
        word = parts.tag.text
        if word.endswith("_fixed"):
            size = self._size(parts, _SIZES)
        elif word == "float":
            size = self._size(parts, _FLOATS[:2] if self.strict else _FLOATS)
        else:
            size = parts.value("size") or ""
            if size and size not in _SIZES + _OLD_SIZES:
                raise self.fail(parts.tag.line, f"a size is 1, 2, 4 or 8, not {size}")
        network = parts.value("byte_order") == "network"
        return model.Scalar(word, size, parts.value("format"), network, parts.custom)

    def label(self, children: list[Node]) -> model.Label:
        """A label; its value is only known once those before it are."""
        parts = self._opened(children)
        name, written = self._name(parts), parts.value("value")
        if written is not None:
            value = self.number(written, parts.tag.line)
            return model.Label(name, value, written or "0", "", parts.tag.line)
        return model.Label(name, 0, "", "", parts.tag.line)

    def number(self, written: str, line: int) -> int:
        """The value of a label as `strtoll` reads it: hexadecimal, octal or decimal."""
        match = _NUMBER.fullmatch(written) if written else None
        if written and match is None:
            raise self.fail(line, f"not a number: {written}")
        value = 0
        if match is not None:
            sign, hexadecimal, octal, decimal = match.groups()
            value = (
                int(hexadecimal, 16)
                if hexadecimal
                else int(octal or decimal, 8 if octal else 10)
            )
            value = -value if sign == "-" else value
        bits = 31 if self.strict else 63
        if not -(1 << bits) <= value < 1 << bits:
            raise self.fail(line, f"number out of range: {written}")
        return value

    def enumeration(self, children: list[Node]) -> model.Enum:
        """Labels; a value that is not written is one more than that before it."""
        parts = _parts(children)
        labels: list[model.Label] = []
        for part in parts.inner:
            if isinstance(part, model.Label):
                value = labels[-1].value + 1 if labels else 0
                labels.append(part if part.written else replace(part, value=value))
            elif not labels or labels[-1].description:
                raise self.fail(part.line, "a description follows the label that it is of")
            else:
                labels[-1] = replace(labels[-1], description=part.text)
        size = parts.value("size") or ""
        return model.Enum(tuple(labels), size, parts.value("format"))

    def enum_open(self, children: list[Node]) -> _Parts:
        """`<enum>`; the old dialect wrote a size."""
        parts = self._opened(children)
        if self.strict and parts.value("size"):
            raise self.fail(parts.tag.line, "an enum has the size of an int")
        return parts

    def array_open(self, children: list[Node]) -> _Parts:
        """`<array size="n">`; the old dialect took the number from any attribute."""
        parts = self._opened(children)
        length = self._length(parts)
        if not _digits(length) or not 0 < int(length) <= MOST_ELEMENTS:
            raise self.fail(
                parts.tag.line, f"an array needs a size, of 1 to {MOST_ELEMENTS} elements"
            )
        return parts

    def _length(self, parts: _Parts) -> str:
        length = parts.value("size") or ""
        if not length and not self.strict:
            length = next((a.value for a in parts.attributes if _digits(a.value)), "") or ""
        return length

    def array(self, children: list[Node]) -> model.Array:
        """`length` elements."""
        parts = _parts(children)
        length = int(self._length(parts))
        return model.Array(length, parts.inner[0], parts.value("format"), parts.custom)

    sequence_open = _opened

    def sequence(self, children: list[Node]) -> model.Sequence:
        """A count and elements; the old dialect writes only the size of the count."""
        parts = _parts(children)
        size, form = parts.value("size") or "", parts.value("format")
        if len(parts.inner) == 1:
            if size not in _SIZES + _OLD_SIZES or self.strict:
                raise self.fail(
                    parts.tag.line, "a sequence needs the types of count and element"
                )
            count: model.Type = model.Scalar("uint", size)
            return model.Sequence(count, parts.inner[0], size, form, parts.custom)
        count, element = parts.inner
        if not isinstance(count, model.Scalar) or count.word not in _COUNTS:
            raise self.fail(parts.tag.line, "a sequence is counted by an unsigned integer")
        return model.Sequence(count, element, "", form, parts.custom)

    def structure(self, children: list[Node]) -> model.Compound:
        """A struct."""
        parts = _parts(children)
        members, form = self._members(parts.inner), parts.value("format")
        return model.Compound("struct", members, form, parts.tag.line)

    def union(self, children: list[Node]) -> model.Compound:
        """A union."""
        parts = _parts(children)
        members = self._members(parts.inner)
        for member in members if self.strict else ():
            if self._variable(member.type):
                raise self.fail(member.line, f"{member.name}: a union holds no variable size")
        return model.Compound("union", members, parts.value("format"), parts.tag.line)

    def reference(self, children: list[Node]) -> model.Ref:
        """A type by name: declared, or found at the end where events hold structs."""
        parts = self._opened(children)
        found = model.Ref(self._name(parts), parts.tag.line)
        if found.name not in self.types:
            self.waiting.append(found)
        return found

    def _variable(self, kind: model.Type) -> bool:
        match kind:
            case model.Ref():
                inner = self.types.get(kind.name)
                return inner is not None and self._variable(inner)
            case model.Sequence():
                return True
            case model.Scalar():
                return kind.word == "string"
            case model.Array():
                return self._variable(kind.element)
            case model.Compound():
                return any(self._variable(m.type) for m in kind.members)
            case _:
                return False

    def _members(self, fields: tuple[Node, ...]) -> tuple[model.Member, ...]:
        members = tuple(f for f in fields if isinstance(f, model.Member))
        if self.strict:
            self._once("field", [(m.name, m.line) for m in members])
        return members

    def _once(self, what: str, names: list[tuple[str, int]]) -> None:
        seen: set[str] = set()
        for name, line in names:
            if name in seen:
                raise self.fail(line, f"a second {what} is named {name}")
            seen.add(name)

    # --- declarations -----------------------------------------------------------------------

    def description(self, children: list[Node]) -> _Description:
        """Raw text; entities stay as they are."""
        text = next(c for c in children if isinstance(c, FacilityToken) and c.type == "TEXT")
        return _Description(text.text.strip(), children[0].tag.line)

    def field(self, children: list[Node]) -> model.Member:
        """A field with its type."""
        parts = _parts(children)
        *texts, kind = parts.inner
        text = texts[0].text if texts else ""
        return model.Member(self._name(parts), kind, text, parts.tag.line)

    def named_type(self, children: list[Node]) -> _Named:
        """A named type; it may be used from here on."""
        parts = _parts(children)
        name = self._name(parts)
        if self.strict and name in self.types:
            raise self.fail(parts.tag.line, f"type {name} is declared twice")
        for found in references(parts.inner[0]):
            if found.name == name:
                raise self.fail(found.line, f"type {name} contains itself")
        self.types[name] = parts.inner[0]
        return _Named(name, parts.inner[0])

    def event(self, children: list[Node]) -> model.Event | _Old:
        """An event; in the old dialect its fields are those of the type that it holds."""
        parts = _parts(children)
        inner = [part for part in parts.inner if not isinstance(part, _Description)]
        text = next((p.text for p in parts.inner if isinstance(p, _Description)), "")
        struct = bool(inner) and not isinstance(inner[0], model.Member)
        if inner:
            self._same_dialect(struct, getattr(inner[0], "line", parts.tag.line))
        listed = tuple((a.name, a.value or "") for a in parts.attributes)
        members = () if struct else self._members(tuple(inner))
        name, line = self._name(parts), parts.tag.line
        event = model.Event(name, members, text, listed, struct, line)
        return _Old(event, inner[0]) if struct else event

    def _same_dialect(self, struct: bool, line: int) -> None:
        """All events of a document hold fields, or all hold structs."""
        if struct and self.strict:
            raise self.fail(line, "an event holds fields, not a type")
        if self.structs is not None and self.structs != struct:
            raise self.fail(line, "events hold fields, or all of them one struct each")
        self.structs = struct
        if not struct:
            self._declared()

    def _declared(self) -> None:
        """Nothing was used before it was declared."""
        if self.waiting:
            found = self.waiting[0]
            raise self.fail(found.line, f"type {found.name} is not declared")

    def document(self, children: list[Node]) -> model.Facility:
        """One facility."""
        parts = _parts(children)
        name = self._name(parts)
        text = next((p.text for p in parts.inner if isinstance(p, _Description)), "")
        if not self.structs:
            self._declared()
        for found in self.waiting:
            if found.name not in self.types:
                raise self.fail(found.line, f"type {found.name} is not declared")
        events = [p for p in parts.inner if isinstance(p, model.Event | _Old)]
        whole = tuple(e if isinstance(e, model.Event) else self._whole(e) for e in events)
        if len(whole) > _MOST_EVENTS:
            line = whole[_MOST_EVENTS].line
            raise self.fail(line, f"a facility holds no more than {_MOST_EVENTS} events")
        if self.strict:
            self._once("event", [(e.name, e.line) for e in whole])
        facility = model.Facility(
            name,
            whole,
            self.types,
            text,
            parts.value("arch") or "",
            parts.value("align") or "",
        )
        self.types, self.waiting, self.structs = {}, [], None
        return facility

    def _whole(self, old: _Old) -> model.Event:
        """An event of the old dialect with the fields of its struct."""
        kind, seen = old.kind, set[str]()
        while isinstance(kind, model.Ref):
            if kind.name in seen:
                raise self.fail(kind.line, f"type {kind.name} contains itself")
            seen.add(kind.name)
            kind = self.types[kind.name]
        if not isinstance(kind, model.Compound):
            raise self.fail(old.event.line, "an event holds a struct")
        return replace(old.event, members=kind.members)

    def start(self, children: list[Node]) -> list[model.Facility]:
        """All documents."""
        return [child for child in children if isinstance(child, model.Facility)]


@dataclass(frozen=True, slots=True)
class _Old:
    """An event of the dialect before December 2005 and the type that it holds."""

    event: model.Event
    kind: model.Type


def _digits(text: str | None) -> bool:
    return bool(text) and str(text).isascii() and str(text).isdigit()


__all__ = ["FacilityBuilder"]
