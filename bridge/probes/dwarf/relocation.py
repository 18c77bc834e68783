"""Relocatable files (modules of the kernel) -> debug information as if they had been linked.

Each section that is loaded gets an address, one behind the other, so that no two have it;
csrc/dwarf puts these into the debug information. One rule: the layout is of the file alone,
so an index that is kept holds for every place where the module is loaded.
Source: gABI, "Relocation"; x86-64 psABI 4.4; AAELF64 5.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge._native import ffi, lib
from bridge.formats import elf_notes as layout

if TYPE_CHECKING:
    from bridge.probes.elf import ElfFile

_FIRST = 0x10000
"""Where the first section goes; code at 0 is what a linker has taken away."""


def placed_sections(elf: ElfFile) -> dict[int, int]:
    """The addresses of the sections that are loaded, by their numbers."""
    relocatable = elf.header.type == layout.ET_REL
    found: dict[int, int] = {}
    next_ = _FIRST
    for section in elf.sections:
        head = section.header
        if not head.flags & layout.SHF_ALLOC:
            continue
        if not relocatable:
            found[section.number] = head.address
            continue
        align = max(head.align, 1)
        next_ = (next_ + align - 1) // align * align
        found[section.number] = next_
        next_ += head.size + 1  # the end of one is not the start of another
    return found


def relocated(elf: ElfFile, name: str, data: memoryview) -> memoryview:
    """The bytes of a section of a relocatable file with its relocations done."""
    section = elf.section(f".rela{name}")
    wanted = elf.header.type == layout.ET_REL and name.startswith(".debug")
    if not wanted or section is None or elf.order != "<":
        return data
    link = section.header.link
    if link >= len(elf.sections):
        raise ValueError(f"the relocations of {name} have no symbols")
    places = placed_sections(elf)
    addresses = ffi.new(
        "uint64_t[]", [places.get(number, 0) for number in range(len(elf.sections))]
    )
    written = bytearray(data)
    target = ffi.from_buffer("uint8_t[]", written, require_writable=True)
    parts = [elf.content(section), elf.content(elf.sections[link])]
    pointers = [ffi.from_buffer("uint8_t[]", part) for part in parts]
    tables = [
        ffi.new("struct mb_debug_bytes *", {"data": pointer, "size": len(part)})
        for pointer, part in zip(pointers, parts, strict=True)
    ]
    bad = lib.mb_debug_relocate(
        *(target, len(written), tables[0], tables[1]),
        *(addresses, len(elf.sections), elf.header.machine),
    )
    if bad:
        raise ValueError(f"the relocations of {name} are damaged or of an unknown kind")
    return memoryview(written)
