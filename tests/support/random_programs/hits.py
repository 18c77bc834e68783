"""Random hits for a placed program: as records for the run time, and for the interpreter."""

from __future__ import annotations

import ctypes
import os
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.artifact import FAULT, HEADER_BYTES, SLOT_BYTES, Hook, RecordLayout
from bridge.engine.session.record_decode import hits_of
from bridge.ir.program import Context, Load, Value, capture_text, capture_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.artifact import Placed
    from bridge.interpreter.interpret import HandlerHit
    from bridge.ir.program import Capture

Item = int | bytes
READABLE = (
    b'tea\0\xff\x80\x00\x80"two\n\xc3\xa9\0a\0\xe9\0\xac\x20\x3d\xd8\0\xde\0\0'
    b"b\0\0\0\0\xf6\x01\0\0\0\0\0" + b"x" * 600
)
MEMORY = ctypes.create_string_buffer(READABLE)
"""Memory of ours that handlers can read: the processes of hits are this one, or none."""
READ = ctypes.addressof(MEMORY)
NUMBERS = (0, 1, -1, 5, 1000, 2**31, 2**63 - 1, -(2**63), READ, READ + 4, READ + 17, READ + 29)
PROCESSES = (os.getpid(), os.getpid(), 0, -1, 2**31)
TIMES = (0, 999_999, 1_790_000_000_123_456_789)
TEXTS = (b"", b"a", b"bash", b"some text", b"\xff\x01", b"x" * 511)


@dataclass(frozen=True)
class Event:
    """One hit of a hook: the value of every capture, by its text; None could not be read."""

    hook: Hook
    values: Mapping[str, Item | None]

    def record(self) -> bytes:
        """The bytes that an engine would deliver."""
        layout = self.hook.layout
        strings_at = HEADER_BYTES + SLOT_BYTES * layout.slot_count
        slots, strings = b"", b""
        for capture in layout.captures:
            value = self.values[capture_text(capture)]
            if isinstance(value, bytes):
                slots += _words(strings_at + len(strings), len(value))
                strings += value + b"\0"
            elif capture_type(capture) is Value.STRING:
                slots += _words(0, FAULT)
            else:
                slots += (value or 0).to_bytes(8, "little", signed=True)
                if isinstance(capture, Load):
                    slots += (FAULT if value is None else 0).to_bytes(8, "little")
        body = slots + bytes(SLOT_BYTES * layout.held) + strings
        body += bytes(-len(body) % 8)
        time = self.values.get("realtime_ns()") or 0
        assert isinstance(time, int)
        head = _words(HEADER_BYTES + len(body), self.hook.id) + time.to_bytes(8, "little")
        return head + body

    def hits(self, placed: Placed) -> list[HandlerHit]:
        """The same for the interpreter, handler by handler."""
        return list(hits_of(placed, self.hook, self.values))


def _words(low: int, high: int) -> bytes:
    return low.to_bytes(4, "little") + high.to_bytes(4, "little")


def random_events(
    placed: Placed, seed: int, count: int, times: Sequence[int] = TIMES
) -> list[Event]:
    """Some hits of every hook."""
    chance = random.Random(seed)
    return [
        Event(hook, _values(hook.layout, chance, times))
        for hook in placed.hooks
        for _ in range(count)
    ]


def _values(
    layout: RecordLayout, chance: random.Random, times: Sequence[int]
) -> dict[str, Item | None]:
    return {capture_text(c): _value(c, chance, times) for c in layout.captures}


def _value(capture: Capture, chance: random.Random, times: Sequence[int]) -> Item | None:
    if isinstance(capture, Load) and chance.random() < 0.2:
        return None
    if capture in {Context("realtime_ns"), Context("monotonic_ns")}:
        return chance.choice(times)
    if capture == Context("pid"):
        return chance.choice(PROCESSES)
    if capture_type(capture) is Value.LONG:
        return chance.choice(NUMBERS)
    return chance.choice(TEXTS)
