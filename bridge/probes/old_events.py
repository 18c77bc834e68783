"""Events of older tracers and the tracepoints at the same places: tapset/markers.toml.

`kernel.sched_schedule` of LTTng 0.x is `sched:sched_switch` today. One rule: the table says
what may be there; whether it is there is asked of the kernel or the trace.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TABLE = Path(__file__).resolve().parent.parent / "tapset" / "markers.toml"


@dataclass(frozen=True, slots=True)
class OldEvent:
    """An event, its marker's format ("" if it was none), and the tracepoints at its place.

    `fields` says what a tracepoint has for a field: a variable, or a way from one.
    """

    name: str
    tracepoints: tuple[str, ...]
    format: str
    fields: Mapping[str, str]

    @property
    def renamed(self) -> dict[str, str]:
        """The event's fields by the names of the tracepoint's variables."""
        return {there: own for own, there in self.fields.items() if "->" not in there}


@cache
def all_events() -> tuple[OldEvent, ...]:
    """The table, an entry for each name."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return tuple(
        OldEvent(
            name, tuple(row["tracepoints"]), row.get("format", ""), dict(row.get("fields", {}))
        )
        for row in table["event"]
        for name in row["names"]
    )


def at_tracepoint(system: str, event: str) -> Sequence[OldEvent]:
    """The events at a tracepoint, whose subsystem may be left out."""
    return [
        old
        for old in all_events()
        for tracepoint in old.tracepoints
        if tracepoint == f"{system}:{event}"
        or (not system and tracepoint.partition(":")[2] == event)
    ]


def called(name: str) -> OldEvent | None:
    """The entry of a name; where names of several formats are equal, the first one's."""
    return next((old for old in all_events() if old.name == name), None)


def is_marker_called(full_name: str, pattern: str) -> bool:
    """Whether a marker `channel.name` is meant: by both, as tracers joined them, or by one."""
    channel, _, name = full_name.partition(".")
    names = (full_name, name, f"{channel}_{name}", f"{channel}:{name}") if name else (channel,)
    return any(fnmatchcase(one, pattern) for one in names)
