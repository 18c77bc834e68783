"""markbridge as a library: compile a script, attach it, replay it, list markers.

These are the names that `import bridge` offers. Everything else is private by documentation.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.diagnostics import Diagnostic, Sink
from bridge.engine.base import SessionOptions
from bridge.engine.kernel.features import has, reaches_functions
from bridge.engine.memory_file import MemoryFile
from bridge.engine.target import Target
from bridge.errors import BridgeError, CompileError, TraceError
from bridge.pipeline import compile_script
from bridge.probes.live import LiveTargets
from bridge.probes.machine import Options
from bridge.script.options import AnalyseOptions
from bridge.script.syntax.parse import parse
from bridge.script.syntax.read import read_text, why
from bridge.session import DEFAULT_EVENTS, Session
from bridge.source import SourceMap
from bridge.world import LiveWorld

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.artifact import Placed
    from bridge.attachments import Attachment
    from bridge.engine.base import RunResult
    from bridge.markers import Marker, Targets


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
        events: bool | int = False,
    ) -> Session:
        """Run the script on this machine; use the result in a `with` statement.

        `command` is started once the probes are in place and ends the session when it ends, as
        `pid` does; `trace` is a folder to record into; `seconds` bounds the session. With
        `events` every hit of the markers is delivered with all its arguments (`events()`,
        `batches()`, `on()`); a number is how many bytes of them are kept until they are read.
        Nothing is started or attached before the `with` statement is entered.
        CompileError, if what the script probes is not there; HostError, if a right is missing;
        BridgeError, if there is no process `pid`.
        """
        words = command if isinstance(command, str) else shlex.join(command)
        targets = LiveTargets(
            LiveWorld(), Options(words, pid, reached=reaches_functions, has=has)
        )
        placed = self._place(targets, record=trace is not None or bool(events))
        target = Target.of_process(pid) if pid and not words else Target()
        folder = None if trace is None else Path(trace)
        room = DEFAULT_EVENTS if events is True else int(events)
        return Session(placed, words or target, trace=folder, seconds=seconds, events=room)

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
        targets = LiveTargets(world, Options(words, pid, reached=reaches_functions, has=has))
        return attachments(self._place(targets), world)

    def save(
        self,
        path: Path | str,
        command: str | Sequence[str] = "",
        *,
        pid: int = 0,
        record: bool = False,
    ) -> None:
        """Write the program with its code to a file, for hosts of this machine and kernel.

        `load_program` reads it, where llvmlite need not be installed. `command` and `pid` say
        what `process` without a path means; `record`, that hits will be delivered (`trace`,
        `events`). CompileError, if what the script probes is not there; HostError, if this
        machine's code cannot be kept; BridgeError, if the file cannot be written.
        """
        from bridge.engine.live import RING_BYTES
        from bridge.engine.program_file import save

        words = command if isinstance(command, str) else shlex.join(command)
        targets = LiveTargets(LiveWorld(), Options(words, pid, reached=reaches_functions))
        save(self._place(targets, record=record), self.name, Path(path), RING_BYTES)

    def replay(self, trace: Path | str) -> Replayed:
        """Run the script over a recorded trace.

        CompileError, if the trace does not hold what the script reads; TraceError, if it cannot
        be opened.
        """
        from bridge.engine.trace.replay import open_recorded, run_replay

        placed = self._place(open_recorded(Path(trace)))
        with MemoryFile() as output, MemoryFile() as messages:
            options = SessionOptions(output=output.descriptor, messages=messages.descriptor)
            result = run_replay(placed, Path(trace), options)
            return Replayed(output.text(), messages.text(), result)

    def replay_pieces(
        self,
        traces: Sequence[Path | str] | Path | str,
        *,
        workers: int = 2,
        cluster: str = "",
        each: bool = False,
    ) -> Replayed:
        """Run the script over many traces, as if they were replayed one after the other.

        `traces` are traces, or folders of them. `workers` processes of this machine take a
        trace at a time, or the workers of a scheduler of Dask at the address `cluster`. What
        the hits add is merged in the order of the traces; with `each`, every trace has its own
        begin and end. CompileError, if what a hit does depends on hits of other traces;
        TraceError names a trace that cannot be opened, or lacks what the script reads;
        HostError, if there is no such scheduler.
        """
        from bridge.pieces import run_pieces, traces_of
        from bridge.pieces.pools import pool_of
        from bridge.pieces.worker import ScriptText

        script = ScriptText(self.name, self.text, self.options)
        wanted = [traces] if isinstance(traces, str | Path) else traces
        found = traces_of(map(Path, wanted))
        if not found:
            raise TraceError("there are no traces to replay")
        with (
            MemoryFile() as output,
            MemoryFile() as messages,
            pool_of(workers, cluster) as pool,
        ):
            options = SessionOptions(output=output.descriptor, messages=messages.descriptor)
            result = run_pieces(script, found, options, pool, whole=each)
            return Replayed(output.text(), messages.text(), result)


class StoredProgram:
    """A compiled program of a file: it needs no compiler to run."""

    def __init__(self, name: str, placed: Placed) -> None:
        self.name = name
        self._placed = placed

    def attach(
        self,
        command: str | Sequence[str] = "",
        *,
        pid: int = 0,
        trace: Path | str | None = None,
        seconds: float | None = None,
        events: bool | int = False,
    ) -> Session:
        """Run it on this machine, as `Program.attach`.

        BridgeError, if hits are asked for (`trace`, `events`) and it was saved without them.
        """
        if (trace is not None or bool(events)) is not self._placed.recorded:
            raise BridgeError("hits are delivered by programs that were saved with record=True")
        words = command if isinstance(command, str) else shlex.join(command)
        target = Target.of_process(pid) if pid and not words else Target()
        folder = None if trace is None else Path(trace)
        room = DEFAULT_EVENTS if events is True else int(events)
        return Session(
            self._placed, words or target, trace=folder, seconds=seconds, events=room
        )


def load_program(path: Path | str) -> StoredProgram:
    """The program of a file that `Program.save` or `markbridge compile` has written.

    The file holds machine code: load only what you would run.
    BridgeError, if it is damaged, of another machine, or of another version of markbridge.
    """
    from bridge.engine.program_file import load

    stored = load(Path(path))
    return StoredProgram(stored.name, stored.placed)


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
