"""Writes small 64-bit ELF files: code, notes, symbols, semaphores, libraries needed.

The layouts are those of `bridge.formats.elf_notes`, read the other way round. Code lies at file
offset 0x1000 and address 0x1000 plus `base`; data at offset 0x2000, address 0x3000 plus `base`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.formats import elf_notes as layout

CODE_OFFSET, CODE = 0x1000, 0x1000
DATA_OFFSET, DATA = 0x2000, 0x3000
FUNC, IFUNC, OBJECT = layout.STT_FUNC, layout.STT_GNU_IFUNC, 1
LOCAL, GLOBAL, WEAK = 0, 1, 2


class Texts:
    """A string table."""

    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, text: str) -> int:
        self.data += text.encode("utf-8", "surrogateescape") + b"\0"
        return len(self.data) - len(text.encode("utf-8", "surrogateescape")) - 1


@dataclass
class Elf:
    """What to write; `build()` gives the bytes."""

    machine: int = 62
    type: int = layout.ET_DYN
    order: str = "<"
    base: int = 0
    code: bytes = b"\x90" * 0x100
    sdt_base: int | None = None
    notes: list[bytes] = field(default_factory=list)
    symbols: list[tuple[str, int, int, int, int, int]] = field(default_factory=list)
    dynamic_symbols: list[tuple[str, int, int, int, int, int]] = field(default_factory=list)
    needed: list[str] = field(default_factory=list)
    run_path: str = ""
    data_in_memory: int = 0x1000

    def note(
        self,
        provider: str,
        name: str,
        arguments: str = "",
        address: int = CODE,
        base: int = 0,
        semaphore: int = 0,
        *,
        owner: bytes = layout.SDT_OWNER,
        kind: int = layout.SDT_TYPE,
    ) -> Elf:
        desc = layout.SDT_DESC.struct(self.order).pack(address, base, semaphore)
        desc += b"".join(t.encode() + b"\0" for t in (provider, name, arguments))
        return self.raw_note(owner, kind, desc)

    def raw_note(self, owner: bytes, kind: int, desc: bytes) -> Elf:
        head = layout.NHDR.struct(self.order).pack(len(owner), len(desc), kind)
        self.notes.append(head + _padded(owner, 4) + _padded(desc, 4))
        return self

    def symbol(
        self,
        name: str,
        address: int,
        size: int = 16,
        type_: int = FUNC,
        binding: int = GLOBAL,
        section: int = 1,
        *,
        dynamic: bool = False,
    ) -> Elf:
        table = self.dynamic_symbols if dynamic else self.symbols
        table.append((name, address, size, type_, binding, section))
        return self

    def build(self) -> bytes:
        return _Writer(self).build()


def _padded(data: bytes, align: int) -> bytes:
    return data + bytes(-len(data) % align)


class _Writer:
    def __init__(self, elf: Elf) -> None:
        self.elf = elf
        self.out = bytearray(DATA_OFFSET)
        self.sections: list[tuple[str, tuple[int, ...]]] = [("", (0,) * 9)]

    def section(  # one row of the section header table
        self,
        name: str,
        kind: int,
        content: bytes,
        *,
        flags: int = 0,
        address: int = 0,
        link: int = 0,
        entry: int = 0,
    ) -> int:
        self.out += bytes(-len(self.out) % 8)
        row = (kind, flags, address, len(self.out), len(content), link, 0, 4, entry)
        self.sections.append((name, row))
        self.out += content
        return len(self.sections) - 1

    def table(
        self, name: str, kind: int, rows: list[tuple[str, int, int, int, int, int]]
    ) -> None:
        texts, form = Texts(), layout.SYM.struct(self.elf.order)
        content = form.pack(0, 0, 0, 0, 0, 0)
        for text, address, size, type_, binding, section in rows:
            content += form.pack(
                texts.add(text), binding << 4 | type_, 0, section, address, size
            )
        strings = self.section(f"{name}.strings", 3, texts.data)
        self.section(name, kind, content, link=strings, entry=form.size)

    def dynamic(self) -> bytes:
        texts, form = Texts(), layout.DYN.struct(self.elf.order)
        pairs = [(layout.DT_NEEDED, texts.add(name)) for name in self.elf.needed]
        if self.elf.run_path:
            pairs.append((layout.DT_RUNPATH, texts.add(self.elf.run_path)))
        size = (len(pairs) + 2) * form.size
        pairs += [(layout.DT_STRTAB, self.elf.base + DATA + size), (0, 0)]
        return b"".join(form.pack(*pair) for pair in pairs) + texts.data

    def segments(self, dynamic_size: int) -> bytes:
        form, base = layout.PHDR.struct(self.elf.order), self.elf.base
        code, memory = len(self.elf.code), self.elf.data_in_memory
        rows = [
            (layout.PT_LOAD, 5, CODE_OFFSET, base + CODE, 0, code, code, 0x1000),
            (layout.PT_LOAD, 6, DATA_OFFSET, base + DATA, 0, dynamic_size, memory, 0x1000),
            (layout.PT_DYNAMIC, 6, DATA_OFFSET, base + DATA, 0, dynamic_size, dynamic_size, 8),
        ]
        return b"".join(form.pack(*row) for row in rows)

    def build(self) -> bytes:
        elf, order = self.elf, self.elf.order
        self.out[CODE_OFFSET : CODE_OFFSET + len(elf.code)] = elf.code
        dynamic = self.dynamic()
        row = (1, 6, elf.base + CODE, CODE_OFFSET, len(elf.code), 0, 0, 16, 0)
        self.sections.append((".text", row))
        self.section(".dynamic", 6, dynamic, address=elf.base + DATA)
        if elf.notes:
            self.section(layout.SDT_SECTION, layout.SHT_NOTE, b"".join(elf.notes))
        if elf.sdt_base is not None:
            self.section(layout.SDT_BASE_SECTION, 1, b"\0", address=elf.sdt_base)
        if elf.symbols:
            self.table(".symtab", layout.SHT_SYMTAB, elf.symbols)
        if elf.dynamic_symbols:
            self.table(".dynsym", layout.SHT_DYNSYM, elf.dynamic_symbols)
        names = Texts()
        offsets = [names.add(name) for name, _ in self.sections] + [names.add(".shstrtab")]
        self.section(".shstrtab", 3, names.data)
        self.out += bytes(-len(self.out) % 8)
        headers = len(self.out)
        form = layout.SHDR.struct(order)
        for offset, (_, row) in zip(offsets, self.sections, strict=True):
            self.out += form.pack(offset, *row)
        self.head(headers, len(dynamic))
        return bytes(self.out)

    def head(self, headers: int, dynamic_size: int) -> None:
        elf = self.elf
        data = layout.DATA_LITTLE if elf.order == "<" else layout.DATA_BIG
        ident = layout.MAGIC + bytes([layout.CLASS_64, data, 1]) + bytes(9)
        count = len(self.sections)
        ehdr = layout.EHDR.struct(elf.order).pack(
            elf.type, elf.machine, 1, 0, 64, headers, 0, 64, 56, 3, 64, count, count - 1
        )
        head = ident + ehdr + self.segments(dynamic_size)
        self.out[: len(head)] = head
