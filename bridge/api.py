"""markbridge as a library: compile a script, attach it, replay it, list markers.

These are the names that `import bridge` offers. Everything else is private by documentation.
"""

from __future__ import annotations

import os
import shlex
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.diagnostics import Diagnostic, Sink
from bridge.engine.base import SessionOptions
from bridge.engine.child import start
from bridge.engine.kernel.features import reaches_functions
from bridge.engine.live import LiveOptions, run_live
from bridge.engine.target import Target
from bridge.errors import BridgeError, CompileError
from bridge.pipeline import compile_script
from bridge.probes.live import LiveTargets
from bridge.script.options import AnalyseOptions
from bridge.script.syntax.parse import parse
from bridge.script.syntax.read import read_text, why
from bridge.source import SourceMap
from bridge.world import LiveWorld

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import TextIO

    from bridge.artifact import Placed
    from bridge.attachments import Attachment
    from bridge.engine.base import RunResult
    from bridge.markers import Marker, Targets


@dataclass(frozen=True, slots=True)
class Record:
    """One line that a script printed, without its newline."""

    text: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay gave: all that the script printed, its messages, and how it ended."""

    text: str
    messages: str
    result: RunResult


class Program:
    """A script that parses. What it probes is looked up when it is attached or replayed.

    `name` is what messages call it; `options` are those of the front end.
    """

    def __init__(self, name: str, text: bytes, options: AnalyseOptions) -> None:
        self.name = name
        self.text = text
        self.options = options
        self._parse()

    def _parse(self) -> None:
        sources, sink = SourceMap(), Sink()
        parse(sources.add(self.name, self.text), sources, sink, self.options)
        if sink.failed:
            raise CompileError(sink.errors, "parse", sources)

    def _place(self, targets: Targets, *, record: bool = False) -> Placed:
        sources = SourceMap()
        main = sources.add(self.name, self.text)
        return compile_script(main, sources, targets, self.options, record=record).placed

    def attach(
        self,
        command: str | Sequence[str] = "",
        *,
        pid: int = 0,
        trace: Path | str | None = None,
        seconds: float | None = None,
    ) -> Session:
        """Run the script on this machine; use the result in a `with` statement.

        `command` is started once the probes are in place and ends the session when it ends, as
        `pid` does; `trace` is a folder to record into; `seconds` bounds the session. Nothing is
        started or attached before the `with` statement is entered.
        CompileError, if what the script probes is not there; HostError, if a right is missing;
        BridgeError, if there is no process `pid`.
        """
        words = command if isinstance(command, str) else shlex.join(command)
        targets = LiveTargets(LiveWorld(), words, pid, reached=reaches_functions)
        placed = self._place(targets, record=trace is not None)
        target = Target.of_process(pid) if pid and not words else Target()
        return Session(placed, words or target, None if trace is None else Path(trace), seconds)

    def attachments(
        self, command: str | Sequence[str] = "", *, pid: int = 0
    ) -> tuple[Attachment, ...]:
        """What the script would attach to on this machine, without running anything.

        `command` and `pid` say what `process` without a path means. CompileError, if what the
        script probes is not there.
        """
        from bridge.attachments import attachments

        words = command if isinstance(command, str) else shlex.join(command)
        world = LiveWorld()
        targets = LiveTargets(world, words, pid, reached=reaches_functions)
        return attachments(self._place(targets), world)

    def replay(self, trace: Path | str) -> Replayed:
        """Run the script over a recorded trace.

        CompileError, if the trace does not hold what the script reads; TraceError, if it cannot
        be opened.
        """
        from bridge.engine.trace.replay import open_recorded, run_replay

        placed = self._place(open_recorded(Path(trace)))
        with _Memory() as output, _Memory() as messages:
            options = SessionOptions(output=output.descriptor, messages=messages.descriptor)
            result = run_replay(placed, Path(trace), options)
            return Replayed(output.text(), messages.text(), result)


class _Memory:
    """A file in memory that C code writes to."""

    def __enter__(self) -> _Memory:
        self.descriptor = os.memfd_create("markbridge")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def text(self) -> str:
        size = os.fstat(self.descriptor).st_size
        return os.pread(self.descriptor, size, 0).decode("utf-8", "surrogateescape")


class Session:
    """A running script: iterate over the lines that it prints, as they come.

    The session ends by itself (exit(), the end of the command) or by leaving the `with`
    statement, which also ends the command if it still runs: with SIGTERM, and SIGKILL after
    five seconds. After that, `result` says how, and `messages` holds its warnings and errors.
    """

    def __init__(
        self, placed: Placed, target: str | Target, trace: Path | None, seconds: float | None
    ) -> None:
        self._placed = placed
        self._wanted = target
        self._trace = trace
        self._seconds = seconds
        self._stop = threading.Event()
        self._reading = threading.Lock()
        self._failure: BaseException | None = None
        self._lines: TextIO | None = None
        self.result: RunResult | None = None
        self.messages = ""

    def __enter__(self) -> Session:
        if self._lines is not None:
            raise BridgeError("a session runs once; attach the program again")
        wanted = self._wanted
        self._target = wanted if isinstance(wanted, Target) else Target.of_child(start(wanted))
        read, write = os.pipe()
        self._lines = os.fdopen(read, encoding="utf-8", errors="surrogateescape")
        self._thread = threading.Thread(target=self._run, args=(write,), daemon=True)
        self._thread.start()
        return self

    def _run(self, output: int) -> None:
        try:
            with _Memory() as messages:
                session = SessionOptions(output=output, messages=messages.descriptor)
                session = replace(session, target=self._target.pid)
                options = LiveOptions(
                    session, self._stop.is_set, self._seconds, trace=self._trace
                )
                try:
                    self.result = run_live(self._placed, self._target, options)
                finally:
                    self.messages = messages.text()
        except BaseException as error:  # noqa: BLE001 - raised again where the session is used
            self._failure = error
        finally:
            self._target.abandon()
            os.close(output)

    def __iter__(self) -> Iterator[Record]:
        lines = self._opened()
        while line := self._next(lines):
            yield Record(line.rstrip("\n"))
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _opened(self) -> TextIO:
        if self._lines is None:
            raise BridgeError("the session has not started; use it in a `with` statement")
        return self._lines

    def _next(self, lines: TextIO) -> str:
        """The next line, for whichever thread comes first; "" at the end."""
        with self._reading:
            if lines.closed:
                raise BridgeError("the session has ended")
            return lines.readline()

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
        if self._failure is not None and error is None:
            raise self._failure

    def _drain(self) -> None:
        """Let the session end, whatever it still prints."""
        with self._reading:
            lines = self._opened()
            while not lines.closed and lines.read(1 << 16):
                pass
            self._thread.join()
            lines.close()


def compile(script: Path | str, options: AnalyseOptions | None = None) -> Program:
    """A program from a script file (a Path) or a script's text (a str).

    CompileError, if it cannot be read or does not parse: `diagnostics` says where and why.
    """
    chosen = options or AnalyseOptions()
    if isinstance(script, Path):
        return Program(str(script), _read(script), chosen)
    return Program("<input>", script.encode("utf-8", "surrogateescape"), chosen)


def _read(path: Path) -> bytes:
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        message = f"input file '{path}' is missing or unreadable: {why(error)}"
        unreadable = Diagnostic("unreadable-script", message, phase="parse")
        raise CompileError([unreadable], "read") from error


def markers_of(path: Path | str) -> tuple[Marker, ...]:
    """The USDT markers of an ELF file, with their arguments; none if it has none.

    ProgramError, if there is no such file, or it is no ELF file of this machine.
    """
    from bridge.marker_lookup import markers_of_file

    return markers_of_file(str(path), LiveWorld())
