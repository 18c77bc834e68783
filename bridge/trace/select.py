"""Selection and totals for the readers that only iterate: LKET, records of a fixed layout.

LTT and CTF readers select in C. The rule: what is selected here is what they would select.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bridge.trace.ctf.reader import Selection, channel_of
from bridge.trace.model import StreamStatistics

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.trace.model import Event, Reader


def matching(events: Iterable[Event], selection: Selection) -> Iterator[Event]:
    """The selected ones of some events."""
    for event in events:
        time, names, channels = event.timestamp_ns, selection.names, selection.channels
        keep = (
            selection.begin_ns <= time <= selection.end_ns
            and (names is None or any(fnmatchcase(event.event_class.name, n) for n in names))
            and (selection.cpus is None or event.cpu in selection.cpus)
            and (channels is None or {event.stream, channel_of(event.stream)} & set(channels))
        )
        if keep:
            yield event


def tally(events: Iterable[Event]) -> dict[str, StreamStatistics]:
    """Counts and time span of events, by stream."""
    found: dict[str, StreamStatistics] = {}
    for event in events:
        stream = found.setdefault(event.stream, StreamStatistics())
        name, time = event.event_class.name, event.timestamp_ns
        stream.events[name] = stream.events.get(name, 0) + 1
        stream.first_ns = time if stream.first_ns is None else min(stream.first_ns, time)
        stream.last_ns = time if stream.last_ns is None else max(stream.last_ns, time)
    return found


def selected_statistics(reader: Reader, selection: Selection) -> dict[str, StreamStatistics]:
    """The reader's statistics with only the selected events counted."""
    found = reader.statistics()
    if selection == Selection():
        return found
    counted = tally(matching(reader, selection))
    for name, stream in found.items():
        own = counted.get(name, StreamStatistics())
        own.lost, own.damaged = stream.lost, stream.damaged
        counted[name] = own
    return {name: counted[name] for name in found}
