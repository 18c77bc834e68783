"""C types, whoever describes them (BTF, DWARF), and paths into values: `->member`, `[index]`.

Comes in: an implementation of `Types` and a spot (what is there, and how to get there). Goes
out: `markers.Access`. One rule: a type is a number that only its `Types` understands.
Source of the rules and words: stapprobes(3stap), "typecasting", "accessing target variables".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from bridge.markers import Access, Index, NoAccess
from bridge.suggest import similar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.markers import Loaded, Part, Result, Variable

WORD = 8
READABLE = (1, 2, 4, 8)
"""Sizes of integers that can be read."""


class Shape(Enum):
    """What a type is, below typedefs and qualifiers."""

    VOID = "void"
    NUMBER = "number"
    CHAR = "char"
    FLOAT = "float"
    POINTER = "pointer"
    REFERENCE = "reference"
    ARRAY = "array"
    STRUCT = "struct"
    UNION = "union"
    CLASS = "class"
    FUNCTION = "function"
    OTHER = "other"


COMPOSITES = frozenset({Shape.STRUCT, Shape.UNION, Shape.CLASS})
SCALARS = frozenset({Shape.NUMBER, Shape.CHAR, Shape.FLOAT, Shape.POINTER, Shape.REFERENCE})


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union; its offset counts from the outermost one."""

    name: str
    type: int
    offset_bits: int
    bits: int
    """Width of a bit-field; 0 for an ordinary member."""
    base: bool = False
    """Whether it is a base class."""


class Types(Protocol):
    """The types of one description, by number."""

    def strip(self, number: int) -> int:
        """The type below typedefs and qualifiers."""
        ...

    def shape(self, number: int) -> Shape:
        """What it is, below typedefs and qualifiers."""
        ...

    def pointee(self, number: int) -> int | None:
        """What a pointer or reference points to; None for anything else."""
        ...

    def element(self, number: int) -> int | None:
        """The element type of an array; None for anything else."""
        ...

    def size(self, number: int) -> int:
        """Its size in bytes; 0 where it is not known."""
        ...

    def is_signed(self, number: int) -> bool:
        """Whether it is a signed integer."""
        ...

    def is_decimal(self, number: int) -> bool:
        """Whether a pretty print shows it with its sign: anything but an unsigned integer."""
        ...

    def name(self, number: int) -> str:
        """Its C name."""
        ...

    def elsewhere(self, number: int, member: str) -> Sequence[tuple[str, ...]]:
        """Paths to what a member has become; one of a single text with a blank is a reason."""
        ...

    def place(self, number: int) -> str:
        """Where it was declared, as ` (file:line)`; "" where that is not known."""
        ...

    def members(self, number: int) -> Iterator[Member]:
        """The direct members of a struct, union or class; unnamed ones have the name ""."""
        ...


class NoPathError(Exception):
    """There is no such way; carries the `NoAccess` that says so."""

    def __init__(self, message: str, part: int = -1) -> None:
        super().__init__(message)
        self.answer = NoAccess(message, part)


@dataclass(frozen=True, slots=True)
class TypedSpot:
    """A thing: its type, and how to get there from a base.

    Without offsets it is the base's own value; else what lies at the address that they lead to.
    """

    type: int
    offsets: tuple[int, ...] = ()
    shift: int = 0
    bits: int = 0
    indices: tuple[Index, ...] = ()
    computed: bool = False
    """Whether the offsets lead to the value itself and not to its address."""
    moved: tuple[str, ...] = ()
    """What was found under another name than the script's, to be told."""

    def at(self, offset: int, type_: int, shift: int = 0, bits: int = 0) -> TypedSpot:
        """What lies `offset` bytes further."""
        offsets = (*self.offsets[:-1], self.offsets[-1] + offset)
        return TypedSpot(type_, offsets, shift, bits, self.indices, moved=self.moved)

    def through(self, type_: int) -> TypedSpot:
        """What it points to."""
        if self.computed:
            return replace(self, type=type_, computed=False)
        return TypedSpot(type_, (*self.offsets, 0), indices=self.indices, moved=self.moved)

    def indexed(self, number: int, scale: int, type_: int) -> TypedSpot:
        """The element of an index that is computed."""
        index = Index(len(self.offsets) - 1, number, scale)
        return TypedSpot(type_, self.offsets, indices=(*self.indices, index), moved=self.moved)


@dataclass(frozen=True)
class Walker:
    """Follows paths in the types of one description; `space` is where the values lie."""

    types: Types
    space: str

    def follow(self, spot: TypedSpot, path: Sequence[Part]) -> TypedSpot:
        """The thing at the end of a path; NoPathError if there is none."""
        computed = 0
        for number, part in enumerate(path):
            if part is None:
                spot = self._index(spot, part, number, computed)
                computed += 1
            elif isinstance(part, int):
                spot = self._index(spot, part, number, computed)
            else:
                spot = self._member(spot, part, number)
        return spot

    def _member(self, spot: TypedSpot, name: str, at: int) -> TypedSpot:
        spot = self._target(spot, f"->{name}", at)
        shape = self.types.shape(spot.type)
        if shape is Shape.ARRAY:
            raise NoPathError(f"invalid access '->{name}' for array type", at)
        if shape not in COMPOSITES:
            what = self.types.name(self.types.strip(spot.type))
            raise NoPathError(f"invalid access '->{name}' vs. {what}", at)
        if not spot.offsets:
            raise NoPathError("cannot access members of an object in a register", at)
        member = find_member(self.types, spot.type, name)
        if member is None:
            return self._moved(spot, name, at)
        return member_spot(self.types, spot, member)

    def _moved(self, spot: TypedSpot, name: str, at: int) -> TypedSpot:
        """A member of another name, or elsewhere, by now; NoPathError if there is none."""
        what = self.types.name(self.types.strip(spot.type))
        reason = ""
        for path in self.types.elsewhere(spot.type, name):
            if " " in path[0]:
                reason = f"; {path[0]}"
                continue
            if find_member(self.types, spot.type, path[0]) is None:
                continue
            found = spot
            for part in path:
                found = self._member(found, part, at)
            note = f"`{name}` of {what} is `{'->'.join(path)}` in this kernel"
            return replace(found, moved=(*spot.moved, note))
        raise NoPathError(self._no_member(spot.type, name) + reason, at)

    def _target(self, spot: TypedSpot, written: str, at: int) -> TypedSpot:
        """Through the pointers before a member."""
        for _ in range(WORD):
            pointee = self.types.pointee(spot.type)
            if pointee is None:
                return spot
            if self.types.shape(pointee) is Shape.VOID:
                what = self.types.name(self.types.strip(spot.type))
                raise NoPathError(f"invalid access '{written}' vs '{what}'", at)
            spot = spot.through(pointee)
        return spot

    def _no_member(self, type_: int, name: str) -> str:
        members = set(member_names(self.types, type_))
        near = similar(name, members, len(members))
        more = f" (alternatives: {', '.join(near)})" if near else ""
        place = self.types.place(type_) if self._is_unnamed(type_) else ""
        what = self.types.name(self.types.strip(type_))
        return f"unable to find member '{name}' for {what}{place}{more}"

    def _is_unnamed(self, type_: int) -> bool:
        return self.types.name(self.types.strip(type_)).endswith("{...}")

    def _index(self, spot: TypedSpot, index: int | None, at: int, computed: int) -> TypedSpot:
        written = "[...]" if index is None else f"[{index}]"
        if self.types.shape(spot.type) is Shape.REFERENCE:
            spot = spot.through(self.types.pointee(spot.type) or 0)
        element = self.types.element(spot.type)
        if element is None:
            element = self.types.pointee(spot.type)
            if element is None:
                raise self._not_indexed(spot, written, at)
            if self.types.shape(element) is Shape.VOID:
                what = self.types.name(self.types.strip(spot.type))
                raise NoPathError(f"invalid access '{written}' vs '{what}'", at)
            spot = spot.through(element)
        elif not spot.offsets:
            raise NoPathError("cannot index an object in a register", at)
        scale = self.types.size(element)
        if index is None:
            return spot.indexed(computed, scale, element)
        return spot.at(index * scale, element)

    def _not_indexed(self, spot: TypedSpot, written: str, at: int) -> NoPathError:
        what = self.types.name(self.types.strip(spot.type))
        composite = self.types.shape(spot.type) in COMPOSITES
        return NoPathError(
            f"invalid access '{written}' {'for' if composite else 'vs.'} {what}", at
        )

    # --- the end of a path ---

    def access(
        self, base: Variable | Loaded | None, spot: TypedSpot, *, address_of: bool
    ) -> Access:
        """The way to a thing's value or address; NoPathError if it has none."""
        if address_of:
            return self._address(base, spot)
        shape = self.types.shape(spot.type)
        structure = KnownValue(self, spot.type, addressed=shape is Shape.ARRAY)
        size = self.types.size(spot.type)
        if shape is Shape.ARRAY:
            if not spot.offsets:
                raise NoPathError("cannot take address of object in register")
            size = 0
        elif shape in COMPOSITES:
            raise NoPathError(self._composite(spot.type), -2)
        elif shape not in SCALARS or size not in READABLE:
            what = self.types.name(self.types.strip(spot.type))
            raise NoPathError(f"unsupported type {what}")
        signed = self.types.is_signed(spot.type)
        bits = spot.bits
        if spot.computed and size < WORD:
            bits = 8 * size
        if spot.bits:  # the word that holds the field
            size = next(s for s in READABLE if spot.shift + spot.bits <= 8 * s and s >= size)
        if spot.computed or not spot.offsets:
            size = 0
        return Access(
            base,
            spot.offsets,
            size,
            signed,
            self.space,
            spot.shift,
            bits,
            spot.indices,
            structure,
            spot.moved,
        )

    def _address(self, base: Variable | Loaded | None, spot: TypedSpot) -> Access:
        if spot.bits:
            raise NoPathError("cannot take the address of a bit field")
        if spot.computed:
            raise NoPathError("cannot take address of computed value")
        if not spot.offsets:
            raise NoPathError("cannot take address of object in register")
        structure = KnownValue(self, spot.type, addressed=True)
        return Access(
            base,
            spot.offsets,
            0,
            False,
            self.space,
            indices=spot.indices,
            structure=structure,
            moved=spot.moved,
        )

    def _composite(self, type_: int) -> str:
        names = sorted(name for name in member_names(self.types, type_))
        such = f" such as '->{names[0]}'" if names else ""
        what = self.types.name(self.types.strip(type_))
        place = self.types.place(type_)
        return f"'{what}'{place} is being accessed instead of a member{such}"


@dataclass(frozen=True)
class KnownValue:
    """A value whose type is known: a `markers.Structure`.

    If `addressed`, the value is the address of a thing of that type.
    """

    walker: Walker
    type: int
    addressed: bool

    def access(
        self, path: Sequence[Part], *, address_of: bool = False, pretty: str = ""
    ) -> Result:
        """See `markers.Structure.access`."""
        spot = TypedSpot(self.type, (0,) if self.addressed else ())
        rest = path
        types = self.walker.types
        try:
            first = path[0] if path else ""
            direct = types.element(self.type) is None and types.pointee(self.type) is None
            if self.addressed and not isinstance(first, str) and direct:
                # an index of what is pointed to is that of an array of them
                size = types.size(self.type)
                spot = (
                    spot.at(first * size, self.type)
                    if isinstance(first, int)
                    else spot.indexed(0, size, self.type)
                )
                computed = first is None
                rest = path[1:]
                return self._end(spot, rest, address_of, pretty, skipped=computed)
            return self._end(spot, rest, address_of, pretty)
        except NoPathError as error:
            return error.answer

    def _end(
        self,
        spot: TypedSpot,
        rest: Sequence[Part],
        address_of: bool,
        pretty: str,
        *,
        skipped: bool = False,
    ) -> Result:
        found = self.walker.follow(spot, rest)
        if skipped:
            moved = tuple(
                index if number == 0 else replace(index, number=index.number + 1)
                for number, index in enumerate(found.indices)
            )
            found = replace(found, indices=moved)
        if pretty:
            from bridge.probes.pretty import pretty_print

            return pretty_print(self.walker, None, found, full=pretty == "$$")
        return self.walker.access(None, found, address_of=address_of)


def find_member(types: Types, number: int, name: str) -> Member | None:
    """A member by name, looked for in unnamed members and base classes, too."""
    return next((m for m in all_members(types, number) if m.name == name), None)


def all_members(types: Types, number: int, depth: int = 0) -> Iterator[Member]:
    """The named members, those of unnamed ones in their place, those of base classes last."""
    bases = []
    for member in types.members(types.strip(number)):
        if member.base:
            bases.append(member)
        elif member.name:
            yield member
        elif depth < WORD:
            yield from _shifted(types, member, depth)
    for member in bases:
        if depth < WORD:
            yield from _shifted(types, member, depth)


def _shifted(types: Types, outer: Member, depth: int) -> Iterator[Member]:
    if types.shape(outer.type) not in COMPOSITES:
        return
    for inner in all_members(types, outer.type, depth + 1):
        yield replace(inner, offset_bits=outer.offset_bits + inner.offset_bits)


def member_names(types: Types, number: int) -> Iterator[str]:
    """The names that may follow a `->`."""
    return (member.name for member in all_members(types, number))


def member_spot(types: Types, spot: TypedSpot, member: Member) -> TypedSpot:
    """Where a member of the thing at a spot lies."""
    if not member.bits:
        return spot.at(member.offset_bits // 8, member.type)
    unit = 8 * (types.size(member.type) or 1)
    start = member.offset_bits // unit * unit
    if member.offset_bits + member.bits > start + unit:  # a packed field across two words
        start = member.offset_bits // 8 * 8
    return spot.at(start // 8, member.type, member.offset_bits - start, member.bits)
