"""The numbers of system calls, for the events that tracefs has of each.

One rule: numbers have one home, the tapset `syscall_table.stp`, from which this reads them. The
events are named after the functions of the kernel, which for a few are not the names of
linux/unistd.h.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.markers import MarkerAttachment, ordinal

if TYPE_CHECKING:
    from bridge.markers import Expansion, Marker
    from bridge.world import World

SUBSYSTEM = "syscalls"
ENTER, EXIT = "sys_enter_", "sys_exit_"
_COMMON = Path(__file__).resolve().parent.parent / "tapset" / "syscall" / "common"
TABLE = _COMMON / "syscall_table.stp"
_OTHER_NAMES = {
    "newfstat": "fstat",
    "newlstat": "lstat",
    "newstat": "stat",
    "newuname": "uname",
    "sendfile64": "sendfile",
    "umount": "umount2",
}
_SECTION = re.compile(r'%\( arch == "(\w+)" %\?(.*?)%[:)]', re.DOTALL)
_CALL = re.compile(r'\bcall\((\d+), "(\w+)"\)')


@cache
def _numbers(machine: str) -> dict[str, int]:
    text = TABLE.read_text(encoding="ascii")
    wanted = {"aarch64": "arm64"}.get(machine, machine)
    for arch, section in _SECTION.findall(text):
        if arch == wanted:
            return {name: int(number) for number, name in _CALL.findall(section)}
    return {}


def enter_event(subsystem: str, event: str) -> str:
    """For the event of a system call's return, `subsystem:event` of its call; else ""."""
    if subsystem != SUBSYSTEM or not event.startswith(EXIT):
        return ""
    return f"{SUBSYSTEM}:{ENTER}{event.removeprefix(EXIT)}"


def lttng_events(subsystem: str, event: str) -> tuple[str, ...]:
    """What LTTng calls the events of a system call: 2.6 and later, and before."""
    if subsystem not in (SUBSYSTEM, ""):
        return ()
    if event.startswith(ENTER):
        name = event.removeprefix(ENTER)
        return f"syscall_entry_{name}", f"sys_{name}"
    if event.startswith(EXIT):
        return (f"syscall_exit_{event.removeprefix(EXIT)}",)
    return ()


def number(subsystem: str, event: str, machine: str) -> int | None:
    """The number of the system call that an event is about; None for any other event."""
    if subsystem != SUBSYSTEM:
        return None
    for prefix in (ENTER, EXIT):
        if event.startswith(prefix):
            name = event.removeprefix(prefix)
            return _numbers(machine).get(_OTHER_NAMES.get(name, name))
    return None


_REPLACED = frozenset({"execve", "execveat", "rt_sigreturn"})
"""The system calls that return with other registers than they were called with."""
_KEPT = {"x86_64": ("rdi", "rsi", "rdx", "r10", "r8", "r9")}
"""The registers of the arguments, which the kernel gives back as they were; see syscall(2)."""


def kept_arguments(call: Expansion, world: World) -> dict[str, str]:
    """What gives the arguments of a call at its return, by their names and numbers."""
    attachment = call.attachment
    assert isinstance(attachment, MarkerAttachment)
    if attachment.marker.name.removeprefix(ENTER) in _REPLACED:
        return {}
    names = (v.name for v in attachment.marker.variables if v.name != "__syscall_nr")
    registers, kept = _KEPT.get(world.machine, ()), {}
    for number, (name, register) in enumerate(zip(names, registers, strict=False), 1):
        kept[name] = kept[ordinal(number)] = f"_entered_{register}()"
    return kept


def other_names(marker: Marker) -> dict[str, str]:
    """What the kernel's function of a system call has, under the names of its events.

    That is `$return`, and arguments by their number. `$arg1` may be a field, as sysfs(2) has.
    """
    if marker.provider != SUBSYSTEM:
        return {}
    if marker.name.startswith(EXIT):
        return {"return": "ret"}
    names = [v.name for v in marker.variables if v.name != "__syscall_nr"]
    return {ordinal(number): name for number, name in enumerate(names, 1)}
