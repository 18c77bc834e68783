"""Facility event + sizes of C types -> payload type.

Offsets count from the start of the payload; alignments are capped by the facility's. The rule:
what the generated tracing code wrote is right (a C struct has its padding at the end), whatever
the old readers computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from bridge.facility import model as fac
from bridge.trace import model
from bridge.trace.ltt import payload

if TYPE_CHECKING:
    from collections.abc import Iterable

_OLD_SIZES = {"short": 2, "medium": 4, "long": 0}


@dataclass(frozen=True, slots=True)
class FacilitySizes:
    """Bytes of C types of the tracer; `alignment` 0 is packed.

    `old` is the dialect of 2003-2005, in which every number says its size.
    """

    c_int: int = 4
    long: int = 8
    pointer: int = 8
    size_t: int = 8
    alignment: int = 0
    big: bool = False
    old: bool = False

    def align(self, size: int) -> int:
        """The alignment of something of `size` bytes."""
        return min(size, self.alignment) if self.alignment else 1

    @property
    def pad(self) -> int:
        """What follows a string or sequence starts on a multiple of this."""
        return self.align(self.pointer)


class _Converter:
    def __init__(self, facility: fac.Facility, sizes: FacilitySizes) -> None:
        self.facility = facility
        self.sizes = sizes

    def _width(self, word: str, size: str) -> int:
        own = self.sizes
        if word.endswith("_fixed") or (own.old and size):
            return int(size) if size.isdigit() else _OLD_SIZES.get(size, 4) or own.long
        widths = {
            "char": 1,
            "uchar": 1,
            "short": 2,
            "ushort": 2,
            "int": own.c_int,
            "uint": own.c_int,
            "enum": own.c_int,
            "long": own.long,
            "ulong": own.long,
            "pointer": own.pointer,
            "size_t": own.size_t,
            "ssize_t": own.size_t,
            "off_t": own.size_t,
        }
        return widths[word]

    def _integer(self, word: str, size: str, network: bool = False) -> model.Integer:
        width = self._width(word, size)
        return model.Integer(
            8 * width,
            signed=word in ("int_fixed", "char", "short", "int", "long", "ssize_t", "enum"),
            align_bits=8 * self.sizes.align(width),
            big_endian=network or self.sizes.big,
            base=16 if word == "pointer" else 10,
        )

    def _scalar(self, kind: fac.Scalar) -> model.FieldType:
        if kind.word == "string":
            return model.Text()
        if kind.word == "float":
            width = 8 if kind.size in ("8", "long") else 4
            return model.Float(8 * width, 8 * self.sizes.align(width), self.sizes.big)
        return self._integer(kind.word, kind.size, kind.network)

    def type(self, kind: fac.Type) -> model.FieldType:
        """The field type of a facility type."""
        kind = self.facility.resolve(kind)
        match kind:
            case fac.Scalar():
                return self._scalar(kind)
            case fac.Enum():
                labels = tuple((x.name, x.value, x.value) for x in kind.labels)
                return model.Enumeration(self._integer("enum", kind.size), labels)
            case fac.Array():
                return model.FixedArray(self.type(kind.element), kind.length)
            case fac.Sequence():
                count = self.type(kind.count)
                if not isinstance(count, model.Integer):
                    raise TypeError("the parser admits only integers as counts")
                return model.Sequence(self.type(kind.element), "", count)
            case fac.Compound():
                return self._compound(kind)
            case fac.Ref():
                raise TypeError("references were resolved")
        assert_never(kind)

    def _compound(self, kind: fac.Compound) -> model.Struct:
        members = self.members(kind.members)
        plain = model.Struct(members, overlay=kind.word == "union")
        fixed = payload.compile_payload(plain, 1, self.sizes.big).fixed >= 0
        align = payload.alignment(plain)
        return model.Struct(members, 8 * align if fixed and align > 1 else 1, plain.overlay)

    def members(self, members: Iterable[fac.Member]) -> tuple[model.Field, ...]:
        """The fields of an event, struct or union."""
        return tuple(model.Field(m.name, self.type(m.type)) for m in members)


def event_payload(
    facility: fac.Facility, event: fac.Event, sizes: FacilitySizes
) -> model.Struct:
    """The payload of an event."""
    return model.Struct(_Converter(facility, sizes).members(event.members))
