"""Text of a description -> facilities, as the hand-written scanner of the tracers read it.

The dialect is not XML: values may be unquoted, closing slashes may be missing, comments are
C's. Elements are matched by position. A text may hold several documents in a row. The
rule: what the old tools accepted is accepted, and an error names its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from bridge.errors import TraceError
from bridge.facility import model

_SPACE = re.compile(r"(?:\s+|/\*.*?\*/|//[^\n]*)*", re.DOTALL)
_TOKEN = re.compile(r'"((?:\\.|[^"\\\n])*)"|(\d+)|([A-Za-z_][\w-]*)|([/<>=?-])', re.DOTALL)
_RAW = re.compile(r"[^<]*")
_DEPTH = 64
_MOST_ELEMENTS = 1 << 16
_MOST_VALUES = 1 << 18
_SCALARS = frozenset((*model.INTEGER_WORDS, "float", "string"))
_LENGTH_WORDS = frozenset(("uint_fixed", "uchar", "ushort", "uint", "ulong", "size_t", "off_t"))


class FacilityError(TraceError):
    """A description that cannot be read; the message names file and line."""


@dataclass(slots=True)
class _Parser:
    text: str
    name: str
    at: int = 0
    types: dict[str, model.Type] = field(default_factory=dict)
    depth: int = 0

    # --- tokens ---

    def fail(self, message: str) -> FacilityError:
        """The error at this place, to be raised."""
        line = self.text.count("\n", 0, self.at) + 1
        return FacilityError(f"{self.name}:{line}: {message}")

    def skip(self) -> None:
        """Skip white space and comments."""
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def peek(self) -> str:
        """The next token as text ('' at the end), quoted strings with their quotes."""
        self.skip()
        match = _TOKEN.match(self.text, self.at)
        if match:
            return match.group(0)
        if self.at >= len(self.text):
            return ""
        raise self.fail(f"unexpected character {self.text[self.at]!r}")

    def next(self) -> str:
        """Take the next token."""
        token = self.peek()
        self.at += len(token)
        return token

    def expect(self, token: str) -> None:
        """Take this token; an error if another follows."""
        got = self.next()
        if got != token:
            raise self.fail(f"expected {token!r}, not {got!r}")

    def ahead(self) -> tuple[str, str]:
        """The two tokens after the next: what an element that starts here is called."""
        start = self.at
        self.next()
        first = self.next() if self.at < len(self.text) else ""
        second = self.peek() if first == "/" else ""
        self.at = start
        return first, second

    def element(self) -> str:
        """The name of the element that starts here; '' for a closing tag or no tag."""
        if self.peek() != "<":
            return ""
        first, _ = self.ahead()
        return first if first != "/" else ""

    # --- tags ---

    def open(self, name: str) -> list[tuple[str, str]]:
        """`<name attributes`; the closing of the tag is left to `end_open`."""
        self.expect("<")
        got = self.next()
        if got != name:
            raise self.fail(f"expected <{name}>, not <{got}>")
        attributes = []
        while self.peek() not in ("/", ">", "", "?"):
            key, value = self.next(), ""
            if self.peek() == "=":
                self.next()
                value = self.next()
                value = value[1:-1] if value.startswith('"') else value
            attributes.append((key, value))
        return attributes

    def end_open(self) -> None:
        """`>` or `/>`: the slash of an empty element is optional."""
        if self.peek() == "/":
            self.next()
        self.expect(">")

    def close(self, name: str) -> None:
        """`</name>`; the slash may be missing."""
        self.expect("<")
        if self.peek() == "/":
            self.next()
        self.expect(name)
        self.expect(">")

    def empty(self, name: str) -> list[tuple[str, str]]:
        """`<name attributes/>`."""
        attributes = self.open(name)
        self.end_open()
        return attributes

    def description(self) -> str:
        """An optional description: raw text up to the next '<'."""
        if self.element() != "description":
            return ""
        self.empty("description")
        match = _RAW.match(self.text, self.at)
        text = match.group(0) if match else ""
        self.at += len(text)
        self.close("description")
        return text.strip()

    # --- types ---

    def type(self) -> model.Type:
        """TYPE."""
        self.depth += 1
        if self.depth > _DEPTH:
            raise self.fail("types are nested too deeply")
        word = self.element()
        if word in _SCALARS:
            kind: model.Type = self.scalar(word)
        elif word == "enum":
            kind = self.enum()
        elif word == "array":
            kind = self.array()
        elif word == "sequence":
            kind = self.sequence()
        elif word in ("struct", "union"):
            attributes = dict(self.empty(word))
            kind = model.Compound(word, self.members(), attributes.get("format"))
            self.close(word)
        elif word == "typeref":
            kind = model.Ref(self.named(self.empty("typeref")))
        else:
            raise self.fail(f"expected a type, not {word or self.peek()!r}")
        self.depth -= 1
        return kind

    def named(self, attributes: list[tuple[str, str]]) -> str:
        """The attribute `name`, which may not be missing."""
        name = dict(attributes).get("name", "")
        if not name:
            raise self.fail("a name is missing")
        return name

    def scalar(self, word: str) -> model.Scalar:
        listed = self.empty(word)
        attributes = dict(listed)
        size = attributes.get("size", "")
        if word.endswith("_fixed") and size not in ("1", "2", "4", "8"):
            raise self.fail(f"{word} needs a size of 1, 2, 4 or 8")
        if word == "float" and size not in ("4", "8", "short", "medium", "long"):
            raise self.fail("float needs a size of 4 or 8")
        return model.Scalar(
            word,
            size,
            attributes.get("format"),
            attributes.get("byte_order") == "network",
            "custom_write" in attributes or attributes.get("write") == "custom",
        )

    def enum(self) -> model.Enum:
        attributes = dict(self.empty("enum"))
        labels: list[model.Label] = []
        while self.element() == "label":
            own = self.empty("label")
            name, written = self.named(own), dict(own).get("value", "")
            value = labels[-1].value + 1 if labels else 0
            if written:
                value = self.number(written)
            labels.append(model.Label(name, value, written, self.description()))
        self.close("enum")
        return model.Enum(tuple(labels), attributes.get("size", ""), attributes.get("format"))

    def number(self, written: str) -> int:
        """The value of a label as `strtoll` reads it, hexadecimal, octal or decimal."""
        base = 10
        if written.lower().startswith("0x"):
            base = 16
        elif written.startswith("0") and written != "0":
            base = 8
        try:
            value = int(written, base)
        except ValueError:
            raise self.fail(f"not a number: {written}") from None
        if not -(1 << 63) <= value < 1 << 63:
            raise self.fail(f"number out of range: {written}")
        return value

    def array(self) -> model.Array:
        attributes = self.empty("array")
        length = next((v for k, v in attributes if k == "size"), "")
        length = length or next((v for _, v in attributes if v.isdigit()), "")
        if not length.isdigit() or not 0 < int(length) <= _MOST_ELEMENTS:
            raise self.fail("an array needs a size")
        element = self.type()
        self.close("array")
        named = dict(attributes)
        return model.Array(
            int(length), element, named.get("format"), named.get("write") == "custom"
        )

    def sequence(self) -> model.Sequence:
        attributes = dict(self.empty("sequence"))
        first = self.type()
        size = attributes.get("size", "")
        if size:  # old dialect: only the size of the count
            count: model.Type = model.Scalar("uint", size)
            element = first
        else:
            if not isinstance(first, model.Scalar) or first.word not in _LENGTH_WORDS:
                raise self.fail("a sequence is counted by an unsigned integer")
            count, element = first, self.type()
        self.close("sequence")
        custom = "custom_write" in attributes or attributes.get("write") == "custom"
        return model.Sequence(count, element, size, attributes.get("format"), custom)

    def members(self) -> tuple[model.Member, ...]:
        """Fields up to the closing tag."""
        members = []
        while self.element() == "field":
            name = self.named(self.empty("field"))
            description = self.description()
            members.append(model.Member(name, self.type(), description))
            self.close("field")
        return tuple(members)

    # --- facility ---

    def event(self) -> tuple[model.Event, model.Type | None]:
        """An event; in the old dialect its fields are those of the type that is returned."""
        attributes = self.empty("event")
        name = self.named(attributes)
        description = self.description()
        members: tuple[model.Member, ...] = ()
        kind = None
        if self.element() in ("struct", "typeref"):
            kind = self.type()
        else:
            members = self.members()
        self.close("event")
        event = model.Event(name, members, description, tuple(attributes), kind is not None)
        return event, kind

    def old_members(self, kind: model.Type) -> tuple[model.Member, ...]:
        """The fields of an event of the old dialect: those of its struct."""
        seen = set()
        while isinstance(kind, model.Ref):
            if kind.name in seen or kind.name not in self.types:
                raise self.fail(f"type {kind.name} is not declared")
            seen.add(kind.name)
            kind = self.types[kind.name]
        if not isinstance(kind, model.Compound):
            raise self.fail("an event holds a struct")
        return kind.members

    def prolog(self) -> None:
        """`<?xml ...?>`, if it is there."""
        if self.element() != "?":
            return
        self.expect("<")
        while self.next() not in (">", ""):
            pass

    def facility(self) -> model.Facility:
        """One document."""
        self.prolog()
        attributes = self.open("facility")
        self.end_open()
        name = self.named(attributes)
        description = self.description()
        events = []
        while (word := self.element()) in ("type", "event"):
            if word == "event":
                events.append(self.event())
                continue
            named = self.named(self.empty("type"))
            self.types[named] = self.type()
            self.close("type")
        self.close("facility")
        own = dict(attributes)
        # References forward were allowed as long as events held one struct.
        whole = [
            event if kind is None else replace(event, members=self.old_members(kind))
            for event, kind in events
        ]
        return model.Facility(
            name,
            tuple(whole),
            dict(self.types),
            description,
            own.get("arch", ""),
            own.get("align", ""),
        )


def parse(text: str, name: str = "facility") -> list[model.Facility]:
    """All documents of a text. Texts are Latin-1: one character per byte."""
    parser = _Parser(text, name)
    facilities = []
    while parser.peek():
        parser.types = {}
        facilities.append(parser.facility())
        _check_references(facilities[-1], parser)
    return facilities


def _references(kind: model.Type) -> list[str]:
    match kind:
        case model.Ref():
            return [kind.name]
        case model.Array():
            return _references(kind.element)
        case model.Sequence():
            return _references(kind.count) + _references(kind.element)
        case model.Compound():
            return [name for m in kind.members for name in _references(m.type)]
        case _:
            return []


def _check_references(facility: model.Facility, parser: _Parser) -> None:
    """Every named type exists and none contains itself."""
    edges = {name: _references(kind) for name, kind in facility.types.items()}
    used = [n for e in facility.events for m in e.members for n in _references(m.type)]
    for name in (*used, *(n for names in edges.values() for n in names)):
        if name not in facility.types:
            raise parser.fail(f"type {name} is not declared")
    done: set[str] = set()
    while ready := [n for n in edges if n not in done and done.issuperset(edges[n])]:
        done.update(ready)
    if len(done) != len(edges):
        raise parser.fail("a type contains itself")
    for event in facility.events:
        if sum(_weight(facility, member.type) for member in event.members) > _MOST_VALUES:
            raise parser.fail(f"event {event.name} has more than {_MOST_VALUES} values")


def _weight(facility: model.Facility, kind: model.Type) -> int:
    """How many values a type holds at least; bounds what nested arrays may cost."""
    kind = facility.resolve(kind)
    match kind:
        case model.Array():
            return kind.length * max(1, _weight(facility, kind.element))
        case model.Sequence():
            return 1 + _weight(facility, kind.element)
        case model.Compound():
            return sum(_weight(facility, m.type) for m in kind.members)
        case _:
            return 1
