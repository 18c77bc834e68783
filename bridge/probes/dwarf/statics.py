"""Globals of a file -> ways to them, for places that are not in the file: `@var("x", "/file")`.

One rule: where the file is in memory is asked when the value is read (`markers.Loaded`), so the
place may be a function that handlers of several programs call.
Source: stapprobes(3stap), "context variables"; DWARF 5, section 4.1.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bridge.formats import debug_index as layout
from bridge.markers import BIAS, Loaded, NoAccess
from bridge.probes.dwarf import die as entries
from bridge.probes.dwarf.die import FAULTS
from bridge.probes.dwarf.locations import Locator
from bridge.probes.pretty import way
from bridge.probes.types import NoPathError, TypedSpot, Walker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.markers import GlobalAccess, Result, Variable
    from bridge.probes.dwarf.debug import Die
    from bridge.probes.dwarf.image import DebugImage
    from bridge.probes.dwarf.units import Unit

    Start = Callable[[Die, Unit, str], tuple[Variable | Loaded, TypedSpot]]


def image_static(
    image: DebugImage,
    wanted: GlobalAccess,
    start: Start | None = None,
    first: int | None = None,
) -> Result:
    """The way to a global of a file, in the unit number `first` if that has it.

    `start` says where it begins, seen from a place; without one, from anywhere.
    """
    start = start or partial(_start, image)
    try:
        for unit in units_with(image, wanted.name, wanted.file, first):
            die = global_of(image, unit, wanted.name)
            if die is not None and entries.holder(die, "DW_AT_location") is not None:
                return way(
                    Walker(image.types, image.space),
                    start(die, unit, wanted.name),
                    wanted.path,
                    address_of=wanted.address_of,
                    pretty=wanted.pretty,
                )
    except NoPathError as error:
        return error.answer
    except FAULTS as error:
        return NoAccess(f"its debug information cannot be read ({error})")
    where = f", in {wanted.file}" if wanted.file else ""
    return wanted.missing(f"{image.elf.path}{where}")


def units_with(
    image: DebugImage, name: str, file: str, first: int | None = None
) -> Iterator[Unit]:
    """The units that have a global, each once; before them the unit number `first`."""
    records = image.index.named(name, layout.NAME_VARIABLE)
    numbers = [*([] if first is None else [first]), *(record.unit for record in records)]
    for unit in map(image.unit, dict.fromkeys(numbers)):
        if not file or unit.is_called(file):
            yield unit


def global_of(image: DebugImage, unit: Unit, name: str) -> Die | None:
    """The global of a unit: of several entries, one with a location."""
    found = [image.debug.entry(record.ref) for record in unit.variables(name)]
    located = [d for d in found if entries.holder(d, "DW_AT_location") is not None]
    located += [d for d in found if entries.holder(d, "DW_AT_const_value") is not None]
    return next(iter(located or found), None)


def _start(image: DebugImage, die: Die, unit: Unit, name: str) -> tuple[Loaded, TypedSpot]:
    located = Locator(unit, image.elf.machine, 0, None).find(die, name)
    if located.base not in ("", BIAS):
        raise NoPathError(f"'{name}' is not at a fixed place of {image.elf.path}")
    base = Loaded()
    if located.base == BIAS:
        base = Loaded(image.elf.path, fixed=image.elf.is_fixed)
    type_ = image.types.of(die)
    return base, TypedSpot(type_, located.offsets, computed=located.kind == "value")
