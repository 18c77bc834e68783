"""The interpreter's side of live records, without the kernel."""

from __future__ import annotations

import pytest

from bridge._native import ffi
from bridge.engine.base import SessionOptions
from bridge.engine.session.interpreted import InterpretedSession
from bridge.engine.session.record_decode import read_record
from bridge.placement import place
from tests.support.random_programs.compare import compiled
from tests.support.random_programs.hits import random_events
from tests.support.scripts import compile_text

SCRIPT = 'probe process("demo").mark("hit") { println($arg1) }'


def test_records_are_read_as_they_are_written() -> None:
    read = 0
    for seed in range(30):
        for event in random_events(compiled(seed), seed, 3):
            assert read_record(event.record(), event.hook.layout) == event.values
            read += len(event.values)
    assert read > 50


def test_an_error_of_our_own_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = place(compile_text(SCRIPT).placed.program, kernel=False)
    session = InterpretedSession(placed, SessionOptions())
    live = ffi.new("struct mb_live *")
    consume, context = session.consumer(live)
    (event,) = random_events(placed, 1, 1)
    record = ffi.from_buffer("char[]", event.record())

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(InterpretedSession, "_take", fail)
    session.flush()
    assert consume(context, ffi.cast("struct mb_record *", record)) == 1
    with pytest.raises(ZeroDivisionError):
        session.flush()
