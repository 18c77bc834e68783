"""Facility type -> size and alignment in memory, by the word size of the machine.

A string is its pointer and a sequence a count and a pointer, as a C program holds them. The
rule: the layout is C's on Linux (LP64 and ILP32), where a long is as wide as a pointer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from bridge.facility import model

WORD_SIZES = (4, 8)
_FIXED = {"char": 1, "uchar": 1, "short": 2, "ushort": 2, "int": 4, "uint": 4}
_SIGNED = frozenset(("int_fixed", "char", "short", "int", "long", "ssize_t", "off_t"))


@dataclass(frozen=True, slots=True)
class ByteLayout:
    """Bytes."""

    size: int
    alignment: int


def is_signed(kind: model.Scalar) -> bool:
    """Whether an integer has a sign; `off_t` has one in C."""
    return kind.word in _SIGNED


def scalar_size(kind: model.Scalar, word_size: int) -> int:
    """Bytes of a number or pointer; those of its pointer for a string."""
    if kind.word.endswith("_fixed"):
        return int(kind.size)
    if kind.word == "float":
        return 8 if kind.size in ("8", "long") else 4
    return _FIXED.get(kind.word, word_size)


def layout(facility: model.Facility, kind: model.Type, word_size: int) -> ByteLayout:
    """Size and alignment of a type."""
    kind = facility.resolve(kind)
    match kind:
        case model.Scalar():
            size = scalar_size(kind, word_size)
            # i386 aligns numbers of 8 bytes in structs to 4; other machines do not
            return ByteLayout(size, size)
        case model.Enum():
            return ByteLayout(4, 4)
        case model.Array():
            element = layout(facility, kind.element, word_size)
            return ByteLayout(kind.length * element.size, element.alignment)
        case model.Sequence():
            count = layout(facility, kind.count, word_size)
            pointer = ByteLayout(word_size, word_size)
            return _struct((count, pointer))
        case model.Compound():
            members = tuple(layout(facility, m.type, word_size) for m in kind.members)
            return _struct(members) if kind.word == "struct" else _union(members)
        case model.Ref():
            raise TypeError("references were resolved")
    assert_never(kind)


def _struct(members: tuple[ByteLayout, ...]) -> ByteLayout:
    at = 0
    for member in members:
        at += -at % member.alignment + member.size
    alignment = max((member.alignment for member in members), default=1)
    return ByteLayout(at + -at % alignment, alignment)


def _union(members: tuple[ByteLayout, ...]) -> ByteLayout:
    alignment = max((member.alignment for member in members), default=1)
    size = max((member.size for member in members), default=0)
    return ByteLayout(size + -size % alignment, alignment)


__all__ = ["WORD_SIZES", "ByteLayout", "is_signed", "layout", "scalar_size"]
