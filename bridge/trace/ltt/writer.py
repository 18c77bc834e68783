"""LTT traces written from Python: one class for all versions, beside `CtfWriter`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import TraceError
from bridge.handles import Closing
from bridge.trace.ltt.facilities_writer import FacilityWriter
from bridge.trace.ltt.markers_2_writer import M2Writer
from bridge.trace.ltt.write import WriteOptions
from bridge.trace.model import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.trace.model import EventClass


class LttWriter(Closing):
    """A new trace in the folder `path`, of version 2.6, 0.8 or 0.7.

    An event class `channel.name` becomes a marker of that channel (2.6), or an event of that
    facility (0.8, 0.7). Times are kept to the nanosecond: read back, `timestamp_ns` counts from
    the reader's `attributes["start_time"]`, as in every trace of LTT. TraceError, if the folder
    is not empty, or the version is another one.
    """

    def __init__(self, path: Path | str, version: str = "2.6") -> None:
        options = WriteOptions(version=version)
        if version == "2.6":
            self._writer: M2Writer | FacilityWriter = M2Writer(Path(path), options)
        elif version in ("0.8", "0.7"):
            self._writer = FacilityWriter(Path(path), options)
        else:
            raise TraceError(f"LTT {version} cannot be written; 2.6, 0.8 and 0.7 can")

    def declare(self, classes: Iterable[EventClass]) -> None:
        """Describe classes, also those of which no event will be written."""
        self._writer.declare_all(classes)

    def write(self, events: Event | Iterable[Event]) -> None:
        """Append one event, or all of a trace.

        TraceError names the event and the field if a value does not fit, or is missing.
        """
        for event in (events,) if isinstance(events, Event) else events:
            self._writer.write(event)

    def close(self) -> None:
        """Finish the trace; writing after that is a TraceError."""
        self._writer.close()
