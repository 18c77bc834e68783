"""`ElfFile` -> its debug information, wherever that is: in the file, or in a separate one.

Separate files are found as gdb does: by build-id below /usr/lib/debug/.build-id, by the name in
.gnu_debuglink beside the file, in .debug/ or below /usr/lib/debug (with the checksum checked).
None means that there is none; what is wrong with one goes to the sink.
"""

from __future__ import annotations

import io
import posixpath
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from elftools.elf.elffile import ELFFile

from bridge.diagnostics import Sink
from bridge.probes import errors
from bridge.probes.dwarf.die import FAULTS
from bridge.probes.dwarf.types import DwarfTypes
from bridge.probes.dwarf.units import Unit
from bridge.probes.elf import open_elf
from bridge.proc_paths import root_of

if TYPE_CHECKING:
    from bridge.probes.elf import ElfFile
    from bridge.world import World

DEBUG_ROOT = "/usr/lib/debug"
_BUILD_ID_BYTES = 20
_NOTE_HEAD = 12


@dataclass(frozen=True, eq=False)
class Image:
    """A program or library with its debug information."""

    elf: ElfFile
    path: str
    """Where the debug information is."""
    info: Any
    """pyelftools' DWARFInfo."""
    data: bytes
    """The bytes of .debug_info."""
    strings: bytes
    """The bytes of .debug_str."""
    frames: Any
    """pyelftools' DWARFInfo of the program itself, which has .eh_frame."""

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """The compilation units, in the order of the file."""
        return tuple(
            Unit(self, unit)
            for unit in self.info.iter_CUs()
            if unit.get_top_DIE().tag == "DW_TAG_compile_unit"
        )

    @cached_property
    def types(self) -> DwarfTypes:
        """The types of all units."""
        return DwarfTypes(self)

    def is_called(self, name: str) -> bool:
        """Whether a script means this file by a name: its path, or how that ends."""
        path = posixpath.normpath(name)
        return self.elf.path == path or self.elf.path.endswith(f"/{path}")

    def mentioning(self, name: str) -> list[Unit]:
        """The units in which something may have that name; cheap, because it only searches."""
        needle = name.encode("utf-8", "surrogateescape") + b"\0"
        marks = [needle]
        at = self.strings.find(needle)
        while at >= 0:
            marks.append(at.to_bytes(4, "little"))
            at = self.strings.find(needle, at + 1)
        return [unit for unit in self.units if unit.may_mention(marks)]


def open_image(elf: ElfFile, world: World, sink: Sink) -> Image | None:
    """The debug information of a file; None without, or after saying what is wrong."""
    found = _own(elf) or _separate(elf, world)
    if found is None:
        return None
    try:
        return _image(elf, found)
    except FAULTS as error:
        sink.report(errors.bad_debug_information(found.path, str(error)))
        return None


def _own(elf: ElfFile) -> ElfFile | None:
    for name in (".debug_info", ".zdebug_info"):
        section = elf.section(name)
        if section is not None and len(elf.content(section)):
            return elf
    return None


def _image(elf: ElfFile, found: ElfFile) -> Image | None:
    file = ELFFile(io.BytesIO(found.data))
    info = file.get_dwarf_info(follow_links=False)
    if info.debug_info_sec is None:
        return None
    frames = info
    if found is not elf:
        frames = ELFFile(io.BytesIO(elf.data)).get_dwarf_info(follow_links=False)
    strings = info.debug_str_sec
    image = Image(
        elf,
        found.path,
        info,
        _content(info.debug_info_sec),
        _content(strings) if strings is not None else b"",
        frames,
    )
    return image if image.units else None


def _content(section: Any) -> bytes:  # noqa: ANN401 - of pyelftools
    section.stream.seek(0)
    return bytes(section.stream.read())


def _separate(elf: ElfFile, world: World) -> ElfFile | None:
    for path, checksum in _candidates(elf):
        if not world.exists(path):
            continue
        found = open_elf(path, world, Sink())
        if found is None or _own(found) is None:
            continue
        if checksum is None or zlib.crc32(found.data) == checksum:
            return found
    return None


def _candidates(elf: ElfFile) -> list[tuple[str, int | None]]:
    """Paths to look at, each with the checksum that the file must have.

    The debug files of a program below another root are there, or here.
    """
    root = root_of(elf.path)
    roots = (root + DEBUG_ROOT, DEBUG_ROOT) if root else (DEBUG_ROOT,)
    found: list[tuple[str, int | None]] = []
    note = elf.section(".note.gnu.build-id")
    if note is not None:
        identity = bytes(elf.content(note))[_NOTE_HEAD + 4 :][:_BUILD_ID_BYTES].hex()
        if identity:
            name = f".build-id/{identity[:2]}/{identity[2:]}.debug"
            found += [(f"{folder}/{name}", None) for folder in roots]
    link = elf.section(".gnu_debuglink")
    if link is not None:
        content = bytes(elf.content(link))
        name = content.split(b"\0")[0].decode("utf-8", "surrogateescape")
        checksum = int.from_bytes(content[-4:], "little" if elf.order == "<" else "big")
        folder = posixpath.dirname(elf.path)
        if name and "/" not in name:
            found += [
                (f"{folder}/{name}", checksum),
                (f"{folder}/.debug/{name}", checksum),
                *((f"{top}{folder.removeprefix(root)}/{name}", checksum) for top in roots),
            ]
    return [one for one in found if one[0] != elf.path]
