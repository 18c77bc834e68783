"""Layouts of 64-bit ELF files and of the notes of `.note.stapsdt`: field tables, no logic.

A `Layout` has two faces made from the same table: `struct(order)` for the fast reader and
`construct(order)` for reference and tests. Sources: System V gABI chapters 4 and 5; the
`.note.stapsdt` note of <sys/sdt.h>, version 3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import construct

# Widths of the fields: struct's letter, construct's name.
_KINDS = {
    "u8": ("B", "Int8u"),
    "u16": ("H", "Int16u"),
    "u32": ("I", "Int32u"),
    "u64": ("Q", "Int64u"),
    "s32": ("i", "Int32s"),
    "s64": ("q", "Int64s"),
}


@dataclass(frozen=True)
class Layout:
    """A record of fixed size: (field name, kind) in order, without padding."""

    name: str
    fields: tuple[tuple[str, str], ...]

    @cache  # noqa: B019 -- layouts are module constants
    def struct(self, order: str = "<") -> struct.Struct:
        """The compiled form; `order` is "<" or ">"."""
        return struct.Struct(order + "".join(_KINDS[kind][0] for _, kind in self.fields))

    def construct(self, order: str = "<") -> construct.Construct:
        """The same as a construct."""
        import construct  # noqa: PLC0415 -- 43 ms, for reference and tests only

        suffix = {"<": "l", ">": "b"}[order]
        return construct.Struct(
            *(name / getattr(construct, _KINDS[kind][1] + suffix) for name, kind in self.fields)
        )

    def index(self, field: str) -> int:
        """The position of a field."""
        return [name for name, _ in self.fields].index(field)


IDENT_SIZE = 16
MAGIC = b"\x7fELF"
CLASS_32, CLASS_64 = 1, 2
DATA_LITTLE, DATA_BIG = 1, 2
ORDERS = {DATA_LITTLE: "<", DATA_BIG: ">"}

ET_REL, ET_EXEC, ET_DYN = 1, 2, 3
MACHINES = {62: "x86_64", 183: "aarch64"}
SHT_SYMTAB, SHT_NOTE, SHT_NOBITS, SHT_DYNSYM = 2, 7, 8, 11
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
PF_X, PF_W = 1, 2
SHF_ALLOC, SHF_EXECINSTR, SHF_COMPRESSED = 2, 4, 0x800
SHN_UNDEF = 0
STT_FUNC, STT_GNU_IFUNC = 2, 10
DT_NEEDED, DT_STRTAB, DT_INIT, DT_RPATH, DT_RUNPATH = 1, 5, 12, 15, 29
DT_FLAGS_1, DF_1_PIE = 0x6FFFFFFB, 0x08000000

# After the 16 bytes of e_ident.
EHDR = Layout(
    "Elf64_Ehdr",
    (
        ("e_type", "u16"),
        ("e_machine", "u16"),
        ("e_version", "u32"),
        ("e_entry", "u64"),
        ("e_phoff", "u64"),
        ("e_shoff", "u64"),
        ("e_flags", "u32"),
        ("e_ehsize", "u16"),
        ("e_phentsize", "u16"),
        ("e_phnum", "u16"),
        ("e_shentsize", "u16"),
        ("e_shnum", "u16"),
        ("e_shstrndx", "u16"),
    ),
)
PHDR = Layout(
    "Elf64_Phdr",
    (
        ("p_type", "u32"),
        ("p_flags", "u32"),
        ("p_offset", "u64"),
        ("p_vaddr", "u64"),
        ("p_paddr", "u64"),
        ("p_filesz", "u64"),
        ("p_memsz", "u64"),
        ("p_align", "u64"),
    ),
)
SHDR = Layout(
    "Elf64_Shdr",
    (
        ("sh_name", "u32"),
        ("sh_type", "u32"),
        ("sh_flags", "u64"),
        ("sh_addr", "u64"),
        ("sh_offset", "u64"),
        ("sh_size", "u64"),
        ("sh_link", "u32"),
        ("sh_info", "u32"),
        ("sh_addralign", "u64"),
        ("sh_entsize", "u64"),
    ),
)
SYM = Layout(
    "Elf64_Sym",
    (
        ("st_name", "u32"),
        ("st_info", "u8"),
        ("st_other", "u8"),
        ("st_shndx", "u16"),
        ("st_value", "u64"),
        ("st_size", "u64"),
    ),
)
RELA = Layout("Elf64_Rela", (("r_offset", "u64"), ("r_info", "u64"), ("r_addend", "s64")))
R_X86_64_JUMP_SLOT = 7
ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD = 1, 2
CHDR = Layout(
    "Elf64_Chdr",
    (("ch_type", "u32"), ("ch_reserved", "u32"), ("ch_size", "u64"), ("ch_addralign", "u64")),
)
DYN = Layout("Elf64_Dyn", (("d_tag", "s64"), ("d_val", "u64")))
NHDR = Layout("Elf64_Nhdr", (("n_namesz", "u32"), ("n_descsz", "u32"), ("n_type", "u32")))

SDT_SECTION = ".note.stapsdt"
SDT_BASE_SECTION = ".stapsdt.base"
SDT_OWNER = b"stapsdt\0"
SDT_TYPE = 3
# Then three texts, each with its NUL: provider, name, arguments.
SDT_DESC = Layout("stapsdt", (("pc", "u64"), ("base", "u64"), ("semaphore", "u64")))
