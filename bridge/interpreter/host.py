"""What handlers reach beyond their record: processes, the kernel's symbols, the shell.

One rule: hits that are not live have no host, so that a run over them depends on no machine.
"""

from __future__ import annotations

import subprocess
from typing import Protocol


class Host(Protocol):
    """The machine of a session; `pid` is the process that was hit, None for ourselves."""

    def memory(self, pid: int | None, address: int, size: int) -> bytes:
        """The bytes at an address; fewer where what can be read ends."""
        ...

    def write(self, pid: int | None, address: int, data: bytes) -> bool:
        """Write to the memory of a process; whether all could be written."""
        ...

    def kernel_memory(self, address: int, size: int) -> bytes:
        """The same, of the kernel's memory."""
        ...

    def own_task(self) -> int:
        """Our own task_struct; 0 if it is not known."""
        ...

    def environment(self, pid: int) -> bytes:
        """The environment of a process, `NAME=VALUE` with a NUL behind each."""
        ...

    def name(self, pid: int) -> bytes:
        """The name of a process, empty if there is none."""
        ...

    def pages(self, pid: int) -> list[bytes]:
        """The numbers of pages of a process, none if there is no such process."""
        ...

    def signal(self, pid: int, tid: int, number: int) -> None:
        """Send a signal to a thread, or raise OSError."""
        ...

    def command(self, text: bytes) -> bytes:
        """Run a shell command; what it printed, unless that went to the output by itself."""
        ...

    def maps(self, pid: int | None) -> str:
        """The lines of /proc/PID/maps."""
        ...

    def file(self, pid: int | None, path: str, mapping: str = "") -> bytes:
        """The bytes of a file in the process's root; none if it cannot be read.

        `mapping` is where it is mapped, `START-END` as /proc/PID/maps has it.
        """
        ...

    def is_known(self, pid: int | None, path: str, mapping: str) -> bool:
        """Whether back traces may use the symbols and call frames of a mapped file."""
        ...

    def is_same(self, pid: int | None, path: str, mapping: str, wanted: bytes) -> bool:
        """Whether a mapped file is the one that is at the path `wanted` for us."""
        ...

    def symbols(self) -> str:
        """The lines of /proc/kallsyms."""
        ...

    def switch_file(self) -> None:
        """Go on to the next output file; OSError says why not."""
        ...


class NoHost:
    """Nothing can be read: the processes are long gone, if there were any."""

    def memory(self, _pid: int | None, _address: int, _size: int) -> bytes:
        """Nothing."""
        return b""

    def write(self, _pid: int | None, _address: int, _data: bytes) -> bool:
        """Nothing can be written."""
        return False

    def kernel_memory(self, _address: int, _size: int) -> bytes:
        """Nothing."""
        return b""

    def own_task(self) -> int:
        """None."""
        return 0

    def environment(self, _pid: int) -> bytes:
        """Nothing."""
        return b""

    def name(self, _pid: int) -> bytes:
        """Nothing."""
        return b""

    def pages(self, _pid: int) -> list[bytes]:
        """None."""
        return []

    def signal(self, _pid: int, _tid: int, _number: int) -> None:
        """To nobody."""

    def command(self, text: bytes) -> bytes:
        """To its end; what it printed."""
        shell = ["sh", "-c", text.decode("latin-1")]
        return subprocess.run(shell, check=False, stdout=subprocess.PIPE).stdout

    def maps(self, _pid: int | None) -> str:
        """Nothing."""
        return ""

    def file(self, _pid: int | None, _path: str, _mapping: str = "") -> bytes:
        """Nothing."""
        return b""

    def is_known(self, _pid: int | None, _path: str, _mapping: str) -> bool:
        """No."""
        return False

    def is_same(self, _pid: int | None, _path: str, _mapping: str, _wanted: bytes) -> bool:
        """No."""
        return False

    def symbols(self) -> str:
        """None: addresses would be those of another kernel."""
        return ""

    def switch_file(self) -> None:
        """There is one output only."""
