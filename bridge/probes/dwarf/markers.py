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
    from bridge.probes.dwarf.image import Image
    from bridge.probes.dwarf.probe_addresses import Place
    from bridge.probes.safety import SitePolicy


class _Variables(Sequence["Variable"]):
    """The variables of a place, read when somebody asks for them."""

    def __init__(self, scope: FunctionScope) -> None:
        self._scope = scope

    @cached_property
    def _found(self) -> tuple[Variable, ...]:
        return tuple(simple_variables(self._scope))

    @overload
    def __getitem__(self, index: int) -> Variable: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Variable]: ...

    def __getitem__(self, index: int | slice) -> Variable | Sequence[Variable]:
        return self._found[index]

    def __len__(self) -> int:
        return len(self._found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._found == tuple(other)

    def __hash__(self) -> int:
        return hash(self._found)


def place_marker(
    image: Image, place: Place, policy: SitePolicy, *, returns: bool
) -> tuple[Marker, FunctionScope] | None:
    """The marker of one place; None if no code of the file is there."""
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
    hidden = (*base_variables(at), *register_arguments(elf.machine, returns=returns))
    site = Site(elf.path, offset, address, unsafe=fault)
    marker = Marker(
        kind, elf.path, function.name, (site,), _Variables(scope), elf.machine, hidden=hidden
    )
    return marker, scope
