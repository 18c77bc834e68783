"""How large types are, so that a small description cannot make a huge decoder.

A type counts as often as it is used: twenty structures, each with two of the one before, are a
million fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.trace.model import (
    Enumeration,
    FieldType,
    FixedArray,
    Optional,
    Sequence,
    Struct,
    Variant,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_FIELDS = 1 << 16
"""In one type."""
MOST_OF_ALL = 1 << 20
"""In all event classes together."""
DEEPEST = 64
"""How many types may be one in another."""


class Measure:
    """Measures types; each once, however often it is used."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int, FieldType]] = {}
        self._all = 0

    def fault(self, kind: FieldType) -> str:
        """What is wrong with the size of a type; empty if nothing is."""
        fields, depth = self._sizes(kind)
        if fields > MOST_FIELDS:
            return f"has {fields} fields; {MOST_FIELDS} can be read"
        return self.too_deep(depth - 1)

    def fault_of_scope(self, kind: FieldType) -> str:
        """The same of the structure of a scope; all of them are counted together, too."""
        self._all += self._sizes(kind)[0]
        if self._all > MOST_OF_ALL:
            return f"makes more than {MOST_OF_ALL} fields with all others"
        return self.fault(kind)

    def too_deep(self, depth: int) -> str:
        """What is wrong with this many types around one; empty if nothing is."""
        return f"is nested more than {DEEPEST} deep" if depth >= DEEPEST else ""

    def _sizes(self, kind: FieldType) -> tuple[int, int]:
        """How many fields a type has, and how deep they are."""
        known = self._known.get(id(kind))
        if known is None:
            sizes = [self._sizes(inner) for inner in _inside(kind)]
            fields = 1 + sum(number for number, _ in sizes)
            depth = 1 + max((depth for _, depth in sizes), default=0)
            known = self._known[id(kind)] = fields, depth, kind
        return known[0], known[1]


def _inside(kind: FieldType) -> Iterable[FieldType]:
    match kind:
        case Struct(fields=members) | Variant(options=members):
            return (member.type for member in members)
        case FixedArray() | Sequence() | Optional():
            return (kind.element,)
        case Enumeration():
            return (kind.container,)
        case _:
            return ()
