"""An ELF file of any machine -> the markers of older tracers in it.

Kernel markers (`__markers`, in vmlinux, modules, objects), the symbols of Markers 0.2 to 0.7,
and tracepoints of LTTng-UST 2.x. The rule: a layout is taken only if every structure of the
section fits it, so what is listed is there; a section that fits none is a warning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from bridge.errors import BridgeError
from bridge.formats import old_markers as layout

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = re.compile(rb"[A-Za-z_][\w.:\-]*")
_MOST_TEXT = 4096
_SYMBOL = re.compile(
    r"__mark_(?P<kprobe>kprobe_)?(?P<name>\w+?)"
    r"(?P<part>_call|_jump_over|_jump_call|_jump_inline)?(?:\.\d+)?"
)
_NOT_NAMES = frozenset({"empty_function", "check_format"})
_RELOCATIONS = {
    "EM_X86_64": (8, 1),
    "EM_386": (8, 1),
    "EM_AARCH64": (1027, 257),
    "EM_ARM": (23, 2),
    "EM_PPC64": (22, 38),
}
"""Those of a shared object that stand for an address of its own, and of a symbol."""
_WIDE_ALIGN = 32
"""To this compilers of x86-64 align larger structures, where nothing says otherwise."""


@dataclass(frozen=True, slots=True)
class OldMarker:
    """A marker: who made it (`kind`), its channel or provider, name, format or signature.

    `place` is where its structure or symbol is, and `function` one that runs at its hits.
    """

    kind: str
    channel: str
    name: str
    format: str
    place: int
    function: str = ""


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a pointer leads: a section by its number, and the byte in it."""

    section: int
    offset: int


class _File:
    """What is asked of an ELF file: pointers, texts, symbols."""

    def __init__(self, stream: BinaryIO) -> None:
        self.elf: Any = ELFFile(stream)
        self.word = self.elf.elfclass // 8
        self.order = "little" if self.elf.little_endian else "big"
        self.sections: list[Any] = list(self.elf.iter_sections())
        self._content: dict[int, bytes] = {}
        self._pointers: dict[int, dict[int, _Target]] = {}

    def content(self, number: int) -> bytes:
        """The bytes of a section."""
        if number not in self._content:
            section = self.sections[number]
            none = section["sh_type"] == "SHT_NOBITS"
            self._content[number] = b"" if none else section.data()
        return self._content[number]

    def numbered(self, name: str) -> int | None:
        """The first section of a name that has something in it."""
        for number, section in enumerate(self.sections):
            if section.name == name and section["sh_size"]:
                return number
        return None

    def at(self, address: int) -> _Target | None:
        """The section at an address of the linked file."""
        for number, section in enumerate(self.sections):
            start = section["sh_addr"]
            if start and start <= address < start + section["sh_size"]:
                return _Target(number, address - start)
        return None

    def pointer(self, place: _Target) -> _Target | None:
        """Where the pointer at a place leads."""
        found = self._relocations(place.section).get(place.offset)
        if found is not None:
            return found
        data = self.content(place.section)[place.offset : place.offset + self.word]
        value = int.from_bytes(data, self.order)  # type: ignore[arg-type] # little or big
        return self.at(value) if value else None

    def text(self, place: _Target) -> bytes | None:
        """The NUL-ended text there."""
        data = self.content(place.section)[place.offset : place.offset + _MOST_TEXT]
        end = data.find(b"\0")
        return None if end < 0 else data[:end]

    def pointed_text(self, place: _Target) -> bytes | None:
        """The text that the pointer at a place leads to."""
        target = self.pointer(place)
        return None if target is None else self.text(target)

    def symbols(self) -> Iterator[Any]:
        """All symbols of all tables."""
        for section in self.sections:
            if isinstance(section, SymbolTableSection):
                yield from section.iter_symbols()

    def _relocations(self, number: int) -> dict[int, _Target]:
        """Of an object's section, or what the loader would do to it."""
        if number not in self._pointers:
            linked = self.elf["e_type"] != "ET_REL"
            found = self._dynamic(number) if linked else self._of_object(number)
            self._pointers[number] = dict(found)
        return self._pointers[number]

    def _of_object(self, number: int) -> Iterator[tuple[int, _Target]]:
        for section in self.sections:
            if isinstance(section, RelocationSection) and section["sh_info"] == number:
                table: Any = self.sections[section["sh_link"]]
                for one in section.iter_relocations():
                    symbol = table.get_symbol(one["r_info_sym"])
                    index = symbol["st_shndx"]
                    if isinstance(index, int) and index < len(self.sections):
                        at = one["r_offset"]
                        addend = self._added(number, at, one)
                        yield at, _Target(index, symbol["st_value"] + addend)

    def _added(self, number: int, at: int, one: Any) -> int:  # noqa: ANN401 - of pyelftools
        if one.is_RELA():
            return int(one["r_addend"])
        data = self.content(number)[at : at + self.word]
        return int.from_bytes(data, self.order)  # type: ignore[arg-type] # little or big

    def _dynamic(self, number: int) -> Iterator[tuple[int, _Target]]:
        section = self.sections[number]
        start, end = section["sh_addr"], section["sh_addr"] + section["sh_size"]
        for table in self.sections:
            if not isinstance(table, RelocationSection):
                continue
            symbols: Any = self.sections[table["sh_link"]]
            for one in table.iter_relocations():
                if start <= one["r_offset"] < end:
                    offset = one["r_offset"] - start
                    address = self._loaded(one, symbols, self._added(number, offset, one))
                    target = self.at(address) if address is not None else None
                    if target is not None:
                        yield offset, target

    def _loaded(self, one: Any, symbols: Any, addend: int) -> int | None:  # noqa: ANN401
        """What the loader makes of a place, if that is an address of the file itself."""
        relative, absolute = _RELOCATIONS.get(self.elf["e_machine"], (0, 0))
        if one["r_info_type"] == relative:
            return addend
        if one["r_info_type"] == absolute and isinstance(symbols, SymbolTableSection):
            return int(symbols.get_symbol(one["r_info_sym"])["st_value"]) + addend
        return None


# --- kernel markers ---------------------------------------------------------------------------


def _name(file: _File, place: _Target) -> str | None:
    text = file.pointed_text(place)
    return text.decode() if text is not None and _NAME.fullmatch(text) else None


def _marker(file: _File, form: layout.MarkerLayout, place: _Target) -> OldMarker | None:
    """The structure at a place, if all its pointers fit."""

    def member(name: str) -> _Target:
        return _Target(place.section, place.offset + form.offsets(file.word)[name])

    name = _name(file, member("name"))
    text = file.pointed_text(member("format"))
    if name is None or text is None:
        return None
    channel: str | None = ""
    if "channel" in form.offsets(file.word):
        channel = _name(file, member("channel"))
    state = member("state")
    if channel is None or file.content(state.section)[state.offset] > form.most_state:
        return None
    shown = text.decode("utf-8", "surrogateescape")
    return OldMarker(form.kind, channel, name, shown, place.offset)


def _all_of(file: _File, section: int, form: layout.MarkerLayout) -> list[OldMarker] | None:
    one = form.size(file.word)
    for step in dict.fromkeys((one, one + -one % _WIDE_ALIGN)):
        size = len(file.content(section))
        if size % step in (0, one):
            places = [_Target(section, offset) for offset in range(0, size, step)]
            found = [_marker(file, form, place) for place in places]
            if all(found):
                return [marker for marker in found if marker is not None]
    return None


def _sections(file: _File, notes: list[str]) -> list[OldMarker]:
    """The markers of the section that holds their structures."""
    for name in (layout.DATA_SECTION, layout.SECTION):
        section = file.numbered(name)
        if section is None:
            continue
        for form in layout.LAYOUTS:
            if form.section == name and (found := _all_of(file, section, form)) is not None:
                return found
        size = len(file.content(section))
        notes.append(f"the {size} bytes of {name} are structures of no known version")
    return []


# --- symbols of 0.2 to 0.7 --------------------------------------------------------------------


def _symbols(file: _File) -> Iterator[OldMarker]:
    """Markers by their symbols: a label, or the pointers of the dynamic loader."""
    seen: dict[str, tuple[str, int]] = {}
    for symbol in file.symbols():
        match = _SYMBOL.fullmatch(symbol.name)
        if match is None or match["name"] in _NOT_NAMES:
            continue
        kind = layout.BY_SYMBOL_KPROBE if match["kprobe"] else layout.BY_SYMBOL
        if match["part"]:
            kind = layout.BY_LOADER
        seen.setdefault(match["name"], (kind, symbol["st_value"]))
    for name, (kind, value) in seen.items():
        yield OldMarker(kind, "", name, "", value)


# --- LTTng-UST --------------------------------------------------------------------------------


def _ust(file: _File) -> Iterator[OldMarker]:
    functions = {symbol.name for symbol in file.symbols() if symbol["st_size"]}
    for form in layout.UST:
        section = file.numbered(form.pointers)
        if section is None:
            continue
        for offset in range(0, len(file.content(section)), file.word):
            place = file.pointer(_Target(section, offset))
            one = None if place is None else _tracepoint(file, form, place, functions)
            if one is not None:
                yield one


def _tracepoint(
    file: _File, form: layout.UstLayout, place: _Target, functions: set[str]
) -> OldMarker | None:
    offsets = form.words
    member = {
        n: _Target(place.section, place.offset + file.word * w) for n, w in offsets.items()
    }
    provider = file.pointed_text(member["provider"]) if "provider" in member else b""
    name, signature = file.pointed_text(member["name"]), file.pointed_text(member["signature"])
    if provider is None or name is None:
        return None
    whole = b":".join(part for part in (provider, name) if part).decode("utf-8", "replace")
    channel, _, event = whole.partition(":")
    function = form.function.format(provider=channel, name=event)
    return OldMarker(
        form.kind,
        channel,
        event,
        (signature or b"").decode("utf-8", "replace"),
        place.offset + file.sections[place.section]["sh_addr"],
        function if function in functions else "",
    )


@dataclass(frozen=True, slots=True)
class FileMarkers:
    """The markers of a file, notes about what could not be read, and whether it has USDT's."""

    markers: list[OldMarker]
    notes: list[str]
    has_usdt: bool


def read_markers(stream: BinaryIO, path: str) -> FileMarkers:
    """The markers of older tracers in a file; BridgeError if it is damaged."""
    notes: list[str] = []
    try:
        file = _File(stream)
        found = _sections(file, notes)
        if not found:
            found = list(_symbols(file))
        usdt = file.numbered(".note.stapsdt") is not None
        return FileMarkers([*found, *_ust(file)], notes, usdt)
    except (ELFError, ValueError, IndexError, KeyError, AttributeError, OverflowError) as error:
        raise BridgeError(f"{path}: this ELF file is damaged: {error}") from error
