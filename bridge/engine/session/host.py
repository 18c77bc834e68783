"""What the interpreter's handlers reach on this machine; see `bridge.interpreter.host`."""

from __future__ import annotations

import ctypes
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.proc_paths import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.engine.kernel.memory import KernelMemory

PROC = Path("/proc")
BUFFER_BYTES = 1 << 16
_MODE = 0o644


@dataclass(slots=True)
class OutputBuffer:
    """A buffer in front of a file descriptor; `path` is its file, if it may have successors."""

    descriptor: int
    path: str = ""
    number: int = 0
    text: bytes = b""

    def write(self, text: bytes) -> None:
        """Print."""
        self.text += text
        if len(self.text) > BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was printed."""
        text, self.text = self.text, b""
        write_all(self.descriptor, text)

    def switch(self) -> None:
        """Go on to the next file: NAME.1, NAME.2, ... behind the same descriptor."""
        if not self.path:
            return
        path = f"{self.path}.{self.number + 1}"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
        self.flush()
        os.dup2(file, self.descriptor, inheritable=False)
        os.close(file)
        self.number += 1


def write_all(file: int, text: bytes) -> None:
    """Write all of a text."""
    while text:
        text = text[os.write(file, text) :]


def _names(pid: int | None, path: str, mapping: str) -> Iterator[str]:
    """What opens a file of a process: the link of a mapping, its path there, its path here."""
    folder = PROC / str(pid or "self")
    if mapping:
        yield f"{folder}/map_files/{mapping}"
    yield resolve(f"{folder}/root{path}")
    yield path


def identities(paths: Iterable[str]) -> frozenset[tuple[int, int]]:
    """Device and inode of files; those that are not there are in no process."""
    found = set()
    for path in paths:
        try:
            status = Path(path).stat()
        except OSError:
            continue
        found.add((status.st_dev, status.st_ino))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class LiveHost:
    """The machine that we run on."""

    output: OutputBuffer
    modules: frozenset[tuple[int, int]] = frozenset()
    """Files whose symbols are known, by device and inode."""
    kernel: KernelMemory | None = None
    """What handlers without a hit read the kernel's memory by."""

    def memory(self, pid: int | None, address: int, size: int) -> bytes:
        """The bytes at an address; fewer where what can be read ends."""
        try:
            with (PROC / str("self" if pid is None else pid) / "mem").open(
                "rb", buffering=0
            ) as file:
                return os.pread(file.fileno(), size, address)
        except (OSError, OverflowError):
            return b""

    def write(self, pid: int | None, address: int, data: bytes) -> bool:
        """Write to the memory of a process; whether all could be written."""
        if pid is None:
            return False
        try:
            with (PROC / str(pid) / "mem").open("r+b", buffering=0) as file:
                return os.pwrite(file.fileno(), data, address) == len(data)
        except (OSError, OverflowError):
            return False

    def kernel_memory(self, address: int, size: int) -> bytes:
        """The same, of the kernel's."""
        return b"" if self.kernel is None else self.kernel.read(address, size)

    def own_task(self) -> int:
        """Our own task_struct; 0 if nothing reads the kernel's memory."""
        return 0 if self.kernel is None else self.kernel.task

    def environment(self, pid: int) -> bytes:
        """The environment of a process."""
        try:
            return (PROC / str(pid) / "environ").read_bytes()
        except OSError:
            return b""

    def name(self, pid: int) -> bytes:
        """The name of a process, as its first thread has it now."""
        try:
            return (PROC / str(pid) / "comm").read_bytes()[:-1]
        except OSError:
            return b""

    def pages(self, pid: int) -> list[bytes]:
        """What /proc/PID/statm says: numbers of pages (proc(5))."""
        try:
            return (PROC / str(pid) / "statm").read_bytes().split()
        except OSError:
            return []

    def signal(self, pid: int, tid: int, number: int) -> None:
        """Send a signal to a thread."""
        library = ctypes.CDLL(None, use_errno=True)
        if library.tgkill(pid, tid, number):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    def command(self, text: bytes) -> bytes:
        """Start a shell command that prints to the output; nobody waits for it."""
        self.output.flush()
        subprocess.Popen(["/bin/sh", "-c", text], stdout=self.output.descriptor)
        return b""

    def maps(self, pid: int | None) -> str:
        """What is mapped in a process."""
        try:
            data = (PROC / str(pid or "self") / "maps").read_bytes()
        except OSError:
            return ""
        return data.decode("utf-8", "surrogateescape")

    def file(self, pid: int | None, path: str, mapping: str = "") -> bytes:
        """A file, if it is a regular one."""
        for name in _names(pid, path, mapping):
            try:
                return Path(name).read_bytes() if Path(name).is_file() else b""
            except OSError:
                continue
        return b""

    def is_known(self, pid: int | None, path: str, mapping: str) -> bool:
        """Whether the session was told of it, by whatever path."""
        return _identity(pid, path, mapping) in self.modules

    def is_same(self, pid: int | None, path: str, mapping: str, wanted: bytes) -> bool:
        """Whether a mapped file is one of ours."""
        try:
            found = Path(os.fsdecode(wanted)).stat()
        except OSError:
            return False
        return _identity(pid, path, mapping) == (found.st_dev, found.st_ino)

    def symbols(self) -> str:
        """The running kernel's."""
        return (PROC / "kallsyms").read_text()

    def switch_file(self) -> None:
        """Go on to the next output file."""
        self.output.switch()


def _identity(pid: int | None, path: str, mapping: str) -> tuple[int, int] | None:
    """The device and the inode of a mapped file."""
    for name in _names(pid, path, mapping):
        try:
            found = Path(name).stat()
        except OSError:
            continue
        return found.st_dev, found.st_ino
    return None
