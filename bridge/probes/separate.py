"""`ElfFile` -> the files that belong to it: its debug information, and common parts of that.

Separate files are found as gdb does: by build-id below /usr/lib/debug/.build-id, by the name in
.gnu_debuglink beside the file, in .debug/ or below /usr/lib/debug (with the checksum checked).
SYSTEMTAP_DEBUGINFO_PATH (a list with colons, as elfutils takes it) names other roots.
What dwz moved out of several files is named by .gnu_debugaltlink, with that file's build-id.
"""

from __future__ import annotations

import posixpath
import zlib
from typing import TYPE_CHECKING

from bridge.diagnostics import Sink
from bridge.formats import elf_notes as layout
from bridge.probes.elf import open_elf
from bridge.proc_paths import root_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.probes.elf import ElfFile
    from bridge.world import World

DEBUG_ROOT = "/usr/lib/debug"
_PATH_VARIABLE = "SYSTEMTAP_DEBUGINFO_PATH"
_INFO = (".debug_info", ".zdebug_info")
NT_GNU_BUILD_ID = 3


def build_id(elf: ElfFile) -> bytes:
    """What the linker named the file; empty if it did not."""
    section = elf.section(".note.gnu.build-id") or elf.section(".notes")  # the kernel's own
    return identity_of(bytes(elf.content(section)), elf.order) if section is not None else b""


def identity_of(notes: bytes, order: str = "<") -> bytes:
    """The build-id among notes (of a section, or of /sys/kernel/notes); empty without one."""
    form = layout.NHDR.struct(order)
    at = 0
    while at + form.size <= len(notes):
        name_size, size, kind = form.unpack_from(notes, at)
        name = at + form.size
        start = name + (name_size + 3) // 4 * 4
        found = notes[start : start + size]
        if kind == NT_GNU_BUILD_ID and notes[name : name + 4] == b"GNU\0":
            return found if len(found) == size else b""
        at = start + (size + 3) // 4 * 4
    return b""


def has_debug_information(elf: ElfFile) -> bool:
    """Whether the file itself has debug information."""
    sections = (elf.section(name) for name in _INFO)
    return any(section is not None and len(elf.content(section)) for section in sections)


def debug_file(elf: ElfFile, world: World) -> ElfFile | None:
    """The file with the debug information: itself or a separate one; None without."""
    return elf if has_debug_information(elf) else separate_file(elf, world)


def separate_file(elf: ElfFile, world: World) -> ElfFile | None:
    """The separate file of a program or library that was stripped."""
    for path, checksum in _candidates(elf, world):
        if not world.exists(path):
            continue
        found = open_elf(path, world, Sink())
        if found is None or found.header.machine != elf.header.machine:
            continue
        if not has_debug_information(found) and found.section(".symtab") is None:
            continue
        if checksum is None or zlib.crc32(found.data) == checksum:
            return found
    return None


def _listed_paths(world: World) -> list[str]:
    """What SYSTEMTAP_DEBUGINFO_PATH lists: a sign before a path is about its checksum."""
    parts = world.env.get(_PATH_VARIABLE, "").split(":")
    return [part.lstrip("+-").rstrip("/") for part in parts if part]


def debug_roots(world: World) -> tuple[str, ...]:
    """The folders that debug information lies below."""
    found = tuple(path for path in _listed_paths(world) if path.startswith("/"))
    return found or (DEBUG_ROOT,)


def relative_paths(world: World) -> tuple[str, ...]:
    """The folders beside a file that debug information may lie in."""
    found = tuple(path for path in _listed_paths(world) if path and path[0] != "/")
    return found or (".debug", "build")


def identified(root: str, identity: bytes) -> str:
    """Where below a root of debug information the file of a build-id is."""
    digits = identity.hex()
    return f"{root}/.build-id/{digits[:2]}/{digits[2:]}.debug"


def _roots(elf: ElfFile, world: World) -> tuple[str, ...]:
    """The roots of debug information: below the root of a program's process, and here."""
    root = root_of(elf.path)
    here = debug_roots(world)
    return (*(root + one for one in here), *here) if root else here


def _candidates(elf: ElfFile, world: World) -> Iterator[tuple[str, int | None]]:
    """Paths to look at, each with the checksum that the file must have."""
    identity = build_id(elf)
    found: list[tuple[str, int | None]] = []
    if identity:
        found += [(identified(root, identity), None) for root in _roots(elf, world)]
    link = elf.section(".gnu_debuglink")
    if link is not None:
        content = bytes(elf.content(link))
        name = content.split(b"\0")[0].decode("utf-8", "surrogateescape")
        checksum = int.from_bytes(content[-4:], "little" if elf.order == "<" else "big")
        folders = _link_folders(elf, world) if name and "/" not in name else ()
        found += [(f"{folder}/{name}", checksum) for folder in folders]
    yield from (one for one in found if one[0] != elf.path)


def _link_folders(elf: ElfFile, world: World) -> Iterator[str]:
    folder = posixpath.dirname(elf.path)
    yield folder
    yield f"{folder}/.debug"
    inner = folder.removeprefix(root_of(elf.path))
    yield from (f"{root}{inner}" for root in _roots(elf, world))


def common_file(elf: ElfFile, world: World) -> ElfFile | None:
    """The file with what dwz moved out of this one; None without, or where it is missing."""
    link = elf.section(".gnu_debugaltlink")
    if link is None:
        return None
    name, _, identity = bytes(elf.content(link)).partition(b"\0")
    path = name.decode("utf-8", "surrogateescape")
    beside = posixpath.join(posixpath.dirname(elf.path), path)
    outer = root_of(elf.path)
    for place in (
        posixpath.normpath(beside),
        *(root + path for root in dict.fromkeys((outer, "")) if path.startswith("/")),
        *(identified(root, identity) for root in _roots(elf, world)),
    ):
        if not world.exists(place):
            continue
        found = open_elf(place, world, Sink())
        if found is not None and build_id(found) == identity:
            return found
    return None
