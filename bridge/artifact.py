"""What the compiler gives an engine: hooks, record layouts, placements.

A *hook* is a marker with all handlers that run at it, in script order. However a hit is
delivered (ring buffer, recorded trace), it arrives as one record per hook, and the record holds
the union of the captures of the hook's handlers:

    u32 size, u32 hook, u64 time_ns, then one 8-byte slot per capture, then string bytes.

`size` counts everything including this header and is a multiple of 8. `time_ns` is
CLOCK_MONOTONIC live and nanoseconds since 1970 in a recorded trace. A LONG slot is the value. A
STRING slot is u32 offset from the start of the record, u32 length without the NUL; the bytes
there end in a NUL. A value whose memory could not be read has length FAULT, and offset 0 (for a
LONG load, too: such captures are stored as two slots, the value and a status which is 0 or
FAULT). The C view of the same is `csrc/live/record.cdef.h`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from bridge.declared import MB_FAULT, MB_MISSED_IT, MB_STOPPED_IT, SIZES
from bridge.ir.program import Capture, Load, Value, capture_text

if TYPE_CHECKING:
    from bridge.ir.program import IrProgram
    from bridge.markers import MarkerAttachment

HEADER_BYTES = SIZES["mb_record"]
SLOT_BYTES = 8
FAULT = MB_FAULT
STOPPED, MISSED = MB_STOPPED_IT, MB_MISSED_IT
"""What the last slot of a record says of its process, as enum mb_hold; 0: it need not stop."""


@dataclass(frozen=True)
class RecordLayout:
    """The captures of a record in slot order, without repetition.

    If the process may be `held`, one more slot, the last, says what became of it.
    """

    captures: tuple[Capture, ...]
    held: bool = False

    @cached_property
    def slots(self) -> dict[str, int]:
        """Slot number of each capture, by `capture_text`."""
        slots, at = {}, 0
        for capture in self.captures:
            slots[capture_text(capture)] = at
            at += 2 if _has_status(capture) else 1
        return slots

    @cached_property
    def slot_count(self) -> int:
        """How many slots a record has."""
        return self.held + sum(2 if _has_status(capture) else 1 for capture in self.captures)

    @property
    def stopped_offset(self) -> int:
        """The byte offset of the slot that says what became of the process; 0: none."""
        return HEADER_BYTES + SLOT_BYTES * (self.slot_count - 1) if self.held else 0

    def slot(self, capture: Capture) -> int:
        """The slot number of a capture; KeyError if it is not part of the record."""
        return self.slots[capture_text(capture)]

    def offset(self, capture: Capture) -> int:
        """The byte offset of a capture's slot in the record."""
        return HEADER_BYTES + SLOT_BYTES * self.slot(capture)


def _has_status(capture: Capture) -> bool:
    return isinstance(capture, Load) and capture.type is Value.LONG


class Where(Enum):
    """Where a handler's body runs."""

    KERNEL = "kernel"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a handler runs, and why in one line for `markbridge explain`."""

    where: Where
    reason: str


@dataclass(frozen=True, slots=True)
class Hook:
    """A marker and the handlers (indices into the program) that run at it, in that order.

    `user` are those of them placed in user space; if it is empty and nothing is recorded, no
    records are sent.
    """

    id: int
    attachment: MarkerAttachment
    handlers: tuple[int, ...]
    user: tuple[int, ...]
    layout: RecordLayout
    held: str = ""
    """Why the process stands still until its user handlers are done; "" if it does not."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A program with the decision where each handler runs.

    `accumulators` are globals that kernel handlers only add to (GlobalAdd, ArrayAdd, StatAdd):
    the kernel holds additions, user space the truth. `resident` are globals that live in the
    kernel while the session runs: arrays that every kernel handler indexes by tid() at the same
    key position, and that user space touches only before arming and after disarming.
    """

    program: IrProgram
    placements: tuple[Placement, ...]
    hooks: tuple[Hook, ...]
    accumulators: frozenset[int] = frozenset()
    resident: frozenset[int] = frozenset()
    recorded: bool = False
    """Whether every hit is sent as a record with all arguments and contexts (`--trace`)."""
    portable: bool = False
    """Whether its code was made for a file: no program in it knows a process by its number."""
    apart: bool = False
    """Whether a recording has arguments of a tracepoint and fields of its record apart."""
