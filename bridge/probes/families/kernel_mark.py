"""`kernel.mark("NAME").format("FORMAT")` -> the tracepoints of this kernel at those places.

Kernels have had no markers since 2.6.32; what is at their places is in tapset/markers.toml. The
rule: `$arg1` and so on count the marker's own arguments, and one that the tracepoint does not
have says so when a script reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bridge.markers import Expansion, MarkerAttachment, NoAccess, NoMatch, Pretty
from bridge.probes import old_events
from bridge.probes.families import Family
from bridge.probes.families.tracepoint import places_called
from bridge.probes.points import is_wild
from bridge.suggest import among, similar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.markers import Members, Part, PointPart, Result
    from bridge.probes.families import Places
    from bridge.probes.machine import Machine
    from bridge.probes.old_events import OldEvent
    from bridge.probes.recorded import RecordedClass, RecordedTargets

    Trace = Callable[[str], Places]
    """What a tracepoint's name stands for."""

_FIELD = re.compile(r"([A-Za-z_]\w*)(?:\([^)]*\))? (?:0x)?(?:#\w+)?%")
_NAME, _FORMAT = "marker name", "marker format"
"""What stands for `$name` and `$format`, which a tracepoint's variables may be called, too."""


def field_names(text: str) -> list[str]:
    """The names in a marker's format, in order."""
    return _FIELD.findall(text)


def _expand(parts: Sequence[PointPart], machine: Machine) -> Places:
    return places(parts, lambda name: places_called(name, machine))


def places(parts: Sequence[PointPart], trace: Trace) -> Places:
    """The places of a point, by what tracepoints' names stand for."""
    pattern = str(parts[1].argument)
    wanted = str(parts[2].argument) if len(parts) > 2 else "*"
    known = [old for old in old_events.all_events() if old.format]
    named = [old for old in known if old_events.is_marker_called(old.name, pattern)]
    found: list[Expansion] = []
    lacking: NoMatch | None = None
    for old in named:
        if fnmatchcase(old.format, wanted):
            for name in old.tracepoints:
                traced = trace(name)
                if isinstance(traced, NoMatch):
                    lacking = traced
                else:
                    found += (_as_marker(old, name, place) for place in traced)
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
        dollars=True,
        renamed=renamed,
        absent=absent,
    )


@dataclass(frozen=True, slots=True)
class MarkMembers:
    """`$name` and `$format` of a kernel marker, and the ways that its place has otherwise."""

    inner: Members | None
    texts: Mapping[str, str]

    def access(
        self,
        name: str,
        path: Sequence[Part],
        *,
        address_of: bool = False,
        pretty: str = "",
    ) -> Result:
        """The text of a constant, or what the place says."""
        if name in self.texts and not path and not pretty and not address_of:
            return Pretty((self.texts[name],))
        if self.inner is None:
            return NoAccess(f"unable to find target variable '${name}'")
        return self.inner.access(name, path, address_of=address_of, pretty=pretty)


# --- in a trace -------------------------------------------------------------------------------


def _recorded(parts: Sequence[PointPart], trace: RecordedTargets) -> Places:
    pattern = str(parts[1].argument)
    wanted = str(parts[2].argument) if len(parts) > 2 else "*"
    known = [c for c in trace.classes if c.parts is not None and c.provider]
    named = [c for c in known if old_events.is_marker_called(f"{c.provider}.{c.name}", pattern)]
    chosen = [c for c in named if fnmatchcase(c.format, wanted)]
    return tuple(map(_of_class, chosen)) or trace.none("marks", pattern, known)


def _of_class(found: RecordedClass) -> Expansion:
    """A marker as SystemTap has it: `$arg1`, `$name`, `$format`; and its fields by name."""
    assert found.parts is not None
    own = [v for v in found.variables if not v.alias]
    numbered = [replace(v, name=f"arg{number}") for number, v in enumerate(own, 1)]
    taken = {v.name for v in numbered} | {"name", "format"}
    named = [replace(v, alias=True) for v in found.variables if v.name not in taken]
    name = f"{found.provider}.{found.name}"
    texts = {"name": name, "format": found.format}
    marker = replace(found.marker, variables=(*numbered, *named))
    return Expansion(
        MarkerAttachment(marker),
        f'kernel.mark("{name}")',
        texts,
        MarkMembers(found.parts, texts),
        dollars=True,
    )


FAMILY = Family(
    frozenset({"kernel/mark S", "kernel/mark S/format S"}),
    _expand,
    _recorded,
)
