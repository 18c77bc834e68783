"""Paths -> the traces of a replay, with all their event classes; any format that can be read.

A folder of several traces (a session of LTTng) is several sources. The rule: nothing here knows
a format; what a trace says of itself comes from its reader.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.trace.ctf.reader import CtfReader
from bridge.trace.ctf.repeated import skip_repeated
from bridge.trace.ltt.reader import LttReader
from bridge.trace.merge import MergedReader, environment_of
from bridge.trace.open import open_trace
from bridge.trace.select import matching
from bridge.trace.selection import EVERYTHING, Selection

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from bridge.diagnostics import Diagnostic
    from bridge.trace.model import Event, EventClass, Reader

TOLD_ELSEWHERE = frozenset({"lost-events"})
"""Diagnostics about what the totals count."""


@dataclass(frozen=True, slots=True)
class TraceSpan:
    """When a trace begins and ends (ns; None: no event), and how many events it lost."""

    first_ns: int | None
    last_ns: int | None
    lost: int


@dataclass(frozen=True, slots=True)
class EventSource:
    """One trace. `path` is what the user named, or what was found below it."""

    path: str
    reader: Reader

    @property
    def environment(self) -> Mapping[str, str | int]:
        """What the trace says of its origin."""
        return environment_of(self.reader)

    @property
    def classes(self) -> Sequence[EventClass]:
        """All event classes, also those of equal names."""
        match self.reader:
            case CtfReader(classes=classes):
                return classes
            case LttReader(tables=tables):
                return [entry.event_class for entry in tables.classes]
            case reader:
                return list(reader.event_classes.values())

    @property
    def undeclared_context(self) -> frozenset[str]:
        """Context that events carry and their classes do not declare."""
        form = self.reader.format
        if form == "lket":
            return frozenset({"tid", "pid", "ppid"})
        if isinstance(self.reader, LttReader):
            streams = self.reader.tables.streams
            return frozenset(name for stream in streams for name in stream.context)
        return frozenset()

    def events(self, names: Collection[str]) -> Iterator[Event]:
        """The events of these names, in order of time."""
        selection = Selection(names=frozenset(names))
        match self.reader:
            case CtfReader() as reader:
                reader.select(selection)
                return iter(reader)
            case LttReader() as reader:
                return reader.events(selection)
            case reader:
                return matching(reader, selection)

    def span(self) -> TraceSpan:
        """Begin, end and losses of the whole trace."""
        if isinstance(self.reader, CtfReader):
            self.reader.select(EVERYTHING)
        totals = self.reader.statistics().values()
        first = [t.first_ns for t in totals if t.first_ns is not None]
        last = [t.last_ns for t in totals if t.last_ns is not None]
        lost = sum(t.lost for t in totals)
        return TraceSpan(min(first, default=None), max(last, default=None), lost)

    def damage(self) -> list[Diagnostic]:
        """What was met in the trace besides losses."""
        return [d for d in self.reader.diagnostics if d.code not in TOLD_ELSEWHERE]


def open_sources(paths: Sequence[Path]) -> tuple[EventSource, ...]:
    """The traces at some paths; TraceError if one is none.

    A packet that several parts of one trace have is read once, as in a folder of them.
    """
    found: list[EventSource] = []
    for path in paths:
        reader = open_trace(path)
        if isinstance(reader, MergedReader):
            found += [EventSource(f"{path}/{name}", one) for name, one in reader.readers]
        else:
            found.append(EventSource(str(path), reader))
    if len(paths) > 1:
        skip_repeated(one.reader for one in found if isinstance(one.reader, CtfReader))
    return tuple(found)


def close_sources(sources: Sequence[EventSource]) -> None:
    """Release the files of all."""
    for source in sources:
        source.reader.close()
