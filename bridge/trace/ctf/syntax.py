"""The syntax tree of CTF 1.8 metadata. Nodes carry the line that they start on."""

from __future__ import annotations

from bridge.values import dataclass

Value = int | str | tuple[str, ...]
"""A constant: a number, a text, or a dotted name."""


@dataclass(frozen=True, slots=True)
class Word:
    """A keyword of C or the name of a type."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Block:
    """`integer { size = 8; }`: properties of a number or a string."""

    kind: str
    entries: tuple[Entry, ...]
    line: int


@dataclass(frozen=True, slots=True)
class StructSpecifier:
    """`struct name { … } align(8)`; body None is a reference by name."""

    name: str
    body: tuple[Declaration | Alias, ...] | None
    align: Value | None
    line: int


@dataclass(frozen=True, slots=True)
class VariantSpecifier:
    """`variant name <tag> { … }`; body None is a reference by name."""

    name: str
    tag: str
    body: tuple[Declaration | Alias, ...] | None
    line: int


@dataclass(frozen=True, slots=True)
class EnumSpecifier:
    """`enum name : container { … }`: label, first and last value where they are given."""

    name: str
    container: tuple[Specifier, ...]
    labels: tuple[tuple[str, Value | None, Value | None], ...] | None
    line: int


Specifier = Word | Block | StructSpecifier | VariantSpecifier | EnumSpecifier


@dataclass(frozen=True, slots=True)
class Declarator:
    """A declared name; `lengths` are those in brackets, from left to right (None: empty)."""

    name: str
    pointer: bool
    lengths: tuple[Value | None, ...]


@dataclass(frozen=True, slots=True)
class Declaration:
    """`type a, b[3];`, also `typedef` (among the specifiers), also a type alone."""

    specifiers: tuple[Specifier, ...]
    declarators: tuple[Declarator, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Alias:
    """`typealias type := name;`."""

    specifiers: tuple[Specifier, ...]
    lengths: tuple[Value | None, ...]
    pointer: bool
    name: tuple[Specifier, ...]
    name_pointer: bool
    line: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """`name = value;`."""

    name: str
    value: Value
    line: int


@dataclass(frozen=True, slots=True)
class TypeAssignment:
    """`fields := struct { … };`."""

    name: str
    specifiers: tuple[Specifier, ...]
    line: int


Entry = Assignment | TypeAssignment | Declaration | Alias


@dataclass(frozen=True, slots=True)
class TopBlock:
    """`event { … };` and its like."""

    kind: str
    entries: tuple[Entry, ...]
    line: int


Item = TopBlock | Declaration | Alias
