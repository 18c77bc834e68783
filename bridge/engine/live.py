"""Live sessions: what ends them from outside, and the choice of what delivers their hits.

One rule: a script without markers loads nothing into the kernel, and needs no right to, unless
it reads the kernel's memory.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.deferred_reads import first_kernel_read
from bridge.engine.base import run_session
from bridge.engine.session.native import NativeSession
from bridge.engine.snapshot import snapshot
from bridge.placement import place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.artifact import Placed
    from bridge.engine.base import LiveSession, Observer, RunResult, SessionOptions
    from bridge.engine.kernel.memory import KernelMemory
    from bridge.engine.session.interpreted import InterpretedSession
    from bridge.engine.target import Target
    from bridge.engine.trace.recorders import MakeRecorder

RING_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How a live session runs.

    `stopped` is asked every turn whether something outside ends the session; `seconds` is how
    long it lasts at most. `trace` is the folder to record into. `armed` is called when all
    probes are in place, before the command runs. `interpret`: the handlers are run by the
    reference interpreter. `observer` looks on; `events` is the buffer (`struct mb_events`) that
    gets a copy of each hit. `recorder` makes what takes the hits, of whose handlers none runs.
    """

    session: SessionOptions
    stopped: Callable[[], bool]
    seconds: float | None = None
    ring_bytes: int = RING_BYTES
    trace: Path | None = None
    armed: Callable[[], None] = lambda: None
    interpret: bool = False
    observer: Observer | None = None
    events: Any = ffi.NULL
    recorder: MakeRecorder | None = None


def run_live(placed: Placed, target: Target, options: LiveOptions) -> RunResult:
    """Run a program on this machine."""
    result = _run(placed, target, options)
    failed = bool(target.warning())
    return replace(
        result, exit_code=result.exit_code or int(failed), command_status=target.code
    )


def _run(placed: Placed, target: Target, options: LiveOptions) -> RunResult:
    offset = time.time_ns() - time.monotonic_ns()
    session_options = replace(options.session, target=target.pid, realtime_offset_ns=offset)
    outside = Outside(target, options)
    if options.interpret:
        placed = place(placed.program, kernel=False)
    if placed.hooks or options.trace is not None:
        from bridge.engine.kernel.feed import run_kernel

        return run_kernel(placed, session_options, outside)
    with open_session(placed, session_options, interpret=options.interpret) as session:
        if options.observer is not None:
            options.observer.opened(lambda: snapshot(session))
        return run_session(session, TimerFeed(session, outside), observer=options.observer)


def open_session(
    placed: Placed, options: SessionOptions, *, interpret: bool
) -> NativeSession | InterpretedSession:
    """What runs the handlers."""
    memory = _kernel_memory(placed)
    try:
        if interpret:
            from bridge.engine.session.interpreted import InterpretedSession

            return InterpretedSession(placed, options, memory)
        return NativeSession.open(placed, options, memory)
    except BaseException:
        if memory is not None:
            memory.close()
        raise


def _kernel_memory(placed: Placed) -> KernelMemory | None:
    if first_kernel_read(placed.program) is None:
        return None
    from bridge.engine.kernel.memory import kernel_memory

    return kernel_memory(placed.program)


class Outside:
    """What ends a session from outside: a signal, the target's end, the time."""

    def __init__(self, target: Target, options: LiveOptions) -> None:
        self.target = target
        self.options = options
        self._deadline_ns: int | None = None

    def begin(self) -> None:
        """The time starts, and the command."""
        self.options.armed()
        if self.options.seconds is not None:
            self._deadline_ns = time.monotonic_ns() + int(self.options.seconds * 1e9)
        self.target.release()

    def stopped(self) -> bool:
        """Whether it is over."""
        if self._deadline_ns is not None and time.monotonic_ns() >= self._deadline_ns:
            return True
        return self.options.stopped() or self.target.ended()

    def limit(self, until_ns: int) -> int:
        """The earlier of a time and the end."""
        return until_ns if self._deadline_ns is None else min(until_ns, self._deadline_ns)

    def warn(self, session: LiveSession) -> None:
        """Say that the command failed."""
        warning = self.target.warning() if self.target.ended() else ""
        if warning:
            session.warn(warning)


class TimerFeed:
    """No hits: begin, end and timers only; nothing is loaded into the kernel."""

    def __init__(self, session: LiveSession, outside: Outside) -> None:
        self._session = session
        self._outside = outside

    def now(self) -> int:
        """The monotonic clock."""
        return time.monotonic_ns()

    def arm(self) -> int:
        """Let the command run."""
        self._outside.begin()
        return self.now()

    def turn(self, until_ns: int) -> bool:
        """Sleep until then, or until a signal."""
        if self._outside.stopped():
            return False
        turn = ffi.new("struct mb_ring_turn *", {"until_ns": self._outside.limit(until_ns)})
        lib.mb_ring_consume(ffi.NULL, ffi.NULL, ffi.NULL, turn)
        return True

    def settle(self) -> None:
        """Nothing is held elsewhere."""

    def disarm(self) -> None:
        """Say how the command ended."""
        self._outside.warn(self._session)
