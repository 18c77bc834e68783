"""Layouts of relocatable ELF files, and of the note of argument names: tables.

Sources: System V gABI chapter 4 and the supplements of the machines; those of 64 bits are in
`elf_notes`.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.formats import elf_notes
from bridge.formats.elf_notes import Layout

EV_CURRENT = 1
ET_REL = 1
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_NOTE = 1, 2, 3, 7
SHF_WRITE, SHF_ALLOC = 1, 2
STB_GLOBAL, STT_OBJECT, STV_HIDDEN = 1, 1, 2


def _of_32_bits(name: str, layout: Layout) -> Layout:
    """The same members in the same order; what is a word is shorter."""
    return Layout(name, tuple((m, "u32" if t == "u64" else t) for m, t in layout.fields))


EHDR32 = _of_32_bits("Elf32_Ehdr", elf_notes.EHDR)
SHDR32 = _of_32_bits("Elf32_Shdr", elf_notes.SHDR)
SYM32 = Layout(
    "Elf32_Sym",
    (
        ("st_name", "u32"),
        ("st_value", "u32"),
        ("st_size", "u32"),
        ("st_info", "u8"),
        ("st_other", "u8"),
        ("st_shndx", "u16"),
    ),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """What an object file says of its machine; `order` as struct has it."""

    name: str
    number: int
    wide: bool
    flags: int = 0
    features: tuple[int, int] | None = None
    """For `.note.gnu.property`: the property and the features that code must not break."""
    order: str = "<"

    @property
    def layouts(self) -> tuple[Layout, Layout, Layout]:
        """Of the file's header, a section's and a symbol."""
        if self.wide:
            return elf_notes.EHDR, elf_notes.SHDR, elf_notes.SYM
        return EHDR32, SHDR32, SYM32


_X86_FEATURE_1_AND, _AARCH64_FEATURE_1_AND = 0xC0000002, 0xC0000000
_IBT_SHSTK = _BTI_PAC = 3
MACHINES = (
    Machine("x86_64", 62, True, features=(_X86_FEATURE_1_AND, _IBT_SHSTK)),
    Machine("aarch64", 183, True, features=(_AARCH64_FEATURE_1_AND, _BTI_PAC)),
    Machine("i386", 3, False, features=(_X86_FEATURE_1_AND, _IBT_SHSTK)),
    Machine("arm", 40, False, flags=0x05000000),
)
"""Those that objects are written for; the flags of arm say EABI version 5."""

GNU_PROPERTY_OWNER, NT_GNU_PROPERTY_TYPE_0 = b"GNU\0", 5
GNU_PROPERTY = Layout("property", (("type", "u32"), ("size", "u32"), ("data", "u32")))

ARGUMENTS_SECTION = ".note.markbridge"
ARGUMENTS_OWNER = b"markbridge\0"
ARGUMENTS_TYPE = 1
"""The names and types of a probe's arguments.

The content is texts, each with its NUL: provider, probe, then of each argument its name ("" for
none) and its C type.
"""
