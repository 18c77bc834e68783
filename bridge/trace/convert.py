"""A trace of any format -> a trace of another: LTT 2.6, 0.8, 0.7, CTF 1.8 or 2.

Between LTT traces events go from cursor to writer in C and keep their clock values; any other
source goes event by event and keeps its times. The rule: the source's own descriptions
(metadata events, facility loads) are not copied, because the output has its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge._native import lib
from bridge.errors import TraceError
from bridge.progress import doing
from bridge.trace.ctf.origin import PREFIX
from bridge.trace.ltt.cursor import NONE
from bridge.trace.ltt.reader import LttReader
from bridge.trace.ltt.write import Route, TraceWriter, WriteOptions
from bridge.trace.merge import MergedReader
from bridge.trace.output import Unwritable, whole_file, whole_folder
from bridge.trace.selection import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from bridge.trace import model
    from bridge.trace.ctf.description import Clock
    from bridge.trace.ctf.reader import CtfReader
    from bridge.trace.ctf.writer import CtfWriter

TARGETS = ("ltt-2.6", "ltt-0.8", "ltt-0.7", "ctf-1.8", "ctf-2")
TOLD_EACH = 1024
_COUNTING = ("ctf-", "ltt-")
"""Formats that count lost events."""
_OWN_CHANNELS = ("metadata.", "core.", "/control/metadata.", "/control/facilities.")
_HEARTBEATS = (".heartbeat32", ".heartbeat64")


@dataclass(frozen=True, slots=True)
class Converted:
    """How many events were written, and how many of the source were its own descriptions.

    `moved` events had a time before that of the event in front of them in their stream, and got
    that one's; in LTT those from before the second in which the trace starts. `lost` events and
    `corrupt` sub-buffers are missing in the source by its own count; the output says it of
    `lost_told` lost events.
    """

    events: int
    own: int
    moved: int = 0
    lost: int = 0
    lost_told: int = 0
    corrupt: int = 0
    skipped: Mapping[str, Skipped] = field(default_factory=dict)
    """Event classes by name that the output cannot hold."""


@dataclass(slots=True)
class Skipped:
    """How many events of a class were left out, and why."""

    reason: str
    events: int = 0


class _Taken:
    """Writes events of the classes that the output can hold; counts the others."""

    def __init__(self, out: CtfWriter | TraceWriter, *, strict: bool) -> None:
        self._out = out
        self._strict = strict
        self._refused: dict[int, tuple[model.EventClass, Skipped]] = {}

    def write(self, event: model.Event) -> bool:
        """Whether the event was written."""
        known = self._refused.get(id(event.event_class))
        if known is None:
            try:
                self._out.write(event)
            except Unwritable as error:
                known = self.refuse(event.event_class, error)
            else:
                return True
        known[1].events += 1
        return False

    def declare(self, out: TraceWriter, classes: Iterable[model.EventClass]) -> None:
        """Declare classes before their first event."""
        for event_class in classes:
            try:
                out.declare_all([event_class])
            except Unwritable as error:
                self.refuse(event_class, error)

    def refuse(
        self, event_class: model.EventClass, error: Unwritable, events: int = 0
    ) -> tuple[model.EventClass, Skipped]:
        """Leave out a class, if that may be."""
        if self._strict:
            raise error
        self._refused[id(event_class)] = event_class, Skipped(str(error), events)
        return self._refused[id(event_class)]

    @property
    def skipped(self) -> dict[str, Skipped]:
        """What was left out, by the names of classes that had events."""
        found: dict[str, Skipped] = {}
        for event_class, one in self._refused.values():
            if one.events:
                row = found.setdefault(event_class.name, Skipped(one.reason))
                row.events += one.events
        return found


def is_own(event_class: model.EventClass, form: str) -> bool:
    """Whether events of this class describe the trace itself."""
    if not form.startswith("ltt-"):
        return False
    name = event_class.name
    if form == "ltt-1.0" and name.endswith(_HEARTBEATS):
        return True
    return form not in ("ltt-x", "ltt-k") and name.startswith(_OWN_CHANNELS)


def writer(path: Path, options: WriteOptions) -> TraceWriter:
    """The writer for a version."""
    from bridge.trace.ltt.facilities_writer import FacilityWriter
    from bridge.trace.ltt.markers_2_writer import M2Writer

    if options.version == "2.6":
        return M2Writer(path, options)
    if options.version in ("0.7", "0.8"):
        return FacilityWriter(path, options)
    raise TraceError(f"LTT {options.version} cannot be written; 2.6, 0.8 and 0.7 can")


# --- LTT to LTT -------------------------------------------------------------------------------


def _same_clock(source: LttReader, options: WriteOptions) -> WriteOptions | None:
    """The options that keep the source's clock; None if its times are interpolated."""
    layouts = [s.layout for s in source.tables.streams]
    if not layouts or any(
        layout["time_mode"] == lib.MB_LTT_TIME_INTERPOLATE for layout in layouts
    ):
        return None
    first = layouts[0]
    freq, scale = int(first["freq"]), int(first["scale"])
    factor = {lib.MB_LTT_TIME_KHZ: 1000, lib.MB_LTT_TIME_MULTIPLY: scale}
    mode = int(first["time_mode"])
    seconds, _, fraction = source.attributes.get("start_time", "0.0").partition(".")
    return replace(
        options,
        use_tsc=True,
        frequency=freq * factor.get(mode, 1),
        divisor=1 if mode in factor else scale,
        start_tsc=int(first["start_tsc"]),
        start_sec=int(seconds),
        start_usec=int(fraction[:6] or 0),
    )


def _route(source: LttReader, out: TraceWriter, taken: _Taken) -> tuple[Route, int]:
    """The way of every class, and the number of events that stay behind."""
    classes = [entry.event_class for entry in source.tables.classes]
    cursor, tables = source.select(EVERYTHING)
    with doing("counting the events"):
        counts, _, _ = cursor.count()
    used = {index for row in counts for index in row if index != NONE}
    wanted = {i for i in used if not is_own(classes[i], source.format)}
    held = set()
    for index in sorted(wanted):
        try:
            out.declare_all([classes[index]])
        except Unwritable as error:
            taken.refuse(classes[index], error, sum(row.get(index, 0) for row in counts))
        else:
            held.add(index)
    files: list[list[str | None]] = []
    targets = [(0, 0)] * len(classes)
    for stream, row in zip(tables.streams, counts, strict=True):
        names: list[str | None] = [None] * len(classes)
        for index in held & row.keys():
            spot = out.spot(classes[index], max(stream.cpu, 0))
            names[index] = spot.file
            targets[index] = (spot.class_index, spot.id)
        files.append(names)
    own = sum(n for row in counts for index, n in row.items() if index not in wanted)
    return Route(files, targets), own


def _copy(source: LttReader, path: Path, options: WriteOptions, strict: bool) -> Converted:
    with whole_folder(path) as folder, writer(folder, options) as out:
        taken = _Taken(out, strict=strict)
        route, own = _route(source, out, taken)
        cursor, tables = source.select(EVERYTHING)
        events = out.copy(cursor, route)
        totals = [cursor.totals(at) for at, _ in enumerate(tables.streams)]
        homes = {}
        for at, row in enumerate(route.files):
            if names := sorted({name for name in row if name}):
                homes[str(at)] = names[0]
        lost = {str(at): total.lost for at, total in enumerate(totals)}
        told = _tell_lost(out, homes, lost)
        corrupt = sum(total.corrupt for total in totals)
        lost_all = sum(lost.values())
        return Converted(events, own, 0, lost_all, told, corrupt, taken.skipped)


# --- any source -------------------------------------------------------------------------------


def _write_all(source: model.Reader, taken: _Taken, homes: dict[str, model.Event]) -> Converted:
    """Write the events; `homes` gets the first one of every stream."""
    written = own = 0
    is_own_of = _own_classes(source)
    with doing("converting", "events") as activity:
        for event in source:
            if is_own_of(event.event_class):
                own += 1
                continue
            if not taken.write(event):
                continue
            if event.stream not in homes:
                homes[event.stream] = event
            written += 1
            if not written % TOLD_EACH:
                activity.count(written)
    return Converted(written, own, skipped=taken.skipped)


def _own_classes(source: model.Reader) -> Callable[[model.EventClass], bool]:
    """What knows the events by which a trace, or one of several traces, describes itself."""
    if not isinstance(source, MergedReader):
        return lambda event_class: is_own(event_class, source.format)
    forms = {
        id(event_class): one.format
        for _, one in source.readers
        for event_class in one.event_classes.values()
    }
    return lambda event_class: is_own(event_class, forms.get(id(event_class), source.format))


def _losses(source: model.Reader) -> tuple[dict[str, int], int]:
    """The lost events of each stream by the trace's own count, and all corrupt sub-buffers."""
    forms = [source.format]
    if isinstance(source, MergedReader):
        forms = [one.format for _, one in source.readers]
    if not any(form.startswith(_COUNTING) for form in forms):
        return {}, 0
    streams = source.statistics()
    lost = {name: stream.lost for name, stream in streams.items() if stream.lost}
    return lost, sum(stream.corrupt for stream in streams.values())


def _tell_lost(out: TraceWriter, homes: Mapping[str, str], lost: Mapping[str, int]) -> int:
    """Write into the files of streams how many events were lost; how many of them there are."""
    if not out.counts_lost:
        return 0
    sums: dict[str, int] = {}
    for stream, number in lost.items():
        if number and stream in homes:
            sums[homes[stream]] = sums.get(homes[stream], 0) + number
    for file, number in sums.items():
        out.lost(file, number)
    return sum(sums.values())


def to_ltt(
    source: model.Reader, path: Path, options: WriteOptions, *, strict: bool = False
) -> Converted:
    """Write a trace as LTT; with `strict` all of its classes, or none."""
    if isinstance(source, LttReader):
        clock = _same_clock(source, options)
        if clock is not None:
            return _copy(source, path, clock, strict)
    with whole_folder(path) as folder, writer(folder, options) as out:
        taken, is_own_of = _Taken(out, strict=strict), _own_classes(source)
        taken.declare(out, (c for c in source.event_classes.values() if not is_own_of(c)))
        first: dict[str, model.Event] = {}
        done = _write_all(source, taken, first)
        lost, corrupt = _losses(source)
        homes = {
            stream: out.spot(event.event_class, max(event.cpu, 0)).file
            for stream, event in first.items()
        }
        told = _tell_lost(out, homes, lost)
        lost_all = sum(lost.values())
        return replace(done, moved=out.moved, lost=lost_all, lost_told=told, corrupt=corrupt)


# --- opening, and CTF -------------------------------------------------------------------------


def _origins(source: model.Reader) -> tuple[dict[model.EventClass, int], dict[str, str]]:
    """Recorded classes of ours with the numbers that they get, and what is said of each."""
    from bridge.trace.ctf.reader import CtfReader

    readers = (
        [one for _, one in source.readers] if isinstance(source, MergedReader) else [source]
    )
    numbers: dict[model.EventClass, int] = {}
    entries: dict[str, str] = {}
    for reader in (one for one in readers if isinstance(one, CtfReader)):
        for event_class in reader.classes:
            text = reader.environment.get(f"{PREFIX}{event_class.id}")
            if isinstance(text, str):
                entries[f"{PREFIX}{len(numbers)}"] = text
                numbers[event_class] = len(numbers)
    return numbers, entries


def _clock_of(source: model.Reader) -> Clock | None:
    """The only clock of a CTF trace; None if there is another number of them."""
    from bridge.trace.ctf.reader import CtfReader

    clocks = source.plan.description.clocks if isinstance(source, CtfReader) else {}
    ticks = isinstance(source, CtfReader) and all(s.clock for s in source.plan.streams)
    return next(iter(clocks.values())) if len(clocks) == 1 and ticks else None


def _copy_ctf(
    source: CtfReader, out: CtfWriter, taken: _Taken, homes: dict[str, model.Event]
) -> Converted:
    """Write the events of one CTF trace; `homes` gets the first one of every stream."""
    from bridge.trace.ctf.copy import Copier

    copier = Copier(out, source, taken.write)
    read = 0
    with doing("converting", "events") as activity:
        for read in copier.run():
            activity.count(read)
    homes.update(copier.first)
    skipped = taken.skipped
    written = read - sum(one.events for one in skipped.values())
    return Converted(written, 0, copier.moved, skipped=skipped)


def to_perfetto(source: model.Reader, path: Path, counters: frozenset[str]) -> Converted:
    """Write a trace as a file for Perfetto; `counters` as PerfettoWriter has them."""
    from bridge.trace.perfetto import PerfettoWriter

    events = own = 0
    with whole_file(path) as file, doing("converting", "events") as activity:
        out = PerfettoWriter(file, counters, source.event_classes)
        is_own_of = _own_classes(source)
        for event in activity.each(source, TOLD_EACH):
            if is_own_of(event.event_class):
                own += 1
                continue
            out.write(event)
            events += 1
        never = sorted(counters - out.counted)
        if never:
            raise TraceError(
                f"{', '.join(never)}: no event has a number in a field of this name"
            )
    lost, corrupt = _losses(source)
    return Converted(events, own, lost=sum(lost.values()), corrupt=corrupt)


def to_parquet(source: model.Reader, path: Path) -> Converted:
    """Write a folder with a Parquet file for each class of events."""
    from bridge.trace.parquet import write_parquet

    with doing("converting"):
        events = write_parquet(source, path)
    lost, corrupt = _losses(source)
    return Converted(events, 0, lost=sum(lost.values()), corrupt=corrupt)


def to_ctf(
    source: model.Reader, path: Path, version: int = 1, *, strict: bool = False
) -> Converted:
    """Write a trace as CTF 1.8, or 2; with `strict` all of its classes, or none.

    Times are values of the source's clock, if it is CTF and has one, else nanoseconds.
    """
    from bridge.trace.ctf.reader import CtfReader
    from bridge.trace.ctf.writer import CtfWriter, Kept
    from bridge.trace.merge import environment_of

    environment = {
        name: value
        for name, value in environment_of(source).items()
        if "." not in name and not name.startswith(PREFIX)
    }
    numbers, origins = _origins(source)
    entries = {"source_format": source.format, **environment, **origins}
    kept = Kept(_clock_of(source), numbers)
    with (
        whole_folder(path) as folder,
        CtfWriter(folder, entries, version=version, move_late=True, kept=kept) as out,
    ):
        taken = _Taken(out, strict=strict)
        first: dict[str, model.Event] = {}
        if isinstance(source, CtfReader):
            done = _copy_ctf(source, out, taken, first)
        else:
            done = _write_all(source, taken, first)
        lost, corrupt = _losses(source)
        told = 0
        for stream, event in first.items():
            if number := lost.get(stream, 0):
                out.lost(stream, event.cpu, number)
                told += number
        lost_all = sum(lost.values())
        moved = done.moved + out.moved
        return replace(done, moved=moved, lost=lost_all, lost_told=told, corrupt=corrupt)
