"""Path -> `ElfFile`: the headers of a 64-bit ELF file, checked once against the file's size.

In: a path and the world. Out: sections, segments, dynamic tags, addresses to file offsets.
The rule: every extent is checked when the file is opened, so later reads cannot leave it; what
is wrong goes to the sink, and nothing here raises for what a file contains.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from bridge.formats import elf_notes as layout
from bridge.probes import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.diagnostics import Sink
    from bridge.world import World


class Header(NamedTuple):
    """`Elf64_Ehdr` after its identification."""

    type: int
    machine: int
    version: int
    entry: int
    phoff: int
    shoff: int
    flags: int
    ehsize: int
    phentsize: int
    phnum: int
    shentsize: int
    shnum: int
    shstrndx: int


class Segment(NamedTuple):
    """`Elf64_Phdr`."""

    type: int
    flags: int
    offset: int
    address: int
    physical: int
    file_size: int
    memory_size: int
    align: int


class SectionHeader(NamedTuple):
    """`Elf64_Shdr`."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry_size: int


class Section(NamedTuple):
    """A section with its name and number."""

    name: str
    number: int
    header: SectionHeader


@dataclass(frozen=True, eq=False)
class ElfFile:
    """An ELF file whose headers are known to be inside of it."""

    path: str
    data: memoryview
    order: str
    header: Header
    segments: tuple[Segment, ...]
    sections: tuple[Section, ...]

    @cached_property
    def machine(self) -> str:
        """The architecture: "x86_64", "aarch64", "" for others."""
        return layout.MACHINES.get(self.header.machine, "")

    @property
    def is_fixed(self) -> bool:
        """Whether it runs at its link-time addresses."""
        return self.header.type == layout.ET_EXEC

    @cached_property
    def _by_name(self) -> dict[str, Section]:
        return {section.name: section for section in reversed(self.sections)}

    def section(self, name: str) -> Section | None:
        """The first section of that name."""
        return self._by_name.get(name)

    def content(self, section: Section) -> memoryview:
        """The bytes of a section; empty if it has none in the file."""
        head = section.header
        if head.type == layout.SHT_NOBITS:
            return self.data[:0]
        return self.data[head.offset : head.offset + head.size]

    def segment_at(self, address: int) -> Segment | None:
        """The loaded segment with file content at an address."""
        for low, high, segment in self._loads:
            if low <= address < high:
                return segment
        return None

    @cached_property
    def _loads(self) -> list[tuple[int, int, Segment]]:
        """Where segments with content begin and end, and the segments."""
        return [
            (segment.address, segment.address + segment.file_size, segment)
            for segment in self.segments
            if segment.type == layout.PT_LOAD
        ]

    def file_offset(self, address: int) -> int | None:
        """Where the byte at a link-time address lies in the file."""
        segment = self.segment_at(address)
        return None if segment is None else address - segment.address + segment.offset

    def semaphore_offset(self, address: int) -> int | None:
        """The file offset that stands for a data address.

        A semaphore may lie in memory that has no bytes in the file, so the size in memory
        counts; the kernel wants the offset within the segment's mapping.
        """
        for segment in self.segments:
            if segment.type == layout.PT_LOAD and 0 <= address - segment.address < (
                segment.memory_size
            ):
                return address - segment.address + segment.offset
        return None

    def bytes_at(self, address: int, count: int) -> bytes:
        """Up to `count` bytes of the file at a link-time address."""
        segment = self.segment_at(address)
        if segment is None:
            return b""
        start = address - segment.address
        end = min(start + count, segment.file_size)
        return bytes(self.data[segment.offset + start : segment.offset + end])

    def text_at(self, strings: memoryview, at: int) -> str:
        """A NUL-ended text of a string table; "" if it lies outside."""
        if at >= len(strings):
            return ""
        piece = bytes(strings[at : at + 4096])
        end = piece.find(b"\0")
        if end < 0:
            return ""
        return piece[:end].decode("utf-8", "surrogateescape")

    def dynamic(self) -> Iterator[tuple[int, int]]:
        """The (tag, value) pairs of the dynamic segment."""
        for segment in self.segments:
            if segment.type != layout.PT_DYNAMIC:
                continue
            size = layout.DYN.struct(self.order).size
            content = self.data[segment.offset : segment.offset + segment.file_size]
            usable = len(content) - len(content) % size
            yield from layout.DYN.struct(self.order).iter_unpack(content[:usable])

    def dynamic_texts(self, *tags: int) -> list[str]:
        """The texts that the dynamic segment's entries of some tags name."""
        pairs = list(self.dynamic())
        table = next((value for tag, value in pairs if tag == layout.DT_STRTAB), None)
        if table is None:
            return []
        segment = self.segment_at(table)
        if segment is None:
            return []
        start = table - segment.address + segment.offset
        strings = self.data[start : segment.offset + segment.file_size]
        return [self.text_at(strings, value) for tag, value in pairs if tag in tags]


def open_elf(path: str, world: World, sink: Sink) -> ElfFile | None:
    """Open and check the ELF file at `path`; None after saying why not."""
    try:
        data = world.map_file(path)
    except OSError as error:
        sink.report(errors.unreadable(path, error))
        return None
    except ValueError:  # a NUL in the path
        sink.report(errors.unreadable(path, FileNotFoundError()))
        return None
    order = _identify(path, data, sink)
    if order is None:
        return None
    head_size = layout.EHDR.struct(order).size
    if len(data) < layout.IDENT_SIZE + head_size:
        sink.report(errors.truncated(path, "the ELF header", len(data), len(data)))
        return None
    header = Header(*layout.EHDR.struct(order).unpack_from(data, layout.IDENT_SIZE))
    segments = _segments(path, data, order, header, sink)
    if segments is None:
        return None
    sections = _sections(path, data, order, header, sink)
    if sections is None:
        return None
    return ElfFile(path, data, order, header, segments, sections)


def _identify(path: str, data: memoryview, sink: Sink) -> str | None:
    """The byte order of a supported file."""
    if bytes(data[:4]) != layout.MAGIC:
        script = bytes(data[:2]) == b"#!"
        sink.report(errors.is_script(path) if script else errors.not_elf(path))
        return None
    if len(data) < layout.IDENT_SIZE:
        sink.report(errors.truncated(path, "the ELF header", len(data), len(data)))
        return None
    if data[4] == layout.CLASS_32:
        sink.report(errors.elf_32(path))
        return None
    if data[4] != layout.CLASS_64:
        sink.report(errors.corrupt(path, f"class {data[4]} in its identification", 4))
        return None
    if data[5] not in layout.ORDERS:
        sink.report(errors.corrupt(path, f"byte order {data[5]} in its identification", 5))
        return None
    return layout.ORDERS[data[5]]


def _segments(
    path: str, data: memoryview, order: str, header: Header, sink: Sink
) -> tuple[Segment, ...] | None:
    form = layout.PHDR.struct(order)
    if header.phnum and header.phentsize != form.size:
        what = f"program headers of {header.phentsize} bytes"
        sink.report(errors.corrupt(path, what, layout.IDENT_SIZE))
        return None
    end = header.phoff + header.phnum * form.size
    if end > len(data):
        sink.report(errors.truncated(path, "the program header table", header.phoff, len(data)))
        return None
    segments = tuple(map(Segment._make, form.iter_unpack(data[header.phoff : end])))
    for number, segment in enumerate(segments):
        if segment.offset + segment.file_size > len(data):
            at = header.phoff + number * form.size
            sink.report(errors.truncated(path, f"segment {number}", at, len(data)))
            return None
    return segments


def _section_headers(
    path: str, data: memoryview, order: str, header: Header, sink: Sink
) -> list[SectionHeader] | None:
    if header.shoff == 0:
        return []
    form = layout.SHDR.struct(order)
    if header.shentsize != form.size:
        what = f"section headers of {header.shentsize} bytes"
        sink.report(errors.corrupt(path, what, layout.IDENT_SIZE))
        return None
    if header.shoff + form.size > len(data):
        sink.report(errors.truncated(path, "the section header table", header.shoff, len(data)))
        return None
    # More than 65279 sections: their number stands in the first header (gABI, e_shnum).
    first = SectionHeader(*form.unpack_from(data, header.shoff))
    count = header.shnum or first.size
    end = header.shoff + count * form.size
    if end > len(data):
        sink.report(errors.truncated(path, "the section header table", header.shoff, len(data)))
        return None
    return list(map(SectionHeader._make, form.iter_unpack(data[header.shoff : end])))


def _sections(
    path: str, data: memoryview, order: str, header: Header, sink: Sink
) -> tuple[Section, ...] | None:
    heads = _section_headers(path, data, order, header, sink)
    if heads is None:
        return None
    names = _section_names(data, header, heads)
    sections = []
    for index, head in enumerate(heads):
        name = _name(names, head.name)
        in_file = head.type not in (0, layout.SHT_NOBITS)
        if in_file and head.offset + head.size > len(data):
            what = f"section {name or index}"
            at = header.shoff + index * layout.SHDR.struct(order).size
            sink.report(errors.truncated(path, what, at, len(data)))
            return None
        sections.append(Section(name, index, head))
    return tuple(sections)


def _section_names(data: memoryview, header: Header, heads: list[SectionHeader]) -> bytes:
    index = header.shstrndx
    if index == 0xFFFF and heads:  # SHN_XINDEX: it stands in the first header's link
        index = heads[0].link
    if index >= len(heads) or heads[index].type == layout.SHT_NOBITS:
        return b""
    head = heads[index]
    return bytes(data[head.offset : head.offset + head.size])


def _name(names: bytes, at: int) -> str:
    end = names.find(b"\0", at)
    return "" if end < 0 else names[at:end].decode("utf-8", "surrogateescape")
