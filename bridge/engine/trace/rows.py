"""Decoded events of any traces -> rows of variables for the C side of a replay.

The way of traces that the C side does not decode itself (LTT, LKET, several at once), and of
scripts that ask for what only this way knows: parts of fields, and which task ran. The rule: a
value that is not known is -1 or "", and how often that was is told at the end.
"""

from __future__ import annotations

import heapq
from array import array
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.engine.base import SessionState
from bridge.engine.trace.parts import PartLocation, follow, text_of, word
from bridge.engine.trace.tasks import Tasks, at_start, kind_of, tells_groups
from bridge.errors import TraceError
from bridge.handles import Handle
from bridge.markers import ValueType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.engine.session.native import NativeSession
    from bridge.engine.trace.recording import Recording
    from bridge.engine.trace.sources import EventSource
    from bridge.progress import Activity
    from bridge.trace.model import Event, EventClass

BATCH = 4096
UNKNOWN = -1
OF_TASKS: dict[str, Callable[[Tasks, int], int | str | None]] = {
    "tid": Tasks.tid,
    "pid": Tasks.pid,
    "ppid": Tasks.ppid,
    "execname": Tasks.name,
}
"""What scheduler events tell about a hit."""


@dataclass(slots=True)
class ClassColumns:
    """How the variables of an event class are made; a text takes two of them."""

    columns: list[tuple[bool, Callable[[Event], int | str | None], str]] = field(
        default_factory=list
    )
    width: int = 0

    def add(self, name: str, take: Callable[[Event], int | str | None], *, text: bool) -> int:
        """A further variable; its number."""
        number = self.width
        self.columns.append((text, take, name))
        self.width += 2 if text else 1
        return number


def payload_value(place: PartLocation) -> Callable[[Event], int | str | None]:
    """What takes the value at a place of the payload."""
    steps, kind = place.steps, place.type
    if place.length:

        def length(event: Event) -> int | None:
            value = follow(event.fields, steps)
            return len(value) if isinstance(value, list | str) else None

        return length
    if place.value_type is ValueType.LONG:
        if len(steps) == 1:
            name = str(steps[0])
            return lambda event: word(event.fields.get(name))
        return lambda event: word(follow(event.fields, steps))
    return lambda event: text_of(follow(event.fields, steps), kind)


class Rows:
    """What is taken of each event class, and the tasks of each source."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._of_class: dict[EventClass, tuple[int, ClassColumns]] = {}
        self._tasks: dict[int, Tasks] = {}
        self._kinds: dict[int, dict[EventClass, str]] = {}

    def row(self, index: int) -> ClassColumns:
        """That of the event class with this index."""
        event_class = self.recording.classes[index].event_class
        return self._of_class.setdefault(event_class, (index, ClassColumns()))[1]

    def tells_tasks(self, source: int) -> bool:
        """Whether a source has scheduler events."""
        if source not in self._kinds:
            classes = self.recording.sources[source].classes
            kinds = {one: kind for one in classes if (kind := kind_of(one)) is not None}
            self._kinds[source] = kinds
        return "switch" in self._kinds[source].values()

    def task_value(self, source: int, name: str) -> Callable[[Event], int | str | None]:
        """What takes a property of the running task."""
        ask, tasks = OF_TASKS[name], self._tasks_of(source)
        return lambda event: ask(tasks, event.cpu)

    def _tasks_of(self, source: int) -> Tasks:
        if source not in self._tasks:
            one, kinds = self.recording.sources[source], self._kinds[source]
            events = (
                (kinds[event.event_class], event)
                for event in one.events({c.name for c in kinds})
                if event.event_class in kinds
            )
            self._tasks[source] = at_start(tells_groups(one.classes), events)
        return self._tasks[source]

    # --- reading ---

    def events(
        self,
    ) -> Iterator[tuple[tuple[int, ClassColumns] | None, Event, str | None, Tasks | None]]:
        """All events that matter, in order of time, with what to do with each."""
        streams = [self._of_source(n, one) for n, one in enumerate(self.recording.sources)]
        yield from heapq.merge(*streams, key=lambda item: item[1].timestamp_ns)

    def _of_source(
        self, number: int, source: EventSource
    ) -> Iterator[tuple[tuple[int, ClassColumns] | None, Event, str | None, Tasks | None]]:
        tasks = self._tasks.get(number)
        kinds = self._kinds[number] if tasks is not None else {}
        wanted = {one.name for one in kinds}
        wanted |= {one.name for one in source.classes if one in self._of_class}
        for event in source.events(wanted):
            row = self._of_class.get(event.event_class)
            kind = kinds.get(event.event_class)
            if row is not None or kind is not None:
                yield row, event, kind, tasks


@dataclass(slots=True)
class _Batch:
    """Rows on their way to the C side."""

    rows: list[tuple[int, ...]] = field(default_factory=list)
    variables: array[int] = field(default_factory=lambda: array("q"))
    texts: bytearray = field(default_factory=bytearray)

    def add(self, index: int, row: ClassColumns, event: Event, unknown: dict[str, int]) -> None:
        """Append an event."""
        first = len(self.variables)
        for text, take, name in row.columns:
            value = take(event)
            if value is None:
                unknown[name] = unknown.get(name, 0) + 1
                value = "" if text else UNKNOWN
            if text:
                data = str(value).encode("utf8", "surrogateescape")
                self.variables.extend((len(self.texts), len(data)))
                self.texts += data
            else:
                self.variables.append(int(value))
        clock = event.tsc if event.tsc < 1 << 63 else event.timestamp_ns
        self.rows.append((event.timestamp_ns, clock, index, first, row.width, event.cpu))


class RowFeed:
    """Events of some traces, for one session. Time is the traces'."""

    def __init__(
        self,
        rows: Rows,
        session: NativeSession,
        tables: tuple[list[tuple[int, ...]], list[tuple[int, ...]]],
        start_ns: int,
        activity: Activity,
    ) -> None:
        self._session = session
        self._activity = activity
        self._sources = rows.recording.sources
        self._events = rows.events()
        self._done = 0
        self._unknown: dict[str, int] = {}
        bindings, steps = tables
        replay = lib.mb_replay_new(
            ffi.NULL,
            session.handle,
            ffi.new("struct mb_replay_binding[]", bindings or 1),
            len(bindings),
            ffi.new("struct mb_replay_step[]", steps or 1),
            len(steps),
        )
        if replay == ffi.NULL:
            raise TraceError("an event record is too large to be replayed")
        self._replay = Handle(replay, lib.mb_replay_free, "the replay")
        spans = [source.span() for source in self._sources]
        first = min((s.first_ns for s in spans if s.first_ns is not None), default=0)
        self._end = max((s.last_ns for s in spans if s.last_ns is not None), default=0)
        self._lost = sum(span.lost for span in spans)
        self._now = min(start_ns, first) if start_ns else first
        session.set_clock(self._now)

    def now(self) -> int:
        """Where the replay is in the traces' time."""
        return self._now

    def arm(self) -> int:
        """Timers count from when they did at the recording."""
        return self._now

    def turn(self, until_ns: int) -> bool:
        """Deliver some events, with the timers between them; False at the end of the traces."""
        batch = _Batch()
        taken = 0
        for row, event, kind, tasks in islice(self._events, BATCH):
            taken += 1
            if row is not None:
                batch.add(*row, event, self._unknown)
            if kind is not None and tasks is not None:
                tasks.learn(kind, event)
        self._done += taken
        self._activity.count(self._done)
        more = self._deliver(batch) and taken == BATCH
        if not more and self._session.state is SessionState.RUNNING:
            self._now = max(self._now, self._end)
            self._session.run_timers(self._now)
        return more

    def _deliver(self, batch: _Batch) -> bool:
        if not batch.rows:
            return True
        rows = ffi.new("struct mb_replay_row[]", batch.rows)
        native: Any = ffi.new("struct mb_replay_batch *")
        variables = ffi.from_buffer("int64_t[]", batch.variables or array("q", [0]))
        texts = ffi.from_buffer("uint8_t[]", batch.texts or b"\0")
        native.rows, native.variables, native.texts = rows, variables, texts
        native.variable_count, native.text_bytes = len(batch.variables), len(batch.texts)
        native.count = len(batch.rows)
        with self._replay as replay, self._session.lent:
            code = lib.mb_replay_rows(replay, native)
            if code < 0:
                raise TraceError("no memory for an event")
            self._now = max(self._now, lib.mb_replay_now(replay))
            return bool(code)

    def settle(self) -> None:
        """Nothing is held elsewhere."""

    def disarm(self) -> None:
        """The handlers that come see the time of the traces' end."""
        self._session.set_clock(self._now)
        if self._lost:
            self._session.note_lost(self._lost)
            self._session.warn(f"{self._lost} events were lost when the trace was recorded")
        for name, number in self._unknown.items():
            self._session.warn(
                f"{name} was not known at {number} hits, because the trace had not told it yet;"
                " it is -1 there, or no text"
            )
        for source in self._sources:
            for diagnostic in source.damage():
                self._session.warn(f"{diagnostic.message}: {diagnostic.file}")

    def close(self) -> None:
        """Free the C side."""
        with self._replay.lock:
            self._replay.close()
