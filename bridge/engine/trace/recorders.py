"""What takes the hits of a live session into a trace, and what a hit becomes there.

A recorder is made for a placed program: of CTF in `record`, of LTT in `record_ltt`. One rule:
what is written is said before the first hit, as `RecordedEvent`s of each hook.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from bridge.artifact import Hook, Placed
    from bridge.handles import Handle
    from bridge.ir.program import Capture


@dataclass(frozen=True, slots=True)
class RecordingSummary:
    """What a recording has written, and how many hits it dropped because the disk failed.

    `unreadable` values were written as 0 or empty, where the format has no place to say it.
    """

    written: int
    dropped: int
    error: str = ""
    unreadable: int = 0


class AnyRecorder(Protocol):
    """Takes the hits of a session."""

    lent: Handle

    @property
    def handle(self) -> Any:  # noqa: ANN401 - of cffi
        """What C calls with each record."""
        ...

    def start(self, now_ns: int) -> None:
        """Get ready for the first record."""
        ...

    def lost(self, cpu: int, total: int) -> None:
        """So many hits of this CPU (-1: of some CPU) did not get into the ring so far."""
        ...

    def flush(self) -> None:
        """Write out what is there."""
        ...

    def close(self) -> RecordingSummary:
        """Finish the trace."""
        ...


MakeRecorder = Callable[["Placed", int, int], AnyRecorder]
"""For a program, the distance of the monotonic clock from 1970, and the target's number."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event that each hit of a hook becomes.

    `name` is what it is called: `facility.event`. `fields` are its fields and what each holds;
    None: it is the marker itself, with all that the marker has, under the marker's names.
    """

    name: str
    fields: tuple[tuple[str, Capture], ...] | None = None


Outputs = Callable[["Hook"], tuple[RecordedEvent, ...]]


def marker_itself(hook: Hook) -> tuple[RecordedEvent, ...]:
    """Each hit is recorded once, as its marker: `provider.name`."""
    marker = hook.attachment.marker
    return (
        RecordedEvent(f"{marker.provider}.{marker.name}" if marker.provider else marker.name),
    )
