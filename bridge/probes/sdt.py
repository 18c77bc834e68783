"""`ElfFile` -> its USDT notes, in the file's order.

The fast reader: one pass over the mapped note section with compiled layouts. Tests hold it
equal to `readelf -n` and to pyelftools. Format: <sys/sdt.h>, note version 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bridge.formats import elf_notes as layout
from bridge.probes import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.diagnostics import Sink
    from bridge.probes.elf import ElfFile, Section

LONGEST_TEXT = 65536


class Note(NamedTuple):
    """One USDT note: addresses are link-time and adjusted for prelinking."""

    provider: str
    name: str
    arguments: str
    address: int
    semaphore: int
    at: int
    """Where the note lies in the file."""


def _note_sections(elf: ElfFile) -> Iterator[Section]:
    for section in elf.sections:
        if section.name == layout.SDT_SECTION and section.header.type == layout.SHT_NOTE:
            yield section


def _shift(elf: ElfFile) -> int | None:
    """The address of `.stapsdt.base` now; notes hold the one at link time."""
    base = elf.section(layout.SDT_BASE_SECTION)
    return None if base is None else base.header.address


def read_notes(elf: ElfFile, sink: Sink) -> list[Note]:
    """All USDT notes; a corrupt one is reported and ends its section."""
    notes: list[Note] = []
    for section in _note_sections(elf):
        notes += _read_section(elf, section, sink)
    return notes


def _read_section(elf: ElfFile, section: Section, sink: Sink) -> Iterator[Note]:
    content = elf.content(section)
    start = section.header.offset
    if section.header.flags & layout.SHF_COMPRESSED:
        sink.report(errors.corrupt(elf.path, "a compressed note section", start))
        return
    form = layout.NHDR.struct(elf.order)
    at = 0
    while at + form.size <= len(content):
        name_size, desc_size, kind = form.unpack_from(content, at)
        desc = at + form.size + (name_size + 3 & ~3)
        if desc + desc_size > len(content):
            what = "a note longer than its section"
            sink.report(errors.corrupt(elf.path, what, start + at, layout.SDT_SECTION))
            return
        owner = bytes(content[at + form.size : at + form.size + name_size])
        if owner == layout.SDT_OWNER and kind == layout.SDT_TYPE:
            note = _read_note(elf, bytes(content[desc : desc + desc_size]), start + at)
            if note is None:
                what = "a note without provider, name and arguments"
                sink.report(errors.corrupt(elf.path, what, start + at, layout.SDT_SECTION))
            else:
                yield note
        at = desc + (desc_size + 3 & ~3)


def _read_note(elf: ElfFile, desc: bytes, at: int) -> Note | None:
    form = layout.SDT_DESC.struct(elf.order)
    if len(desc) < form.size:
        return None
    address, base, semaphore = form.unpack_from(desc)
    texts = desc[form.size :].split(b"\0")
    if len(texts) < 4 or len(desc) > LONGEST_TEXT:
        return None
    provider, name, arguments = (text.decode("utf-8", "surrogateescape") for text in texts[:3])
    now = _shift(elf)
    moved = 0 if now is None or base == 0 else now - base
    return Note(
        provider,
        name,
        arguments,
        address + moved & (1 << 64) - 1,
        semaphore + moved & (1 << 64) - 1 if semaphore else 0,
        at,
    )
