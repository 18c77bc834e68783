"""Where the kernel's task_struct and what it points to have what some contexts read.

Comes in: the kernel's BTF. Goes out: byte offsets for the control words of kernel programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge._native import ffi, lib
from bridge.codegen.bpf_object import Control
from bridge.errors import HostError

if TYPE_CHECKING:
    from pathlib import Path

_MEMBERS = {
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
_REMEDY = "ppid(), euid(), pgrp() … and --trace need a kernel with CONFIG_DEBUG_INFO_BTF"


def member_offsets(path: Path) -> dict[Control, int]:
    """The offset of each member, by its control word."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise HostError(f"cannot read the kernel's types: {error}", _REMEDY) from error
    image = ffi.from_buffer("char[]", data)
    offsets = {}
    for word, (structure, member) in _MEMBERS.items():
        offset = lib.mb_btf_member(image, len(data), structure, member)
        if offset < 0:
            name = f"{structure.decode()}.{member.decode()}"
            raise HostError(f"the kernel's types have no {name}", _REMEDY)
        offsets[word] = int(offset)
    return offsets
