"""`kernel.data(WHAT).write`, `.rw`: breakpoints of the machine on memory of the kernel.

WHAT is an address or the name of a variable; how long a variable is its neighbours in the
kernel's table of symbols tell. A hit comes after the access. Source: perf_event_open(2).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.markers import (
    BREAKPOINT,
    Expansion,
    Kind,
    Marker,
    MarkerAttachment,
    NoMatch,
    Sampling,
)
from bridge.probes.families import Family

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.markers import PointPart
    from bridge.probes.families import Places
    from bridge.probes.machine import Machine
    from bridge.probes.recorded import RecordedTargets

MASK = (1 << 64) - 1
LENGTHS = (8, 4, 2, 1)
"""What can be watched, at multiples of themselves."""


def _expand(parts: Sequence[PointPart], machine: Machine) -> Places:
    what = parts[1].argument
    if isinstance(what, int):
        address, length, name = what & MASK, 1, _called(what)
    else:
        symbols = machine.kernel_functions.symbols
        address, size = symbols.extent(str(what))
        if not address:
            message = f"the kernel names no variable `{what}` in /proc/kallsyms"
            if not symbols.has_variables:
                message += ": it was built without CONFIG_KALLSYMS_ALL; give the address"
            return NoMatch(0, message, code="no-such-variable")
        fits = [n for n in LENGTHS if address % n == 0 and n <= size]
        length, name = fits[0], _called(what)
    suffix = ""
    if parts[2].name == "length":
        length = parts[2].argument if isinstance(parts[2].argument, int) else 0
        suffix = f".length({length})"
        if length not in LENGTHS:
            return NoMatch(2, f"invalid length {length}", code="invalid-length")
    only_writes = parts[-1].name == "write"
    marker = Marker(
        Kind.SAMPLE,
        "kernel",
        f"data({name}){suffix}.{parts[-1].name}",
        machine=machine.world.machine,
        sampling=Sampling(
            BREAKPOINT, 0, 1, address=address, length=length, only_writes=only_writes
        ),
    )
    return (Expansion(MarkerAttachment(marker), f"kernel.{marker.name}"),)


def _called(what: int | str | None) -> str:
    return f"{what & MASK:#x}" if isinstance(what, int) else f'"{what}"'


def _recorded(parts: Sequence[PointPart], trace: RecordedTargets) -> Places:
    what = parts[1].argument
    name = _called(what)
    length = f".length({parts[2].argument})" if parts[2].name == "length" else ""
    point = f"kernel.data({name}){length}.{parts[-1].name}"
    known = trace.of_kinds(Kind.SAMPLE)
    chosen = [c for c in known if c.name == point.removeprefix("kernel.")]
    if not chosen:
        return trace.none("breakpoints", point, known)
    place = Expansion(MarkerAttachment(chosen[0].marker), point)
    return tuple(replace(place, attachment=MarkerAttachment(c.marker)) for c in chosen)


FAMILY = Family(
    frozenset(
        {
            *(f"kernel/data {what}/{access}" for what in "SN" for access in ("write", "rw")),
            *(f"kernel/data N/length N/{access}" for access in ("write", "rw")),
        }
    ),
    _expand,
    _recorded,
    slices=True,
)
