"""What the metadata of a CTF trace says, understood: clocks, stream classes, event classes."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from bridge.trace.model import Struct
from bridge.values import dataclass

if TYPE_CHECKING:
    from bridge.trace.model import EventClass

NS_PER_S = 1_000_000_000
NO_PAYLOAD = Struct(())
"""The payload of an event class that declares none, not even an empty one (compare by `is`)."""

LOG_LEVELS = (
    "emergency",
    "alert",
    "critical",
    "error",
    "warning",
    "notice",
    "info",
    "debug:system",
    "debug:program",
    "debug:process",
    "debug:module",
    "debug:unit",
    "debug:function",
    "debug:line",
    "debug",
)
"""Log levels by their numbers in CTF 1.8."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock: frequency in Hz, and where its zero lies (seconds and cycles)."""

    name: str
    frequency: int = 1_000_000_000
    offset_s: int = 0
    offset: int = 0
    absolute: bool = False
    uuid: str = ""
    description: str = ""
    precision: int | None = None
    accuracy: int | None = None
    namespace: str = ""
    uid: str = ""
    origin: tuple[str, str, str] | None = None
    """Namespace, name and uid of where it starts, if that has them."""


def check_clock(clock: Clock) -> str:
    """What is wrong with where a clock starts; empty if nothing is."""
    start = clock.offset_s * NS_PER_S + clock.offset * NS_PER_S // clock.frequency
    if not -(1 << 63) <= start < 1 << 63:
        return f"clock `{clock.name}` starts {clock.offset_s} s off, which is beyond 292 years"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class StreamClass:
    """What the streams of a class have in common; `clock` is the name of the one that ticks."""

    id: int
    packet_context: Struct | None
    event_header: Struct | None
    event_context: Struct | None
    clock: str


@dataclass(frozen=True, slots=True, eq=False)
class CtfEvent:
    """An event class and the number of its stream class."""

    stream_id: int
    event: EventClass


@dataclass(slots=True)
class Description:
    """A whole trace. `notes` are what was odd about its metadata (code, text, byte)."""

    version: int = 1
    big_endian: bool = False
    uuid: bytes | None = None
    packet_header: Struct | None = None
    environment: dict[str, str | int] = field(default_factory=dict)
    identity: dict[str, str] = field(default_factory=dict)
    """Namespace, name and uid of the trace, if it has them."""
    clocks: dict[str, Clock] = field(default_factory=dict)
    streams: dict[int, StreamClass] = field(default_factory=dict)
    events: list[CtfEvent] = field(default_factory=list)
    notes: list[tuple[str, str, int]] = field(default_factory=list)
