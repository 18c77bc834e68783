"""`kernel.mark("NAME").format("FORMAT")` -> the tracepoints of this kernel at those places.

Kernels have had no markers since 2.6.32; what is at their places is in tapset/markers.toml. The
rule: `$arg1` and so on count the marker's own arguments, and one that the tracepoint does not
have says so when a script reads it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bridge.markers import Expansion, NoMatch
from bridge.probes import old_events
from bridge.probes.points import is_wild
from bridge.probes.recorded import MarkMembers
from bridge.suggest import among, similar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.markers import PointPart
    from bridge.probes.old_events import OldEvent

    Trace = Callable[[str], tuple[Expansion, ...] | NoMatch]
    """What a tracepoint's name stands for."""

_FIELD = re.compile(r"([A-Za-z_]\w*)(?:\([^)]*\))? (?:0x)?(?:#\w+)?%")
_NAME, _FORMAT = "marker name", "marker format"
"""What stands for `$name` and `$format`, which a tracepoint's variables may be called, too."""


def field_names(text: str) -> list[str]:
    """The names in a marker's format, in order."""
    return _FIELD.findall(text)


def expand(parts: Sequence[PointPart], trace: Trace) -> tuple[Expansion, ...] | NoMatch:
    """The places of a point."""
    pattern = str(parts[1].argument)
    wanted = str(parts[2].argument) if len(parts) > 2 else "*"
    known = [old for old in old_events.all_events() if old.format]
    named = [old for old in known if old_events.is_marker_called(old.name, pattern)]
    found: list[Expansion] = []
    lacking: NoMatch | None = None
    for old in named:
        if fnmatchcase(old.format, wanted):
            for name in old.tracepoints:
                places = trace(name)
                if isinstance(places, NoMatch):
                    lacking = places
                else:
                    found += (_as_marker(old, name, place) for place in places)
    return tuple(found) or lacking or _unknown(pattern, known)


def _unknown(pattern: str, known: Sequence[OldEvent]) -> NoMatch:
    near = () if is_wild(pattern) else similar(pattern, [old.name for old in known])
    return NoMatch(0, f"no match{among(near, 'similar marks')}")


def _as_marker(old: OldEvent, tracepoint: str, place: Expansion) -> Expansion:
    renamed = {**place.renamed, "name": _NAME, "format": _FORMAT}
    absent = dict(place.absent)
    for number, name in enumerate(field_names(old.format), 1):
        for alias in (f"arg{number}", *((name,) if name not in ("name", "format") else ())):
            if name in old.fields:
                renamed[alias] = old.fields[name]
            else:
                absent[alias] = f"{tracepoint}, which is at that place today, has no `{name}`"
    texts = {_NAME: old.name, _FORMAT: old.format}
    return replace(
        place,
        point=f'kernel.mark("{old.name}")',
        strings={**place.strings, "name": old.name, "format": old.format},
        members=MarkMembers(place.members, texts),
        renamed=renamed,
        absent=absent,
    )
