"""Places -> markers: a site, the variables that can be read there, and what they start from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, overload

from bridge.markers import Kind, Marker, Site
from bridge.probes.dwarf.scope import At, FunctionScope, base_variables, simple_variables
from bridge.probes.functions import register_arguments
from bridge.probes.safety import entry_skip, instruction_fault, site_fault

if TYPE_CHECKING:
    from bridge.markers import Variable
    from bridge.probes.dwarf.image import DebugImage
    from bridge.probes.dwarf.probe_addresses import ProbeAddress
    from bridge.probes.safety import SitePolicy


class LazyVariables(Sequence["Variable"]):
    """The variables of a place, read when somebody asks for them.

    Those of one place are equal, which is known without reading them.
    """

    def __init__(self, place: At) -> None:
        self._place = place

    def _read(self) -> tuple[Variable, ...]:
        raise NotImplementedError

    @cached_property
    def _found(self) -> tuple[Variable, ...]:
        return self._read()

    @property
    def _key(self) -> tuple[object, ...]:
        at = self._place
        return type(self), at.image.elf.path, at.function.record.ref, at.address, at.returns

    @overload
    def __getitem__(self, index: int) -> Variable: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Variable]: ...

    def __getitem__(self, index: int | slice) -> Variable | Sequence[Variable]:
        return self._found[index]

    def __len__(self) -> int:
        return len(self._found)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LazyVariables) and self._key == other._key:
            return True
        return isinstance(other, Sequence) and self._found == tuple(other)

    def __hash__(self) -> int:
        return hash(self._key)


class PlaceVariables(LazyVariables):
    """What a handler can name and read by itself."""

    def __init__(self, place: At, scope: FunctionScope) -> None:
        super().__init__(place)
        self._scope = scope

    def _read(self) -> tuple[Variable, ...]:
        return tuple(simple_variables(self._scope))


class _Hidden(LazyVariables):
    """What the variables of a place start from; thousands of places are never asked for it."""

    def _read(self) -> tuple[Variable, ...]:
        place = self._place
        if place.function.inlined and not place.returns:
            return base_variables(place)  # no call has passed anything
        arguments = register_arguments(place.machine, returns=place.returns)
        return (*base_variables(place), *arguments)


def place_marker(
    policy: SitePolicy, image: DebugImage, place: ProbeAddress, *, returns: bool
) -> tuple[Marker, FunctionScope] | None:
    """The marker of one place of a program; None if no code of the file is there."""
    elf, function = image.elf, place.function
    address = place.address
    if address == function.entry:
        address += entry_skip(elf, address, function.room_behind(address))
    offset = elf.file_offset(address)
    if offset is None:
        return None
    fault = instruction_fault(elf, address) if returns else site_fault(elf, address, policy)
    at = At(image, function, place.address, returns, address)
    scope = FunctionScope(at)
    kind = Kind.FUNCTION_RETURN if returns else Kind.FUNCTION
    hidden = _Hidden(at)
    site = Site(elf.path, offset, address, unsafe=fault)
    marker = Marker(
        kind,
        elf.path,
        function.name,
        (site,),
        PlaceVariables(at, scope),
        elf.machine,
        hidden=hidden,
    )
    return marker, scope
