"""`ElfFile` -> the entries of its procedure linkage table: where it calls other files.

An entry jumps through a slot of the global offset table, and a relocation of that slot names
the function. So entries are found by what they do, whichever layout a linker gave the table
(.plt, .plt.sec). x86-64 only. Source: System V ABI for AMD64, sections 4.4 and 5.2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from bridge.formats import elf_notes as layout
from bridge.probes.symbols import ElfFunction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.probes.elf import ElfFile, Section

MACHINE = "x86_64"
SECTIONS = (".plt", ".plt.sec")
ENTRY_BYTES = 16
_JUMP = b"\xff\x25"
"""jmp *displacement(%rip)"""
_JUMP_BYTES = 6
_BEFORE = (b"", b"\xf3\x0f\x1e\xfa", b"\xf2", b"\xf3\x0f\x1e\xfa\xf2")
"""What may stand in front of the jump: endbr64, bnd."""


@lru_cache(maxsize=16)
def read_plt(elf: ElfFile) -> tuple[ElfFunction, ...]:
    """The entries by the names of what they call, in the order of addresses."""
    if elf.machine != MACHINE:
        return ()
    names = dict(_slots(elf))
    found = []
    for name in SECTIONS:
        section = elf.section(name)
        if section is None:
            continue
        start, content = section.header.address, bytes(elf.content(section))
        for at in range(0, len(content) - _JUMP_BYTES + 1, ENTRY_BYTES):
            slot = _slot(content[at : at + ENTRY_BYTES], start + at)
            if slot in names:
                found.append(ElfFunction((names[slot],), start + at, ENTRY_BYTES))
    return tuple(sorted(found, key=lambda function: function.address))


def _slot(code: bytes, address: int) -> int | None:
    """The slot that an entry jumps through."""
    for before in _BEFORE:
        at = len(before)
        if code.startswith(before + _JUMP) and len(code) >= at + _JUMP_BYTES:
            displacement = int.from_bytes(code[at + 2 : at + 6], "little", signed=True)
            return address + at + _JUMP_BYTES + displacement
    return None


def _slots(elf: ElfFile) -> Iterator[tuple[int, str]]:
    """The slots with the names of what their relocations put there."""
    section = elf.section(".rela.plt")
    if section is None or section.header.link >= len(elf.sections):
        return
    symbols = elf.sections[section.header.link]
    for offset, info, _addend in _rows(elf, section, layout.RELA):
        name = _name(elf, symbols, info >> 32)
        if info & 0xFFFFFFFF == layout.R_X86_64_JUMP_SLOT and name:
            yield offset, name


def _rows(elf: ElfFile, section: Section, form: layout.Layout) -> Iterator[tuple[int, ...]]:
    struct, content = form.struct(elf.order), elf.content(section)
    yield from struct.iter_unpack(content[: len(content) - len(content) % struct.size])


def _name(elf: ElfFile, symbols: Section, number: int) -> str:
    struct, content = layout.SYM.struct(elf.order), elf.content(symbols)
    if (number + 1) * struct.size > len(content) or symbols.header.link >= len(elf.sections):
        return ""
    name = struct.unpack_from(content, number * struct.size)[0]
    return elf.text_at(elf.content(elf.sections[symbols.header.link]), name)
