"""Where the kernel's task_struct and cred have what some contexts read.

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
}
_REMEDY = "ppid(), euid() and --trace need a kernel with CONFIG_DEBUG_INFO_BTF"


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
