"""An opened LTT trace as `model.Reader`: iteration by event, statistics, selection.

The openers (`m2`, `facilities`, `x`, `k`) build the `Tables`; this module only runs
cursors over them. The rule: each iteration has a cursor of its own, and a damaged block is
reported once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge._native import lib
from bridge.diagnostics import Diagnostic, FileOffset, Severity
from bridge.handles import Closing, Opened
from bridge.trace import model
from bridge.trace.ltt import payload
from bridge.trace.ltt.cursor import NONE, ClassEntry, Damage, LttCursor, RawLttEvent, Tables
from bridge.trace.selection import END_OF_TIME, EVERYTHING, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LAST_NS = (1 << 64) - 1

DAMAGE_CODES = {
    lib.MB_LTT_BAD_MAGIC: ("ltt-bad-magic", "no sub-buffer starts here"),
    lib.MB_LTT_BAD_SIZE: ("ltt-bad-size", "the sizes in the sub-buffer header cannot be right"),
    lib.MB_LTT_BAD_EVENT: ("ltt-bad-event", "an event does not end inside its sub-buffer"),
    lib.MB_LTT_BAD_ID: ("ltt-unknown-event", "event {id} is not described and has no size"),
    lib.MB_LTT_BAD_LENGTH: (
        "ltt-size-mismatch",
        "event {id} says another size than its description has ({size})",
    ),
    lib.MB_LTT_CUT: ("ltt-truncated", "the file ends inside a sub-buffer"),
    lib.MB_LTT_UNCLOSED: ("ltt-unclosed", "the tracer never closed this sub-buffer"),
}


@dataclass(frozen=True, slots=True)
class EventLocation:
    """Where an event was in its file, for text dumps."""

    block: int
    offset: int
    id: int
    payload: bytes


def _range(selection: Selection) -> tuple[int, int]:
    """The times of a selection, unsigned as C has them; there is nothing before 0."""
    begin, end = selection.range_ns()
    if end < 0:
        return 1, 0
    return max(0, begin), _LAST_NS if end == END_OF_TIME else end


def _place(raw: RawLttEvent, arena: memoryview) -> EventLocation:
    data = bytes(arena[raw.payload : raw.payload + raw.size])
    return EventLocation(raw.block, raw.offset, raw.id, data)


class LttReader(Closing):
    """An open LTT trace of any generation."""

    def __init__(
        self,
        form: str,
        tables: Tables,
        attributes: Mapping[str, str],
        diagnostics: list[Diagnostic],
    ) -> None:
        self.format = form
        self.tables = tables
        self.attributes = attributes
        self.diagnostics = diagnostics
        classes: dict[str, model.EventClass] = {}
        self.event_classes: Mapping[str, model.EventClass] = classes
        for entry in tables.classes:
            classes.setdefault(entry.event_class.name, entry.event_class)
        self._reported: set[tuple[str, int]] = set()
        self._unknown: dict[tuple[int, int], model.EventClass] = {}
        self.opened = Opened(f"the {form} trace")

    # --- iteration ---

    def __iter__(self) -> Iterator[model.Event]:
        return self.events()

    def select(self, selection: Selection) -> tuple[LttCursor, Tables]:
        """A cursor that gives only what was selected, and its tables."""
        self.opened.check()
        tables = self.tables
        if selection.channels is not None or selection.cpus is not None:
            tables = replace(
                tables,
                streams=[
                    s
                    for s in tables.streams
                    if selection.has_stream(s.name, s.channel) and selection.has_cpu(s.cpu)
                ],
            )
        unwanted: frozenset[int] = frozenset()
        if selection.names is not None:
            unwanted = frozenset(
                index
                for index, entry in enumerate(tables.classes)
                if not selection.has_name(entry.event_class.name)
            )
        cursor = LttCursor(tables, unwanted)
        cursor.set_range(*_range(selection))
        return cursor, tables

    def events(self, selection: Selection = EVERYTHING) -> Iterator[model.Event]:
        """The selected events in order of time."""
        walked = self._walk(*self.select(selection), selection, lib.MB_LTT_WITH_FIELDS)
        return self.opened.guard(event for event, _ in walked)

    def placed_events(
        self, selection: Selection = EVERYTHING
    ) -> Iterator[tuple[model.Event, EventLocation]]:
        """The selected events with where they were and their payload bytes."""
        what = lib.MB_LTT_WITH_FIELDS | lib.MB_LTT_WITH_PAYLOAD
        walked = self._walk(*self.select(selection), selection, what)
        return self.opened.guard((event, _place(*raw)) for event, raw in walked)

    def _walk(
        self, cursor: LttCursor, tables: Tables, selection: Selection, what: int
    ) -> Iterator[tuple[model.Event, tuple[RawLttEvent, memoryview]]]:
        known = [
            (e.event_class, payload.decoder(e.event_class.payload)) for e in tables.classes
        ]
        streams = tables.streams
        named = selection.names is not None
        for got in cursor.batches(what):
            self.report(cursor, tables)
            arena = cursor.arena_view()
            for raw in cursor.raw_events(got):
                stream = streams[raw.stream]
                fields: dict[str, model.Value]
                if raw.class_index == NONE:
                    if named:
                        continue
                    event_class, fields = self._unknown_class(raw), {}
                else:
                    event_class, decode = known[raw.class_index]
                    fields = decode(raw.slots, arena)
                yield (
                    model.Event(
                        event_class,
                        raw.time_ns,
                        raw.tsc,
                        stream.cpu,
                        stream.name,
                        fields,
                        stream.context,
                    ),
                    (raw, arena),
                )
        self.report(cursor, tables)
        self._report_uncounted(cursor, tables)

    def _unknown_class(self, raw: RawLttEvent) -> model.EventClass:
        key = (raw.stream, raw.id)
        if key not in self._unknown:
            channel = self.tables.streams[raw.stream].channel
            name = f"{channel}.unknown_{raw.id}"
            self._unknown[key] = model.EventClass(name, raw.id, model.Struct(()))
        return self._unknown[key]

    # --- damage ---

    def report(self, cursor: LttCursor, tables: Tables) -> None:
        """Report the damage that a cursor met since the last call."""
        for damage in cursor.found:
            self.add_damage(tables, damage)
        cursor.found = []

    def _report_uncounted(self, cursor: LttCursor, tables: Tables) -> None:
        for at, stream in enumerate(tables.streams):
            self._more_damage(stream.name, str(stream.path), cursor.totals(at).damaged)

    def _more_damage(self, name: str, path: str, damaged: int) -> None:
        known = sum(stream == name for stream, _ in self._reported)
        if damaged <= known or (name, -1) in self._reported:
            return
        self._reported.add((name, -1))
        message = f"{damaged - known} more damaged sub-buffers"
        self.diagnostics.append(
            Diagnostic(
                "ltt-more-damage",
                message,
                severity=Severity.WARNING,
                phase="trace",
                file=FileOffset(path, 0),
            )
        )

    def add_damage(self, tables: Tables, damage: Damage) -> None:
        """Report a damaged block, once."""
        stream = tables.streams[damage.stream]
        key = (stream.name, damage.block)
        if key in self._reported:
            return
        self._reported.add(key)
        code, message = DAMAGE_CODES[damage.code]
        self.diagnostics.append(
            Diagnostic(
                code,
                message.format(id=damage.id, size=damage.size),
                severity=Severity.WARNING,
                phase="trace",
                file=FileOffset(str(stream.path), damage.byte, (f"block {damage.block}",)),
            )
        )

    # --- statistics ---

    def statistics(
        self, selection: Selection = EVERYTHING
    ) -> dict[str, model.StreamStatistics]:
        """Totals per stream, by a pass that decodes no fields."""
        cursor, tables = self.select(selection)
        counts, totals, damages = cursor.count()
        for damage in damages:
            self.add_damage(tables, damage)
        result = {}
        for at, stream in enumerate(tables.streams):
            events: dict[str, int] = {}
            for index, number in counts[at].items():
                name = self._class_name(tables.classes, index, stream.channel)
                if selection.names is None or index != NONE:
                    events[name] = events.get(name, 0) + number
            total = totals[at]
            self._more_damage(stream.name, str(stream.path), total.damaged)
            result[stream.name] = model.StreamStatistics(
                events,
                total.lost,
                total.damaged,
                total.first_ns if total.events else None,
                total.last_ns if total.events else None,
                total.corrupt,
            )
        return result

    @staticmethod
    def _class_name(classes: list[ClassEntry], index: int, channel: str) -> str:
        return f"{channel}.unknown" if index == NONE else classes[index].event_class.name

    # --- life ---

    def close(self) -> None:
        """Give nothing more. A file stays mapped while an iterator that read it is kept."""
        self.opened.close()
