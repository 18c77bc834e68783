"""`ElfFile` -> its debug information, wherever that is: in the file, or in a separate one.

None means that there is none; what is wrong with one goes to the sink. Nothing is read before
it is asked for: the index of names first, entries when variables are wanted.
"""

from __future__ import annotations

import posixpath
from functools import cached_property
from typing import TYPE_CHECKING

from bridge.formats import debug_index as layout
from bridge.probes import errors
from bridge.probes.dwarf.debug import DebugFile
from bridge.probes.dwarf.die import FAULTS
from bridge.probes.dwarf.frame import Frames
from bridge.probes.dwarf.index import DebugIndex, index_key, load_index
from bridge.probes.dwarf.types import DwarfTypes
from bridge.probes.dwarf.units import DebugFunction, Unit, is_in
from bridge.probes.points import is_wild, matching_name
from bridge.probes.separate import build_id, common_file, debug_file
from bridge.probes.symbols import functions_like
from bridge.progress import doing

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from bridge.diagnostics import Sink
    from bridge.probes.dwarf.debug import Die
    from bridge.probes.elf import ElfFile
    from bridge.world import World

_UNIT, _NAME, _FILE = 2, 3, 5
"""Where these stand in the record of a function (`index.FunctionRecord`)."""


class DebugImage:
    """A program or library with its debug information."""

    space = "user"
    """Whose memory its variables lie in: "kernel" or "user"."""

    def __init__(self, elf: ElfFile, found: ElfFile, other: ElfFile | None) -> None:
        self.elf = elf
        self.found = found
        """The file that has the debug information."""
        self._other = other
        self._units: dict[int, Unit] = {}
        self._functions: dict[int, DebugFunction] = {}

    @cached_property
    def debug(self) -> DebugFile:
        """Its entries."""
        return DebugFile(self.found, self._other)

    @cached_property
    def index(self) -> DebugIndex:
        """Its functions and names."""
        key = index_key(self.found, self._other, build_id(self.found))
        return load_index(key, self._make_index)

    def _make_index(self) -> bytes:
        with doing(f"reading the debug information of {self.elf.path}"):
            return self.debug.make_index()

    @cached_property
    def frames(self) -> Frames:
        """Its call frame information."""
        return Frames(self.elf, self.found)

    @cached_property
    def types(self) -> DwarfTypes:
        """The types of all units."""
        return DwarfTypes(self)

    def is_called(self, name: str) -> bool:
        """Whether a script means this file by a name: its path, or how that ends."""
        path = posixpath.normpath(name)
        return self.elf.path == path or self.elf.path.endswith(f"/{path}")

    def loaded(self, _address: int) -> int | None:
        """Where an address of the file is in memory; None: that is known at a hit only."""
        return None

    def source(self, path: str, _folder: str) -> str:
        """How a source file is called that a unit of a folder has."""
        return path

    # --- units ---

    def unit(self, number: int) -> Unit:
        """A unit by its number."""
        if number not in self._units:
            self._units[number] = Unit(self, number)
        return self._units[number]

    def unit_of(self, die: Die) -> Unit:
        """The unit that an entry is in."""
        return self.unit(die.unit)

    @cached_property
    def split(self) -> str:
        """A file that holds the debug information of a unit (gcc -gsplit-dwarf); "" if none.

        The first of several; what is in such files is not read.
        """
        for number in range(self.index.units):
            record = self.index.unit(number)
            if record.flags & layout.UNIT_SPLIT:
                folder, name = map(self.index.text, (record.folder, record.name))
                return posixpath.join(folder, name)
        return ""

    # --- functions ---

    def function(self, number: int) -> DebugFunction:
        """A function with code by its number in the index."""
        if number not in self._functions:
            self._functions[number] = DebugFunction(self, self.index.function(number))
        return self._functions[number]

    def functions(
        self, pattern: str, file: str = "", units: Container[int] | None = None
    ) -> Iterator[DebugFunction]:
        """The functions whose names a pattern fits, inlined copies as well; in file order.

        `file` is a pattern for their source files, `units` the only ones to look into.
        """
        if not is_wild(pattern):
            records = iter(self.index.named(pattern, layout.NAME_FUNCTION))
            found = (self.function(number) for number in sorted(r.number for r in records))
            yield from (one for one in found if is_in(one.file, file))
            return
        texts = self.index.like(layout.NAME_FUNCTION, pattern)
        names = None if pattern == "*" else {record.name for record in texts}
        files = self._files_like(file) if file else None
        for number, record in enumerate(self.index.all_functions()):
            if (
                (names is None or record[_NAME] in names)
                and (files is None or record[_FILE] in files)
                and (units is None or record[_UNIT] in units)
            ):
                yield self.function(number)

    def _files_like(self, pattern: str) -> set[int]:
        """The texts of source files of functions that a pattern means."""
        texts = {record[_FILE] for record in self.index.all_functions()}
        return {text for text in texts if is_in(self.index.text(text), pattern)}

    def units_of_file(self, _pattern: str) -> Container[int] | None:
        """The numbers of the units that may have lines of a file; None: it is not known."""
        return None

    def function_names(self) -> set[str]:
        """The names of all functions."""
        return self.index.names(layout.NAME_FUNCTION)

    @cached_property
    def _entries(self) -> dict[int, int]:
        """The functions that are no copies, by the address where they are entered."""
        inlined = layout.FUNCTION_INLINED
        return {
            record[1]: number
            for number, record in enumerate(self.index.all_functions())
            if not record[9] & inlined
        }

    def entered_at(self, address: int) -> DebugFunction | None:
        """The function that begins at an address."""
        number = self._entries.get(address)
        return None if number is None else self.function(number)

    @property
    def separate(self) -> ElfFile | None:
        """The other file that has its symbols; None if it has them itself."""
        return self.found if self.found is not self.elf else None

    def aliased(self, pattern: str) -> Iterator[DebugFunction]:
        """The functions that only a symbol calls so: libc's `malloc` is `__libc_malloc`."""
        if not is_wild(pattern):
            symbols = functions_like(self.elf, self.separate, pattern)
            numbers = (self.index.entered_at(symbol.address) for symbol in symbols)
            found = [self.function(number) for number in numbers if number is not None]
            yield from (function for function in found if function.name != pattern)
            return
        for symbol in functions_like(self.elf, self.separate, pattern):
            name = matching_name(symbol.names, pattern)
            function = self.entered_at(symbol.address) if name is not None else None
            if function is not None and name != function.name:
                yield function


def open_image(elf: ElfFile, world: World, sink: Sink) -> DebugImage | None:
    """The debug information of a file; None without, or after saying what is wrong."""
    found = debug_file(elf, world)
    if found is None or found.order != "<":
        return None
    try:
        image = DebugImage(elf, found, common_file(found, world))
        has_units = image.index.units > 0
    except FAULTS as error:
        sink.report(errors.bad_debug_information(found.path, str(error)))
        return None
    return image if has_units else None
