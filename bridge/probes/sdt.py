"""`ElfFile` -> its USDT notes, in the file's order.

The fast reader: one pass over the mapped note section with compiled layouts. Tests hold it
equal to `readelf -n` and to pyelftools. Format: <sys/sdt.h>, note version 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bridge.formats import elf_notes as layout
from bridge.formats import elf_object
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


ArgumentNames = dict[tuple[str, str], tuple[tuple[str, str], ...]]
"""For provider and name of a probe: name ("" for none) and C type of each argument."""


def _note_sections(elf: ElfFile, name: str = layout.SDT_SECTION) -> Iterator[Section]:
    for section in elf.sections:
        if section.name == name and section.header.type == layout.SHT_NOTE:
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


def read_argument_names(elf: ElfFile, sink: Sink) -> ArgumentNames:
    """What `markbridge dtrace -G` noted about arguments; a corrupt note is reported."""
    found: ArgumentNames = {}
    for section in _note_sections(elf, elf_object.ARGUMENTS_SECTION):
        for owner, kind, desc, at in _raw_notes(elf, section, sink):
            if (owner, kind) != (elf_object.ARGUMENTS_OWNER, elf_object.ARGUMENTS_TYPE):
                continue
            texts = [text.decode("utf-8", "surrogateescape") for text in desc.split(b"\0")]
            if len(texts) < 3 or len(texts) % 2 == 0 or len(desc) > LONGEST_TEXT:
                what = "a note without provider and probe"
                sink.report(errors.corrupt(elf.path, what, at, section.name))
                return found
            pairs = tuple(zip(texts[2:-1:2], texts[3:-1:2], strict=True))
            found[texts[0], texts[1]] = pairs
    return found


def _read_section(elf: ElfFile, section: Section, sink: Sink) -> Iterator[Note]:
    for owner, kind, desc, at in _raw_notes(elf, section, sink):
        if owner == layout.SDT_OWNER and kind == layout.SDT_TYPE:
            note = _read_note(elf, desc, at)
            if note is None:
                what = "a note without provider, name and arguments"
                sink.report(errors.corrupt(elf.path, what, at, layout.SDT_SECTION))
            else:
                yield note


def _raw_notes(
    elf: ElfFile, section: Section, sink: Sink
) -> Iterator[tuple[bytes, int, bytes, int]]:
    """Owner, type, content and place in the file of each note of a section."""
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
            sink.report(errors.corrupt(elf.path, what, start + at, section.name))
            return
        owner = bytes(content[at + form.size : at + form.size + name_size])
        yield owner, kind, bytes(content[desc : desc + desc_size]), start + at
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
