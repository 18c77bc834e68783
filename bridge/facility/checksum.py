"""Facility -> the CRC-32 by which a trace names its description.

The variants of the walk: with the `format` attribute (until June 2007), without it, and that of
the dialect before December 2005, which wrote the values of labels, too, but for a while in
autumn 2005. The rule: strings in order of the file, no separators.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, assert_never

from bridge.facility import model

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALL = 0xFFFFFFFF
_WORDS = {
    "pointer": "void *",
    "char": "signed char",
    "uchar": "unsigned char",
    "short": "short",
    "ushort": "unsigned short",
    "int": "int",
    "uint": "uint",
    "long": "long",
    "ulong": "unsigned long",
    "size_t": "size_t",
    "ssize_t": "ssize_t",
    "off_t": "off_t",
    "string": "string",
}
_OLD_SIZES = ("1", "2", "4", "8", "short", "medium", "long")
_OLD_INTEGERS = {
    "int": ("int8_t", "int16_t", "int32_t", "int64_t", "short int", "int", "long int"),
    "uint": (
        "uint8_t",
        "uint16_t",
        "uint32_t",
        "uint64_t",
        "unsigned short int",
        "unsigned int",
        "unsigned long int",
    ),
    "float": ("undef", "undef", "float", "double", "undef", "float", "double"),
}


class _Walk:
    def __init__(
        self, facility: model.Facility, formats: bool, old: bool, values: bool
    ) -> None:
        self.facility = facility
        self.formats = formats
        self.old = old
        self.values = values

    def _index(self, size: str) -> int:
        return _OLD_SIZES.index(size) if size in _OLD_SIZES else 2

    def _scalar(self, kind: model.Scalar) -> str:
        if self.old and kind.word in _OLD_INTEGERS:
            return _OLD_INTEGERS[kind.word][self._index(kind.size)]
        if kind.word in ("int_fixed", "uint_fixed"):
            return f"{kind.word.removesuffix('_fixed')}{8 * int(kind.size or 4)}_t"
        if kind.word == "float":
            return "double" if kind.size == "8" else "float"
        return _WORDS[kind.word]

    def _head(self, kind: model.Type) -> str:
        match kind:
            case model.Scalar():
                return self._scalar(kind)
            case model.Enum():
                if self.old:
                    return f"enum {_OLD_INTEGERS['uint'][self._index(kind.size)]}"
                return "enum"
            case model.Array():
                return f"array {kind.length}"
            case model.Sequence():
                return f"sequence {self._index(kind.size)}" if self.old else "sequence "
            case model.Compound():
                return kind.word
            case model.Ref():
                return self._head(self.facility.resolve(kind))
        assert_never(kind)

    def kind(self, kind: model.Type) -> Iterator[str]:
        """The strings of a type."""
        kind = self.facility.resolve(kind)
        yield self._head(kind)
        written = None if isinstance(kind, model.Ref) else kind.format
        if self.formats and written is not None:
            yield written
        match kind:
            case model.Array():
                yield from self.kind(kind.element)
            case model.Sequence():
                if not self.old:
                    yield from self.kind(kind.count)
                yield from self.kind(kind.element)
            case model.Compound():
                yield from self.members(kind.members)
            case model.Enum():
                for label in kind.labels:
                    with_value = self.old and self.values and label.written
                    yield f"{label.name}={label.written}" if with_value else label.name

    def members(self, members: tuple[model.Member, ...]) -> Iterator[str]:
        """Name and type of each."""
        for member in members:
            yield member.name
            yield from self.kind(member.type)

    def strings(self) -> Iterator[str]:
        """All strings of the facility after its name."""
        for event in self.facility.events:
            yield event.name
            if self.old and (event.struct or event.members):
                yield "struct"
            yield from self.members(event.members)


def _encoding(text: str) -> str:
    """Latin-1, which keeps the bytes of a file; UTF-8 for a text that never was one."""
    return "latin-1" if all(c <= "\xff" for c in text) else "utf-8"


def text_bytes(text: str) -> bytes:
    """A document as it stands in a file."""
    return text.encode(_encoding(text), "surrogateescape")


def checksum(
    facility: model.Facility, formats: bool = True, old: bool = False, values: bool = True
) -> int:
    """The checksum in one of its variants.

    Args:
        facility: the description.
        formats: whether the attribute `format` counts (until June 2007).
        old: the walk of the dialect before December 2005.
        values: with `old`, whether values of labels count; not so from July to November 2005.

    """
    strings = list(_Walk(facility, formats, old, values).strings())
    encoding = _encoding(facility.name + "".join(strings))
    crc = zlib.crc32(facility.name.encode(encoding, "surrogateescape"))
    for text in strings:
        crc = zlib.crc32(text.encode(encoding, "surrogateescape"), crc ^ _ALL) ^ _ALL
    return crc


def variants(facility: model.Facility) -> frozenset[int]:
    """All checksums that a tracer may have computed for this description."""
    ways = ((False, True), (True, True), (True, False))
    return frozenset(
        checksum(facility, formats, *way) for formats in (True, False) for way in ways
    )
