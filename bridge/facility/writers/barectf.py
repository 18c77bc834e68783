"""Facility -> a configuration of barectf 3.1 (YAML): one data stream type with all events.

The rule: what barectf has no field type for (structs in events, unions, sequences of what is
no number) is an error. Event and field names become names of C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.errors import TraceError
from bridge.facility import c_names, model
from bridge.facility.layout import is_signed, scalar_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_INDENT = "  "
_WORDS = frozenset(
    """
    align callsite clock env event floating_point integer stream string trace typealias variant
    _Bool _Complex _Imaginary
    """.split()  # noqa: SIM905 - a line per word would be long
)
"""Of TSDL, beside those of C."""


def identifier(name: str) -> str:
    """A name that barectf takes."""
    found = c_names.identifier(name)
    return f"{found}_" if found in _WORDS else found


def _quoted(text: str) -> str:
    """A YAML text in double quotes."""
    shown = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else " " for c in shown) + '"'


class _Writer:
    def __init__(self, facility: model.Facility, word_size: int) -> None:
        self.facility = facility
        self.word_size = word_size

    def type(self, kind: model.Type, where: str) -> list[str]:
        """The lines of a field type."""
        kind = self.facility.resolve(kind)
        match kind:
            case model.Scalar():
                return self.scalar(kind, where)
            case model.Enum():
                return self.enum(kind)
            case model.Array():
                inner = self.element(kind.element, where)
                return ["class: static-array", f"length: {kind.length}", *inner]
            case model.Sequence():
                return ["class: dynamic-array", *self.element(kind.element, where)]
            case model.Compound() | model.Ref():
                raise TraceError(f"{where}: barectf has no {kind_name(kind)} in events")

    def element(self, kind: model.Type, where: str) -> list[str]:
        """The element field type of an array."""
        return ["element-field-type:", *_indented(self.type(kind, where))]

    def scalar(self, kind: model.Scalar, where: str) -> list[str]:
        """A number or text."""
        if kind.word == "string":
            return ["class: string"]
        if kind.network:
            raise TraceError(f"{where}: barectf has no fields of another byte order")
        size = 8 * scalar_size(kind, self.word_size)
        if kind.word == "float":
            return ["class: real", f"size: {size}", f"alignment: {size}"]
        word = "signed" if is_signed(kind) else "unsigned"
        base = ["preferred-display-base: hexadecimal"] if kind.word == "pointer" else []
        return [f"class: {word}-integer", f"size: {size}", f"alignment: {size}", *base]

    def enum(self, kind: model.Enum) -> list[str]:
        """A C enum."""
        head = ["class: signed-enumeration", "size: 32", "alignment: 32"]
        if not kind.labels:
            return ["class: signed-integer", *head[1:]]
        # one name may have several values
        ranges: dict[str, list[int]] = {}
        for label in kind.labels:
            ranges.setdefault(label.name.strip(), []).append(label.value)
        found = (f"{_quoted(name)}: {values}" for name, values in ranges.items())
        return [*head, "mappings:", *_indented(found)]

    def event(self, event: model.Event) -> Iterator[str]:
        """The lines of an event record type."""
        name = identifier(event.name)
        if not event.members:
            yield f"{name}: {{}}"
            return
        yield f"{name}:"
        yield "  payload-field-type:"
        yield "    class: structure"
        yield "    members:"
        for member in event.members:
            where = f"event {event.name}, field {member.name}"
            yield f"      - {identifier(member.name)}:"
            yield "          field-type:"
            yield from (f"            {line}" for line in self.type(member.type, where))


def kind_name(kind: model.Type) -> str:
    """What a type is called in messages."""
    return kind.word if isinstance(kind, model.Compound) else "named type"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"{_INDENT}{line}" for line in lines]


_HEAD = """%YAML 1.2
--- !<tag:barectf.org,2020/3/config>
# The facility {name}; made by markbridge facility, changes will be lost.
trace:
  type:
    native-byte-order: {order}
    clock-types:
      default:
        frequency: 1000000000
        $c-type: uint64_t
    data-stream-types:
      {stream}:
        $is-default: true
        $default-clock-type-name: default
        event-record-types:
"""


def write(facility: model.Facility, word_size: int = 8, order: str = "little-endian") -> str:
    """The configuration's text.

    Raises:
        TraceError: a field that barectf cannot have, or no event.

    """
    if not facility.events:
        raise TraceError(f"facility {facility.name} has no events; barectf needs one")
    writer, stream = _Writer(facility, word_size), identifier(facility.name)
    lines = [f"          {line}" for event in facility.events for line in writer.event(event)]
    head = _HEAD.format(name=facility.name, order=order, stream=stream)
    return head + "\n".join([*lines, ""])


__all__ = ["write"]
