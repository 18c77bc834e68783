"""Globals of a file -> ways to them, for places that are not in the file: `@var("x", "/file")`.

One rule: where the file is in memory is asked when the value is read (`markers.Loaded`), so the
place may be a function that handlers of several programs call.
Source: stapprobes(3stap), "context variables"; DWARF 5, section 4.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.formats import debug_index as layout
from bridge.markers import BIAS, Loaded, NoAccess
from bridge.probes.dwarf import die as entries
from bridge.probes.dwarf.die import FAULTS
from bridge.probes.dwarf.locations import Locator
from bridge.probes.pretty import pretty_print
from bridge.probes.types import NoPathError, Spot, Walker, path_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.markers import Part, Result
    from bridge.probes.dwarf.debug import Die
    from bridge.probes.dwarf.image import Image
    from bridge.probes.dwarf.units import Unit


def image_static(
    image: Image,
    name: str,
    file: str,
    path: Sequence[Part],
    *,
    address_of: bool = False,
    pretty: str = "",
) -> Result:
    """The way to the global `name` of a file (of the source file `file`, "": any)."""
    try:
        for unit in units_with(image, name, file):
            die = global_of(image, unit, name)
            if die is not None and entries.holder(die, "DW_AT_location") is not None:
                start = _start(image, unit, die, name)
                return _finish(image, name, start, path, address_of, pretty)
    except NoPathError as error:
        return error.answer
    except FAULTS as error:
        return NoAccess(f"its debug information cannot be read ({error})")
    where = f", in {file}" if file else ""
    return NoAccess(f"unable to find global '{name}' in {image.elf.path}{where}")


def units_with(image: Image, name: str, file: str, first: int | None = None) -> Iterator[Unit]:
    """The units that have a global, each once; before them the unit number `first`."""
    records = image.index.named(name, layout.NAME_VARIABLE)
    numbers = [*([] if first is None else [first]), *(record.unit for record in records)]
    for unit in map(image.unit, dict.fromkeys(numbers)):
        if not file or unit.is_called(file):
            yield unit


def global_of(image: Image, unit: Unit, name: str) -> Die | None:
    """The global of a unit: of several entries, one with a location."""
    found = [image.debug.entry(record.ref) for record in unit.variables(name)]
    located = [d for d in found if entries.holder(d, "DW_AT_location") is not None]
    located += [d for d in found if entries.holder(d, "DW_AT_const_value") is not None]
    return next(iter(located or found), None)


def _start(image: Image, unit: Unit, die: Die, name: str) -> tuple[Loaded, Spot]:
    located = Locator(unit, image.elf.machine, 0, None).find(die, name)
    if located.base not in ("", BIAS):
        raise NoPathError(f"'{name}' is not at a fixed place of {image.elf.path}")
    base = Loaded()
    if located.base == BIAS:
        base = Loaded(image.elf.path, fixed=image.elf.is_fixed)
    type_ = image.types.of(die)
    return base, Spot(type_, located.offsets, computed=located.kind == "value")


def _finish(
    image: Image,
    name: str,
    start: tuple[Loaded, Spot],
    path: Sequence[Part],
    address_of: bool,
    pretty: str,
) -> Result:
    base, spot = start
    walker = Walker(image.types, "user")
    found = walker.follow(spot, path)
    if pretty:
        if address_of:
            raise NoPathError("cannot take address of pretty-printed variable")
        return pretty_print(walker, base, found, full=pretty == "$$")
    text = path_text(f'@var("{name}")', path)
    return walker.access(base, found, text, address_of=address_of)
