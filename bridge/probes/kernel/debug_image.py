"""The debug information of the kernel and of its modules, with where their code is in memory.

It is read like that of a program (`dwarf.image`); what differs is where an address of the file
is: the kernel is moved as a whole (KASLR), which `_stext` tells, and a module section by
section, which /sys/module/NAME/sections tells. One rule: what hides addresses hides them here.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bridge.diagnostics import Sink
from bridge.formats import elf_notes as layout
from bridge.probes import errors
from bridge.probes.dwarf.die import FAULTS
from bridge.probes.dwarf.image import DebugImage
from bridge.probes.dwarf.relocation import placed_sections
from bridge.probes.kernel.debug_files import search_kernel, search_module
from bridge.probes.kernel.symbols import KERNEL
from bridge.probes.separate import common_file
from bridge.probes.types import NoPathError

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from bridge.diagnostics import Diagnostic
    from bridge.probes.elf import ElfFile
    from bridge.probes.kernel.debug_files import Search
    from bridge.probes.kernel.symbols import Symbols
    from bridge.world import World

    Placed = Callable[[int], int]
    """Where an address of the file is in memory; 0 where that is hidden."""

_BEGINNINGS = ("_stext", "_text")
_GONE = (".init", ".exit", ".meminit", ".memexit", ".cpuinit", ".devinit", ".ref.text")
"""What sections of code start with that is not there any more when the kernel runs."""
_PER_CPU = ".data..percpu"


class KernelImage(DebugImage):
    """The kernel's own debug information, or that of a module."""

    space = "kernel"

    def __init__(
        self, found: ElfFile, other: ElfFile | None, owner: str, placed: Placed
    ) -> None:
        super().__init__(found, found, other)
        self.owner = owner
        """What scripts call it."""
        self._placed = placed

    def is_called(self, name: str) -> bool:
        """Whether a script means it by a name."""
        return name == self.owner or (self.owner == KERNEL and name.startswith("kernel<"))

    def runtime(self, address: int) -> int:
        """Where an address of the file is in memory; 0 where the kernel hides that."""
        return self._placed(address)

    def loaded(self, address: int) -> int:
        """The same, of a variable."""
        if self._section_at(address).startswith(_PER_CPU):
            raise NoPathError("it is a per-CPU variable, which has another place on each CPU")
        found = self._placed(address)
        if not found:
            raise NoPathError("the kernel hides its addresses (kernel.kptr_restrict)")
        return found

    def source(self, path: str, folder: str) -> str:
        """Files of the kernel are named from the folder where it was built."""
        return path.removeprefix(f"{folder}/") if folder else path

    def is_gone(self, address: int) -> bool:
        """Whether the code there is thrown away when the kernel has started."""
        return self._section_at(address).startswith(_GONE)

    @cached_property
    def _sections(self) -> list[tuple[int, int, str]]:
        places = placed_sections(self.found)
        found = []
        for section in self.found.sections:
            if section.header.flags & layout.SHF_ALLOC and section.number in places:
                low = places[section.number]
                found.append((low, low + section.header.size, section.name))
        return found

    def _section_at(self, address: int) -> str:
        names = (name for low, high, name in self._sections if low <= address < high)
        return next(names, "")

    def units_of_file(self, pattern: str) -> Container[int]:
        """See `DebugImage`: functions inlined from a file leave its lines in a unit."""
        files = self._files_like(pattern)
        records = self.index.all_functions()
        units = {record[2] for record in records if record[5] in files}
        named = (n for n in range(self.index.units) if self.unit(n).is_called(pattern))
        return units.union(named)


class DebugImages:
    """The debug information of one machine's kernel; each file is looked for once."""

    def __init__(self, world: World, symbols: Symbols) -> None:
        self._world = world
        self._symbols = symbols
        self._found: dict[tuple[str, str], tuple[KernelImage | None, Search]] = {}
        self.faults: list[Diagnostic] = []
        """What is wrong with files that were found."""

    def of(self, owner: str, given: str = "") -> KernelImage | None:
        """That of the kernel (`KERNEL`) or of a module, which a file may be `given` for."""
        return self._of(owner, given)[0]

    def search(self, owner: str, given: str = "") -> Search:
        """What was looked for."""
        return self._of(owner, given)[1]

    def _of(self, owner: str, given: str) -> tuple[KernelImage | None, Search]:
        key = owner, given
        if key not in self._found:
            if owner == KERNEL:
                elf, search = search_kernel(self._world)
            else:
                elf, search = search_module(self._world, owner, given)
            self._found[key] = (self._opened(elf, owner) if elf is not None else None), search
        return self._found[key]

    def _opened(self, elf: ElfFile, owner: str) -> KernelImage | None:
        sink = Sink()
        if owner == KERNEL:
            placed = _moved(elf, self._symbols)
        else:
            placed = _by_section(elf, owner, self._world)
        try:
            image = KernelImage(elf, common_file(elf, self._world), owner, placed)
            has_units = elf.order == "<" and image.index.units > 0
        except FAULTS as error:
            sink.report(errors.bad_debug_information(elf.path, str(error)))
            has_units = False
        self.faults += sink.items
        return image if has_units else None


# --- where code is in memory ------------------------------------------------------------------


def _moved(elf: ElfFile, symbols: Symbols) -> Placed:
    """The kernel, which is moved as a whole."""
    written = _symbol_values(elf, _BEGINNINGS)
    for name in _BEGINNINGS:
        found = symbols.named(name, "")
        if name in written and found and found[0].address:
            bias = found[0].address - written[name]
            return lambda address: address + bias
    return lambda _address: 0


def _symbol_values(elf: ElfFile, names: tuple[str, ...]) -> dict[str, int]:
    """The values of some symbols."""
    table, texts = elf.section(".symtab"), elf.section(".strtab")
    if table is None or texts is None:
        return {}
    strings = bytes(elf.content(texts))
    wanted: dict[int, str] = {}
    for name in names:
        text = name.encode() + b"\0"
        at = strings.find(text)
        while at >= 0:  # the end of a longer name may be shared
            wanted[at] = name
            at = strings.find(text, at + 1)
    form = layout.SYM.struct(elf.order)
    content = elf.content(table)
    found: dict[str, int] = {}
    for record in form.iter_unpack(content[: len(content) // form.size * form.size]):
        if record[0] in wanted:
            found.setdefault(wanted[record[0]], record[4])
    return found


def _by_section(elf: ElfFile, module: str, world: World) -> Placed:
    """A module, each of whose sections has a place of its own."""
    places = placed_sections(elf)
    known: list[tuple[int, int, int]] = []
    for section in elf.sections:
        if section.number in places:
            low = places[section.number]
            high = low + section.header.size
            known.append((low, high, _told(world, module, section.name)))

    def placed(address: int) -> int:
        for low, high, start in known:
            if low <= address < high or (address == high and low < high):
                return start + address - low if start else 0
        return 0

    return placed


def _told(world: World, module: str, section: str) -> int:
    """Where the kernel has a section of a module; 0 where that is hidden."""
    try:
        text = world.read_file(f"/sys/module/{module}/sections/{section}")
        return int(text.strip().removesuffix(b"\0") or b"0", 16)
    except (OSError, ValueError):
        return 0
