"""The index of a file's debug information: which functions, variables and types it has, where.

It is made by one pass of csrc/dwarf over all entries and kept on disk by what names the file's
content, so that later runs read entries only of what they are asked for. What is read back is
checked like any file, and made anew where it is no index.
"""

from __future__ import annotations

import mmap
import os
import re
import tempfile
from contextlib import suppress
from fnmatch import translate
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bridge._native import ffi, lib
from bridge.formats import debug_index as layout
from bridge.parsing import private_folder
from bridge.probes.dwarf.sections import find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.formats.elf_notes import Layout
    from bridge.probes.elf import ElfFile

ENTRIES = 64
"""How many indexes are kept; the oldest go first."""


_ENTRY_OFFSET = 8
"""Where the entry stands in the record of a function."""


class UnitRecord(NamedTuple):
    """A unit: where its header is, and what it has; see `formats.debug_index`."""

    start: int
    name: int
    folder: int
    function: int
    functions: int
    flags: int
    spare: int


class FunctionRecord(NamedTuple):
    """A function with code, or an inlined copy of one."""

    ref: int
    entry: int
    unit: int
    name: int
    scope: int
    file: int
    line: int
    range: int
    ranges: int
    flags: int
    outer: int
    prologue: int


class NameRecord(NamedTuple):
    """That something has a name: a function (its number), a variable, a type."""

    ref: int
    name: int
    unit: int
    number: int
    kind: int
    tag: int


class DebugIndex:
    """The arrays of an index."""

    def __init__(self, data: memoryview | mmap.mmap) -> None:
        self._data = memoryview(data)
        head = layout.HEAD.struct().unpack_from(self._data)
        _, _, self.units, self.functions, self._ranges, self._names, imports, slots, _ = head
        at = layout.HEAD.struct().size
        parts = (
            (layout.UNIT, self.units),
            (layout.FUNCTION, self.functions),
            (layout.RANGE, self._ranges),
            (layout.NAME, self._names),
            (layout.IMPORT, imports),
            (layout.SLOT, slots),
        )
        self._parts: dict[str, memoryview] = {}
        for form, count in parts:
            size = count * form.struct().size
            self._parts[form.name] = self._data[at : at + size]
            at += size
        self._texts = self._data[at:]
        self._known: dict[int, str] = {0: ""}

    def _record(self, form: Layout, number: int) -> tuple[int, ...]:
        record = form.struct()
        return record.unpack_from(self._parts[form.name], number * record.size)

    def text(self, number: int) -> str:
        """A text by its number."""
        found = self._known.get(number)
        if found is None:
            end = number
            piece = b""
            while b"\0" not in piece:
                end += 64
                piece = bytes(self._texts[number:end])
            found = piece[: piece.index(0)].decode("utf-8", "surrogateescape")
            self._known[number] = found
        return found

    def unit(self, number: int) -> UnitRecord:
        """A unit by its number."""
        return UnitRecord._make(self._record(layout.UNIT, number))

    def function(self, number: int) -> FunctionRecord:
        """A function by its number; those of a unit follow each other."""
        return FunctionRecord._make(self._record(layout.FUNCTION, number))

    def all_functions(self) -> Iterator[tuple[int, ...]]:
        """The records of all functions."""
        return layout.FUNCTION.struct().iter_unpack(self._parts[layout.FUNCTION.name])

    def entered_at(self, address: int) -> int | None:
        """The number of the function of its own (not inlined) that begins at an address."""
        form = layout.FUNCTION.struct()
        data, wanted = self._functions_data, address.to_bytes(8, "little")
        found, at = None, data.find(wanted)
        while at >= 0:
            number, rest = divmod(at, form.size)
            if rest == _ENTRY_OFFSET:
                record = self.function(number)
                if not record.flags & layout.FUNCTION_INLINED:
                    found = number
            at = data.find(wanted, at + 1)
        return found

    @cached_property
    def _functions_data(self) -> bytes:
        return bytes(self._parts[layout.FUNCTION.name])

    def ranges(self, first: int, count: int) -> tuple[tuple[int, int], ...]:
        """The code of a function."""
        form = layout.RANGE.struct()
        piece = self._parts[layout.RANGE.name][first * form.size : (first + count) * form.size]
        return tuple((low, high) for low, high in form.iter_unpack(piece))

    def holding(self, address: int) -> list[int]:
        """The numbers of the functions that an address is in."""
        records = layout.RANGE.struct().iter_unpack(self._parts[layout.RANGE.name])
        inside = {n for n, (low, high) in enumerate(records) if low <= address < high}
        if not inside:
            return []
        return [
            number
            for number, record in enumerate(self.all_functions())
            if any(n in inside for n in range(record[7], record[7] + record[8]))
        ]

    # --- names ---

    def named(self, name: str, kind: int) -> list[NameRecord]:
        """What has a name."""
        number = self._number(name.encode("utf-8", "surrogateescape"))
        if number is None:
            return []
        return [one for one in self._records_of(number) if one.kind == kind]

    def _number(self, name: bytes) -> int | None:
        """The number of a text, by the hash table."""
        slots = self._parts[layout.SLOT.name]
        count = len(slots) // layout.SLOT.struct().size
        value = layout.HASH_START
        for byte in name:
            value = ((value ^ byte) * layout.HASH_FACTOR) & 0xFFFFFFFF
        for step in range(count):
            (found,) = self._record(layout.SLOT, (value + step) % count)
            if not found:
                return None
            if bytes(self._texts[found : found + len(name) + 1]) == name + b"\0":
                return found
        return None

    def _records_of(self, number: int) -> Iterator[NameRecord]:
        """The records of one text: they are in the order of their texts' numbers."""
        low, high = 0, self._names
        while low < high:
            middle = (low + high) // 2
            if self._record(layout.NAME, middle)[1] < number:
                low = middle + 1
            else:
                high = middle
        for at in range(low, self._names):
            found = NameRecord._make(self._record(layout.NAME, at))
            if found.name != number:
                return
            yield found

    def matching(self, kind: int, is_wanted: Callable[[str], object]) -> Iterator[NameRecord]:
        """What has a name for which `is_wanted` holds; it is asked once a name."""
        last, wanted = -1, False
        for record in layout.NAME.struct().iter_unpack(self._parts[layout.NAME.name]):
            if record[4] != kind:
                continue
            if record[1] != last:
                last = record[1]
                wanted = bool(is_wanted(self.text(last)))
            if wanted:
                yield NameRecord._make(record)

    def like(self, kind: int, pattern: str) -> Iterator[NameRecord]:
        """What has a name that a shell pattern fits."""
        return self.matching(kind, re.compile(translate(pattern)).match)

    def names(self, kind: int) -> set[str]:
        """All names of a kind."""
        return {self.text(record.name) for record in self.matching(kind, bool)}

    @cached_property
    def imports(self) -> dict[int, frozenset[int]]:
        """The units that a unit imports, directly or not, where it imports any."""
        direct: dict[int, set[int]] = {}
        for unit, target in layout.IMPORT.struct().iter_unpack(self._parts[layout.IMPORT.name]):
            direct.setdefault(unit, set()).add(target)
        found = {}
        for unit in direct:
            reached: set[int] = set()
            waiting = [unit]
            while waiting:
                more = direct.get(waiting.pop(), set()) - reached
                reached |= more
                waiting += more
            found[unit] = frozenset(reached)
        return found


# --- kept ones --------------------------------------------------------------------------------


def is_index(data: memoryview | mmap.mmap | bytes) -> bool:
    """Whether bytes are an index whose numbers lie inside of it."""
    return bool(lib.mb_debug_index_is_good(ffi.from_buffer("uint8_t[]", data), len(data)))


def load_index(key: str | None, make: Callable[[], bytes]) -> DebugIndex:
    """The kept index of a key, or a new one, which is kept; None: nothing is kept."""
    folder = private_folder("debug") if key is not None else None
    if folder is None or key is None:
        return DebugIndex(memoryview(make()))
    path = folder / key
    kept = _kept(path)
    if kept is not None:
        return kept
    data = make()
    _keep(path, data)
    return DebugIndex(memoryview(data))


def _kept(path: Path) -> DebugIndex | None:
    try:
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return None
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError:
        return None
    return DebugIndex(data) if is_index(data) else None


def _keep(path: Path, data: bytes) -> None:
    """Write it whole or not at all; that this fails is no error."""
    with suppress(OSError):
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink()
            raise
        entries = sorted(path.parent.iterdir(), key=lambda entry: entry.stat().st_mtime_ns)
        for old in entries[:-ENTRIES]:
            old.unlink()


def index_key(elf: ElfFile, other: ElfFile | None, identity: bytes) -> str | None:
    """What names the debug information of a file: its build-id, and how it is laid out.

    None for a file without a build-id. The layout and the abbreviations tell apart what was
    made from one link: with and without common parts moved out, compressed and not.
    """
    if not identity:
        return None
    facts = sha256(identity)
    for file in (elf, other):
        if file is None:
            continue
        facts.update(repr((file.header, len(file.data))).encode())
        facts.update(repr([section.header for section in file.sections]).encode())
        section = find(file, ".debug_abbrev")
        if section is not None:
            facts.update(file.content(section))
    facts.update(f"|{layout.VERSION}".encode())
    return facts.hexdigest()
