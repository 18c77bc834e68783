"""A trace of any format -> a trace of another: LTT 2.6, 0.8, 0.7 or CTF.

Between LTT traces events go from cursor to writer in C and keep their clock values; any other
source goes event by event and keeps its times. The rule: the source's own descriptions
(metadata events, facility loads) are not copied, because the output has its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge._native import lib
from bridge.errors import TraceError
from bridge.progress import doing
from bridge.trace.ltt.cursor import NONE
from bridge.trace.ltt.reader import LttReader
from bridge.trace.ltt.write import Route, TraceWriter, WriteOptions
from bridge.trace.output import whole_folder
from bridge.trace.selection import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bridge.trace import model

TARGETS = ("ltt-2.6", "ltt-0.8", "ltt-0.7", "ctf")
TOLD_EACH = 1024
_OWN_CHANNELS = ("metadata.", "core.", "/control/metadata.", "/control/facilities.")
_HEARTBEATS = (".heartbeat32", ".heartbeat64")


@dataclass(frozen=True, slots=True)
class Converted:
    """How many events were written, and how many of the source were its own descriptions.

    `moved` events had a time before that of the event in front of them in their stream, and got
    that one's; in LTT those from before the second in which the trace starts.
    """

    events: int
    own: int
    moved: int = 0


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


def _route(source: LttReader, out: TraceWriter) -> tuple[Route, int]:
    """The way of every class, and the number of events that stay behind."""
    classes = [entry.event_class for entry in source.tables.classes]
    cursor, tables = source.select(EVERYTHING)
    with doing("counting the events"):
        counts, _, _ = cursor.count()
    used = {index for row in counts for index in row if index != NONE}
    wanted = {i for i in used if not is_own(classes[i], source.format)}
    out.declare_all(classes[i] for i in sorted(wanted))
    files: list[list[str | None]] = []
    targets = [(0, 0)] * len(classes)
    for stream, row in zip(tables.streams, counts, strict=True):
        names: list[str | None] = [None] * len(classes)
        for index in wanted & row.keys():
            spot = out.spot(classes[index], max(stream.cpu, 0))
            names[index] = spot.file
            targets[index] = (spot.class_index, spot.id)
        files.append(names)
    own = sum(n for row in counts for index, n in row.items() if index not in wanted)
    return Route(files, targets), own


def _copy(source: LttReader, path: Path, options: WriteOptions) -> Converted:
    with whole_folder(path) as folder, writer(folder, options) as out:
        route, own = _route(source, out)
        cursor, tables = source.select(EVERYTHING)
        events = out.copy(cursor, route)
        for at, _ in enumerate(tables.streams):
            lost = cursor.totals(at).lost
            names = sorted({name for name in route.files[at] if name})
            if lost and names:
                out.lost(names[0], lost)
    return Converted(events, own)


# --- any source -------------------------------------------------------------------------------


def _write_all(
    events: Iterable[model.Event], out: model.Writer | TraceWriter, form: str
) -> Converted:
    written = own = 0
    with doing("converting", "events") as activity:
        for event in events:
            if is_own(event.event_class, form):
                own += 1
                continue
            out.write(event)
            written += 1
            if not written % TOLD_EACH:
                activity.count(written)
    return Converted(written, own)


def to_ltt(source: model.Reader, path: Path, options: WriteOptions) -> Converted:
    """Write a trace as LTT."""
    if isinstance(source, LttReader):
        clock = _same_clock(source, options)
        if clock is not None:
            return _copy(source, path, clock)
    with whole_folder(path) as folder, writer(folder, options) as out:
        out.declare_all(
            c for c in source.event_classes.values() if not is_own(c, source.format)
        )
        return replace(_write_all(source, out, source.format), moved=out.moved)


# --- opening, and CTF -------------------------------------------------------------------------


def to_ctf(source: model.Reader, path: Path) -> Converted:
    """Write a trace as CTF 1.8. Times are those of the events."""
    from bridge.trace.ctf.writer import CtfWriter
    from bridge.trace.merge import environment_of

    environment = {n: value for n, value in environment_of(source).items() if "." not in n}
    entries = {"source_format": source.format, **environment}
    with whole_folder(path) as folder, CtfWriter(folder, entries, move_late=True) as out:
        return replace(_write_all(source, out, source.format), moved=out.moved)
