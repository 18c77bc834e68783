"""What the interpreter's handlers reach on this machine; see `bridge.ir.reference.host`."""

from __future__ import annotations

import ctypes
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
BUFFER_BYTES = 1 << 16
_MODE = 0o644


@dataclass(slots=True)
class Output:
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


@dataclass(frozen=True, slots=True)
class LiveHost:
    """The machine that we run on."""

    output: Output
    modules: frozenset[str] = frozenset()

    def memory(self, pid: int | None, address: int, size: int) -> bytes:
        """The bytes at an address; fewer where what can be read ends."""
        try:
            with (PROC / str("self" if pid is None else pid) / "mem").open(
                "rb", buffering=0
            ) as file:
                return os.pread(file.fileno(), size, address)
        except (OSError, OverflowError):
            return b""

    def environment(self, pid: int) -> bytes:
        """The environment of a process."""
        try:
            return (PROC / str(pid) / "environ").read_bytes()
        except OSError:
            return b""

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

    def file(self, path: str) -> bytes:
        """A file, if it is a regular one."""
        try:
            return Path(path).read_bytes() if Path(path).is_file() else b""
        except OSError:
            return b""

    def known(self) -> frozenset[str]:
        """Those that the session was told of."""
        return self.modules

    def symbols(self) -> str:
        """The running kernel's."""
        return (PROC / "kallsyms").read_text()

    def switch_file(self) -> None:
        """Go on to the next output file."""
        self.output.switch()
