"""Processes of this machine that run tasks, a thread of ours beside each.

A process is a Python of its own that talks over its pipes, and not one of `multiprocessing`,
which would run the main module of our caller again, and leaves servers behind. The rule: each
has one task at a time, so nobody writes to one that writes; who dies is replaced, and its task
runs again; at the end all of them are gone.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from contextlib import suppress
from threading import Condition, Thread
from typing import IO, TYPE_CHECKING, Self

from bridge.errors import HostError
from bridge.handles import Closing
from bridge.pieces.worker import run_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.pieces.worker import Piece, PieceTask

AHEAD = 4
"""How many pieces may wait for each process until they are wanted."""
TRIES = 3
LENGTH = 8
"""Bytes of the number in front of each message."""
START = "import sys; sys.path[:] = sys.argv[1:]; from bridge.pieces.local import serve; serve()"


# --- messages ---------------------------------------------------------------------------------


def _send(stream: IO[bytes], message: object) -> None:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    stream.write(len(data).to_bytes(LENGTH, "little"))
    stream.write(data)
    stream.flush()


def _receive(stream: IO[bytes]) -> object:
    """The next message; EOFError, if the other side has ended."""
    head = stream.read(LENGTH)
    size = int.from_bytes(head, "little")
    data = stream.read(size)
    if len(head) < LENGTH or len(data) < size:
        raise EOFError
    return pickle.loads(data)  # noqa: S301 - of a process that we have started, or our caller


# --- the processes ----------------------------------------------------------------------------


def serve() -> None:
    """Run the tasks that come in, until there are no more."""
    # what a library prints must not get among the answers
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with suppress(EOFError, BrokenPipeError):
        while True:
            task = _receive(sys.stdin.buffer)
            try:
                _send(answers, run_task(task))  # type: ignore[arg-type]
            except Exception as error:  # noqa: BLE001 - it is raised in the caller's process
                _send(answers, error)


class _TaskProcess:
    """One process; one that died is started again."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-c", START, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                process_group=0,  # Ctrl-C is for the process that was called
            )

    def run(self, task: PieceTask) -> Piece | Exception:
        """What comes of a task; EOFError or OSError, if the process dies of it."""
        assert self._child is not None
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        _send(self._child.stdin, task)
        return _receive(self._child.stdout)  # type: ignore[return-value]

    def kill(self) -> None:
        """From now on it gives nothing more."""
        if self._child is not None:
            self._child.kill()

    def end(self) -> None:
        """Kill it and wait for it."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            with suppress(BrokenPipeError):
                child.communicate()


class TaskProcesses(Closing):
    """The tasks and who has done which; used as `with TaskProcesses(2, tasks) as running`."""

    def __init__(self, number: int, tasks: Sequence[PieceTask]) -> None:
        self._tasks = tasks
        self._changed = Condition()
        self._next = self._given = 0
        self._found: dict[int, Piece | Exception] = {}
        self._over = False
        self._processes = [_TaskProcess() for _ in range(min(number, len(tasks)))]
        self._threads = [
            Thread(target=self._serve, args=(process,), daemon=True)
            for process in self._processes
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def close(self) -> None:
        """Kill the processes and wait for them."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
            for process in self._processes:
                process.kill()
        for thread in self._threads:
            thread.join()

    def pieces(self) -> Iterator[Piece]:
        """The pieces of the tasks, in their order."""
        for number in range(len(self._tasks)):
            with self._changed:
                while number not in self._found:
                    self._changed.wait()
                found = self._found.pop(number)
                self._given = number + 1
                self._changed.notify_all()
            if isinstance(found, Exception):
                raise found
            yield found

    def _serve(self, process: _TaskProcess) -> None:
        """Give a process task after task."""
        try:
            while (number := self._take()) is not None:
                found = self._tried(process, self._tasks[number])
                with self._changed:
                    self._found[number] = found
                    self._changed.notify_all()
        finally:
            process.end()

    def _take(self) -> int | None:
        """The next task that nobody has; None, if there is none or nobody wants it."""
        ahead = AHEAD * len(self._processes)
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._next < self._given + ahead)
            if self._over or self._next == len(self._tasks):
                return None
            self._next += 1
            return self._next - 1

    def _tried(self, process: _TaskProcess, task: PieceTask) -> Piece | Exception:
        for _ in range(TRIES):
            with self._changed:
                if self._over:
                    break
                process.start()
            try:
                return process.run(task)
            except (EOFError, OSError):
                process.end()
            except Exception as error:  # noqa: BLE001 - it is raised where the piece is due
                return error
        what = f"{task.paths[0]}: the process that replayed it died {TRIES} times"
        return HostError(what, "replay it by itself: it may need more memory")
