"""A marker of a program without machine code of its own -> the bytes of an ELF file with it.

The file has one function, a nop and a return, with a USDT note at the nop: its arguments are
where the machine's calling convention puts them. The rule: addresses are file offsets, and the
code and the semaphore are apart by the largest page there is, so that each can be mapped.
Sources: gABI chapter 4; <sys/sdt.h>; the System V psABI of x86-64, AAPCS64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.formats import elf_notes as elf
from bridge.formats import elf_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_ARGUMENTS = 12
WORD = 8
CODE_AT = 0x1000
"""Where the function is, and how much of the file is mapped for it."""
CODE_END = 0x2000
SEMAPHORE_AT = 0x10000
"""On a page of its own, however large pages are."""
_NOTE_ALIGN = 4
_SHF_ALLOC, _SHF_WRITE, _PF_R = 2, 1, 4
_PROGBITS, _STRTAB = elf_object.SHT_PROGBITS, elf_object.SHT_STRTAB


@dataclass(frozen=True, slots=True)
class ElfMachine:
    """A machine's number, its code for a nop and a return, and its places of arguments.

    On the stack an argument is at `stack` with its offset, the first of them at `above`.
    """

    number: int
    code: bytes
    registers: tuple[str, ...]
    stack: str
    above: int


MACHINES = {
    "x86_64": ElfMachine(
        62,
        b"\x90\xc3",
        ("%rdi", "%rsi", "%rdx", "%rcx", "%r8", "%r9"),
        "{}(%rsp)",
        WORD,
    ),
    "aarch64": ElfMachine(
        183,
        b"\x1f\x20\x03\xd5\xc0\x03\x5f\xd6",
        tuple(f"x{number}" for number in range(8)),
        "[sp, {}]",
        0,
    ),
}


def arguments_text(sizes: Sequence[str], machine: ElfMachine) -> str:
    """The arguments of the note: `-8@%rdi 8@%rsi`; sizes are `-8` or `8`."""
    more = range(len(sizes) - len(machine.registers))
    stack = (machine.stack.format(machine.above + WORD * number) for number in more)
    places = (*machine.registers, *stack)
    return " ".join(f"{size}@{place}" for size, place in zip(sizes, places, strict=False))


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    kind: int
    flags: int
    at: int
    content: bytes
    align: int = 1
    link: int = 0
    entry: int = 0


def _pack(layout: elf.Layout, values: Mapping[str, int]) -> bytes:
    return layout.struct().pack(*(values.get(name, 0) for name, _ in layout.fields))


def _aligned(offset: int, align: int = WORD) -> int:
    return offset + -offset % align


def _note(provider: str, name: str, arguments: str, base: int) -> bytes:
    desc = _pack(elf.SDT_DESC, {"pc": CODE_AT, "base": base, "semaphore": SEMAPHORE_AT})
    desc += b"".join(text.encode() + b"\0" for text in (provider, name, arguments))
    head = elf.NHDR.struct().pack(len(elf.SDT_OWNER), len(desc), elf.SDT_TYPE)
    note = head + elf.SDT_OWNER + desc
    return note + bytes(-len(note) % _NOTE_ALIGN)


def _sections(provider: str, name: str, arguments: str, machine: ElfMachine) -> list[_Section]:
    code = CODE_AT + _aligned(len(machine.code))
    strings = b"\0" + f"{provider}__{name}".encode() + b"\0"
    function = {
        "st_name": 1,
        "st_info": elf_object.STB_GLOBAL << 4 | elf.STT_FUNC,
        "st_shndx": 1,
        "st_value": CODE_AT,
        "st_size": len(machine.code),
    }
    symbols = _pack(elf.SYM, {}) + _pack(elf.SYM, function)
    text = _Section(
        ".text", _PROGBITS, _SHF_ALLOC | elf.SHF_EXECINSTR, CODE_AT, machine.code, 4
    )
    base = _Section(elf.SDT_BASE_SECTION, _PROGBITS, _SHF_ALLOC, code, b"\0")
    semaphore = _Section(
        ".probes", _PROGBITS, _SHF_ALLOC | _SHF_WRITE, SEMAPHORE_AT, bytes(2), 2
    )
    note_at = _aligned(SEMAPHORE_AT + WORD)
    content = _note(provider, name, arguments, base.at)
    symbols_at = _aligned(note_at + len(content))
    size = elf.SYM.struct().size
    return [
        text,
        base,
        semaphore,
        _Section(elf.SDT_SECTION, elf.SHT_NOTE, 0, note_at, content, _NOTE_ALIGN),
        _Section(".symtab", elf.SHT_SYMTAB, 0, symbols_at, symbols, WORD, 6, size),
        _Section(".strtab", _STRTAB, 0, symbols_at + len(symbols), strings),
    ]


def _segments() -> bytes:
    rows = (
        (elf.PF_X | _PF_R, 0, CODE_END),
        (elf.PF_W | _PF_R, SEMAPHORE_AT, WORD),
    )
    return b"".join(
        _pack(
            elf.PHDR,
            {
                "p_type": elf.PT_LOAD,
                "p_flags": flags,
                "p_offset": at,
                "p_vaddr": at,
                "p_paddr": at,
                "p_filesz": size,
                "p_memsz": size,
                "p_align": SEMAPHORE_AT,
            },
        )
        for flags, at, size in rows
    )


def marker_file(provider: str, name: str, sizes: Sequence[str], machine: ElfMachine) -> bytes:
    """The file with one marker."""
    sections = _sections(provider, name, arguments_text(sizes, machine), machine)
    names, offsets = b"\0", []
    for section in (*sections, None):
        offsets.append(len(names))
        names += (section.name if section else ".shstrtab").encode() + b"\0"
    end = sections[-1].at + len(sections[-1].content)
    sections.append(_Section(".shstrtab", _STRTAB, 0, end, names))
    table = _aligned(end + len(names))
    data = bytearray(table)
    for section in sections:
        data[section.at : section.at + len(section.content)] = section.content
    data += _pack(elf.SHDR, {})
    for section, offset in zip(sections, offsets, strict=True):
        data += _pack(elf.SHDR, _row(section, offset))
    head = _header(machine, table, len(sections) + 1) + _segments()
    data[: len(head)] = head
    return bytes(data)


def _row(section: _Section, name: int) -> dict[str, int]:
    return {
        "sh_name": name,
        "sh_type": section.kind,
        "sh_flags": section.flags,
        "sh_addr": section.at if section.flags & _SHF_ALLOC else 0,
        "sh_offset": section.at,
        "sh_size": len(section.content),
        "sh_link": section.link,
        "sh_info": 1 if section.link else 0,
        "sh_addralign": section.align,
        "sh_entsize": section.entry,
    }


def _header(machine: ElfMachine, table: int, count: int) -> bytes:
    size = elf.IDENT_SIZE + elf.EHDR.struct().size
    ident = elf.MAGIC + bytes((elf.CLASS_64, elf.DATA_LITTLE, elf_object.EV_CURRENT))
    values = {
        "e_type": elf.ET_DYN,
        "e_machine": machine.number,
        "e_version": elf_object.EV_CURRENT,
        "e_phoff": size,
        "e_shoff": table,
        "e_ehsize": size,
        "e_phentsize": elf.PHDR.struct().size,
        "e_phnum": 2,
        "e_shentsize": elf.SHDR.struct().size,
        "e_shnum": count,
        "e_shstrndx": count - 1,
    }
    return ident.ljust(elf.IDENT_SIZE, b"\0") + _pack(elf.EHDR, values)
