"""`$x$` and `$x$$`: a thing of a known type -> the pieces of the text that shows it.

Source: stapprobes(3stap), "pretty-printing", and the language's specification, section 13:
structs `{.a=1, .p=0x7f}`, arrays by their first element, strings quoted, at most 32 values.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.markers import Pretty, Shown
from bridge.probes.types import COMPOSITES, NoPathError, Shape, TypedSpot, member_spot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.markers import Access, Loaded, Part, Variable
    from bridge.probes.types import Member, Walker

MOST_VALUES = 32
MOST_DEPTH = 64
_UNNAMED = {Shape.UNION: "<union>", Shape.STRUCT: "<class>", Shape.CLASS: "<struct>"}
"""What stands for the name of an unnamed member; SystemTap writes it so."""


def pretty_print(
    walker: Walker, base: Variable | Loaded | None, spot: TypedSpot, *, full: bool
) -> Pretty:
    """The text of the thing at a spot."""
    printer = _Printer(walker, base, full)
    printer.thing(spot, top=True)
    return Pretty(tuple(_joined(printer.pieces)))


def way(
    walker: Walker,
    start: tuple[Variable | Loaded, TypedSpot],
    path: Sequence[Part],
    *,
    address_of: bool = False,
    pretty: str = "",
) -> Access | Pretty:
    """From a thing (its base, its spot) along a path: the way, or the text of what is there."""
    base, spot = start
    found = walker.follow(spot, path)
    if not pretty:
        return walker.access(base, found, address_of=address_of)
    if address_of:
        raise NoPathError("cannot take address of pretty-printed variable")
    return pretty_print(walker, base, found, full=pretty == "$$")


def _joined(pieces: list[str | Shown]) -> Iterator[str | Shown]:
    text = ""
    for piece in pieces:
        if isinstance(piece, str):
            text += piece
            continue
        if text:
            yield text
        text = ""
        yield piece
    if text:
        yield text


@dataclass
class _Printer:
    """One text under construction."""

    walker: Walker
    base: Variable | Loaded | None
    full: bool
    pieces: list[str | Shown] = field(default_factory=list)
    count: int = 0
    depth: int = 0

    def thing(self, spot: TypedSpot, *, top: bool = False) -> None:
        """Whatever it is."""
        self.depth += 1
        types = self.walker.types
        shape = types.shape(spot.type)
        if self.depth > MOST_DEPTH:
            self.pieces.append("?")
        elif shape in (Shape.NUMBER, Shape.CHAR):
            self._number(spot, shape)
        elif shape is Shape.ARRAY:
            self._array(spot, top)
        elif shape in (Shape.POINTER, Shape.REFERENCE):
            self._pointer(spot, top)
        elif shape in COMPOSITES:
            self._struct(spot, top)
        elif shape is Shape.FUNCTION:
            self.pieces.append("<function>:")
            self._value(spot, "x")
        else:
            self.pieces.append("?")
        self.depth -= 1

    def _value(self, spot: TypedSpot, form: str) -> bool:
        try:
            access = self.walker.access(
                self.base,
                spot,
                address_of=self.walker.types.shape(spot.type) is Shape.FUNCTION,
            )
        except NoPathError:
            self.pieces.append("?")
            return False
        self.pieces.append(Shown(access, form))
        self.count += 1
        return True

    def _number(self, spot: TypedSpot, shape: Shape) -> None:
        if shape is Shape.CHAR and not spot.bits:
            self.pieces.append("'")
            self._value(spot, "c")
            self.pieces.append("'")
        else:
            self._value(spot, "d" if self.walker.types.is_decimal(spot.type) else "u")

    def _array(self, spot: TypedSpot, top: bool) -> None:
        if not top and not self.full:
            self.pieces.append("[...]")
            return
        element = self.walker.types.element(spot.type) or 0
        if self._characters(element, spot):
            return
        self.pieces.append("[")
        if self.count < MOST_VALUES:
            if spot.offsets:
                self.thing(spot.at(0, element))
            else:
                self.pieces.append("?")
        self.pieces.append(", ...]")

    def _pointer(self, spot: TypedSpot, top: bool) -> None:
        pointee = self.walker.types.pointee(spot.type) or 0
        if self.walker.types.shape(pointee) is not Shape.VOID:
            if self._characters(pointee, spot):
                return
            if top:
                self.thing(spot.through(pointee), top=True)
                return
        self._value(spot, "x")

    def _characters(self, element: int, spot: TypedSpot) -> bool:
        """Text, if it is made of one-byte characters."""
        types = self.walker.types
        if types.shape(element) is not Shape.CHAR or types.size(element) != 1:
            return False
        self._value(spot, "text")
        return True

    def _struct(self, spot: TypedSpot, top: bool) -> None:
        if not spot.offsets:
            self.pieces.append("?")
        elif top or self.full:
            self.pieces.append("{")
            self._members(spot)
            self.pieces.append("}")
        else:
            self.pieces.append("{...}")

    def _members(self, spot: TypedSpot) -> None:
        seen: set[str] = set()
        number = 0
        for member in self._with_bases(spot.type, 0, 0):
            if member.name.startswith("_vptr.") or member.name in seen:
                continue
            if member.name:
                seen.add(member.name)
            if number:
                self.pieces.append(", ")
            number += 1
            if self.count >= MOST_VALUES:
                self.pieces.append("...")
                return
            self._member(spot, member)

    def _with_bases(self, type_: int, offset: int, depth: int) -> Iterator[Member]:
        types = self.walker.types
        bases = []
        for member in types.members(types.strip(type_)):
            moved = replace(member, offset_bits=member.offset_bits + offset)
            if member.base:
                bases.append(moved)
            else:
                yield moved
        for base in bases:
            if depth < MOST_DEPTH:
                yield from self._with_bases(base.type, base.offset_bits, depth + 1)

    def _member(self, spot: TypedSpot, member: Member) -> None:
        types = self.walker.types
        shape = types.shape(member.type)
        name = f".{member.name}" if member.name else _UNNAMED.get(shape, "")
        self.pieces.append(f"{name}=")
        self.thing(member_spot(types, spot, member))
