"""A script over a recording in pieces: several traces at a time, one after the other in effect.

`begin` and `end` run once here, the hits of each trace where there is room (`pools`), and what
they add is merged in the order of the traces. The rule: the result is that of the traces
replayed one after the other; a script for which that cannot be had is refused (`rules`). With
`whole`, each trace has its own begin and end, and any script will do.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge import progress
from bridge.engine.base import RunResult, SessionState, begin, end, warn_of_errors
from bridge.engine.session.native import NativeSession
from bridge.engine.trace.recording import open_recording
from bridge.errors import CompileError, TraceError
from bridge.pieces.aggregates import merge, take
from bridge.pieces.rules import Roles
from bridge.pieces.worker import PieceTask, compiled
from bridge.trace.find import METADATA, is_root, traces_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from bridge.engine.base import SessionOptions
    from bridge.pieces.pools import Pool
    from bridge.pieces.worker import Piece, ScriptText

    Trace = tuple[Path, ...]
    """Where a trace is: a folder, or those of its parts."""

__all__ = ["run_pieces", "traces_of"]

METADATA_START = 1 << 16
"""Bytes of a description in which its UUID is looked for."""
_UUID = re.compile(rb'"?uuid"? *[=:] *("[0-9a-fA-F-]{36}"|\[[0-9, ]+\])')


def traces_of(paths: Iterable[Path]) -> list[Trace]:
    """The traces at some paths, and in the folders below them; TraceError if one has none.

    Parts of one trace, as snapshots of a session are, stay together.
    """
    found: dict[object, list[Path]] = {}
    for path in paths:
        below = [path] if not path.is_dir() or is_root(path) else list(_below(path))
        if not below:
            raise TraceError(f"{path}: no trace of a known format, neither here nor below")
        for folder in below:
            found.setdefault(_identity(folder), []).append(folder)
    return [tuple(folders) for folders in found.values()]


def _below(path: Path) -> Iterator[Path]:
    for folder in sorted(path.iterdir()):
        if folder.is_dir():
            yield from traces_below(folder).folders


def _identity(folder: Path) -> object:
    """The UUID of a CTF trace; the path of any other one."""
    try:
        with (folder / METADATA).open("rb") as file:
            match = _UUID.search(file.read(METADATA_START))
    except OSError:
        match = None
    return folder if match is None else match[1]


@dataclass(slots=True)
class _Sum:
    """What the pieces so far come to, and where their text goes."""

    options: SessionOptions
    errors: int = 0
    skipped: int = 0
    lost: int = 0
    failed: bool = False

    def take(self, piece: Piece) -> None:
        """Print what a piece has printed, and count what it has counted."""
        _write(self.options.output, piece.text)
        _write(self.options.messages, piece.messages)
        self.errors += piece.errors
        self.skipped += piece.skipped
        self.lost += piece.lost
        self.failed = self.failed or piece.failed

    def result(self, own: RunResult) -> RunResult:
        """With what the session here has counted itself."""
        return RunResult(
            int(bool(own.exit_code or self.errors)),
            own.errors + self.errors,
            own.skipped + self.skipped,
            own.lost + self.lost,
        )


def _write(descriptor: int, text: bytes) -> None:
    if text:
        progress.clear()
    while text:
        text = text[os.write(descriptor, text) :]


def run_pieces(
    script: ScriptText,
    traces: Sequence[Trace],
    options: SessionOptions,
    pool: Pool,
    *,
    whole: bool = False,
    stopped: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Run a script over traces.

    CompileError says why it cannot run over pieces, or at all; TraceError names a trace that
    cannot be opened, or lacks what the script reads.
    """
    task = PieceTask(
        script, traces[0], target=options.target, suppress_errors=options.suppress_errors
    )
    if whole:
        return _each(replace(task, whole=True), traces, options, pool, stopped)
    recording = open_recording(traces[0])
    try:
        runnable = compiled(script, recording)
    finally:
        recording.close()
    placed = runnable.placed
    roles = Roles(placed.program)
    wrong = list(roles.refused())
    if wrong:
        raise CompileError(wrong, "script", runnable.sources)
    allowed = placed.program.limits.maxerrors
    options = replace(options, replay=True, realtime_offset_ns=0)
    with NativeSession.open(placed, options, code=runnable.code) as session:
        begin(session)
        total = _Sum(options)
        if session.state is SessionState.RUNNING:
            constants = take(session, roles.constant)
            task = replace(task, constants=constants, errors=allowed)
            for piece in _told(_pieces(task, traces, pool, stopped)):
                session.flush()
                total.take(piece)
                session.set_clock(piece.end_ns)
                merge(session, piece.added, roles.blame)
                if total.failed or session.state is not SessionState.RUNNING:
                    break
            if total.failed:
                session.state = SessionState.FAILED
        end(session)
        result = total.result(session.result())
        warn_of_errors(session, result)
        return result


def _told(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces; meanwhile a terminal shows how many traces are done."""
    done = 0
    with progress.doing("replaying", "traces") as activity:
        for piece in pieces:
            done += piece.traces
            activity.count(done)
            yield piece


def _pieces(
    task: PieceTask, traces: Sequence[Trace], pool: Pool, stopped: Callable[[], bool]
) -> Iterator[Piece]:
    """The pieces up to the one in which there are more errors than are allowed.

    That one is run again with as many as are left, and so ends where one run would.
    """
    left = task.errors
    tasks = [replace(task, paths=paths) for paths in traces]
    done = 0
    for piece in pool.run(tasks):
        if piece.errors > left and not piece.failed:
            from bridge.pieces.worker import run_task

            yield run_task(replace(tasks[done], errors=left))
            return
        yield piece
        left -= piece.errors
        done += piece.traces
        if stopped():
            return


def _each(
    task: PieceTask,
    traces: Sequence[Trace],
    options: SessionOptions,
    pool: Pool,
    stopped: Callable[[], bool],
) -> RunResult:
    """Every trace by itself; what each prints comes in their order."""
    total = _Sum(options)
    for piece in _told(pool.run([replace(task, paths=paths) for paths in traces])):
        total.take(piece)
        if stopped():
            break
    return total.result(RunResult(0))
