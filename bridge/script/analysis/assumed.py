"""Targets for checking only: what cannot be looked up here is taken as there.

Rule: every point of a known family (kernel functions, modules, performance counters ...) is
one place that never runs; the families that need no lookup are asked of the real targets.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bridge.markers import Expansion, Never, NoMatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.markers import GlobalAccess, NoAccess, PointPart, Result, Structure, Targets

FAMILIES = frozenset(
    [
        "kernel",
        "module",
        "process",
        "kprobe",
        "perf",
        "procfs",
        "netfilter",
        "python2",
        "python3",
    ]
)


SERVING = "procfs"
"""The family whose handlers make the text of a file."""


class AssumedTargets:
    """Real targets, behind them the assumption."""

    def __init__(self, real: Targets) -> None:
        self._real = real

    def expand(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        """The real places, or one assumed place."""
        first = parts[0].name
        known = any(fnmatchcase(family, first) for family in FAMILIES)
        if known and len(parts) > 1:
            point = ".".join(_text(part) for part in parts)
            returns = any(part.name == "return" for part in parts)
            return (Expansion(Never(), point, returns=returns, serves_text=first == SERVING),)
        return self._real.expand(parts)

    def structure(self, name: str, module: str) -> Structure | NoAccess:
        """What is really known of a type."""
        return self._real.structure(name, module)

    def static(self, wanted: GlobalAccess) -> Result:
        """What is really known of a global."""
        return self._real.static(wanted)


def _text(part: PointPart) -> str:
    match part.argument:
        case None:
            return part.name
        case int(value):
            return f"{part.name}({value})"
        case str(text):
            return f'{part.name}("{text}")'
