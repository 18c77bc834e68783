"""Random hits for a placed program: as records for the run time, and for the interpreter."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.artifact import FAULT, HEADER_BYTES, SLOT_BYTES, Hook, RecordLayout
from bridge.ir.arithmetic import calculate
from bridge.ir.interpret import Hit, Unreadable
from bridge.ir.program import (
    Computed,
    Context,
    Literal,
    Load,
    Value,
    capture_text,
    capture_type,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.artifact import Placed
    from bridge.ir.program import Capture

Item = int | bytes
NUMBERS = (0, 1, -1, 5, 1000, 2**31, 2**63 - 1, -(2**63))
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
        body = slots + strings
        body += bytes(-len(body) % 8)
        time = self.values.get("realtime_ns()") or 0
        assert isinstance(time, int)
        head = _words(HEADER_BYTES + len(body), self.hook.id) + time.to_bytes(8, "little")
        return head + body

    def hits(self, placed: Placed) -> list[Hit]:
        """The same for the interpreter, handler by handler."""
        contexts = {
            c.name: self.values[capture_text(c)]
            for c in self.hook.layout.captures
            if isinstance(c, Context)
        }
        return [
            Hit(number, [self._seen(c) for c in handler.captures], contexts)
            for number in self.hook.user
            for handler in [placed.program.handlers[number]]
        ]

    def _seen(self, capture: Capture) -> Item | Unreadable:
        value = self.values[capture_text(capture)]
        if value is not None:
            return value
        assert isinstance(capture, Load)
        return Unreadable(self._address(capture.address) or 0)

    def _address(self, capture: Capture) -> int | None:
        """The address is told if all of it is part of the record."""
        match capture:
            case Literal(value=value):
                return value
            case Context("realtime_ns"):
                # that is the time of the record itself
                value = self.values.get(capture_text(capture), 0)
                return value if isinstance(value, int) else None
            case Computed(op=op, left=left, right=right):
                sides = self._address(left), self._address(right)
                known = sides[0] is not None and sides[1] is not None
                return calculate(op, sides[0] or 0, sides[1] or 0) if known else None
            case _:
                found = self.values.get(capture_text(capture))
                return found if isinstance(found, int) else None


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
    if capture == Context("realtime_ns"):
        return chance.choice(times)
    if capture_type(capture) is Value.LONG:
        return chance.choice(NUMBERS)
    return chance.choice(TEXTS)
