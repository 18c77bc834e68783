"""Where the kernel's task_struct and what it points to have what some contexts read.

Comes in: the kernel's BTF. Goes out: byte offsets for the control words of kernel programs.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from bridge._native import ffi, lib
from bridge.codegen.bpf.object import Control
from bridge.engine.kernel.features import has
from bridge.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONTEXT_MEMBERS = {
    Control.REAL_PARENT: (b"task_struct", b"real_parent"),
    Control.TGID: (b"task_struct", b"tgid"),
    Control.CRED: (b"task_struct", b"cred"),
    Control.EUID: (b"cred", b"euid"),
    Control.EGID: (b"cred", b"egid"),
    Control.COMM: (b"task_struct", b"comm"),
    Control.SIGNAL: (b"task_struct", b"signal"),
    Control.PIDS: (b"signal_struct", b"pids"),
    Control.NUMBERS: (b"pid", b"numbers"),
    Control.MM: (b"task_struct", b"mm"),
    Control.ARG_START: (b"mm_struct", b"arg_start"),
    Control.ARG_END: (b"mm_struct", b"arg_end"),
}
"""What ppid(), pgrp() and so on read."""
LIFE_MEMBERS = {
    Control.TASK_PID: (b"task_struct", b"pid"),
    Control.TASK_FLAGS: (b"task_struct", b"flags"),
    Control.LIVE: (b"signal_struct", b"live"),
    Control.EXE_FILE: (b"mm_struct", b"exe_file"),
    Control.F_INODE: (b"file", b"f_inode"),
    Control.FILES: (b"task_struct", b"files"),
    Control.FDT: (b"files_struct", b"fdt"),
    Control.FD: (b"fdtable", b"fd"),
}
"""What hooks on processes read."""
NAMESPACE_MEMBERS = {
    Control.THREAD_PID: (b"task_struct", b"thread_pid"),
    Control.PID_LEVEL: (b"pid", b"level"),
}
"""What tells the number of a process in a PID namespace."""
TERMINAL_MEMBERS = {
    Control.SIGNAL: (b"task_struct", b"signal"),
    Control.TTY: (b"signal_struct", b"tty"),
}
"""What tells whether a process has a terminal."""
_COMPAT = {"x86_64": (b"status", 0x2), "aarch64": (b"flags", 1 << 22)}
"""What tells a system call of a 32-bit program: a member of thread_info, and the bit that is
set (TS_COMPAT in arch/x86/include/asm/thread_info.h, TIF_32BIT in that of arch/arm64)."""
_REMEDY = (
    "ppid(), euid(), pgrp() …, process.begin, .end, .syscall …, --trace, and all hits in a"
    " container (a PID namespace) need a kernel with CONFIG_DEBUG_INFO_BTF"
)


def member_offsets(
    path: Path, members: Mapping[Control, tuple[bytes, bytes]]
) -> dict[Control, int]:
    """The offset of each member, by its control word."""
    data = _types(path)
    return {word: _offset(data, *member) for word, member in members.items()}


def compat_flag(path: Path) -> tuple[int, int]:
    """What tells that a 32-bit program makes a system call: offset in task_struct, mask."""
    data = _types(path)
    member, mask = _COMPAT[os.uname().machine]
    inner = _offset(data, b"thread_info", member)
    return _offset(data, b"task_struct", b"thread_info") + inner, mask


def _types(path: Path) -> bytes:
    try:
        if not has("btf"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return path.read_bytes()
    except OSError as error:
        raise HostError(f"cannot read the kernel's types: {error}", _REMEDY) from error


def _offset(data: bytes, structure: bytes, member: bytes) -> int:
    offset: int = lib.mb_btf_member(
        ffi.from_buffer("char[]", data), len(data), structure, member
    )
    if offset < 0:
        name = f"{structure.decode()}.{member.decode()}"
        raise HostError(f"the kernel's types have no {name}", _REMEDY)
    return offset
