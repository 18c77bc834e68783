"""One random program, run by the interpreter and by the native engine: what each printed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.codegen.native.compile import compile_native
from bridge.engine.base import EmptyFeed, SessionOptions, run_session
from bridge.engine.session.host import LiveHost, OutputBuffer
from bridge.engine.session.native import NativeSession
from bridge.interpreter.host import NoHost
from bridge.interpreter.interpret import MINUTE_NS, Interpreter
from bridge.markers import Timer
from bridge.placement import place
from bridge.script.builtins import CONTEXTS
from tests.support.random_programs.generate import defines, script
from tests.support.random_programs.hits import TIMES, Event, random_events
from tests.support.scripts import compile_text

if TYPE_CHECKING:
    from bridge.artifact import Placed

HITS = 3
SUMMARY = "WARNING: Number of errors: "
OPTIMISED = 4
"""Every so many programs are compiled with all optimisations, which take most of the time."""
EARLY = TIMES[:2]
"""Hits of a script with timers come before the first of them."""


@dataclass(frozen=True)
class Seen:
    """What a run showed; the summary that the engine adds is left out of the messages."""

    output: bytes
    messages: tuple[str, ...]
    exit_code: int


class Replay(EmptyFeed):
    """Delivers records, then lets a minute pass, if there are timers."""

    def __init__(self, session: NativeSession, events: list[Event]) -> None:
        self.session = session
        self.records = [event.record() for event in events]
        self.time = 0

    def now(self) -> int:
        return self.time

    def turn(self, until_ns: int) -> bool:
        for record in self.records:
            self.session.deliver(record)
        self.time = MINUTE_NS
        return False


def compiled(seed: int) -> Placed:
    """The program of a seed, for user space alone."""
    program = compile_text(script(seed), defines=defines(seed)).placed.program
    return place(program, kernel=False)


def events_of(placed: Placed, seed: int) -> list[Event]:
    """The hits that the program of a seed sees."""
    return random_events(placed, seed, HITS, EARLY if has_timers(placed) else TIMES)


def has_timers(placed: Placed) -> bool:
    """Whether time must pass."""
    return any(isinstance(h.expansion.attachment, Timer) for h in placed.program.handlers)


def run_native(placed: Placed, events: list[Event], level: int = 2) -> Seen:
    """Machine code, optimised so far, and the C run time."""
    out, err = os.memfd_create("out"), os.memfd_create("err")
    try:
        options = SessionOptions(out, err, replay=has_timers(placed))
        with NativeSession(placed, options, compile_native(placed, level)) as session:
            result = run_session(session, Replay(session, events))
        return _seen(_content(out), _content(err).decode("latin-1"), result.exit_code)
    finally:
        os.close(out)
        os.close(err)


def _content(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def run_interpreted(placed: Placed, events: list[Event]) -> Seen:
    """The executable definition."""
    hits = [hit for event in events for hit in event.hits(placed)]
    # in a replay there is no memory
    host = NoHost() if has_timers(placed) else LiveHost(OutputBuffer(-1))
    outcome = Interpreter(placed.program, CONTEXTS, host=host).run_session(hits=hits)
    return _seen(outcome.output, "".join(f"{m}\n" for m in outcome.messages), outcome.exit_code)


def _seen(output: bytes, messages: str, exit_code: int) -> Seen:
    lines = [line for line in messages.splitlines() if not line.startswith(SUMMARY)]
    return Seen(output, tuple(lines), exit_code)


def difference(seed: int, placed: Placed | None = None) -> str:
    """How the two differ over the program of a seed; "" if they do not."""
    placed = placed or compiled(seed)
    events = events_of(placed, seed)
    level = 0 if seed % OPTIMISED else 2
    native, interpreted = run_native(placed, events, level), run_interpreted(placed, events)
    if native == interpreted:
        return ""
    program = f"seed {seed}\n{script(seed)}\n{defines(seed)}"
    return f"{program}\nnative      {native}\nreference   {interpreted}\n"
