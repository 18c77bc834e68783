"""A compilation unit and its functions, from the index; entries are read when needed."""

from __future__ import annotations

import posixpath
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING

from bridge.formats import debug_index as layout
from bridge.probes.dwarf import die as entries
from bridge.probes.dwarf.debug import ADDRESS, LIST, NUMBERED_LIST
from bridge.probes.dwarf.lines import paths_of, rows_in

if TYPE_CHECKING:
    from bridge.probes.dwarf.debug import Die, LineRow
    from bridge.probes.dwarf.image import DebugImage
    from bridge.probes.dwarf.index import FunctionRecord, NameRecord

Range = tuple[int, int]


class DebugFunction:
    """A function with code: its own (`inlined` False), or a copy inside of another."""

    __slots__ = ("_image", "_ranges", "entry", "inlined", "line", "record")

    def __init__(self, image: DebugImage, record: FunctionRecord) -> None:
        self._image = image
        self.record = record
        self._ranges: tuple[Range, ...] | None = None
        self.entry = record.entry
        """The address of its first instruction."""
        self.line = record.line
        self.inlined = bool(record.flags & layout.FUNCTION_INLINED)

    @property
    def unit(self) -> Unit:
        """The unit that its code is in."""
        return self._image.unit(self.record.unit)

    @property
    def die(self) -> Die:
        """Its entry."""
        return self._image.debug.entry(self.record.ref)

    @property
    def name(self) -> str:
        """Its name, without namespaces."""
        return self._image.index.text(self.record.name)

    @property
    def full_name(self) -> str:
        """With its namespaces and classes."""
        scope = self._image.index.text(self.record.scope)
        return f"{scope}::{self.name}" if scope else self.name

    @property
    def file(self) -> str:
        """Where it was declared."""
        return self._image.source(self._image.index.text(self.record.file), self.unit.folder)

    @property
    def is_external(self) -> bool:
        """Whether other files can call it."""
        return bool(self.record.flags & layout.FUNCTION_EXTERNAL)

    @property
    def ranges(self) -> tuple[Range, ...]:
        """Its code; an inlined copy may have none left."""
        if self._ranges is None:
            self._ranges = self._image.index.ranges(self.record.range, self.record.ranges)
        return self._ranges

    @property
    def outer(self) -> DebugFunction | None:
        """The function or inlined copy around it."""
        number = self.record.outer
        return None if number < 0 else self._image.function(number)

    @property
    def copies(self) -> list[DebugFunction]:
        """The inlined copies directly in it."""
        index = self._image.index
        numbers = self.unit.functions
        own = next(n for n in numbers if index.function(n).ref == self.record.ref)
        return [self._image.function(n) for n in numbers if index.function(n).outer == own]

    @property
    def body(self) -> DebugFunction:
        """The function with code of its own that it is in."""
        found = self
        while found.inlined and (outer := found.outer) is not None:
            found = outer
        return found

    def holds(self, address: int) -> bool:
        """Whether an address lies in its code."""
        return any(low <= address < high for low, high in self.ranges)

    def room_behind(self, address: int) -> int:
        """The bytes of its code from an address on; 0 if it lies outside.

        An inlined copy may be entered outside of its ranges, or in an empty one.
        """
        return next((high - address for low, high in self.ranges if low <= address < high), 0)

    @property
    def rows(self) -> list[LineRow]:
        """The rows of the line table in its code."""
        unit = self.unit
        return rows_in(unit.rows, unit.addresses, self.ranges)

    @property
    def start(self) -> int:
        """Where SystemTap puts a probe on it: behind the prologue of unoptimised code."""
        return self.entry + self.record.prologue


class Unit:
    """A compilation unit of an image."""

    def __init__(self, image: DebugImage, number: int) -> None:
        self.image = image
        self.number = number
        self._record = image.index.unit(number)
        self._matches: dict[str, frozenset[int]] = {}

    @property
    def name(self) -> str:
        """The source file's name, as it was given to the compiler."""
        return self.image.index.text(self._record.name)

    @property
    def folder(self) -> str:
        """The folder that relative names count from."""
        return self.image.index.text(self._record.folder)

    @property
    def functions(self) -> range:
        """The numbers of its functions."""
        return range(self._record.function, self._record.function + self._record.functions)

    @cached_property
    def top(self) -> Die:
        """Its own entry."""
        return self.image.debug.entry(self.image.debug.unit(self.number).first)

    @cached_property
    def version(self) -> int:
        """The version of DWARF."""
        return int(self.image.debug.unit(self.number).version)

    @cached_property
    def address_size(self) -> int:
        """The bytes of an address."""
        return int(self.image.debug.unit(self.number).address_size)

    @cached_property
    def offset_size(self) -> int:
        """The bytes of an offset in a section."""
        return 8 if self.image.debug.unit(self.number).is_64 else 4

    def is_called(self, pattern: str) -> bool:
        """Whether its source file matches a pattern: the whole name, or how the path ends."""
        names = (self.name, posixpath.join(self.folder, self.name))
        return any(fnmatchcase(n, p) for n in names for p in (pattern, f"*/{pattern}"))

    # --- lines ---

    @cached_property
    def names(self) -> list[str]:
        """The paths of its source files, by number."""
        _, files = self.image.debug.lines(self.number, rows=False)
        folder, source = self.folder, self.image.source
        return [source(path, folder) for path in paths_of(files, folder)]

    @cached_property
    def rows(self) -> list[LineRow]:
        """Its line table."""
        return self.image.debug.lines(self.number, rows=True)[0]

    @cached_property
    def addresses(self) -> list[int]:
        """The addresses of its line table."""
        return [row.address for row in self.rows]

    def files_like(self, pattern: str) -> frozenset[int]:
        """The numbers of the files that a pattern means; all for ""."""
        found = self._matches.get(pattern)
        if found is None:
            found = frozenset(
                number for number, name in enumerate(self.names) if is_in(name, pattern)
            )
            self._matches[pattern] = found
        return found

    def file(self, die: Die) -> tuple[str, int]:
        """Where an entry was declared."""
        found = entries.decl_file(die)
        if found is None:
            return "", 0
        holder, number = found
        names = self.image.unit_of(holder).names
        name = names[number] if 0 <= number < len(names) else ""
        return name, entries.number(die, "DW_AT_decl_line") or 0

    # --- code and names ---

    def ranges_of(self, die: Die) -> tuple[Range, ...]:
        """The code of an entry: contiguous, or a list."""
        listed = entries.own(die, "DW_AT_ranges")
        if listed is not None and listed.kind in (LIST, NUMBERED_LIST):
            return tuple(self.image.debug.ranges(self.number, listed))
        low, high = entries.own(die, "DW_AT_low_pc"), entries.own(die, "DW_AT_high_pc")
        if low is None or high is None:
            return ()
        end = high.value + (0 if high.kind == ADDRESS else low.value)
        return ((low.value, end),) if end > low.value else ()

    def variables(self, name: str) -> list[NameRecord]:
        """The entries of a global of that name, here and in units that are imported."""
        index = self.image.index
        family = {self.number, *index.imports.get(self.number, ())}
        return [one for one in index.named(name, layout.NAME_VARIABLE) if one.unit in family]


def is_in(file: str, pattern: str) -> bool:
    """Whether a pattern means a file: its whole path, or how that ends."""
    return not pattern or fnmatchcase(file, pattern) or fnmatchcase(file, f"*/{pattern}")
