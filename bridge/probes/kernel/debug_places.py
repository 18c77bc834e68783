"""Places in the kernel that debug information tells -> markers, and the symbols they are in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.markers import KernelPlace, Kind, Marker
from bridge.probes.dwarf.markers import PlaceVariables
from bridge.probes.dwarf.scope import At, FunctionScope, base_variables
from bridge.probes.kernel.symbols import KERNEL, KernelSymbol

if TYPE_CHECKING:
    from bridge.probes.dwarf.probe_addresses import ProbeAddress
    from bridge.probes.kernel.debug_image import KernelImage
    from bridge.probes.kernel.symbols import Symbols


@dataclass(frozen=True)
class DebugPlace:
    """A marker that has its variables by debug information, and what can be named there."""

    marker: Marker
    scope: FunctionScope
    at_entry: bool
    """Whether the arguments of a call are where a call puts them."""


def symbol_of(image: KernelImage, place: ProbeAddress, symbols: Symbols) -> KernelSymbol:
    """The symbol of the function that a place is in."""
    body = place.function.body
    module = "" if image.owner == KERNEL else image.owner
    address = image.runtime(body.entry)
    found = [one for one in symbols.named(body.name, module) if one.address == address]
    if found:
        return found[0]
    known = symbols.starting_at(address) if address else None
    return known or KernelSymbol(body.name, address, module, body.is_external)


def marker_of(
    image: KernelImage, place: ProbeAddress, symbol: KernelSymbol, *, returns: bool
) -> DebugPlace:
    """The marker of a place."""
    function = place.function
    at = At(image, function, place.address, returns, place.address)
    scope = FunctionScope(at)
    entered = place.address == function.body.entry and not function.inlined
    at_entry = returns or entered
    marker = Marker(
        Kind.KERNEL_RETURN if returns else Kind.KERNEL_FUNCTION,
        symbol.owner,
        function.name,
        variables=PlaceVariables(at, scope),
        hidden=base_variables(at),
        kernel=_kernel_place(image, place, symbol),
    )
    return DebugPlace(marker, scope, at_entry)


def _kernel_place(image: KernelImage, place: ProbeAddress, symbol: KernelSymbol) -> KernelPlace:
    body = place.function.body
    address = image.runtime(place.address)
    if address and address < symbol.address:  # a part of it that was split off (`.cold`)
        return KernelPlace(symbol.symbol, symbol.module, address)
    offset = address - symbol.address if address else place.address - body.entry
    return KernelPlace(symbol.symbol, symbol.module, symbol.address, offset)
