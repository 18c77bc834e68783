"""`perf.type(T).config(C)`: hits at every so many counts of a counter, on all CPUs.

Rule: a sample's name tells all that it is, so a recording is found again by the same point.
Type and config are not checked here; the kernel does (stapprobes(3stap), perf_event_open(2)).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.markers import Expansion, Kind, Marker, MarkerAttachment, NoMatch, Sampling
from bridge.probes.families import Family

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.markers import PointPart
    from bridge.probes.families import Places
    from bridge.probes.machine import Machine
    from bridge.probes.recorded import RecordedTargets

COUNTS = 1_000_000
"""Where neither `.sample` nor `.hz` is given."""


def place(parts: Sequence[PointPart], machine: str) -> Expansion | NoMatch:
    """The place of a point of the family; `machine` in `uname -m` form."""
    numbers = [part.argument if isinstance(part.argument, int) else 0 for part in parts]
    type_, config = numbers[1:3]
    hertz = parts[-1].name == "hz"
    rate = numbers[3] if len(parts) > 3 else COUNTS
    if rate < 1:
        what = "frequency" if hertz else "sample period"
        return NoMatch(0, f"invalid perf {what} {rate}", code="invalid-rate")
    marker = Marker(
        Kind.SAMPLE,
        "perf",
        f"type({type_}).config({config}).{'hz' if hertz else 'sample'}({rate})",
        machine=machine,
        sampling=Sampling(type_, config, rate, hertz),
    )
    return Expansion(MarkerAttachment(marker), f"perf.{marker.name}")


def _expand(parts: Sequence[PointPart], machine: Machine) -> Places:
    found = place(parts, machine.world.machine)
    return found if isinstance(found, NoMatch) else (found,)


def _recorded(parts: Sequence[PointPart], trace: RecordedTargets) -> Places:
    wanted = place(parts, "")
    if isinstance(wanted, NoMatch):
        return wanted
    known = trace.of_kinds(Kind.SAMPLE)
    chosen = [c for c in known if f"perf.{c.name}" == wanted.point]
    if not chosen:
        return trace.none("samples", wanted.point, known)
    return tuple(replace(wanted, attachment=MarkerAttachment(c.marker)) for c in chosen)


def _event_class(marker: Marker) -> str:
    return f"{marker.provider}.{marker.name}"


FAMILY = Family(
    frozenset(f"perf/type N/config N{rate}" for rate in ("", "/sample N", "/hz N")),
    _expand,
    _recorded,
    slices=True,
    event_class=_event_class,
    refused={
        "counter": "no counter is read in handlers; one that hits is perf.type().config()",
        "process": "counters are of all processes; choose by pid() in the handler",
    },
)
