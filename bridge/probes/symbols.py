"""`ElfFile` -> its functions, from `.symtab` and `.dynsym`.

A stripped file's `.symtab` is in its separate debug file, which is passed beside it.
Undefined symbols (also the PLT's), IFUNC resolvers and symbols outside of code are left out;
names at one address belong to one function. In the order of addresses.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, cast

from bridge.formats import elf_notes as layout
from bridge.probes.points import is_wild

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bridge.probes.elf import ElfFile, Section


class ElfSymbol(NamedTuple):
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


class ElfFunction(NamedTuple):
    """A function: its names, the preferred one first."""

    names: tuple[str, ...]
    address: int
    size: int


Entry = tuple[int, int, int, int, int, int]
"""The fields of an `Elf64_Sym`: where its name is, info, other, section, value, size."""


@lru_cache(maxsize=16)
def _entries(elf: ElfFile, section: Section) -> tuple[bytes, list[Entry]]:
    """The strings and the entries of a table of symbols."""
    link = section.header.link
    if link >= len(elf.sections):
        return b"", []
    form = layout.SYM.struct(elf.order)
    content = elf.content(section)
    usable = len(content) - len(content) % form.size
    found = cast("list[Entry]", list(form.iter_unpack(content[:usable])))
    return bytes(elf.content(elf.sections[link])), found


def _symbol(strings: bytes, entry: Entry) -> ElfSymbol | None:
    name, info, _other, index, value, size = entry
    end = strings.find(b"\0", name)
    if end <= name:
        return None
    return ElfSymbol(
        strings[name:end].decode("utf-8", "surrogateescape"), info, index, value, size
    )


def _table(elf: ElfFile, section: Section) -> Iterator[ElfSymbol]:
    strings, entries = _entries(elf, section)
    for entry in entries:
        symbol = _symbol(strings, entry)
        if symbol is not None:
            yield symbol


def has_symbols(elf: ElfFile) -> bool:
    """Whether a file has its full table of symbols."""
    return any(section.header.type == layout.SHT_SYMTAB for section in elf.sections)


def read_symbols(elf: ElfFile, separate: ElfFile | None = None) -> Iterator[ElfSymbol]:
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
def read_functions(elf: ElfFile, separate: ElfFile | None = None) -> tuple[ElfFunction, ...]:
    """The functions that can be probed."""
    return _functions(elf, separate, lambda entry: True)


def functions_named(elf: ElfFile, separate: ElfFile | None, name: str) -> Sequence[ElfFunction]:
    """Those that have a name, which takes a look at the others' addresses alone."""
    wanted = name.encode("utf-8", "surrogateescape")
    addresses: set[int] = set()
    for strings, entries in _tables(elf, separate):
        at = _places(strings, wanted)
        addresses.update(entry[4] for entry in entries if entry[0] in at)
    found = _functions(elf, separate, lambda entry: entry[4] in addresses)
    return [function for function in found if name in function.names]


def functions_like(
    elf: ElfFile, separate: ElfFile | None, pattern: str
) -> Sequence[ElfFunction]:
    """Those that a name or a shell pattern may mean."""
    if is_wild(pattern):
        return read_functions(elf, separate)
    return functions_named(elf, separate, pattern)


def function_names(elf: ElfFile, separate: ElfFile | None) -> set[str]:
    """All their names."""
    return {name for function in read_functions(elf, separate) for name in function.names}


def has_functions(elf: ElfFile, separate: ElfFile | None) -> bool:
    """Whether there is any."""
    return any(_is_function(e) for _, entries in _tables(elf, separate) for e in entries)


def _places(strings: bytes, name: bytes) -> set[int]:
    """Where a name stands in a table of strings, perhaps as the end of a longer one."""
    found, at = set(), strings.find(name)
    while at >= 0:
        if strings[at + len(name) : at + len(name) + 1] in (b"\0", b"@"):
            found.add(at)
        at = strings.find(name, at + 1)
    return found


def _tables(elf: ElfFile, separate: ElfFile | None) -> Iterator[tuple[bytes, list[Entry]]]:
    """All tables of symbols, in the order of `read_symbols`."""
    for file in (separate, elf):
        if file is None:
            continue
        for kind in (layout.SHT_SYMTAB, layout.SHT_DYNSYM):
            for section in file.sections:
                if section.header.type == kind:
                    yield _entries(file, section)


def _functions(
    elf: ElfFile, separate: ElfFile | None, is_wanted: Callable[[Entry], bool]
) -> tuple[ElfFunction, ...]:
    found: dict[int, dict[str, ElfSymbol]] = {}
    for strings, entries in _tables(elf, separate):
        for entry in entries:
            if not _is_function(entry) or not is_wanted(entry) or not _is_code(elf, entry[4]):
                continue
            symbol = _symbol(strings, entry)
            if symbol is not None:
                # A versioned name (`f@@V1`, in .symtab) is the same function as `f`.
                name = symbol.name.split("@")[0]
                found.setdefault(symbol.address, {}).setdefault(name, symbol)
    return tuple(_function(address, names) for address, names in sorted(found.items()))


def _is_function(entry: Entry) -> bool:
    return entry[1] & 15 == layout.STT_FUNC and entry[3] != layout.SHN_UNDEF


def _is_code(elf: ElfFile, address: int) -> bool:
    segment = elf.segment_at(address)
    return segment is not None and bool(segment.flags & layout.PF_X)


def _function(address: int, names: dict[str, ElfSymbol]) -> ElfFunction:
    # Global before weak before local; otherwise in the tables' order.
    rank = {1: 0, 2: 1, 0: 2}
    ordered = sorted(names, key=lambda name: rank.get(names[name].binding, 3))
    return ElfFunction(tuple(ordered), address, max(s.size for s in names.values()))
