"""A compilation unit: its functions with their code, its files and lines, its global entries.

Everything is read when it is first asked for, and kept.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bridge.probes.dwarf import die as entries
from bridge.probes.dwarf.lines import file_names, prologue_end, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.probes.dwarf.die import Die
    from bridge.probes.dwarf.image import Image
    from bridge.probes.dwarf.lines import Row

NAMED = frozenset(
    {
        *(f"DW_TAG_{word}_type" for word in ("structure", "union", "class", "enumeration")),
        "DW_TAG_typedef",
        "DW_TAG_base_type",
    }
)
"""Entries that are types with names of their own."""
_SPACES = frozenset(
    {
        "DW_TAG_namespace",
        "DW_TAG_class_type",
        "DW_TAG_structure_type",
        "DW_TAG_union_type",
        "DW_TAG_module",
    }
)
_INNER = frozenset({"DW_TAG_lexical_block", "DW_TAG_inlined_subroutine", "DW_TAG_subprogram"})
_INDEXED = ("DW_FORM_strx", "DW_FORM_strx1", "DW_FORM_strx2", "DW_FORM_strx3", "DW_FORM_strx4")

Range = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Function:
    """A function with code: its own (`inlined` False), or a copy inside of another."""

    unit: Unit
    die: Die
    name: str
    scopes: tuple[str, ...]
    """The namespaces and classes around it, outermost first."""
    file: str
    line: int
    ranges: tuple[Range, ...]
    inlined: bool = False
    outer: tuple[Die, ...] = field(default=(), repr=False)
    """For an inlined copy: the entries that it lies in, innermost first."""

    @property
    def entry(self) -> int:
        """The address of its first instruction."""
        value = entries.number(self.die, "DW_AT_low_pc")
        own = entries.own(self.die, "DW_AT_entry_pc")
        if own is not None and isinstance(own.value, int):
            # a constant counts from the start of the code (DWARF 5, 2.18)
            relative = own.form.startswith("DW_FORM_data") or own.form == "DW_FORM_udata"
            return own.value + (self.ranges[0][0] if relative else 0)
        return value if value is not None else self.ranges[0][0]

    @property
    def full_name(self) -> str:
        """With its namespaces and classes."""
        return "::".join((*self.scopes, self.name))

    def holds(self, address: int) -> bool:
        """Whether an address lies in its code."""
        return any(low <= address < high for low, high in self.ranges)

    def room_behind(self, address: int) -> int:
        """The bytes of its code from an address on; 0 if it lies outside.

        An inlined copy may be entered outside of its ranges, or in an empty one.
        """
        return next((high - address for low, high in self.ranges if low <= address < high), 0)

    @cached_property
    def start(self) -> int:
        """Where SystemTap puts a probe on it: behind the prologue of unoptimised code."""
        if self.inlined or self.unit.is_optimised:
            return self.entry
        end = self.entry + self.room_behind(self.entry)
        return prologue_end(self.unit.rows, self.entry, end, self.file)


class Unit:
    """A compilation unit of an image."""

    def __init__(self, image: Image, unit: Any) -> None:  # noqa: ANN401 - of pyelftools
        self.image = image
        self.raw = unit
        self.top: Die = unit.get_top_DIE()

    @property
    def name(self) -> str:
        """The source file's name, as it was given to the compiler."""
        return entries.name_of(self.top)

    @property
    def folder(self) -> str:
        """The folder that relative names count from."""
        return entries.text(self.top, "DW_AT_comp_dir")

    def is_called(self, pattern: str) -> bool:
        """Whether its source file matches a pattern: the whole name, or how the path ends."""
        names = (self.name, posixpath.join(self.folder, self.name))
        return any(fnmatchcase(n, p) for n in names for p in (pattern, f"*/{pattern}"))

    @cached_property
    def names(self) -> list[str]:
        """The paths of its source files, by number."""
        return file_names(self.image.info, self.raw, self.folder)

    @cached_property
    def rows(self) -> list[Row]:
        """Its line table."""
        return read_rows(self.image.info, self.raw, self.names)

    def may_mention(self, marks: list[bytes]) -> bool:
        """Whether one of these texts or offsets of texts occurs in its bytes."""
        if "DW_AT_str_offsets_base" in self.top.attributes or any(
            attribute.form in _INDEXED for attribute in self.top.attributes.values()
        ):
            return True
        start = self.raw.cu_offset
        end = start + self.raw.size
        return any(self.image.data.find(mark, start, end) >= 0 for mark in marks)

    @cached_property
    def ranges(self) -> tuple[Range, ...]:
        """Where its code lies."""
        return self.ranges_of(self.top)

    def holds(self, address: int) -> bool:
        """Whether an address lies in its code."""
        if self.ranges:
            return any(low <= address < high for low, high in self.ranges)
        return any(function.holds(address) for function in self.functions)

    def file(self, die: Die) -> tuple[str, int]:
        """Where an entry was declared."""
        found = entries.decl_file(die)
        if found is None:
            return "", 0
        holder, number = found
        unit = self if holder.cu is self.raw else Unit(self.image, holder.cu)
        name = unit.names[number] if 0 <= number < len(unit.names) else ""
        return name, entries.number(die, "DW_AT_decl_line") or 0

    def ranges_of(self, die: Die) -> tuple[Range, ...]:
        """The code of an entry: contiguous, or a list."""
        listed = entries.own(die, "DW_AT_ranges")
        if listed is not None:
            return self._listed(listed)
        low, high = entries.own(die, "DW_AT_low_pc"), entries.own(die, "DW_AT_high_pc")
        if low is None or high is None:
            return ()
        relative = not high.form.startswith("DW_FORM_addr")
        end = high.value + (low.value if relative else 0)
        return ((low.value, end),) if end > low.value else ()

    def _listed(self, attribute: Any) -> tuple[Range, ...]:  # noqa: ANN401
        lists = self.image.info.range_lists()
        base = entries.number(self.top, "DW_AT_low_pc") or 0
        found = []
        for item in lists.get_range_list_at_offset(attribute.value, self.raw):
            if hasattr(item, "base_address"):
                base = item.base_address
            else:
                start = 0 if getattr(item, "is_absolute", False) else base
                if item.end_offset > item.begin_offset:
                    found.append((start + item.begin_offset, start + item.end_offset))
        return tuple(found)

    # --- what is declared at the top ---

    @cached_property
    def types(self) -> dict[str, list[Die]]:
        """The named types of the unit (also those inside of namespaces), by name."""
        found: dict[str, list[Die]] = {}
        for die in self._top(self.top):
            if die.tag in NAMED and (name := entries.name_of(die)):
                found.setdefault(name, []).append(die)
        return found

    @cached_property
    def variables(self) -> dict[str, list[Die]]:
        """The global variables of the unit, by name."""
        found: dict[str, list[Die]] = {}
        for die in self._top(self.top):
            if die.tag == "DW_TAG_variable" and (name := entries.name_of(die)):
                found.setdefault(name, []).append(die)
        return found

    def _top(self, die: Die) -> Iterator[Die]:
        for child in entries.children(die):
            yield child
            if child.tag in ("DW_TAG_namespace", "DW_TAG_module"):
                yield from self._top(child)

    # --- functions ---

    @cached_property
    def functions(self) -> tuple[Function, ...]:
        """All functions with code, in the order of the file; inlined copies as well."""
        return tuple(self._functions(self.top, (), ()))

    def _functions(
        self, die: Die, scopes: tuple[str, ...], outer: tuple[Die, ...]
    ) -> Iterator[Function]:
        for child in entries.children(die):
            if child.tag in _SPACES:
                name = entries.name_of(child)
                yield from self._functions(child, (*scopes, name) if name else scopes, outer)
            elif child.tag in _INNER:
                yield from self._function(child, outer)
                yield from self._functions(child, scopes, (child, *outer))

    def _function(self, die: Die, outer: tuple[Die, ...]) -> Iterator[Function]:
        if die.tag == "DW_TAG_lexical_block":
            return
        ranges = self.ranges_of(die)
        if not ranges or entries.flag(die, "DW_AT_declaration"):
            return
        inlined = die.tag == "DW_TAG_inlined_subroutine"
        name = entries.name_of(die)
        if name and ranges[0][0]:
            file, line = self.file(die)
            scopes = _scopes(entries.origin(die))
            yield Function(
                self, die, name, scopes, file, line, ranges, inlined, outer if inlined else ()
            )

    @cached_property
    def is_optimised(self) -> bool:
        """Whether its locations hold in prologues: some are lists (as gdb decides it)."""
        return any(map(_has_list, self._data(self.top)))

    def _data(self, die: Die) -> Iterator[Die]:
        for child in die.iter_children():
            if child.tag in ("DW_TAG_variable", "DW_TAG_formal_parameter"):
                yield child
            if child.tag in _INNER:
                yield from self._data(child)


def _has_list(die: Die) -> bool:
    location = entries.own(die, "DW_AT_location")
    return location is not None and location.form in (
        "DW_FORM_sec_offset",
        "DW_FORM_loclistx",
        "DW_FORM_data4",
        "DW_FORM_data8",
    )


def _scopes(die: Die) -> tuple[str, ...]:
    """The named namespaces and classes around an entry."""
    found: list[str] = []
    parent = die.get_parent()
    while parent is not None and len(found) < entries.MOST_LINKS:
        if parent.tag in _SPACES and entries.name_of(parent):
            found.append(entries.name_of(parent))
        parent = parent.get_parent()
    return tuple(reversed(found))
