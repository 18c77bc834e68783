"""Providers -> a relocatable ELF file with the semaphores of their probes, as `dtrace -G`.

No compiler is asked: each semaphore is two zero bytes in the writable section `.probes` and a
hidden global symbol. Names and types of arguments stand in notes beside them. The rule: the
linker finds nothing here that changes the program: no code, no executable stack, and the
features of control-flow protection are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.facility.provider.header import semaphore
from bridge.formats import elf_notes
from bridge.formats import elf_object as layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.facility.provider.model import Provider, ProviderProbe
    from bridge.formats.elf_object import Machine

_SEMAPHORE = bytes(2)
_GLOBAL_OBJECT = layout.STB_GLOBAL << 4 | layout.STT_OBJECT


class _Texts:
    """A string table."""

    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, text: str) -> int:
        """The offset of a text."""
        at = len(self.data)
        self.data += text.encode("utf-8", "surrogateescape") + b"\0"
        return at


@dataclass
class _Section:
    name: str
    kind: int
    content: bytes = b""
    flags: int = 0
    align: int = 1
    link: int = 0
    info: int = 0
    entry: int = 0
    at: int = field(default=0, init=False)


def _padded(data: bytes, align: int) -> bytes:
    return data + bytes(-len(data) % align)


def _note(machine: Machine, owner: bytes, kind: int, desc: bytes, align: int = 4) -> bytes:
    head = elf_notes.NHDR.struct(machine.order).pack(len(owner), len(desc), kind)
    return _padded(_padded(head + owner, 4) + desc, align)


def arguments_note(machine: Machine, provider: Provider, probe: ProviderProbe) -> bytes:
    """The note that names the arguments of a probe."""
    texts = [provider.name, probe.name]
    for argument in probe.arguments:
        texts += [argument.name, argument.type]
    desc = b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in texts)
    return _note(machine, layout.ARGUMENTS_OWNER, layout.ARGUMENTS_TYPE, desc)


def _properties(machine: Machine) -> list[_Section]:
    """That nothing here stands against control-flow protection; a linker keeps what all say."""
    if machine.features is None:
        return []
    align = 8 if machine.wide else 4
    number, features = machine.features
    desc = layout.GNU_PROPERTY.struct(machine.order).pack(number, 4, features)
    note = _note(
        machine,
        layout.GNU_PROPERTY_OWNER,
        layout.NT_GNU_PROPERTY_TYPE_0,
        _padded(desc, align),
        align,
    )
    return [_Section(".note.gnu.property", layout.SHT_NOTE, note, layout.SHF_ALLOC, align)]


def _symbols(machine: Machine, names: Sequence[str], section: int, texts: _Texts) -> bytes:
    _, _, form = machine.layouts
    empty = dict.fromkeys((name for name, _ in form.fields), 0)
    rows = [empty]
    for number, name in enumerate(names):
        rows.append(
            {
                "st_name": texts.add(name),
                "st_info": _GLOBAL_OBJECT,
                "st_other": layout.STV_HIDDEN,
                "st_shndx": section,
                "st_value": number * len(_SEMAPHORE),
                "st_size": len(_SEMAPHORE),
            }
        )
    pack = form.struct(machine.order).pack
    return b"".join(pack(*(row[name] for name, _ in form.fields)) for row in rows)


def write(providers: Iterable[Provider], machine: Machine) -> bytes:
    """The object file."""
    probes = [(provider, probe) for provider in providers for probe in provider.probes]
    names = list(dict.fromkeys(semaphore(*pair) for pair in probes))
    notes = b"".join(arguments_note(machine, *pair) for pair in probes if pair[1].arguments)
    texts, word = _Texts(), 8 if machine.wide else 4
    size = machine.layouts[2].struct(machine.order).size
    sections = [
        _Section("", 0, align=0),
        _Section(".text", layout.SHT_PROGBITS, b"", layout.SHF_ALLOC | elf_notes.SHF_EXECINSTR),
        _Section(
            ".probes",
            layout.SHT_PROGBITS,
            _SEMAPHORE * len(names),
            layout.SHF_ALLOC | layout.SHF_WRITE,
            len(_SEMAPHORE),
        ),
        _Section(layout.ARGUMENTS_SECTION, layout.SHT_NOTE, notes, align=4),
        _Section(".note.GNU-stack", layout.SHT_PROGBITS),
        *_properties(machine),
    ]
    strings = len(sections) + 1
    table = _symbols(machine, names, 2, texts)
    sections += [
        _Section(
            ".symtab", layout.SHT_SYMTAB, table, align=word, link=strings, info=1, entry=size
        ),
        _Section(".strtab", layout.SHT_STRTAB, texts.data),
    ]
    return _file(machine, sections)


def _file(machine: Machine, sections: list[_Section]) -> bytes:
    header, section_form, _ = machine.layouts
    start = elf_notes.IDENT_SIZE + header.struct(machine.order).size
    names = _Texts()
    sections.append(_Section(".shstrtab", layout.SHT_STRTAB))
    numbers = [names.add(section.name) for section in sections]
    sections[-1].content = names.data
    body = b""
    for section in sections:
        body += bytes(-(start + len(body)) % max(section.align, 1))
        section.at = start + len(body)
        body += section.content
    body += bytes(-(start + len(body)) % 8)
    pack = section_form.struct(machine.order).pack
    table = pack(*(0 for _ in section_form.fields))
    for section, name in list(zip(sections, numbers, strict=True))[1:]:
        table += pack(
            name,
            section.kind,
            section.flags,
            0,
            section.at,
            len(section.content),
            section.link,
            section.info,
            section.align,
            section.entry,
        )
    first = _header(machine, start + len(body), len(sections))
    return first + body + table


def _header(machine: Machine, table: int, count: int) -> bytes:
    header, section_form, _ = machine.layouts
    little = machine.order == "<"
    ident = elf_notes.MAGIC + bytes(
        (
            elf_notes.CLASS_64 if machine.wide else elf_notes.CLASS_32,
            elf_notes.DATA_LITTLE if little else elf_notes.DATA_BIG,
            layout.EV_CURRENT,
        )
    )
    fields = dict.fromkeys((name for name, _ in header.fields), 0) | {
        "e_type": layout.ET_REL,
        "e_machine": machine.number,
        "e_version": layout.EV_CURRENT,
        "e_shoff": table,
        "e_flags": machine.flags,
        "e_ehsize": elf_notes.IDENT_SIZE + header.struct(machine.order).size,
        "e_shentsize": section_form.struct(machine.order).size,
        "e_shnum": count,
        "e_shstrndx": count - 1,
    }
    packed = header.struct(machine.order).pack(*(fields[name] for name, _ in header.fields))
    return ident.ljust(elf_notes.IDENT_SIZE, b"\0") + packed


__all__ = ["arguments_note", "write"]
