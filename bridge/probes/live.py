"""The machine as `markers.Targets`: probe points -> attachments on it.

The rule: nothing here raises for what the user wrote or for what a file contains; what was
wrong with a file is in `NoMatch.reasons`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.markers import NoMatch
from bridge.probes.families import marked
from bridge.probes.machine import Machine
from bridge.probes.points import family_of, is_wild, spellings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.markers import Expansion, GlobalAccess, NoAccess, PointPart, Result, Structure
    from bridge.probes.machine import Options
    from bridge.world import World


class LiveTargets:
    """Expands probe points."""

    def __init__(self, world: World, options: Options | None = None) -> None:
        self._machine = Machine(world, options)

    def expand(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        """All places that a probe point stands for, in a stable order."""
        if any(is_wild(part.name) for part in parts):
            return self._wild(parts)
        family = family_of(parts)
        if isinstance(family, NoMatch):
            return family
        return marked(family.expand(parts, self._machine), parts)

    def structure(self, name: str, module: str) -> Structure | NoAccess:
        """What a pointer to a type of a module points to."""
        return self._machine.structure(name, module)

    def static(self, wanted: GlobalAccess) -> Result:
        """The way to a global of a module."""
        return self._machine.static(wanted)

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
