"""A CTF folder -> events of the model in order of time."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge._native import ffi, lib
from bridge.errors import TraceError
from bridge.handles import Closing, Opened
from bridge.trace.ctf.cursor import CtfCursor, Plan, RawCtfEvent, plan
from bridge.trace.ctf.events import Events
from bridge.trace.ctf.layout import CtfScope
from bridge.trace.ctf.metadata import described
from bridge.trace.ctf.shown import ShownFields, shown
from bridge.trace.model import Event, EventClass, Field, StreamStatistics, Struct
from bridge.trace.selection import EVERYTHING, Selection, channel_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from bridge.diagnostics import Diagnostic
    from bridge.trace.ctf.description import CtfEvent, StreamClass

FORMATS = {1: "ctf-1.8", 2: "ctf-2"}


def load_plan(folder: Path) -> Plan:
    """The description of a trace folder, laid out."""
    metadata = folder / "metadata"
    try:
        raw = metadata.read_bytes()
    except OSError as error:
        raise TraceError(f"{metadata}: {error.strerror}") from None
    return plan(described(raw, str(metadata)), str(metadata))


class CtfReader(Closing):
    """An open trace folder; see `bridge.trace.model.Reader`.

    Each iteration has a cursor of its own, so several threads may iterate at once;
    `diagnostics` are those of the latest one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with _without_collection():
            self.plan = load_plan(folder)
            self.classes = _classes(self.plan)
        self.format = FORMATS[self.plan.description.version]
        self.opened = Opened(f"{folder}: the trace")
        first = CtfCursor(folder, self.plan)
        self.files = tuple(first.files)
        self._unused = [first]
        self._diagnostics = first.diagnostics
        self._selection = EVERYTHING
        self._skipped: dict[int, list[int]] = {}
        self.environment = self.plan.description.environment
        self.attributes = {name: str(value) for name, value in self.environment.items()}
        self.event_classes: dict[str, EventClass] = {}
        for event_class in self.classes:
            self.event_classes.setdefault(event_class.name, event_class)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Damage and losses met so far."""
        return self._diagnostics

    def skip(self, packets: Mapping[int, list[int]]) -> None:
        """From the next iteration on, leave out packets: by stream, where they start."""
        self._skipped = dict(packets)

    def select(self, selection: Selection) -> None:
        """From the next iteration on, give only what is selected."""
        self._selection = selection

    def cursor(self, selection: Selection | None = None) -> CtfCursor:
        """A cursor at the start of what is selected, whose diagnostics are the reader's now."""
        self.opened.check()
        try:
            cursor = self._unused.pop()
        except IndexError:
            cursor = CtfCursor(self.folder, self.plan)
        self._apply(selection or self._selection, cursor)
        self._diagnostics = cursor.diagnostics
        return cursor

    def _apply(self, selection: Selection, cursor: CtfCursor) -> None:
        handle = cursor.handle
        lib.mb_ctf_set_range(handle, *selection.range_ns())
        for index, event in enumerate(self.plan.events):
            lib.mb_ctf_want(handle, index, selection.has_name(event.event.name))
        for index, path in enumerate(cursor.files):
            keep = selection.has_stream(path.name, channel_of(path.name))
            lib.mb_ctf_want_stream(handle, index, keep)
        for index, packets in self._skipped.items():
            cursor.skip(index, packets)

    @property
    def cpus(self) -> Collection[int] | None:
        """The CPUs that are selected; None if all are."""
        return self._selection.cpus

    def keeps(self, raw: RawCtfEvent) -> bool:
        """Whether an event of a batch is on a CPU that is selected."""
        return self._selection.has_cpu(raw.cpu)

    def __iter__(self) -> Iterator[Event]:
        return iter(Events(self, self.cursor()))

    def statistics(self) -> dict[str, StreamStatistics]:
        """Totals per stream, by a full pass."""
        cursor = self.cursor()
        counts = cursor.count()
        result = {}
        totals = ffi.new("struct mb_ctf_totals *")
        for stream, path in enumerate(cursor.files):
            lib.mb_ctf_totals(cursor.handle, stream, totals)
            by_name: dict[str, int] = {}
            for event, count in zip(self.plan.events, counts[stream], strict=True):
                if count:
                    by_name[event.event.name] = by_name.get(event.event.name, 0) + count
            statistics = StreamStatistics(by_name, totals.lost, totals.damaged)
            if totals.events:
                statistics.first_ns, statistics.last_ns = totals.first_ns, totals.last_ns
            result[path.name] = statistics
        return result

    def close(self) -> None:
        """Give nothing more. A file stays mapped while an iterator that read it is kept."""
        self.opened.close()
        self._unused.clear()


def _classes(plan: Plan) -> list[EventClass]:
    """The classes by index, each with all the context that its events carry."""
    streams = {stream.id: stream for stream in plan.streams}
    rule = shown(plan, CtfScope.PACKET_CONTEXT)
    common = {id_: _common(stream, rule) for id_, stream in streams.items()}
    alike = {id_: _struct(fields) for id_, fields in common.items()}
    return [
        _with_context(event, common[event.stream_id], alike[event.stream_id])
        for event in plan.events
    ]


def _common(stream: StreamClass, rule: ShownFields) -> dict[str, Field]:
    """The context of packet and stream; the inner name counts."""
    packet = stream.packet_context.fields if stream.packet_context else ()
    own = stream.event_context.fields if stream.event_context else ()
    fields = {f.name: f for f in packet if not rule.hides(f.name, f.type)}
    return fields | {f.name: f for f in own}


def _struct(fields: Mapping[str, Field]) -> Struct | None:
    return Struct(tuple(fields.values())) if fields else None


def _with_context(
    event: CtfEvent, common: Mapping[str, Field], alike: Struct | None
) -> EventClass:
    """The class with its context, which is `alike` for those without one of their own."""
    own = event.event.context
    struct = _struct({**common, **{f.name: f for f in own.fields}}) if own else alike
    return replace(event.event, context=struct) if struct else event.event


@contextmanager
def _without_collection() -> Iterator[None]:
    """What is made here stays: Python need not look for cycles in it again and again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
