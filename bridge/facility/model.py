"""What a facility description says: events with typed fields, and named types.

The rule: this is the description alone; sizes and alignments come with a trace.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

INTEGER_WORDS = (
    "int_fixed",
    "uint_fixed",
    "char",
    "uchar",
    "short",
    "ushort",
    "int",
    "uint",
    "long",
    "ulong",
    "size_t",
    "ssize_t",
    "off_t",
    "pointer",
)


@dataclass(frozen=True, slots=True)
class Scalar:
    """An integer, pointer, float or string.

    `size` is as written: digits, or short, medium, long in the dialect before December 2005.
    """

    word: str
    size: str = ""
    format: str | None = None
    network: bool = False
    custom: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """A name for a number; `written` is the text of its value, empty if it had none."""

    name: str
    value: int
    written: str = ""
    description: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Enum:
    """A C enum."""

    labels: tuple[Label, ...]
    size: str = ""
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Array:
    """`length` elements."""

    length: int
    element: Type
    format: str | None = None
    custom: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """A count and as many elements. The old dialect writes only the size of the count."""

    count: Type
    element: Type
    size: str = ""
    format: str | None = None
    custom: bool = False


@dataclass(frozen=True, slots=True)
class Compound:
    """A struct or union."""

    word: str
    members: tuple[Member, ...]
    format: str | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Ref:
    """A named type, used at a line."""

    name: str
    line: int = field(default=0, compare=False)


Type = Scalar | Enum | Array | Sequence | Compound | Ref


@dataclass(frozen=True, slots=True)
class Member:
    """A named field of an event, struct or union."""

    name: str
    type: Type
    description: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Event:
    """An event; its id is its position in the facility."""

    name: str
    members: tuple[Member, ...] = ()
    description: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    struct: bool = False
    """Whether the fields stood in a struct, as in the dialect before December 2005."""
    line: int = field(default=0, compare=False)

    def has(self, attribute: str) -> bool:
        """Whether `attribute="…"` was given."""
        return ("attribute", attribute) in self.attributes


@dataclass(frozen=True, slots=True)
class Facility:
    """A facility: named events, and the types that they refer to by name."""

    name: str
    events: tuple[Event, ...]
    types: Mapping[str, Type] = field(default_factory=dict)
    description: str = ""
    arch: str = ""
    align: str = ""

    def resolve(self, kind: Type) -> Type:
        """The type behind names."""
        seen = set()
        while isinstance(kind, Ref):
            if kind.name in seen or kind.name not in self.types:
                raise KeyError(kind.name)
            seen.add(kind.name)
            kind = self.types[kind.name]
        return kind
