"""The life of a session, the same whatever delivers its hits.

begin handlers by priority -> arm -> records and timers in order of time -> stop -> disarm ->
the last records -> merge what the kernel holds -> end (or error) handlers -> summary. The
rule: Python runs once per turn of the loop, never per record.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

from bridge import declared
from bridge.markers import Begin, End, Error, ServedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from bridge.artifact import Placed
    from bridge.engine.snapshot import GlobalValue
    from bridge.ir.program import Handler

TURN_NS = 100_000_000
"""The longest turn: how late a stop from outside may be noticed."""


class SessionState(IntEnum):
    """enum mb_session_state."""

    STARTING = declared.MB_STARTING
    RUNNING = declared.MB_RUNNING
    STOPPING = declared.MB_STOPPING
    FAILED = declared.MB_FAILED
    STOPPED = declared.MB_STOPPED


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended.

    `exit_code` as stap's: 0, or 1 if an ERROR line was printed or the command failed. `errors`
    counts failed handlers, `skipped` those that were not run, `lost` records that did not
    arrive. `command_status` is the exit status of the command, or minus the signal that ended
    it; None if it still ran at the end, or there is none.
    """

    exit_code: int
    errors: int = 0
    skipped: int = 0
    lost: int = 0
    command_status: int | None = None


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How a session behaves.

    `output` and `messages` are file descriptors; `output_path` is the file that `output` is, if
    switch_file() may go on to the next one. `replay`: time is what the records say.
    `realtime_offset_ns` is what to add to a record's time to get nanoseconds since 1970.
    `modules` are files whose symbols and call frames back traces know, besides those that the
    script probes.
    """

    output: int = 1
    messages: int = 2
    target: int = 0
    replay: bool = False
    realtime_offset_ns: int = 0
    quiet: bool = False
    repeat_warnings: bool = False
    suppress_errors: bool = False
    folded: bool = False
    """Whether back traces are counted, and printed at the end as `name;main;work 12`."""
    output_path: str = ""
    modules: tuple[str, ...] = ()
    name: str = "script"
    """What the folder of its files is called, if it serves any."""


def known_modules(placed: Placed, options: SessionOptions) -> tuple[str, ...]:
    """Files whose symbols back traces know, without repetition: what is probed comes first."""
    sites = (site for hook in placed.hooks for site in hook.attachment.marker.sites)
    return tuple(dict.fromkeys((*(site.path for site in sites), *options.modules)))


class RunningScript(Protocol):
    """What the life cycle needs of a running script: machine code, or the interpreter."""

    @property
    def state(self) -> SessionState:
        """Where it is."""
        ...

    @state.setter
    def state(self, state: SessionState) -> None: ...

    @property
    def longest(self) -> int:
        """How many bytes a string has at most."""
        ...

    @property
    def options(self) -> SessionOptions:
        """How it behaves."""
        ...

    @property
    def handlers(self) -> Iterable[Handler]:
        """The handlers in the order of their numbers."""
        ...

    def run(self, handler: int) -> SessionState:
        """Run one handler that is not on a marker."""
        ...

    def serve(self, handler: int, text: bytes, most: int) -> bytes:
        """Run the handler of a served file; what a reader gets, at most so many bytes."""
        ...

    def start_timers(self, now_ns: int) -> None:
        """Timers count from now."""
        ...

    def run_timers(self, now_ns: int) -> SessionState:
        """Fire what is due."""
        ...

    def next_timer(self) -> int | None:
        """When the next timer is due."""
        ...

    def flush(self) -> None:
        """Write what was printed."""
        ...

    def stop(self) -> None:
        """End normally, as exit() does."""
        ...

    def warn(self, message: str) -> None:
        """Print a warning."""
        ...

    def result(self) -> RunResult:
        """Counts and exit code."""
        ...


class LiveSession(RunningScript, Protocol):
    """What a feed of live hits needs besides."""

    @property
    def placed(self) -> Placed:
        """The program, and where its handlers run."""
        ...

    @property
    def handle(self) -> Any:  # noqa: ANN401 - cffi
        """The C session; NULL if there is none, and then the kernel holds no globals."""
        ...

    @property
    def lent(self) -> AbstractContextManager[Any]:
        """The same, for as long as nobody else uses or closes it; BridgeError once closed."""
        ...

    def consumer(self, live: Any) -> tuple[Any, Any]:  # noqa: ANN401 - cffi
        """A function that takes records out of the ring buffer, and its context."""
        ...

    def blame(self, handler: int, site: int | None, message: bytes) -> None:
        """Count an error that a handler had elsewhere."""
        ...

    def note_lost(self, records: int) -> None:
        """Count records that did not arrive."""
        ...

    def watch_files(self) -> None:
        """Keep what processes map, for hits that are looked at when they have ended."""
        ...

    def take_files(self) -> None:
        """What was mapped since."""
        ...

    def print_folded(self) -> None:
        """Print the back traces that were counted instead of printed."""
        ...

    def stacks(self) -> tuple[int, int]:
        """Back traces that hits brought too few bytes for, and those of ended processes."""
        ...


class Feed(Protocol):
    """Where hits come from: the kernel, a trace, or nowhere."""

    def now(self) -> int:
        """The time that timers and records go by, in nanoseconds."""
        ...

    def arm(self) -> int:
        """From now on hits are delivered; the time from which timers count."""
        ...

    def turn(self, until_ns: int) -> bool:
        """Deliver what is there; wait for more until then. False once there will be no more."""
        ...

    def settle(self) -> None:
        """Runs before handlers that no hit started: merge what is held elsewhere."""
        ...

    def disarm(self) -> None:
        """No more hits; then deliver the last records and merge everything."""
        ...


class Observer(Protocol):
    """Somebody who looks at a session from its own thread while it runs."""

    def opened(self, look: Callable[[], dict[str, GlobalValue]]) -> None:
        """Before anything runs. `look` gives the globals as they are now."""
        ...

    def turn(self) -> None:
        """Once per turn of the loop."""
        ...

    def lost(self, hits: int) -> None:
        """So many hits found no room in the kernel's buffer so far."""
        ...

    def ended(self) -> None:
        """After the last handler; the globals are still there."""
        ...


class EmptyFeed:
    """No hits at all: begin, end and timers only."""

    def now(self) -> int:
        """The monotonic clock."""
        return time.monotonic_ns()

    def arm(self) -> int:
        """Nothing to arm."""
        return self.now()

    def turn(self, until_ns: int) -> bool:
        """Sleep."""
        time.sleep(max(0, until_ns - self.now()) / 1e9)
        return True

    def settle(self) -> None:
        """Nothing is held elsewhere."""

    def disarm(self) -> None:
        """Nothing to disarm."""


def run_session(
    session: RunningScript,
    feed: Feed,
    stopped: Callable[[], bool] = lambda: False,
    observer: Observer | None = None,
) -> RunResult:
    """The whole life of a session.

    `stopped` is asked once per turn whether something outside (a signal, -T, the end of the
    command) ends it.
    """
    begin(session)
    run_hits(session, feed, stopped, observer)
    end(session)
    if observer is not None:
        observer.ended()
    result = session.result()
    warn_of_errors(session, result)
    return result


def run_hits(
    session: RunningScript,
    feed: Feed,
    stopped: Callable[[], bool] = lambda: False,
    observer: Observer | None = None,
) -> None:
    """From arming to disarming, if the session is still running."""
    if session.state is SessionState.RUNNING:
        with _files_of(session, feed) as serve_files:
            start = feed.arm()
            try:
                session.start_timers(start)
                _loop(session, feed, stopped, _turns(observer, serve_files))
            finally:
                feed.disarm()


def _turns(
    observer: Observer | None, serve_files: Callable[[], None] | None
) -> list[Callable[[], None]]:
    """What is done once per turn of the loop."""
    found = [] if observer is None else [observer.turn]
    return found if serve_files is None else [*found, serve_files]


@contextmanager
def _files_of(session: RunningScript, feed: Feed) -> Iterator[Callable[[], None] | None]:
    """What serves the files that the script has probes of, if any."""
    if not any(isinstance(h.expansion.attachment, ServedFile) for h in session.handlers):
        yield None
        return
    from bridge.engine.served_files import ServedFiles

    with closing(ServedFiles(session, session.options.name, feed.settle)) as files:
        yield files.turn


def warn_of_errors(session: RunningScript, result: RunResult) -> None:
    """The last line of a session in which something failed."""
    if result.errors or result.skipped:
        session.warn(f"Number of errors: {result.errors}, skipped probes: {result.skipped}")


def _by_priority(
    session: RunningScript, kind: type[Begin] | type[End] | type[Error]
) -> list[int]:
    found = [
        (attachment.priority, number)
        for number, handler in enumerate(session.handlers)
        if isinstance(attachment := handler.expansion.attachment, kind)
    ]
    return [number for _, number in sorted(found)]


def begin(session: RunningScript) -> None:
    """The begin handlers; then it runs, unless one of them ended it."""
    for number in _by_priority(session, Begin):
        if session.run(number) is not SessionState.STARTING:
            break
    session.flush()
    if session.state is SessionState.STARTING:
        session.state = SessionState.RUNNING


def _loop(
    session: RunningScript,
    feed: Feed,
    stopped: Callable[[], bool],
    turns: list[Callable[[], None]],
) -> None:
    while session.state is SessionState.RUNNING:
        for turn in turns:
            turn()
        if stopped():
            session.stop()
            return
        due = session.next_timer()
        until = feed.now() + TURN_NS
        more = feed.turn(until if due is None else min(due, until))
        if due is not None and due <= feed.now() and session.state is SessionState.RUNNING:
            feed.settle()
            session.run_timers(feed.now())
        session.flush()
        if not more:
            session.stop()


def end(session: RunningScript) -> None:
    """The end handlers, or those of error if the session has failed."""
    if session.state is not SessionState.FAILED:
        session.state = SessionState.STOPPING
        for number in _by_priority(session, End):
            if session.run(number) is SessionState.FAILED:
                break
    if session.state is SessionState.FAILED:
        for number in _by_priority(session, Error):
            if session.run(number) is not SessionState.FAILED:
                break
    session.flush()
