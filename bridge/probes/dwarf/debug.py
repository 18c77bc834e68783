"""Sections of debug information -> entries, ranges, locations, lines: the door to csrc/dwarf.

An entry is named by its `ref`: its offset in .debug_info; in .debug_types, and in the file that
dwz moved common parts to, a mark is added. Whatever is damaged raises `DebugError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bridge._native import ffi, lib
from bridge.formats import debug_index as layout
from bridge.formats import dwarf as names
from bridge.probes.dwarf.sections import DebugError, content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.probes.elf import ElfFile

_AT_ONCE = (
    *(".debug_info", ".debug_types", ".debug_abbrev", ".debug_str"),
    *(".debug_line_str", ".debug_str_offsets", ".debug_addr"),
)
_LISTS = (".debug_ranges", ".debug_rnglists")
_LOCATIONS = (".debug_loc", ".debug_loclists")
_LINES = (".debug_line",)
OTHER_FILE = 1 << 56
"""The mark of entries in the file that dwz made."""
_DEEPEST = 256


class DebugAttribute(NamedTuple):
    """The value of an attribute; `kind` is one of `ADDRESS` .. `NUMBERED_LIST`."""

    kind: int
    value: Any
    """bytes of a text or block, else a number: a ref, an offset, a constant."""


ADDRESS, NUMBER, FLAG, TEXT, ENTRY = range(1, 6)
SIGNATURE, BLOCK, LIST, NUMBERED_LIST = range(6, 10)
_LIST_KINDS = frozenset({LIST, NUMBERED_LIST})


class LineRow(NamedTuple):
    """A row of a line table: from this address on, this line of this file."""

    address: int
    file: int
    """The number of the file in its unit."""
    line: int
    is_statement: bool
    prologue_end: bool
    end: bool


class Die:
    """An entry: what kind of thing it describes (`tag`), and its attributes by name."""

    __slots__ = ("attributes", "file", "has_children", "next", "offset", "tag", "unit")

    def __init__(self, file: DebugFile, native: Any) -> None:  # noqa: ANN401 - cffi's
        self.file = file
        self.offset: int = native.ref
        self.unit: int = native.unit
        self.tag = names.TAGS.get(native.tag, f"DW_TAG_{native.tag:#x}")
        self.has_children = bool(native.has_children)
        self.attributes = dict(_attributes(native))
        self.next: int = native.next
        """The ref behind its attributes: its first child, or what follows it."""

    def iter_children(self) -> Iterator[Die]:
        """The entries directly below."""
        if not self.has_children:
            return
        ref = self.next
        while True:
            child = self.file.read(ref)
            if child is None:
                return
            yield child
            ref = self.file.after(child.offset) if child.has_children else child.next

    def get_parent(self) -> Die | None:
        """The entry around it; None for that of a unit."""
        around = self.file.around(self.offset)
        return self.file.entry(around[-1]) if around else None


def _attributes(native: Any) -> Iterator[tuple[str, DebugAttribute]]:  # noqa: ANN401 - cffi's
    known, signed, buffer = names.ATTRIBUTES, names.SIGNED_FORMS, ffi.buffer
    values = native.value
    for number in range(native.count):
        value = values[number]
        name = known.get(value.name)
        if name is None:
            continue
        kind = value.kind
        if kind in (TEXT, BLOCK):
            yield name, DebugAttribute(kind, buffer(value.data, value.size)[:])
        else:
            found = value.number
            if kind == NUMBER and value.form in signed and found >> 63:
                found -= 1 << 64
            yield name, DebugAttribute(kind, found)


class DebugFile:
    """Open debug information of a file, and of the one that dwz made beside it."""

    def __init__(self, elf: ElfFile, other: ElfFile | None) -> None:
        self._elfs = (elf, other)
        self._kept: list[memoryview] = []
        self._loaded: set[tuple[str, ...]] = {_AT_ONCE}
        first = self._sections(elf)
        second = self._sections(other) if other is not None else ffi.NULL
        handle = lib.mb_debug_open(first, second)
        if handle == ffi.NULL:
            raise MemoryError
        self.handle = ffi.gc(handle, lib.mb_debug_close)
        self._native = ffi.new("struct mb_debug_entry *")
        self._entries: dict[int, Die | None] = {}

    def _sections(self, elf: ElfFile) -> Any:  # noqa: ANN401 - cffi's
        found = ffi.new(f"struct mb_debug_bytes[{len(names.SECTIONS)}]")
        for name in _AT_ONCE:
            self._fill(found[names.SECTIONS.index(name)], content(elf, name))
        return found

    def _fill(self, native: Any, data: memoryview) -> None:  # noqa: ANN401 - cffi's
        # The view is kept, and not the buffer that it lends: in a cycle of garbage the view
        # would be cleared first, and what had been lent would then be given back to nobody.
        with ffi.from_buffer("uint8_t[]", data) as pointer:
            native.data = ffi.cast("uint8_t *", int(ffi.cast("uintptr_t", pointer)))
        native.size = len(data)
        self._kept.append(data)

    def _need(self, sections: tuple[str, ...]) -> None:
        """Decompress sections that only some questions need."""
        if sections in self._loaded:
            return
        self._loaded.add(sections)
        native = ffi.new("struct mb_debug_bytes *")
        for second, elf in enumerate(self._elfs):
            if elf is None:
                continue
            for name in sections:
                self._fill(native, content(elf, name))
                number = names.SECTIONS.index(name)
                lib.mb_debug_add_section(self.handle, second, number, native)

    @property
    def reason(self) -> str:
        """Why something could not be read."""
        return ffi.string(lib.mb_debug_reason(self.handle)).decode() or "damaged"

    def make_index(self) -> bytes:
        """The index of all functions and names (`formats.debug_index`)."""
        self._need(_LISTS)
        self._need(_LINES)
        size = ffi.new("uint64_t *")
        found = lib.mb_debug_index(self.handle, size)
        if found == ffi.NULL:
            raise DebugError(self.reason)
        try:
            return bytes(ffi.buffer(found, size[0]))
        finally:
            lib.mb_debug_index_free(found)

    # --- entries ---

    def read(self, ref: int) -> Die | None:
        """The entry at a ref; None for the end of a list of children."""
        if ref in self._entries:
            return self._entries[ref]
        if lib.mb_debug_entry(self.handle, ref, self._native):
            raise DebugError(self.reason)
        found = Die(self, self._native) if self._native.tag else None
        self._entries[ref] = found
        return found

    def entry(self, ref: int) -> Die:
        """The entry at a ref."""
        found = self.read(ref)
        if found is None:
            raise DebugError(f"there is no entry at {ref:#x}")
        return found

    def after(self, ref: int) -> int:
        """The ref of what follows an entry and all below it."""
        found = lib.mb_debug_after(self.handle, ref)
        if not found:
            raise DebugError(self.reason)
        return int(found)

    def of_signature(self, signature: int) -> Die:
        """The type that a type unit of a signature describes."""
        ref = lib.mb_debug_type_of(self.handle, signature)
        if not ref:
            raise DebugError(f"there is no type unit {signature:#018x}")
        return self.entry(ref)

    def around(self, ref: int) -> list[int]:
        """The refs of the entries around one, outermost first."""
        found = ffi.new(f"uint64_t[{_DEEPEST}]")
        count = lib.mb_debug_around(self.handle, ref, found, _DEEPEST)
        if count < 0:
            raise DebugError(f"there is no entry at {ref:#x}")
        return list(found[0:count])

    # --- units ---

    def unit(self, number: int) -> Any:  # noqa: ANN401 - cffi's
        """What a unit's header and top entry say (`struct mb_debug_unit`)."""
        found = lib.mb_debug_unit(self.handle, number)
        if found == ffi.NULL:
            raise DebugError(self.reason)
        return found

    def ranges(self, unit: int, attribute: DebugAttribute) -> list[tuple[int, int]]:
        """The ranges of a list, as pairs of addresses."""
        self._need(_LISTS)
        room = 16
        while True:
            found = ffi.new(f"struct mb_debug_range[{room}]")
            count = lib.mb_debug_ranges(
                self.handle, unit, attribute.kind, attribute.value, found, room
            )
            if count < 0:
                raise DebugError(self.reason)
            if count <= room:
                return [(found[n].low, found[n].high) for n in range(count)]
            room = count

    def location(self, unit: int, attribute: DebugAttribute, address: int) -> bytes | None:
        """The expression of a location list that holds at an address."""
        self._need(_LOCATIONS)
        found = ffi.new("struct mb_debug_bytes *")
        ret = lib.mb_debug_location(
            self.handle, unit, attribute.kind, attribute.value, address, found
        )
        if ret == 0:
            return bytes(ffi.buffer(found.data, found.size))
        if ret == lib.MB_DEBUG_NOT_THERE:
            return None
        raise DebugError("a location list cannot be read")

    def address(self, unit: int, number: int) -> int:
        """The address of a number in the unit's table."""
        found = ffi.new("uint64_t *")
        if lib.mb_debug_address(self.handle, unit, number, found):
            raise DebugError(f"there is no address number {number}")
        return int(found[0])

    def lines(
        self, unit: int, *, rows: bool
    ) -> tuple[list[LineRow], list[tuple[bytes, bytes]]]:
        """The rows of a unit's line table, and its files: folder (b"": the unit's), name."""
        self._need(_LINES)
        native = ffi.new("struct mb_debug_lines *")
        if lib.mb_debug_lines(self.handle, unit, rows, native):
            raise DebugError(self.reason)
        try:
            return list(_rows(native)), [_file(native.file[n]) for n in range(native.files)]
        finally:
            lib.mb_debug_lines_free(native)


def _rows(native: Any) -> Iterator[LineRow]:  # noqa: ANN401 - cffi's
    if not native.rows:
        return
    form = layout.ROW.struct()
    for address, file, line, flags, _ in form.iter_unpack(
        ffi.buffer(native.row, native.rows * form.size)
    ):
        yield LineRow(address, file, line, bool(flags & 1), bool(flags & 2), bool(flags & 4))


def _file(native: Any) -> tuple[bytes, bytes]:  # noqa: ANN401 - cffi's
    folder = b"" if native.from_unit or native.is_folder else _bytes(native.folder)
    return folder, _bytes(native.name)


def _bytes(native: Any) -> bytes:  # noqa: ANN401 - cffi's
    return bytes(ffi.buffer(native.data, native.size)) if native.size else b""
