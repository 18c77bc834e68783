"""Tracepoint arguments with kernel types -> variables, and paths into what they point to.

Comes in: BTF and an event's name. Goes out: `Variable`s read from a raw tracepoint, and an
implementation of `markers.Members` over them. Source of the rules: stapprobes(3stap), "kernel
tracepoint probe": `$name->field`, `$name[n]`, `&$name->field`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.markers import Access, RawArgument, ValueType, Variable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.targets.btf import Btf


def raw_variables(btf: Btf, event: str) -> tuple[Variable, ...]:
    """The arguments of a tracepoint that are numbers or pointers, in order."""
    variables = []
    for index, parameter in enumerate(btf.tracepoint(event) or ()):
        if parameter.name and btf.is_scalar(parameter.type):
            size = btf.size(parameter.type)
            operand = RawArgument(index, size, btf.is_signed(parameter.type))
            ctype = btf.name(parameter.type)
            variables.append(
                Variable(parameter.name, ValueType.LONG, (operand,), ctype, operand)
            )
    return tuple(variables)


@dataclass(frozen=True, slots=True)
class _Place:
    """A thing on the way: its type, and the offsets that lead to its address."""

    type: int
    offsets: tuple[int, ...]
    shift: int = 0
    bits: int = 0

    def at(self, offset: int, type_: int, shift: int = 0, bits: int = 0) -> _Place:
        return _Place(type_, (*self.offsets[:-1], self.offsets[-1] + offset), shift, bits)

    def through(self, type_: int) -> _Place:
        return _Place(type_, (*self.offsets, 0))


class _NoPathError(Exception):
    """There is no such member or element; the text says so in SystemTap's words."""


@dataclass(frozen=True)
class TracepointMembers:
    """Paths into the arguments of one tracepoint."""

    btf: Btf
    event: str

    def access(
        self, name: str, path: Sequence[str | int], *, address_of: bool = False
    ) -> Access | str:
        """See `markers.Members.access`."""
        found = next((v for v in raw_variables(self.btf, self.event) if v.name == name), None)
        types = {p.name: p.type for p in self.btf.tracepoint(self.event) or ()}
        if found is None:
            return f"unable to find tracepoint variable '${name}'"
        pointee = self.btf.pointee(types[name])
        if pointee is None:
            return f"invalid access '{path[0]}' to a value of type {found.ctype}"
        try:
            place = _Place(pointee, (0,))
            for number, part in enumerate(path):
                place = self._follow(place, part, first=number == 0)
        except _NoPathError as error:
            return str(error)
        return self._end(found, place, _text(name, path), address_of)

    def _follow(self, place: _Place, part: str | int, *, first: bool) -> _Place:
        if isinstance(part, int):
            return self._index(place, part, first=first)
        pointee = self.btf.pointee(place.type)
        if pointee is not None:
            place = place.through(pointee)
        member = self.btf.member(place.type, part)
        if member is None:
            raise _NoPathError(
                f"unable to find member '{part}' for {self.btf.name(place.type)}"
            )
        if not member.bits:
            return place.at(member.offset_bits // 8, member.type)
        unit = 8 * self.btf.size(member.type)
        start = member.offset_bits // unit * unit
        return place.at(start // 8, member.type, member.offset_bits - start, member.bits)

    def _index(self, place: _Place, index: int, *, first: bool) -> _Place:
        if first:
            return place.at(index * self.btf.size(place.type), place.type)
        element = self.btf.element(place.type)
        if element is not None:
            return place.at(index * self.btf.size(element), element)
        pointee = self.btf.pointee(place.type)
        if pointee is None:
            raise _NoPathError(f"cannot index values of type {self.btf.name(place.type)}")
        return place.through(pointee).at(index * self.btf.size(pointee), pointee)

    def _end(self, base: Variable, place: _Place, text: str, address_of: bool) -> Access | str:
        scalar = self.btf.is_scalar(place.type)
        if address_of and place.bits:
            return "cannot take the address of a bit-field"
        size = self.btf.size(place.type) if scalar and not address_of else 0
        signed = scalar and self.btf.is_signed(place.type)
        return Access(
            base, place.offsets, size, signed, "kernel", text, place.shift, place.bits
        )


def _text(name: str, path: Sequence[str | int]) -> str:
    return f"${name}" + "".join(f"[{p}]" if isinstance(p, int) else f"->{p}" for p in path)
