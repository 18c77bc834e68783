"""The machine as `markers.Targets`, without loading what a script does not ask for.

A script of begin, end and timer probes needs no reader of ELF files, kernel types or
tracepoints; those are `bind.Binder`'s, which is made when the first marker is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from bridge.markers import NoMatch
from bridge.probes import session_probes as sessions
from bridge.probes.points import check, is_wild, spellings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Unpack

    from bridge.markers import (
        Expansion,
        GlobalAccess,
        NoAccess,
        PointPart,
        Result,
        Structure,
        Targets,
    )
    from bridge.world import World


class Choices(TypedDict, total=False):
    """What else `resolver.Options` has."""

    unsafe_nop5: bool
    strict_names: bool
    reached: Callable[[], bool]


class LiveTargets:
    """Expands probe points; the options are those of `resolver.Options`, by name."""

    def __init__(
        self, world: World, command: str = "", pid: int = 0, **options: Unpack[Choices]
    ) -> None:
        self._world = world
        self._options = (command, pid)
        self._choices = options
        self._binder: Targets | None = None

    def expand(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        """All places that a probe point stands for, in a stable order."""
        if any(is_wild(part.name) for part in parts):
            return self._wild(parts)
        wrong = check(parts)
        if wrong is not None:
            return wrong
        match parts[0].name:
            case "process" | "kernel" | "module" | "kprobe" | "perf":
                return self._markers().expand(parts)
            case "timer":
                found = sessions.expand_timer(parts, self._world.user_hz)
                return found if isinstance(found, NoMatch) else (found,)
            case _:
                return (sessions.expand_session(parts),)

    def structure(self, name: str, module: str) -> Structure | NoAccess:
        """What a pointer to a type of a module points to."""
        return self._markers().structure(name, module)

    def static(self, wanted: GlobalAccess) -> Result:
        """The way to a global of a module."""
        return self._markers().static(wanted)

    def _wild(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        """What a point with wildcards in its component names stands for."""
        found: list[Expansion] = []
        faults: list[NoMatch] = []
        for spelled in spellings(parts):
            places = self.expand(spelled)
            if isinstance(places, NoMatch):
                faults.append(places)
            else:
                found += places
        if found:
            return tuple(found)
        if len(faults) == 1:
            return faults[0]
        return NoMatch(0, reasons=tuple(r for fault in faults for r in fault.reasons))

    def _markers(self) -> Targets:
        if self._binder is None:
            from bridge.probes.resolver import Binder, Options

            self._binder = Binder(self._world, Options(*self._options, **self._choices))
        return self._binder
