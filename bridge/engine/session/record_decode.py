"""A record -> the hits of its handlers, as the interpreter takes them.

One rule: the layout alone says what the bytes mean (`bridge.artifact`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.artifact import FAULT, SLOT_BYTES
from bridge.interpreter.interpret import HandlerHit, UnreadableMemory
from bridge.ir.arithmetic import calculate
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
    from collections.abc import Iterator, Mapping

    from bridge.artifact import Hook, Placed, RecordLayout
    from bridge.ir.program import Capture

Item = int | bytes
Values = dict[str, Item | None]
"""By `capture_text`; None is memory that could not be read."""


def read_record(record: bytes, layout: RecordLayout) -> Values:
    """The values in a record."""
    return {capture_text(c): _value(record, layout, c) for c in layout.captures}


def hold_of(record: bytes, layout: RecordLayout) -> int:
    """What became of the process of the hit: `codegen.bpf_hold` STOPPED, MISSED or 0."""
    return _word(record, layout.stopped_offset) if layout.held else 0


def _value(record: bytes, layout: RecordLayout, capture: Capture) -> Item | None:
    at = layout.offset(capture)
    if capture_type(capture) is Value.STRING:
        offset, length = _word(record, at), _word(record, at + SLOT_BYTES // 2)
        return None if length == FAULT else record[offset : offset + length]
    if isinstance(capture, Load) and _word(record, at + SLOT_BYTES) == FAULT:
        return None
    return int.from_bytes(record[at : at + SLOT_BYTES], "little", signed=True)


def _word(record: bytes, at: int) -> int:
    return int.from_bytes(record[at : at + SLOT_BYTES // 2], "little")


def hits_of(placed: Placed, hook: Hook, values: Values) -> Iterator[HandlerHit]:
    """The hits of a hook's handlers, in the order in which they run."""
    contexts = {
        capture.name: found
        for capture in hook.layout.captures
        if isinstance(capture, Context) and (found := values[capture_text(capture)]) is not None
    }
    for number in hook.user:
        captures = placed.program.handlers[number].captures
        yield HandlerHit(number, [_seen(capture, values) for capture in captures], contexts)


def _seen(capture: Capture, values: Mapping[str, Item | None]) -> Item | UnreadableMemory:
    value = values[capture_text(capture)]
    if value is not None:
        return value
    assert isinstance(capture, Load)
    return UnreadableMemory(_address(capture.address, values) or 0)


def _address(capture: Capture, values: Mapping[str, Item | None]) -> int | None:
    """The address is told if all of it is part of the record."""
    match capture:
        case Literal(value=value):
            return value
        case Computed(op=op, left=left, right=right):
            sides = _address(left, values), _address(right, values)
            known = sides[0] is not None and sides[1] is not None
            return calculate(op, sides[0] or 0, sides[1] or 0) if known else None
        case _:
            found = values.get(capture_text(capture))
            return found if isinstance(found, int) else None
