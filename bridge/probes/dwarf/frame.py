"""Call frame information: where the canonical frame address is at an instruction.

Source: DWARF 5, section 6.4. The program's .eh_frame comes first, then .debug_frame. Both are
read once a file, by what back traces use (csrc/backtrace).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.formats import elf_notes as layout
from bridge.probes.dwarf.sections import content

if TYPE_CHECKING:
    from bridge.probes.elf import ElfFile


class Frames:
    """The call frame information of a file, and of the one with its debug information."""

    def __init__(self, elf: ElfFile, found: ElfFile) -> None:
        section = elf.section(".eh_frame")
        address = section.header.address if section is not None else 0
        debug_frame = content(found, ".debug_frame") or content(elf, ".debug_frame")
        self._kept: list[Any] = []
        # in a relocatable file, .eh_frame counts from places that nobody has filled in
        linked = elf.header.type != layout.ET_REL
        eh_frame = content(elf, ".eh_frame") if linked else memoryview(b"")
        handle = lib.mb_debug_frames_open(
            self._bytes(debug_frame), self._bytes(eh_frame), address
        )
        if handle == ffi.NULL:
            raise MemoryError
        self._handle = ffi.gc(handle, lib.mb_debug_frames_close)

    def _bytes(self, data: memoryview) -> Any:  # noqa: ANN401 - cffi's
        # a copy: a view of the file would be cleared before what points into it
        pointer = ffi.from_buffer("uint8_t[]", bytes(data))
        native = ffi.new("struct mb_debug_bytes *", {"data": pointer, "size": len(data)})
        self._kept += [pointer, native]
        return native

    def at(self, address: int) -> tuple[int, int] | None:
        """The CFA at an address: DWARF register number and offset; None if it is not so."""
        register, offset = ffi.new("uint32_t *"), ffi.new("int64_t *")
        if lib.mb_debug_frame_at(self._handle, address, register, offset):
            return None
        return int(register[0]), int(offset[0])
