"""The PID namespace of this process: pid_namespaces(7).

One rule: the numbers of processes that a user gives or sees are those of this namespace, which
`bridge.codegen.bpf.captures` translates at each hit.
"""

from __future__ import annotations

import os
from pathlib import Path

from bridge.errors import HostError

PROC = Path("/proc")
FIRST = 0xEFFFFFFC
"""The inode of the first namespace, PROC_PID_INIT_INO (include/linux/proc_ns.h)."""


def is_nested() -> bool:
    """Whether it is another one than the first, in which the kernel counts."""
    try:
        return (PROC / "self" / "ns" / "pid").stat().st_ino != FIRST
    except OSError:
        return False


def check() -> None:
    """Raises HostError where /proc is that of another namespace, so its numbers are others."""
    try:
        seen = str((PROC / "self").readlink())
    except OSError:
        seen = ""
        if not (PROC / "stat").exists():  # it is not mounted at all
            return
    if seen != str(os.getpid()):
        raise HostError(
            f"/proc is that of another PID namespace: this process is {os.getpid()}, there it"
            f" is {seen or 'not known'}",
            "mount it for this one (mount -t proc proc /proc, unshare --mount-proc)",
        )
