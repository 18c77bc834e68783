"""`ElfFile` -> its functions, from `.symtab` and `.dynsym`.

A stripped file's `.symtab` is in its separate debug file, which is passed beside it.
Undefined symbols (also the PLT's), IFUNC resolvers and symbols outside of code are left out;
names at one address belong to one function. In the order of addresses.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from bridge.formats import elf_notes as layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.probes.elf import ElfFile, Section


class Symbol(NamedTuple):
    """`Elf64_Sym` with its name."""

    name: str
    info: int
    section: int
    address: int
    size: int

    @property
    def type(self) -> int:
        """STT_FUNC and so on."""
        return self.info & 15

    @property
    def binding(self) -> int:
        """0 local, 1 global, 2 weak."""
        return self.info >> 4


class Function(NamedTuple):
    """A function: its names, the preferred one first."""

    names: tuple[str, ...]
    address: int
    size: int


def _table(elf: ElfFile, section: Section) -> Iterator[Symbol]:
    link = section.header.link
    if link >= len(elf.sections):
        return
    strings = bytes(elf.content(elf.sections[link]))
    form = layout.SYM.struct(elf.order)
    content = elf.content(section)
    usable = len(content) - len(content) % form.size
    for name, info, _other, index, value, size in form.iter_unpack(content[:usable]):
        end = strings.find(b"\0", name)
        if end > name:
            text = strings[name:end].decode("utf-8", "surrogateescape")
            yield Symbol(text, info, index, value, size)


def has_symbols(elf: ElfFile) -> bool:
    """Whether a file has its full table of symbols."""
    return any(section.header.type == layout.SHT_SYMTAB for section in elf.sections)


def read_symbols(elf: ElfFile, separate: ElfFile | None = None) -> Iterator[Symbol]:
    """All named symbols, those of `.symtab` first."""
    if separate is not None:
        yield from read_symbols(separate)
    for kind in (layout.SHT_SYMTAB, layout.SHT_DYNSYM):
        for section in elf.sections:
            if section.header.type == kind:
                yield from _table(elf, section)


@lru_cache(maxsize=8)
def _addresses(elf: ElfFile) -> dict[str, int]:
    defined = (s for s in read_symbols(elf) if s.section != layout.SHN_UNDEF)
    found: dict[str, int] = {}
    for symbol in defined:
        found.setdefault(symbol.name, symbol.address)
    return found


def address_of(elf: ElfFile, name: str) -> int | None:
    """The address of a defined symbol of any kind, local ones included."""
    return _addresses(elf).get(name)


@lru_cache(maxsize=8)
def read_functions(elf: ElfFile, separate: ElfFile | None = None) -> tuple[Function, ...]:
    """The functions that can be probed."""
    found: dict[int, dict[str, Symbol]] = {}
    for symbol in read_symbols(elf, separate):
        if (
            symbol.type == layout.STT_FUNC
            and symbol.section != layout.SHN_UNDEF
            and _is_code(elf, symbol.address)
        ):
            # A versioned name (`f@@V1`, in .symtab) is the same function as `f`.
            found.setdefault(symbol.address, {}).setdefault(symbol.name.split("@")[0], symbol)
    return tuple(_function(address, names) for address, names in sorted(found.items()))


def _is_code(elf: ElfFile, address: int) -> bool:
    segment = elf.segment_at(address)
    return segment is not None and bool(segment.flags & layout.PF_X)


def _function(address: int, names: dict[str, Symbol]) -> Function:
    # Global before weak before local; otherwise in the tables' order.
    rank = {1: 0, 2: 1, 0: 2}
    ordered = sorted(names, key=lambda name: rank.get(names[name].binding, 3))
    return Function(tuple(ordered), address, max(s.size for s in names.values()))
