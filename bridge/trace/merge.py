"""Several readers -> one, in order of time; events of the same time by the order of readers."""

from __future__ import annotations

import heapq
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.handles import Opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from bridge.diagnostics import Diagnostic
    from bridge.trace.model import Event, EventClass, Reader, StreamStatistics


class MergedReader:
    """The traces of a folder as one. Streams are named `trace/stream`."""

    def __init__(self, readers: Sequence[tuple[str, Reader]]) -> None:
        self.readers = tuple(readers)
        self._opened = Opened("the trace")
        formats = {reader.format for _, reader in readers}
        self.format = formats.pop() if len(formats) == 1 else "several"
        self.event_classes: dict[str, EventClass] = {}
        self.attributes: dict[str, str] = {}
        for _, reader in self.readers:
            for name, event_class in reader.event_classes.items():
                self.event_classes.setdefault(name, event_class)
            for name, value in reader.attributes.items():
                self.attributes.setdefault(name, value)

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """What all readers have met so far."""
        return [d for _, reader in self.readers for d in reader.diagnostics]

    def __iter__(self) -> Iterator[Event]:
        rows = [_labelled(label, reader) for label, reader in self.readers]
        return self._opened.guard(heapq.merge(*rows, key=lambda event: event.timestamp_ns))

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

    def __enter__(self) -> MergedReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self.close()


def _labelled(label: str, reader: Reader) -> Iterator[Event]:
    for event in reader:
        yield replace(event, stream=f"{label}/{event.stream}")
