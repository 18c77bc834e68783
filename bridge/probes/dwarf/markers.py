"""Places -> markers: a site, the variables that can be read there, and what they start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.markers import Kind, Marker, Site
from bridge.probes.dwarf.scope import At, FunctionScope, base_variables, simple_variables
from bridge.probes.functions import register_arguments
from bridge.probes.safety import entry_skip, instruction_fault, site_fault

if TYPE_CHECKING:
    from bridge.probes.dwarf.image import Image
    from bridge.probes.dwarf.probe_addresses import Place
    from bridge.probes.safety import SitePolicy


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
    variables = tuple(simple_variables(scope))
    kind = Kind.FUNCTION_RETURN if returns else Kind.FUNCTION
    hidden = (*base_variables(at), *register_arguments(elf.machine, returns=returns))
    site = Site(elf.path, offset, address, unsafe=fault)
    marker = Marker(
        kind, elf.path, function.name, (site,), variables, elf.machine, hidden=hidden
    )
    return marker, scope
