"""Selection and totals for the readers that only iterate: LKET, records of a fixed layout.

LTT and CTF readers select in C. The rule: what is selected here is what they would select.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.trace.model import StreamStatistics
from bridge.trace.selection import EVERYTHING, channel_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.trace.model import Event, Reader
    from bridge.trace.selection import Selection


def matching(events: Iterable[Event], selection: Selection) -> Iterator[Event]:
    """The selected ones of some events."""
    for event in events:
        if (
            selection.begin_ns <= event.timestamp_ns <= selection.end_ns
            and selection.has_name(event.event_class.name)
            and selection.has_cpu(event.cpu)
            and _has_stream(selection, event.stream)
        ):
            yield event


def _has_stream(selection: Selection, stream: str) -> bool:
    """Whether a stream is wanted; of several traces also by its name in its own trace."""
    own = stream.rpartition("/")[2]
    return selection.has_stream(stream, channel_of(stream)) or selection.has_stream(
        own, channel_of(own)
    )


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
    if selection == EVERYTHING:
        return found
    counted = tally(matching(reader, selection))
    for name, stream in found.items():
        own = counted.get(name, StreamStatistics())
        own.lost, own.damaged, own.corrupt = stream.lost, stream.damaged, stream.corrupt
        counted[name] = own
    return {name: counted[name] for name in found}
