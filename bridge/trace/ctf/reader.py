"""A CTF 1.8 folder -> events of the model in order of time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.errors import TraceError
from bridge.trace.ctf.cursor import END, Cursor, Plan, RawEvent, plan
from bridge.trace.ctf.layout import Scope
from bridge.trace.ctf.metadata import describe, unpack
from bridge.trace.ctf.shown import Shown, references
from bridge.trace.ctf.values import decoder
from bridge.trace.model import Event, EventClass, StreamStatistics, Struct, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path
    from types import TracebackType

    from bridge.diagnostics import Diagnostic

FORMAT = "ctf-1.8"


def load_plan(folder: Path) -> Plan:
    """The description of a trace folder, laid out."""
    metadata = folder / "metadata"
    try:
        raw = metadata.read_bytes()
    except OSError as error:
        raise TraceError(f"{metadata}: {error.strerror}") from None
    return plan(describe(unpack(raw, str(metadata)), str(metadata)), str(metadata))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events to give: by time (ns, both ends included), name, CPU, channel. None: all.

    Names may have wildcards. A channel is a stream's name, or that without its CPU's number.
    """

    begin_ns: int = -END
    end_ns: int = END
    names: Collection[str] | None = None
    cpus: Collection[int] | None = None
    channels: Collection[str] | None = None


def channel_of(stream: str) -> str:
    """`channel0` of `channel0_3`; LTTng adds the number of the file where files are rotated."""
    return re.sub(r"(_\d+){1,2}$", "", stream)


class CtfReader:
    """An open trace folder; see `bridge.trace.model.Reader`."""

    format = FORMAT

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = load_plan(folder)
        self.cursor = Cursor(folder, self.plan)
        self._selection = Selection()
        self.environment = self.plan.description.environment
        self.attributes = {name: str(value) for name, value in self.environment.items()}
        self.event_classes: dict[str, EventClass] = {}
        for event in self.plan.events:
            self.event_classes.setdefault(event.event.name, event.event)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Damage and losses met so far."""
        return self.cursor.diagnostics

    def select(self, selection: Selection) -> None:
        """From the next iteration on, give only what is selected."""
        self._selection = selection
        handle = self.cursor.handle
        lib.mb_ctf_set_range(handle, selection.begin_ns, selection.end_ns)
        names, channels = selection.names, selection.channels
        for index, event in enumerate(self.plan.events):
            keep = names is None or any(fnmatchcase(event.event.name, n) for n in names)
            lib.mb_ctf_want(handle, index, keep)
        for index, path in enumerate(self.cursor.files):
            keep = channels is None or bool({path.name, channel_of(path.name)} & set(channels))
            lib.mb_ctf_want_stream(handle, index, keep)

    def keeps(self, raw: RawEvent) -> bool:
        """Whether an event of a batch is on a CPU that is selected."""
        return self._selection.cpus is None or raw.cpu in self._selection.cpus

    def __iter__(self) -> Iterator[Event]:
        self.cursor.rewind()
        takers = _Takers(self)
        for events, slots in self.cursor.batches():
            for raw in events:
                if self.keeps(raw):
                    yield takers.event(raw, slots)

    def statistics(self) -> dict[str, StreamStatistics]:
        """Totals per stream, by a full pass."""
        self.cursor.rewind()
        counts = self.cursor.count()
        result = {}
        totals = ffi.new("struct mb_ctf_totals *")
        for stream, path in enumerate(self.cursor.files):
            lib.mb_ctf_totals(self.cursor.handle, stream, totals)
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
        """Unmap the files."""
        self.cursor.close()

    def __enter__(self) -> CtfReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self.close()


class _Takers:
    """Makes events of slots; one function per structure, packets' contexts kept by stream."""

    def __init__(self, reader: CtfReader) -> None:
        streams = {stream.id: stream for stream in reader.plan.streams}
        self._cursor = reader.cursor
        self._classes = [event.event for event in reader.plan.events]
        self._names = [path.name for path in reader.cursor.files]
        self._takers = [
            [
                decoder(struct) if struct is not None else None
                for struct in (
                    streams[event.stream_id].event_context,
                    event.event.context,
                    event.event.payload,
                )
            ]
            for event in reader.plan.events
        ]
        shown = Shown(Scope.PACKET_CONTEXT, references(reader.plan))
        self._packet = [
            _packet_taker(streams[event.stream_id].packet_context, shown)
            for event in reader.plan.events
        ]
        self._packets: dict[int, tuple[int, dict[str, Value]]] = {}

    def event(self, raw: RawEvent, slots: list[int]) -> Event:
        number = raw.event_class
        context = dict(self._packet_context(raw, number))
        common, own, payload = self._takers[number]
        at = raw.slot
        for taker in (common, own):
            if taker is not None:
                values, at = taker(slots, at)
                if isinstance(values, dict):
                    context.update(values)
        fields: Value = {}
        if payload is not None:
            fields, _ = payload(slots, at)
        assert isinstance(fields, dict)
        return Event(
            self._classes[number],
            raw.time_ns,
            raw.clock,
            raw.cpu,
            self._names[raw.stream],
            fields,
            context,
        )

    def _packet_context(self, raw: RawEvent, number: int) -> dict[str, Value]:
        taker = self._packet[number]
        if taker is None:
            return {}
        known = self._packets.get(raw.stream)
        if known is None or known[0] != raw.packet:
            slots = self._cursor.packet_context(raw.stream, raw.packet)
            known = raw.packet, taker(slots)
            self._packets[raw.stream] = known
        return known[1]


def _packet_taker(
    struct: Struct | None, shown: Shown
) -> Callable[[Any], dict[str, Value]] | None:
    """What takes the fields of a packet's context that are not its own housekeeping."""
    if struct is None:
        return None
    whole = decoder(struct)
    kept = [f.name for f in struct.fields if not shown.hides(f.name, f.type)]

    def take(slots: Any) -> dict[str, Value]:  # noqa: ANN401
        values, _ = whole(slots, 0)
        assert isinstance(values, dict)
        return {name: values[name] for name in kept}

    return take if kept else None
