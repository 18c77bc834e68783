"""Which files have the debug information of the running kernel and of its modules.

They are looked for where elfutils and SystemTap do: by build-id, below the roots of debug
information (SYSTEMTAP_DEBUGINFO_PATH), in the folder of the kernel's modules and where it was
built. One rule: a file whose build-id is another one is of another kernel, and is not taken.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.diagnostics import Sink
from bridge.probes.elf import open_elf
from bridge.probes.kernel.symbols import module_name
from bridge.probes.separate import (
    build_id,
    debug_roots,
    has_debug_information,
    identified,
    identity_of,
    relative_paths,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.probes.elf import ElfFile
    from bridge.world import World

_RELEASE = "/proc/sys/kernel/osrelease"
_KERNEL_NOTES = "/sys/kernel/notes"
_PACKED = re.compile(r"\.(?:xz|gz|zst)\Z")


@dataclass
class Search:
    """A search for one file: what was looked at, and what of it is of another kernel."""

    world: World
    identity: bytes
    looked_for: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def first(self, paths: Iterator[str]) -> ElfFile | None:
        """The first file of these that has the debug information."""
        for path in paths:
            if path in self.looked_for:
                continue
            self.looked_for.append(path)
            if not self.world.exists(path):
                continue
            found = open_elf(path, self.world, Sink())
            if found is None or not has_debug_information(found):
                continue
            own = build_id(found)
            if self.identity and own and own != self.identity:
                self.others.append(path)
                continue
            return found
        return None


def release(world: World) -> str:
    """The running kernel's release, as `uname -r` tells it; "" where it is not known."""
    return _read(world, _RELEASE).decode("utf-8", "replace").strip()


def _read(world: World, path: str) -> bytes:
    try:
        return world.read_file(path)
    except OSError:
        return b""


def search_kernel(world: World) -> tuple[ElfFile | None, Search]:
    """The kernel's file."""
    search = Search(world, identity_of(_read(world, _KERNEL_NOTES)))
    return search.first(_kernel_paths(world, search.identity)), search


def _kernel_paths(world: World, identity: bytes) -> Iterator[str]:
    name = release(world)
    modules = f"/lib/modules/{name}"
    if identity:
        yield from (identified(root, identity) for root in debug_roots(world))
    if not name:
        return
    for root in debug_roots(world):
        yield from (f"{root}/boot/vmlinux-{name}", f"{root}{modules}/vmlinux")
        yield from (f"{root}/boot/vmlinux-{name}.debug", f"{root}{modules}/vmlinux.debug")
        yield f"{root}/vmlinux-{name}"
    yield f"/boot/vmlinux-{name}"
    for folder in ("", *relative_paths(world)):
        yield posixpath.join(modules, folder, "vmlinux")


def search_module(world: World, module: str, given: str = "") -> tuple[ElfFile | None, Search]:
    """The file of a module; `given` is one that the script names itself."""
    notes = f"/sys/module/{module}/notes/.note.gnu.build-id"
    search = Search(world, identity_of(_read(world, notes)))
    return search.first(_module_paths(world, module, given, search.identity)), search


def _module_paths(world: World, module: str, given: str, identity: bytes) -> Iterator[str]:
    folder = f"/lib/modules/{release(world)}"
    if given.startswith("/"):
        yield given
    if identity:
        yield from (identified(root, identity) for root in debug_roots(world))
    path = _listed(world, folder, module)
    if not path:
        return
    plain = _PACKED.sub("", path)
    for root in debug_roots(world):
        yield from (f"{root}{plain}", f"{root}{plain}.debug")
    yield plain
    beside, name = posixpath.split(plain)
    yield from (posixpath.join(beside, one, f"{name}.debug") for one in ("", ".debug"))


def _listed(world: World, folder: str, module: str) -> str:
    """The path of a module's file by the list of modules; "" without."""
    text = _read(world, f"{folder}/modules.dep").decode("utf-8", "replace")
    for line in text.splitlines():
        path = line.partition(":")[0]
        if module_name(path) == module:
            return path if path.startswith("/") else f"{folder}/{path}"
    return ""
