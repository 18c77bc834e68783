"""An object file of this machine -> code in memory, where LLVM is not there to load it.

In: what `native.compile` made for a file (large code model, not position independent). Out: the
addresses of its functions. The rule: pages are writable until all is in place, and executable
after that.
"""

from __future__ import annotations

import ctypes
import io
import mmap
from typing import TYPE_CHECKING, Any

from bridge.codegen.native import runtime
from bridge.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALLOCATED, _UNDEFINED = 0x2, "SHN_UNDEF"
_SIZES = {1: 8, 2: 4, 4: 4, 24: 8}
"""Bytes of the relocations that such code has: R_X86_64_64, _PC32, _PLT32, _PC64."""
_ABSOLUTE = 1
MACHINE = "x86_64"
"""Whose relocations are known here."""


class LoadedCode:
    """The code of an object file; it stays as long as this does."""

    def __init__(self, data: bytes) -> None:
        from elftools.elf.elffile import ELFFile

        elf: Any = ELFFile(io.BytesIO(data))
        sections = list(elf.iter_sections())
        self._starts: dict[int, int] = {}
        end = 0
        for number, section in enumerate(sections):
            if section["sh_flags"] & _ALLOCATED and section["sh_size"]:
                align = max(section["sh_addralign"], 1)
                self._starts[number] = (end + align - 1) // align * align
                end = self._starts[number] + section["sh_size"]
        self._memory = mmap.mmap(-1, max(end, mmap.PAGESIZE))
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        for number, start in self._starts.items():
            content = sections[number].data()
            self._memory[start : start + len(content)] = content
        self._symbols = {s.name: s for s in elf.get_section_by_name(".symtab").iter_symbols()}
        for section in sections:
            if section["sh_type"] == "SHT_RELA" and section["sh_info"] in self._starts:
                self._relocate(section, list(elf.get_section_by_name(".symtab").iter_symbols()))
        self._protect()

    def _relocate(self, section: Any, symbols: list[Any]) -> None:  # noqa: ANN401 - pyelftools has no types
        start = self._starts[section["sh_info"]]
        for place, kind, value in _relocations(section):
            at = start + place
            to = self._address(symbols[value[0]]) + value[1]
            size = _SIZES.get(kind)
            if size is None:
                raise HostError(f"the program needs a relocation ({kind}) that is not known")
            to -= 0 if kind == _ABSOLUTE else self._base + at
            if size == 4 and not -(1 << 31) <= to < 1 << 31:
                raise HostError("the program's code is too far from what it calls")
            self._memory[at : at + size] = (to & ((1 << 8 * size) - 1)).to_bytes(size, "little")

    def _address(self, symbol: Any) -> int:  # noqa: ANN401 - as above
        where = symbol["st_shndx"]
        if where != _UNDEFINED:
            return int(self._base + self._starts[where] + symbol["st_value"])
        address = runtime.address_of(symbol.name)
        if not address:  # of the C library
            function = getattr(ctypes.CDLL(None), symbol.name, None)
            address = function and ctypes.cast(function, ctypes.c_void_p).value
        if not address:
            raise HostError(f"the program calls {symbol.name}(), which is not there")
        return int(address)

    def _protect(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        size = len(self._memory)
        size = (size + mmap.PAGESIZE - 1) // mmap.PAGESIZE * mmap.PAGESIZE
        wanted = mmap.PROT_READ | mmap.PROT_EXEC
        if libc.mprotect(ctypes.c_void_p(self._base), ctypes.c_size_t(size), wanted):
            raise HostError("memory cannot be made executable here")

    def get_function_address(self, name: str) -> int:
        """Where a function is; the name is LLVM's for the same."""
        return self._address(self._symbols[name])


def _relocations(section: Any) -> Iterator[tuple[int, int, tuple[int, int]]]:  # noqa: ANN401 - as above
    """Each relocation: its place, its kind, the number of its symbol and what is added."""
    for one in section.iter_relocations():
        yield (
            one["r_offset"],
            one["r_info_type"],
            (one["r_info_sym"], one["r_addend"]),
        )
