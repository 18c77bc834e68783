"""Random programs: the interpreter and the native engine print the same.

MARKBRIDGE_SEEDS sets how many (the standard run takes a few).
"""

import os
from pathlib import Path

import pytest
from scripts import compile_text

from bridge.artifact import Placed
from bridge.engine.base import EmptyFeed, run_session
from bridge.engine.native import NativeSession, SessionOptions
from bridge.ir import ops
from bridge.ir.interpret import Interpreter
from bridge.pipeline import CONTEXTS
from bridge.placement import place
from tests.properties.ir.generate import script
from tests.properties.ir.hits import Event, random_events

SEEDS = int(os.environ.get("MARKBRIDGE_SEEDS", "40"))
HITS = 3


class Replay(EmptyFeed):
    """Delivers records, then is at its end."""

    def __init__(self, session: NativeSession, events: list[Event]) -> None:
        self.session = session
        self.events = events

    def turn(self, until_ns: int) -> bool:
        for event in self.events:
            self.session.deliver(event.record())
        return False


def _compiled(seed: int) -> Placed:
    compiled = compile_text(script(seed), defines={"MAXERRORS": "1000"})
    return place(compiled.placed.program, kernel=False)


def _native(placed: Placed, events: list[Event], folder: Path) -> tuple[bytes, list[str]]:
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        options = SessionOptions(out.fileno(), err.fileno(), repeat_warnings=True)
        with NativeSession.open(placed, options) as session:
            run_session(session, Replay(session, events))
    messages = (folder / "err").read_text("latin-1").splitlines()
    return (folder / "out").read_bytes(), _errors(messages)


def _interpreted(placed: Placed, events: list[Event]) -> tuple[bytes, list[str]]:
    hits = [hit for event in events for hit in event.hits(placed)]
    outcome = Interpreter(placed.program, CONTEXTS).run_session(hits=hits)
    return outcome.output, _errors("\n".join(outcome.messages).splitlines())


def _errors(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith("WARNING")]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_interpreter_and_native_agree(seed: int, tmp_path: Path) -> None:
    placed = _compiled(seed)
    events = random_events(placed, seed, HITS)
    assert _native(placed, events, tmp_path) == _interpreted(placed, events)


def test_the_generator_covers_every_operation() -> None:
    seen: set[type] = set()
    for seed in range(40):
        program = _compiled(seed).program
        bodies = [*program.functions, *(handler.body for handler in program.handlers)]
        for block in (block for body in bodies for block in body.blocks):
            seen |= {type(op) for op in (*block.ops, block.terminator)}
    every = {
        *ops.Op.__args__,  # type: ignore[attr-defined]  # of a union
        *ops.Terminator.__args__,  # type: ignore[attr-defined]
    }
    assert every - seen == set()
