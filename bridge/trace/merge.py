"""Several readers -> one, in order of time; events of the same time by the order of readers."""

from __future__ import annotations

import heapq
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.handles import Closing, Opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bridge.diagnostics import Diagnostic
    from bridge.trace.model import Event, EventClass, Reader, StreamStatistics, Value

IDENTITY = ("hostname", "procname", "vpid")
"""What LTTng says of the process that a trace is of."""


class MergedReader(Closing):
    """The traces of a folder as one. Streams are named `trace/stream`.

    `attributes` are what the traces agree on. Host and process, where they differ (LTTng's
    buffers per process), are in the context of each event.
    """

    def __init__(self, readers: Sequence[tuple[str, Reader]]) -> None:
        self.readers = tuple(readers)
        self._opened = Opened("the trace")
        formats = {reader.format for _, reader in readers}
        self.format = formats.pop() if len(formats) == 1 else "several"
        self.event_classes: dict[str, EventClass] = {}
        for _, reader in self.readers:
            for name, event_class in reader.event_classes.items():
                self.event_classes.setdefault(name, event_class)
        self.environment = _common([environment_of(reader) for _, reader in self.readers])
        self.attributes = {name: str(value) for name, value in self.environment.items()}

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """What all readers have met so far."""
        return [d for _, reader in self.readers for d in reader.diagnostics]

    def __iter__(self) -> Iterator[Event]:
        rows = [labelled(label, one, self.origin(one)) for label, one in self.readers]
        return self._opened.guard(heapq.merge(*rows, key=lambda event: event.timestamp_ns))

    def origin(self, reader: Reader) -> dict[str, Value]:
        """What tells the events of one trace from those of the others: its process."""
        own = environment_of(reader)
        return {n: own[n] for n in IDENTITY if n in own and n not in self.environment}

    def statistics(self) -> dict[str, StreamStatistics]:
        """Totals per stream of all traces."""
        self._opened.check()
        return {
            f"{label}/{stream}": statistics
            for label, reader in self.readers
            for stream, statistics in reader.statistics().items()
        }

    def close(self) -> None:
        """Give nothing more, and release the files."""
        self._opened.close()
        for _, reader in self.readers:
            reader.close()


def environment_of(reader: Reader) -> Mapping[str, str | int]:
    """What a trace says of its origin; numbers are numbers where its format has them."""
    return getattr(reader, "environment", reader.attributes)


def _common(environments: list[Mapping[str, str | int]]) -> dict[str, str | int]:
    """The entries that no trace says otherwise."""
    found: dict[str, str | int] = {}
    for environment in environments:
        for name, value in environment.items():
            found.setdefault(name, value)
    return {
        name: value
        for name, value in found.items()
        if all(environment.get(name, value) == value for environment in environments)
        and (name not in IDENTITY or all(name in e for e in environments))
    }


def labelled(label: str, reader: Iterable[Event], origin: dict[str, Value]) -> Iterator[Event]:
    """The events of one trace; what they say themselves of their process counts."""
    for event in reader:
        context = {**origin, **event.context}
        yield replace(event, stream=f"{label}/{event.stream}", context=context)
