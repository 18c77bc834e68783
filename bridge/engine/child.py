"""The program of `-c`: started before anything is attached, but stopped before it runs.

One rule: the program never runs untraced. The child waits on a pipe before its exec, so probes
can be attached by file before the first instruction of the program.
"""

from __future__ import annotations

import errno
import os
import select
import signal
from dataclasses import dataclass

from bridge.command_line import expand
from bridge.errors import BridgeError
from bridge.world import DEFAULT_PATH

_NOT_STARTED = 1
_PATIENCE_MS = 5000
"""How long a command may take to end after SIGTERM."""


def arguments(command: str) -> list[str]:
    """The words of a command, so that the process that is started is the program itself.

    Only where it takes a shell (`a | b`, `a >f`) one stands in between, as in SystemTap.
    """
    words = expand(command)
    return ["/bin/sh", "-c", command] if words is None else words


@dataclass(slots=True)
class Child:
    """A command that was started.

    `status` is what `waitpid` said, once it has ended.
    """

    pid: int
    command: str
    _go: int
    status: int | None = None

    def release(self) -> None:
        """Let it run. If it cannot be executed, it says so itself and fails, as SystemTap's."""
        os.write(self._go, b"g")
        os.close(self._go)
        self._go = -1

    def ended(self) -> bool:
        """Whether it has ended."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
        return self.status is not None

    def wait(self) -> None:
        """Wait for its end."""
        if self.status is None:
            self.status = os.waitpid(self.pid, 0)[1]

    def abandon(self) -> None:
        """Give up a command that was not released: it ends without having run."""
        if self._go >= 0:
            os.close(self._go)
            self._go = -1
            os.kill(self.pid, signal.SIGKILL)  # another child of ours may hold the pipe, too
            self.wait()

    def end(self) -> None:
        """End it if it runs, and take its status: SIGTERM, after some seconds SIGKILL."""
        self.abandon()
        if self.ended():
            return
        descriptor = os.pidfd_open(self.pid)
        try:
            for number in (signal.SIGTERM, signal.SIGCONT):
                signal.pidfd_send_signal(descriptor, number)
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            if not poll.poll(_PATIENCE_MS):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)
        self.wait()

    @property
    def code(self) -> int | None:
        """Its exit status, or minus the signal that ended it; None while it runs."""
        return None if self.status is None else os.waitstatus_to_exitcode(self.status)

    def warning(self) -> str:
        """What SystemTap says of a command that failed; "" of one that did not."""
        if self.status is None or self.status == 0:
            return ""
        if os.WIFSIGNALED(self.status):
            number = os.WTERMSIG(self.status)
            name = signal.strsignal(number) or ""
            return f"Child process exited with signal {number} ({name})"
        return f"Child process exited with status {os.WEXITSTATUS(self.status)}"


def start(command: str) -> Child:
    """Start a command up to the point in front of its exec."""
    words = arguments(command)
    if not words:
        raise BridgeError("the command of -c is empty")
    go_read, go_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go_write)
        _become(words, go_read)
    os.close(go_read)
    return Child(pid, command, go_write)


def _become(words: list[str], go: int) -> None:
    """In the child: wait for the word, then be the command."""
    try:
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        if os.read(go, 1):
            _execute(words)
    except OSError as error:
        os.write(2, f"{words[0]}: {error.strerror}\n".encode(errors="surrogateescape"))
    os._exit(_NOT_STARTED)


_ELSEWHERE = frozenset({errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENODEV})
"""After these, execvp(3) looks into the next folder."""


def _execute(words: list[str]) -> None:
    """Be a command, as execvp(3): a shell runs a file that is no program (no `#!` in front).

    OSError says why not; that a file may not be executed comes before that there is none.
    """
    refused: OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    for path in _places(words[0]):
        try:
            _replace(path, words)
        except OSError as error:
            if error.errno not in _ELSEWHERE:
                raise
            refused = error if error.errno == errno.EACCES else refused
    raise refused


def _places(name: str) -> list[str]:
    if "/" in name:
        return [name]
    return [
        f"{folder or '.'}/{name}" for folder in os.environ.get("PATH", DEFAULT_PATH).split(":")
    ]


def _replace(path: str, words: list[str]) -> None:
    try:
        os.execv(path, words)  # noqa: S606 - the user's own command
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        os.execv("/bin/sh", ["/bin/sh", path, *words[1:]])  # noqa: S606 - as well
