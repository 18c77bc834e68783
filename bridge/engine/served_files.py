"""The files that a session serves for `procfs` probes: FIFOs in a folder of its own.

`$XDG_RUNTIME_DIR/markbridge/SESSION/NAME`. Who opens one to read is noticed once per turn of
the loop; then the handler runs, what it made goes into the FIFO, and a new FIFO takes the
name, so that each reader has one of its own. What is written to a file comes as it is found
in the FIFO. The rule: the session never waits for a reader or a writer. The folder is locked
while it lives.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import shutil
import stat
import termios
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import HostError
from bridge.markers import ServedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.engine.base import RunningScript

STDIN = "__stdin"
"""What is typed comes as if it were written to the file of this name, a byte at a time."""
BOTH = ".write"
"""What is added to the name for writers, where the same file is read, too."""
CHUNK = 1 << 16
_NO_READER = frozenset({errno.ENXIO, errno.ENOENT})


def sessions_folder() -> Path:
    """Where sessions have their folders."""
    own = os.environ.get("XDG_RUNTIME_DIR")
    if own:
        return Path(own, "markbridge")
    user = os.geteuid()
    if user == 0:
        return Path("/run/markbridge")
    return Path(f"/run/user/{user}/markbridge")


def locked(folder: Path) -> int | None:
    """A descriptor that locks a session's folder; None if its session lives."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def living_sessions() -> Iterator[Path]:
    """The folders of sessions that serve files now."""
    for folder in sorted(sessions_folder().glob("*/")):
        descriptor = locked(folder)
        if descriptor is None:
            yield folder
        else:
            os.close(descriptor)


@dataclass
class _Fifo:
    """One file, for readers or for writers; `handlers` are those of its probes, in order."""

    path: Path
    file: ServedFile
    handlers: list[int] = field(default_factory=list)
    descriptor: int = -1

    def make(self) -> None:
        """The FIFO takes its name, at once."""
        new = self.path.with_name(f".{self.path.name}")
        os.mkfifo(new)
        new.chmod(self.file.permissions)
        new.rename(self.path)


class ServedFiles:
    """The files of one session, from its begin to its end."""

    def __init__(self, session: RunningScript, name: str, settle: Callable[[], None]) -> None:
        self._session, self._settle = session, settle
        self._most = session.longest
        self._readers: list[_Fifo] = []
        self._writers: list[_Fifo] = []
        self._unsent: list[tuple[int, bytes]] = []
        self._terminal: list[object] | None = None
        try:
            self.folder, self._lock = _own_folder(name)
            self._make()
        except OSError as error:
            raise HostError(
                f"cannot make the files of procfs probes in {sessions_folder()}:"
                f" {error.strerror}",
                "set XDG_RUNTIME_DIR to a folder that you may write to",
            ) from error

    def _make(self) -> None:
        fifos: dict[tuple[str, bool], _Fifo] = {}
        for number, handler in enumerate(self._session.handlers):
            file = handler.expansion.attachment
            if isinstance(file, ServedFile):
                fifo = fifos.setdefault(
                    (file.name, file.writes), _Fifo(self.folder / file.name, file)
                )
                fifo.handlers.append(number)
        for (name, writes), fifo in fifos.items():
            fifo.path.parent.mkdir(parents=True, exist_ok=True)
            if writes and (name, False) in fifos:
                fifo.path = self.folder / f"{name}{BOTH}"
            fifo.make()
            (self._writers if writes else self._readers).append(fifo)
        for fifo in self._writers:
            fifo.descriptor = os.open(fifo.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._typed = next((f for f in self._writers if f.file.name == STDIN), None)
        if self._typed is not None:
            self._listen()

    def _listen(self) -> None:
        """A terminal gives each byte when it is typed."""
        with suppress(termios.error):
            mode = termios.tcgetattr(0)
            self._terminal = list(mode)
            mode[3] &= ~(termios.ICANON | termios.ECHO)
            termios.tcsetattr(0, termios.TCSANOW, mode)

    def turn(self) -> None:
        """Serve who reads, take what was written."""
        for fifo in self._writers:
            with suppress(BlockingIOError):
                text = os.read(fifo.descriptor, CHUNK)
                if text:
                    self._run(fifo, text)
        if self._typed is not None and select.select([0], [], [], 0)[0]:
            self._take_typed(self._typed)
        for fifo in self._readers:
            self._serve(fifo)
        self._unsent = [left for one in self._unsent if (left := _send(*one)) is not None]

    def _take_typed(self, fifo: _Fifo) -> None:
        text = os.read(0, CHUNK)
        for byte in text:
            self._run(fifo, bytes([byte]))
        if not text:
            self._typed = None

    def _serve(self, fifo: _Fifo) -> None:
        try:
            descriptor = os.open(fifo.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _NO_READER:
                return
            raise
        fifo.make()
        self._unsent.append((descriptor, self._run(fifo, b"")))

    def _run(self, fifo: _Fifo, text: bytes) -> bytes:
        self._settle()
        made = text
        for handler in fifo.handlers:
            made = self._session.serve(handler, text, fifo.file.most or self._most)
        return made

    def close(self) -> None:
        """Who still reads gets what fits; the folder goes."""
        for descriptor, text in self._unsent:
            if _send(descriptor, text) is not None:
                os.close(descriptor)
        for fifo in self._writers:
            os.close(fifo.descriptor)
        if self._terminal is not None:
            with suppress(termios.error):
                termios.tcsetattr(0, termios.TCSANOW, self._terminal)  # type: ignore[arg-type] # as tcgetattr gave it
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def _send(descriptor: int, text: bytes) -> tuple[int, bytes] | None:
    """What of a text found no room yet; None once the reader has all, or is gone."""
    try:
        while text:
            text = text[os.write(descriptor, text) :]
    except BlockingIOError:
        return descriptor, text
    except BrokenPipeError:
        pass
    os.close(descriptor)
    return None


def _own_folder(name: str) -> tuple[Path, int]:
    """A folder that no living session has, and its lock."""
    number = 1
    while True:
        folder = sessions_folder() / (name if number == 1 else f"{name}-{number}")
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = locked(folder)
        if descriptor is not None:
            _empty(folder)
            return folder, descriptor
        number += 1


def _empty(folder: Path) -> None:
    """What a session left that was killed."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif stat.S_ISFIFO(path.lstat().st_mode):
            path.unlink()
