"""Which events of a trace are wanted: the same for readers of every format."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bridge.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection

START_OF_TIME, END_OF_TIME = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events to give: by time (ns, both ends included), name, CPU, channel. None: all.

    Names may have wildcards. A channel is a stream's name, or that without its CPU's number.
    """

    begin_ns: int = START_OF_TIME
    end_ns: int = END_OF_TIME
    names: Collection[str] | None = None
    cpus: Collection[int] | None = None
    channels: Collection[str] | None = None

    def range_ns(self) -> tuple[int, int]:
        """Begin and end as 64 bits hold them."""
        begin, end = (
            min(max(time, START_OF_TIME), END_OF_TIME) for time in (self.begin_ns, self.end_ns)
        )
        return begin, end

    def has_name(self, name: str) -> bool:
        """Whether events of this name are wanted."""
        return self.names is None or any(fnmatchcase(name, n) for n in self.names)

    def has_cpu(self, cpu: int) -> bool:
        """Whether events of this CPU are wanted."""
        return self.cpus is None or cpu in self.cpus

    def has_stream(self, stream: str, channel: str) -> bool:
        """Whether a stream is wanted, by its own name or by its channel's."""
        return self.channels is None or bool({stream, channel} & set(self.channels))


EVERYTHING = Selection()


def channel_of(stream: str) -> str:
    """`channel0` of `channel0_3`; LTTng adds the number of the file where files are rotated."""
    return re.sub(r"(_\d+){1,2}$", "", stream)
