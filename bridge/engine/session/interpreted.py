"""A placed program -> a session of the reference interpreter, live.

The counterpart of `engine.native`: the same records of the same hits, but what handlers do with
them is what `ir.interpret` defines, and nothing of the C run time. It is slow. One rule: all
handlers run in user space.
"""

from __future__ import annotations

import random
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.artifact import MISSED, STOPPED, Where
from bridge.declared import MB_START_HOOK
from bridge.engine.base import RunResult, SessionState, known_modules
from bridge.engine.session.host import LiveHost, OutputBuffer, identities, write_all
from bridge.engine.session.record_decode import hits_of, hold_of, read_record
from bridge.interpreter import session as reference
from bridge.interpreter.faults import ScriptError
from bridge.markers import Timer
from bridge.script.builtins import CONTEXTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.artifact import Hook, Placed
    from bridge.engine.base import SessionOptions
    from bridge.engine.kernel.memory import KernelMemory
    from bridge.engine.session.record_decode import Values
    from bridge.ir.program import Handler

_STATES = {
    reference.InterpreterState.RUNNING: SessionState.RUNNING,
    reference.InterpreterState.STOPPING: SessionState.STOPPING,
    reference.InterpreterState.FAILED: SessionState.FAILED,
}
_RULING = {ours: theirs for theirs, ours in _STATES.items()}


class InterpretedSession:
    """A running script; the protocol of `engine.base.LiveSession`."""

    handle = ffi.NULL
    lent = nullcontext(ffi.NULL)
    """There is no C session."""

    def __init__(
        self, placed: Placed, options: SessionOptions, memory: KernelMemory | None = None
    ) -> None:
        self._memory = memory
        assert all(placement.where is Where.USER for placement in placed.placements)
        self.placed = placed
        self.options = options
        self._output = OutputBuffer(options.output, options.output_path)
        self._script = reference.InterpreterSession(
            placed.program,
            CONTEXTS,
            self._output.write,
            self._message,
            options.target,
            LiveHost(self._output, identities(known_modules(placed, options)), memory),
            reference.Manner(options.quiet, options.repeat_warnings, options.suppress_errors),
        )
        self._started = False
        self._any_error = False
        self._lost = 0
        self._crash: BaseException | None = None
        self._callback: Any = None
        self._timers = [
            _Timer(number, timer.period_ns, timer.randomize_ns)
            for number, handler in enumerate(self.handlers)
            if isinstance(timer := handler.expansion.attachment, Timer)
        ]

    def _message(self, text: str) -> None:
        self._output.flush()
        self._any_error |= text.startswith("ERROR")
        write_all(self.options.messages, f"{text}\n".encode("latin-1"))

    # --- the protocol of bridge.engine.base ---------------------------------------------------

    @property
    def longest(self) -> int:
        """How many bytes a string has at most."""
        return self.placed.program.limits.maxstringlen - 1

    @property
    def handlers(self) -> Sequence[Handler]:
        """The handlers in the order of their numbers."""
        return self.placed.program.handlers

    @property
    def state(self) -> SessionState:
        """Where it is."""
        state = _STATES[self._script.state]
        return (
            SessionState.STARTING
            if state is SessionState.RUNNING and not self._started
            else state
        )

    @state.setter
    def state(self, state: SessionState) -> None:
        self._started = True
        self._script.state = _RULING[state]

    def run(self, handler: int) -> SessionState:
        """Run one handler that is not on a marker."""
        self._script.hit = {}
        self._script.run_handler(self.handlers[handler])
        return self.state

    def serve(self, handler: int, text: bytes, most: int) -> bytes:
        """Run the handler of a served file; what a reader gets."""
        self._script.file[:] = text
        self._script.file_most = max(most, len(text))
        self.run(handler)
        return bytes(self._script.file)

    def start_timers(self, now_ns: int) -> None:
        """Timers count from now."""
        for timer in self._timers:
            timer.base_ns = now_ns
            timer.schedule(now_ns)

    def run_timers(self, now_ns: int) -> SessionState:
        """Fire what is due."""
        while (
            self.state is SessionState.RUNNING and (self.next_timer() or now_ns + 1) <= now_ns
        ):
            timer = min(self._timers, key=lambda timer: timer.due_ns)
            self.run(timer.handler)
            timer.schedule(now_ns)
        return self.state

    def next_timer(self) -> int | None:
        """When the next timer is due."""
        return min((timer.due_ns for timer in self._timers), default=None)

    def flush(self) -> None:
        """Write what was printed; raise what went wrong in the interpreter itself."""
        self._output.flush()
        if self._crash is not None:
            raise self._crash

    def stop(self) -> None:
        """End normally, as exit() does."""
        self._script.stop()

    def warn(self, message: str) -> None:
        """Print a warning on the messages' file descriptor."""
        self._script.warn(message.encode())

    def note_lost(self, records: int) -> None:
        """Count records that did not arrive."""
        self._lost += records

    def watch_files(self) -> None:
        """It knows what there is when a handler runs, and nothing of processes that ended."""

    def take_files(self) -> None:
        """None."""

    def print_folded(self) -> None:
        """None: it prints each."""

    def stacks(self) -> tuple[int, int]:
        """Back traces that hits brought too few bytes for, and those of ended processes."""
        return self._script.cut_stacks, self._script.gone_stacks

    def blame(self, handler: int, site: int | None, message: bytes) -> None:
        """Count an error of a handler that happened elsewhere."""
        self._script.failed(self.handlers[handler], ScriptError(message, site))

    def result(self) -> RunResult:
        """Counts and exit code."""
        return RunResult(int(self._any_error), self._script.errors, 0, self._lost)

    # --- records ------------------------------------------------------------------------------

    def consumer(self, live: Any) -> tuple[Any, Any]:  # noqa: ANN401 - cffi
        """A function for `mb_ring_consume`, and its context."""

        def consume(_context: object, record: Any) -> int:  # noqa: ANN401 - cffi
            if record.hook == MB_START_HOOK:  # no hit of the script's
                return int(lib.mb_live_consume(live, record))
            data = bytes(ffi.buffer(record, record.size))
            self._take(live, self.placed.hooks[record.hook], data)
            return int(self.state is not SessionState.RUNNING)

        def crashed(_kind: object, error: BaseException, _trace: object) -> int:
            self._crash = error
            return 1

        self._callback = ffi.callback("mb_record_handler", consume, onerror=crashed)
        return self._callback, live

    def _take(self, live: Any, hook: Hook, record: bytes) -> None:  # noqa: ANN401 - cffi
        values = read_record(record, hook.layout)
        hold = hold_of(record, hook.layout)
        if hold != STOPPED:
            live.unheld += hold == MISSED and not live.only_record
            self._dispatch(live, hook, values)
            return
        pid = values["pid()"]
        assert isinstance(pid, int)
        live.beat[0] = time.monotonic_ns()
        stood = live.only_record or lib.mb_live_wait(live, pid)
        try:
            self._dispatch(live, hook, values)
        finally:
            stood = lib.mb_hold_release(live.held_map, pid) and stood
            live.unheld += not (live.only_record or stood)

    def _dispatch(self, live: Any, hook: Hook, values: Values) -> None:  # noqa: ANN401 - cffi
        for hit in hits_of(self.placed, hook, values):
            if self.state is SessionState.RUNNING and not live.only_record:
                self._script.hit = dict(hit.contexts)
                self._script.goes_on = not hook.layout.held
                self._script.run_handler(self.handlers[hit.handler], hit.captures)
        self._script.hit, self._script.goes_on = {}, False

    def __enter__(self) -> InterpretedSession:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing of it lives on."""
        if self._memory is not None:
            self._memory.close()


@dataclass(slots=True)
class _Timer:
    """Periods that were missed are not made up for."""

    handler: int
    period_ns: int
    randomize_ns: int
    base_ns: int = 0
    due_ns: int = 0

    def schedule(self, now_ns: int) -> None:
        self.base_ns = max(self.base_ns + self.period_ns, now_ns)
        spread = self.randomize_ns
        self.due_ns = self.base_ns + random.randint(-spread, spread)  # noqa: S311 - no secret
