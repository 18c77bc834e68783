"""Names of facilities, markers and tracepoints -> what to attach to, and what each hit becomes.

The names are those of tapset/facilities.toml (groups of today's tracepoints), of channels and
facilities of older tracers (tapset/markers.toml), and of subsystems of tracefs. One rule: an
event of an older tracer has that tracer's name and fields, a tracepoint its own.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING

from bridge.engine.trace.recorders import RecordedEvent, marker_itself
from bridge.errors import BridgeError
from bridge.ir.program import Argument, Load
from bridge.markers import Kind
from bridge.probes import old_events
from bridge.suggest import among, similar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from bridge.artifact import Hook, Placed
    from bridge.ir.program import Capture
    from bridge.probes.old_events import OldEvent

TABLE = old_events.TABLE.with_name("facilities.toml")
_WAY = "->"


@dataclass(frozen=True, slots=True)
class FacilityPlan:
    """A facility of today's kernels: patterns of tracepoints."""

    name: str
    about: str
    tracepoints: tuple[str, ...]


@cache
def groups() -> Mapping[str, FacilityPlan]:
    """The table, by name."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {
        name: FacilityPlan(name, row["about"], tuple(row["tracepoints"]))
        for name, row in table.items()
    }


def older() -> Mapping[str, list[OldEvent]]:
    """The channels and facilities of older tracers with their events."""
    found: dict[str, list[OldEvent]] = {}
    for event in old_events.all_events():
        channel, dot, _ = event.name.partition(".")
        if dot:
            found.setdefault(channel, []).append(event)
    return found


@dataclass(slots=True)
class EventPlan:
    """What is recorded: tracepoints by pattern, events of older tracers, probe points."""

    patterns: list[str] = field(default_factory=list)
    old: list[OldEvent] = field(default_factory=list)
    points: list[str] = field(default_factory=list)

    # --- names ---

    def add_facility(self, name: str, systems: Callable[[], Iterable[str]]) -> None:
        """All events of a facility; BridgeError if there is none of this name."""
        if name in groups():
            self.patterns += groups()[name].tracepoints
        elif name in older():
            self.old += older()[name]
        else:
            known = set(systems())
            if name not in known:
                near = similar(name, [*groups(), *older(), *sorted(known)])
                hint = among(near, "similar facilities")
                raise BridgeError(f"there is no facility `{name}`{hint}")
            self.patterns.append(f"{name}:*")

    def add_markers(self, pattern: str) -> None:
        """The markers and events of older tracers that a pattern means."""
        known = old_events.all_events()
        found = [old for old in known if old_events.is_marker_called(old.name, pattern)]
        if not found:
            near = similar(pattern, [old.name for old in known])
            raise BridgeError(f"no marker is called `{pattern}`{among(near, 'similar marks')}")
        self.old += found

    # --- to compile ---

    def script(self) -> str:
        """Probes of all this. Their handlers say what is read, and are never run."""
        lines = [f'probe kernel.trace("{p}")? {{}}' for p in dict.fromkeys(self.patterns)]
        for tracepoint in dict.fromkeys(t for old in self.old for t in old.tracepoints):
            reads = ", ".join(f"${way}" for way in self._ways(tracepoint))
            formats = " ".join("%d" for _ in self._ways(tracepoint))
            body = f'printf("{formats}", {reads})' if reads else ""
            lines.append(f'probe kernel.trace("{tracepoint}")? {{ {body} }}')
        lines += [f"probe {point} {{}}" for point in self.points]
        return "\n".join(lines) + "\n"

    def _at(self, tracepoint: str) -> list[OldEvent]:
        by_name = {old.name: old for old in self.old if tracepoint in old.tracepoints}
        return list(by_name.values())

    def _ways(self, tracepoint: str) -> list[str]:
        """What fields of the events there read through pointers, each once."""
        ways = (way for old in self._at(tracepoint) for way in old.fields.values())
        return list(dict.fromkeys(way for way in ways if _WAY in way))

    # --- to record ---

    def outputs(self, hook: Hook) -> tuple[RecordedEvent, ...]:
        """What a hit of a hook becomes."""
        marker = hook.attachment.marker
        if marker.kind is not Kind.TRACEPOINT:
            return marker_itself(hook)
        name = f"{marker.provider}:{marker.name}"
        loads = [c for c in hook.layout.captures if isinstance(c, Load)]
        ways, asked = self._ways(name), self._is_asked(name)
        by_name: dict[str, Capture] = {
            c.name: c for c in hook.layout.captures if isinstance(c, Argument)
        }
        by_name |= dict(zip(ways, loads, strict=bool(loads)))
        # a tracepoint that is read in both ways has two hooks, and each event one of them
        made = [
            RecordedEvent(old.name, tuple(_fields(old, by_name)))
            for old in self._at(name)
            if not (ways and asked) or bool(loads) is _has_ways(old)
        ]
        own = not loads and (asked or not made)
        return (*(marker_itself(hook) if own else ()), *made)

    def _is_asked(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)

    def missing(self, placed: Placed) -> Iterator[str]:
        """What this kernel does not have: patterns, and older events by their names."""
        markers = [hook.attachment.marker for hook in placed.hooks]
        names = [f"{m.provider}:{m.name}" for m in markers if m.kind is Kind.TRACEPOINT]
        for pattern in dict.fromkeys(self.patterns):
            if not any(fnmatchcase(name, pattern) for name in names):
                yield pattern
        for old in self.old:
            if not set(old.tracepoints) & set(names):
                yield old.name


def _has_ways(old: OldEvent) -> bool:
    return any(_WAY in way for way in old.fields.values())


def _fields(old: OldEvent, by_name: Mapping[str, Capture]) -> Iterator[tuple[str, Capture]]:
    for name, there in old.fields.items():
        if there in by_name:
            yield name, by_name[there]
