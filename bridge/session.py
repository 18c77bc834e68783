"""A running script: the lines that it prints, its hits, its globals, and how it ended.

A thread of its own runs the script; whoever asks here waits for nothing but what is asked for.
The rule: what the script prints and what it hits is kept for who reads it, hits up to a bound
behind which they are counted as lost.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge._native import ffi
from bridge.engine.base import SessionOptions
from bridge.engine.child import start
from bridge.engine.hits import BUFFER_BYTES, Decoder, EventBuffer
from bridge.engine.live import RING_BYTES, LiveOptions, run_live
from bridge.engine.memory_file import MemoryFile
from bridge.engine.target import Target
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from bridge.artifact import Placed
    from bridge.engine.base import RunResult
    from bridge.engine.hits import Batch, Hit
    from bridge.engine.snapshot import GlobalValue
    from bridge.markers import Marker

_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Line:
    """One line that a script printed, without its newline."""

    bytes: bytes

    @property
    def text(self) -> str:
        """As UTF-8; bytes that are none become surrogates ("surrogateescape")."""
        return self.bytes.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Lost:
    """Hits that were not delivered.

    `kernel` found no room in the kernel's buffer, `unread` none in the one of `events()`,
    because they were not read in time.
    """

    kernel: int
    unread: int


class _Lines:
    """The read end of the pipe that the script prints to."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.ended = False
        self.waiting: deque[Line] = deque()
        self._part = b""
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def collect(self, *, wait: bool = False) -> None:
        """Read what is there; with `wait`, there is something, or the end."""
        if self.ended or not self._poll.poll(None if wait else 0):
            return
        data = os.read(self.descriptor, _BLOCK)
        *lines, self._part = (self._part + data).split(b"\n")
        self.waiting.extend(map(Line, lines))
        if not data:
            self.ended = True
            if self._part:
                self.waiting.append(Line(self._part))


class _Observer:
    """What the session's thread does for others, see `engine.base.Observer`."""

    def __init__(self) -> None:
        self.in_kernel = 0
        self.globals: dict[str, GlobalValue] = {}
        self.over = False
        self._asked: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    def opened(self, look: Callable[[], dict[str, GlobalValue]]) -> None:
        """Keep what is needed to look."""
        self._look = look

    def turn(self) -> None:
        """Answer who has asked."""
        if self._asked:
            self._answer()

    def lost(self, hits: int) -> None:
        """Note how many."""
        self.in_kernel = hits

    def ended(self) -> None:
        """The last look."""
        self._answer()

    def _answer(self) -> None:
        self.globals = self._look()
        while self._asked:
            self._asked.popleft().set()

    def finish(self) -> None:
        """Nobody answers any more."""
        with self._lock:
            self.over = True
        while self._asked:
            self._asked.popleft().set()

    def ask(self) -> dict[str, GlobalValue]:
        """The globals as they are at the next turn, or as they were at the end."""
        done = threading.Event()
        with self._lock:
            if not self.over:
                self._asked.append(done)
        if not self.over:
            done.wait()
        return self.globals


class Session:
    """A running script: iterate over the lines that it prints, as they come.

    The session ends by itself (exit(), the end of the command) or by leaving the `with`
    statement, which also ends the command if it still runs: with SIGTERM, and SIGKILL after
    five seconds. After that, `result` says how, and `messages` holds its warnings and errors.
    With `attach(events=True)` its hits can be read, too: `events`, `batches`, `on`.
    """

    def __init__(
        self,
        placed: Placed,
        target: str | Target,
        *,
        trace: Path | None = None,
        seconds: float | None = None,
        events: int = 0,
    ) -> None:
        self._placed = placed
        self._wanted = target
        self._trace = trace
        self._seconds = seconds
        self._events_bytes = events
        self._events: EventBuffer | None = None
        self._decoder = Decoder(placed.hooks) if events else None
        self._callbacks: dict[str, list[Callable[[Hit], object]]] = {}
        self._observer = _Observer()
        self._stop = threading.Event()
        self._reading = threading.Lock()
        self._failure: BaseException | None = None
        self._lines: _Lines | None = None
        self._poll: select.epoll | None = None
        self._ended = threading.Event()
        self._unread = 0
        self.options = SessionOptions()
        """How it behaves, but for where it prints to and its target; set before it starts."""
        self.ring_bytes = RING_BYTES
        """The size of the kernel's buffer; a power of two."""
        self.result: RunResult | None = None
        self.messages = ""

    def __enter__(self) -> Session:
        if self._lines is not None:
            raise BridgeError("a session runs once; attach the program again")
        wanted = self._wanted
        if self._events_bytes:
            self._events = EventBuffer(self._events_bytes)
        self._target = wanted if isinstance(wanted, Target) else Target.of_child(start(wanted))
        read, write = os.pipe()
        self._lines = _Lines(read)
        self._poll = select.epoll()
        self._poll.register(read, select.EPOLLIN)
        if self._events is not None:
            self._poll.register(self._events.descriptor, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, args=(write,), daemon=True)
        self._thread.start()
        return self

    # --- the session's thread -------------------------------------------------------------

    def _run(self, output: int) -> None:
        try:
            with MemoryFile() as messages:
                try:
                    self.result = run_live(
                        self._placed, self._target, self._options(output, messages)
                    )
                finally:
                    self.messages = messages.text()
        except BaseException as error:  # noqa: BLE001 - raised again where the session is used
            self._failure = error
        finally:
            self._target.abandon()
            self._observer.finish()
            self._ended.set()
            os.close(output)
            if self._events is not None:
                self._events.wake()

    def _options(self, output: int, messages: MemoryFile) -> LiveOptions:
        session = replace(self.options, output=output, messages=messages.descriptor)
        events = self._events
        return LiveOptions(
            replace(session, target=self._target.pid),
            self._stop.is_set,
            self._seconds,
            self.ring_bytes,
            trace=self._trace,
            observer=self._observer,
            events=ffi.NULL if events is None else events.lent.pointer,
        )

    # --- lines ----------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Line]:
        while (line := self._next_line()) is not None:
            yield line
        self._thread.join()
        self._raise()

    def _opened(self) -> _Lines:
        if self._lines is None:
            raise BridgeError("the session has not started; use it in a `with` statement")
        return self._lines

    def _next_line(self) -> Line | None:
        """The next line, for whichever thread comes first; None at the end."""
        lines = self._opened()
        with self._reading:
            if self._poll is None:
                raise BridgeError("the session has ended")
            while not lines.waiting and not lines.ended:
                lines.collect(wait=True)
            return lines.waiting.popleft() if lines.waiting else None

    def waiting_lines(self) -> list[Line]:
        """The lines that were printed since somebody read them last; waits for none."""
        lines = self._opened()
        with self._reading:
            lines.collect()
            found = list(lines.waiting)
            lines.waiting.clear()
            return found

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    # --- hits -----------------------------------------------------------------------------

    def events(self) -> Iterator[Hit]:
        """The hits of the markers as they come, to the end of the session.

        Lines that the script prints meanwhile are kept for `waiting_lines`. BridgeError without
        `attach(events=True)`.
        """
        for piece in self._pieces():
            yield from self._decoding().hits(piece)

    def batches(self, gather: float = 0.05) -> Iterator[Batch]:
        """The same by marker, as numpy arrays: as many hits at once as there are.

        Hits are gathered for so many seconds, because small arrays cost more. TraceError, if
        numpy is not installed.
        """
        for piece in self._pieces(gather):
            yield from self._decoding().batches(piece)

    async def events_async(self) -> AsyncIterator[Hit]:
        """The same for asyncio: `async for hit in session.events_async()`."""
        import asyncio

        self._buffer()
        loop, there = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self.fileno(), there.set)
        try:
            while True:
                there.clear()
                over = self._ended.is_set()
                piece = self._piece()
                for hit in self._decoding().hits(piece):
                    yield hit
                if piece:
                    await asyncio.sleep(0)
                elif over:
                    break
                else:
                    await there.wait()
        finally:
            loop.remove_reader(self.fileno())
        self._raise()

    def fileno(self) -> int:
        """A descriptor for poll(2): it can be read when hits or lines have come, or the end.

        Then `waiting_hits` and `waiting_lines` give them without waiting.
        """
        self._opened()
        if self._poll is None:
            raise BridgeError("the session has ended")
        return self._poll.fileno()

    def waiting_hits(self) -> list[Hit]:
        """Some of the hits that have come and nobody has read, none if there are none."""
        return list(self._decoding().hits(self._piece()))

    @property
    def over(self) -> bool:
        """Whether the script has ended; what it left can still be read."""
        return self._ended.is_set()

    def on(self, marker: Marker | str, callback: Callable[[Hit], object]) -> None:
        """Have a function called with each hit of a marker, while `run` runs.

        `marker` is one of those that the program attaches to, or the name that hits have.
        """
        from bridge.engine.trace.record import event_name

        self._decoding()
        names = {event_name(hook.attachment.marker) for hook in self._placed.hooks}
        name = marker if isinstance(marker, str) else event_name(marker)
        if name not in names:
            known = ", ".join(sorted(names)[:10])
            raise BridgeError(f"the script attaches to no marker `{name}`, but to {known}")
        self._callbacks.setdefault(name, []).append(callback)

    def run(self) -> RunResult:
        """Call the functions given to `on` with the hits, to the end of the session."""
        for hit in self.events():
            for callback in self._callbacks.get(hit.name, ()):
                callback(hit)
        assert self.result is not None
        return self.result

    def _buffer(self) -> EventBuffer:
        self._opened()
        self._decoding()
        if self._poll is None or self._events is None:
            raise BridgeError("the session has ended")
        return self._events

    def _decoding(self) -> Decoder:
        if self._decoder is None:
            raise BridgeError("hits are delivered by `attach(events=True)` only")
        return self._decoder

    def _piece(self) -> memoryview:
        """The oldest hits; empty if there are none now. Lines are kept for who reads them."""
        with self._reading:
            self._opened().collect()
        return self._buffer().take()

    def _pieces(self, gather: float = 0) -> Iterator[memoryview]:
        self._buffer()
        while True:
            over = self._ended.is_set()
            piece = self._piece()
            if piece:
                yield piece
            elif over:
                break
            else:
                self._wait()
                if gather:
                    self._ended.wait(gather)
        self._thread.join()
        self._raise()

    def _wait(self) -> None:
        if self._poll is None:
            raise BridgeError("the session has ended")
        if self._opened().ended:
            self._ended.wait()
        else:
            self._poll.poll()

    @property
    def lost(self) -> Lost:
        """How many hits were lost so far."""
        events = self._events
        unread = self._unread if events is None else events.dropped
        return Lost(self._observer.in_kernel, unread)

    # --- globals --------------------------------------------------------------------------

    @property
    def globals(self) -> dict[str, GlobalValue]:
        """The globals by name, as they are now (a tenth of a second later), or at the end.

        Arrays are dicts, statistics `Statistic`.
        """
        self._opened()
        return self._observer.ask()

    # --- the end --------------------------------------------------------------------------

    def stop(self) -> None:
        """End the session as Ctrl-C does: `end` probes run, what they print can be read."""
        self._stop.set()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        try:
            self._drain()
        finally:
            self._target.end()
        if error is None:
            self._raise()

    def _drain(self) -> None:
        """Let the session end, whatever it still prints."""
        with self._reading:
            lines = self._opened()
            while not lines.ended:
                lines.collect(wait=True)
                lines.waiting.clear()
            self._thread.join()
            if self._poll is not None:
                self._poll.close()
                self._poll = None
                os.close(lines.descriptor)
            if self._events is not None:
                self._unread, events = self._events.dropped, self._events
                self._events = None
                events.close()


DEFAULT_EVENTS = BUFFER_BYTES
