"""USDT semaphores that the kernel counts up in the wrong place.

In: an ELF file, the address of a semaphore. Out: how we can count it up, if we have to. The
kernel counts in the first writable mapping of the semaphore's page of the file
(`valid_ref_ctr_vma`, kernel/events/uprobes.c). Linkers that do not fill up segments (lld) let
two of them share a page: that of data which becomes read-only, and that of the semaphore. Both
are writable while a process starts.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from bridge.formats import elf_notes as layout
from bridge.markers import Semaphore

if TYPE_CHECKING:
    from bridge.probes.elf import ElfFile, Segment

PAGE = mmap.PAGESIZE
NO_START = (
    "its semaphore shares a page of the file with data of another segment, where the kernel"
    " counts it up, and nothing in the file says where processes begin to run it; link it"
    " without `-fuse-ld=lld`, or with `-Wl,-z,separate-loadable-segments`"
)


def is_miscounted(elf: ElfFile, address: int) -> bool:
    """Whether a writable segment in front of the semaphore's has its page of the file, too."""
    own = next((s for s in _loaded(elf) if 0 <= address - s.address < s.memory_size), None)
    if own is None:
        return False
    page = (address - own.address + own.offset) // PAGE
    return any(s.address < own.address and page in _pages(s) for s in _loaded(elf))


def start_of(elf: ElfFile) -> int:
    """The address of the first code of the file that a process comes to; 0 if unknown.

    That of a program is its entry, of a library its initialisation (DT_INIT).
    """
    if elf.is_fixed or any(s.type == layout.PT_INTERP for s in elf.segments):
        return elf.header.entry
    tags = dict(elf.dynamic())
    if tags.get(layout.DT_FLAGS_1, 0) & layout.DF_1_PIE:  # a static program
        return elf.header.entry
    return tags.get(layout.DT_INIT, 0)


def semaphore(elf: ElfFile, address: int) -> tuple[Semaphore | None, str]:
    """How to count up the semaphore at an address, or why that cannot be done.

    (None, "") where the kernel does it right.
    """
    if not is_miscounted(elf, address):
        return None, ""
    start = start_of(elf)
    offset = elf.file_offset(start) if start else None
    if offset is None:
        return None, NO_START
    return Semaphore(address, offset, start), ""


def _loaded(elf: ElfFile) -> list[Segment]:
    return [s for s in elf.segments if s.type == layout.PT_LOAD and s.flags & layout.PF_W]


def _pages(segment: Segment) -> range:
    end = segment.offset + segment.file_size
    return range(segment.offset // PAGE, -(-end // PAGE))
