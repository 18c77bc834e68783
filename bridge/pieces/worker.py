"""One piece of a recording, in whatever process it runs: a task goes in, its sums come out.

Tasks and pieces are plain data, so that another machine can have them. The rule: what a script
compiles to is kept for the traces that have the same event classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.codegen.native.compile import NativeCode, compile_native
from bridge.engine.base import SessionOptions, SessionState, run_hits, run_session
from bridge.engine.memory_file import MemoryFile
from bridge.engine.trace.recording import open_recording, targets_of
from bridge.engine.trace.replay import opened
from bridge.errors import CompileError, TraceError
from bridge.pieces.aggregates import Aggregates, combined, store, take
from bridge.pieces.rules import Roles
from bridge.pipeline import compile_script
from bridge.source import SourceMap

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.artifact import Placed
    from bridge.engine.base import Feed
    from bridge.engine.session.native import NativeSession
    from bridge.engine.trace.recording import Recording
    from bridge.script.options import AnalyseOptions

KEPT = 8
"""How many compiled programs a process keeps."""


@dataclass(frozen=True, slots=True)
class ScriptText:
    """A script as a task carries it."""

    name: str
    text: bytes
    options: AnalyseOptions


@dataclass(frozen=True, slots=True)
class PieceTask:
    """What to run over the trace at `paths`, which has several if they are parts of one.

    `constants` are globals that begin has set and hits read. After `errors` errors in handlers
    the piece has failed. A `whole` piece runs begin and end by itself.
    """

    script: ScriptText
    paths: tuple[Path, ...]
    constants: Aggregates = field(default_factory=dict)
    errors: int = 0
    target: int = 0
    suppress_errors: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """What came of one or more traces: what was printed, what hits have added, counts."""

    text: bytes = b""
    messages: bytes = b""
    added: Aggregates = field(default_factory=dict)
    errors: int = 0
    skipped: int = 0
    lost: int = 0
    failed: bool = False
    traces: int = 1
    end_ns: int = 0
    """Where the trace's time ends."""


def run_task(task: PieceTask) -> Piece:
    """Run a task; TraceError names the trace if it cannot be opened or lacks something."""
    recording = open_recording(task.paths)
    try:
        runnable = compiled(task.script, recording)
        placed = runnable.placed
        limits = replace(placed.program.limits, maxerrors=task.errors)
        placed = replace(placed, program=replace(placed.program, limits=limits))
        with MemoryFile() as output, MemoryFile() as messages:
            options = SessionOptions(
                output.descriptor,
                messages.descriptor,
                target=task.target,
                suppress_errors=task.suppress_errors,
            )
            with opened(placed, recording, options, runnable.code) as (session, feed):
                added = _run(task, session, feed)
                result = session.result()
                failed = session.state is SessionState.FAILED
            return Piece(
                output.bytes(),
                messages.bytes(),
                added,
                result.errors,
                result.skipped,
                result.lost,
                failed,
                end_ns=feed.now(),
            )
    except CompileError as error:
        raise TraceError(f"{task.paths[0]}: {error}") from None
    finally:
        recording.close()


def _run(task: PieceTask, session: NativeSession, feed: Feed) -> Aggregates:
    """Run the hits; the sums, unless the piece is whole."""
    if task.whole:
        run_session(session, feed)
        return {}
    names = Roles(session.placed.program).blame
    store(session, task.constants | _zeros(session, frozenset(names)))
    session.state = SessionState.RUNNING
    run_hits(session, feed)
    session.flush()
    return take(session, names)


def _zeros(session: NativeSession, names: frozenset[str]) -> Aggregates:
    """Counters that the script starts elsewhere: the sum starts there, pieces at 0."""
    return {
        variable.name: {(): 0}
        for variable in session.placed.program.globals
        if variable.name in names and getattr(variable, "initial", None)
    }


def joined(pieces: list[Piece]) -> Piece:
    """Neighbouring pieces as one."""
    first, *others = pieces
    for other in others:
        first = Piece(
            first.text + other.text,
            first.messages + other.messages,
            combined(first.added, other.added),
            first.errors + other.errors,
            first.skipped + other.skipped,
            first.lost + other.lost,
            first.failed or other.failed,
            first.traces + other.traces,
            max(first.end_ns, other.end_ns),
        )
    return first


# --- compiling --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Runnable:
    """A compiled script, and the texts that its places are in."""

    placed: Placed
    code: NativeCode
    sources: SourceMap


_compiled: dict[str, Runnable] = {}


def compiled(script: ScriptText, recording: Recording) -> Runnable:
    """A script for a recording; the same as for another one with the same event classes."""
    targets = targets_of(recording)
    releases = [source.environment.get("kernel_release") for source in recording.sources]
    key = "\n".join((repr(script), f"{targets.hz} {releases}", *map(repr, targets.classes)))
    if key not in _compiled:
        sources = SourceMap()
        main = sources.add(script.name, script.text)
        placed = compile_script(main, sources, targets, script.options).placed
        if len(_compiled) >= KEPT:
            _compiled.pop(next(iter(_compiled)))
        _compiled[key] = Runnable(placed, compile_native(placed), sources)
    return _compiled[key]
