"""ELF files: what is read from good ones, and what is said about the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.diagnostics import Sink
from bridge.formats import elf_notes as layout
from bridge.probes.elf import ElfFile, open_elf
from bridge.probes.sdt import Note, read_notes
from bridge.probes.symbols import address_of, read_functions
from bridge.world import LiveWorld
from tests.support.elf_writer import (
    CODE,
    CODE_OFFSET,
    DATA,
    DATA_OFFSET,
    IFUNC,
    LOCAL,
    OBJECT,
    WEAK,
    Elf,
)

if TYPE_CHECKING:
    from pathlib import Path

WORLD = LiveWorld()


def opened(tmp_path: Path, elf: Elf) -> ElfFile:
    path = tmp_path / "program"
    path.write_bytes(elf.build())
    sink = Sink()
    found = open_elf(str(path), WORLD, sink)
    assert found is not None, sink.items
    assert sink.items == []
    return found


def refused(path: object) -> list[tuple[str, str]]:
    sink = Sink()
    assert open_elf(str(path), WORLD, sink) is None
    assert all(item.file is not None for item in sink.items)
    return [(item.code, item.message.removeprefix(f"{path}: ")) for item in sink.items]


@pytest.mark.parametrize("layouts", [layout.EHDR, layout.SHDR, layout.SYM, layout.SDT_DESC])
@pytest.mark.parametrize("order", "<>")
def test_both_faces_of_a_layout_agree(layouts: layout.Layout, order: str) -> None:
    data = bytes(range(1, layouts.struct(order).size + 1))

    fast = layouts.struct(order).unpack(data)
    slow = layouts.construct(order).parse(data)

    assert fast == tuple(slow[name] for name, _ in layouts.fields)
    assert layouts.construct(order).sizeof() == len(data)


@pytest.mark.parametrize("order", "<>")
def test_notes_in_both_byte_orders(tmp_path: Path, order: str) -> None:
    elf = Elf(order=order).note("prov", "one", "8@%rax", CODE + 4)
    elf.note("prov", "two", semaphore=DATA + 2)

    notes = read_notes(opened(tmp_path, elf), Sink())

    assert [(n.provider, n.name, n.arguments, n.address, n.semaphore) for n in notes] == [
        ("prov", "one", "8@%rax", CODE + 4, 0),
        ("prov", "two", "", CODE, DATA + 2),
    ]


def test_other_notes_are_passed_over(tmp_path: Path) -> None:
    elf = Elf().note("p", "a", owner=b"GNU\0").note("p", "b", kind=2)
    elf.raw_note(b"x\0", 3, b"12345").note("p", "c")

    assert [note.name for note in read_notes(opened(tmp_path, elf), Sink())] == ["c"]


def test_prelinking_moves_notes_and_semaphores(tmp_path: Path) -> None:
    elf = Elf(base=0x400000, sdt_base=0x405000)
    elf.note("p", "moved", address=CODE, base=0x5000, semaphore=DATA)

    file = opened(tmp_path, elf)

    (note,) = read_notes(file, Sink())
    assert (note.address, note.semaphore) == (0x400000 + CODE, 0x400000 + DATA)
    assert file.file_offset(note.address) == CODE_OFFSET


def test_a_note_without_semaphore_gets_none_by_prelinking(tmp_path: Path) -> None:
    elf = Elf(base=0x400000, sdt_base=0x405000).note("p", "n", base=0x5000)

    (note,) = read_notes(opened(tmp_path, elf), Sink())

    assert note.semaphore == 0


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"\0" * 20, "without provider"),
        (b"\0" * 24 + b"only\0two\0", "without provider"),
        (b"\0" * 24 + b"no end", "without provider"),
    ],
)
def test_corrupt_notes_are_reported_and_the_rest_is_read(
    tmp_path: Path, raw: bytes, what: str
) -> None:
    elf = Elf().raw_note(layout.SDT_OWNER, layout.SDT_TYPE, raw).note("p", "good")
    sink = Sink()

    notes = read_notes(opened(tmp_path, elf), sink)

    assert [note.name for note in notes] == ["good"]
    (item,) = sink.items
    assert item.code == "elf-corrupt"
    assert what in item.message
    assert item.file is not None
    assert item.file.byte >= DATA_OFFSET


def test_a_note_longer_than_its_section_ends_it(tmp_path: Path) -> None:
    elf = Elf().note("p", "good")
    elf.notes.append(layout.NHDR.struct().pack(8, 1 << 31, 3) + layout.SDT_OWNER)
    sink = Sink()

    notes = read_notes(opened(tmp_path, elf), sink)

    assert [note.name for note in notes] == ["good"]
    assert [item.code for item in sink.items] == ["elf-corrupt"]


def test_addresses_are_mapped_by_the_segments(tmp_path: Path) -> None:
    file = opened(tmp_path, Elf(base=0x10000, code=b"\x55" + b"\x90" * 15))

    assert file.file_offset(0x10000 + CODE + 15) == CODE_OFFSET + 15
    assert file.file_offset(0x10000 + CODE + 16) is None
    assert file.bytes_at(0x10000 + CODE, 2) == b"\x55\x90"
    assert file.bytes_at(0x10000 + CODE + 14, 5) == b"\x90\x90"
    assert file.bytes_at(0, 4) == b""
    # A semaphore may lie in memory without bytes in the file.
    assert file.semaphore_offset(0x10000 + DATA + 0xFF0) == DATA_OFFSET + 0xFF0
    assert file.semaphore_offset(0x10000 + DATA + 0x1000) is None


def test_functions(tmp_path: Path) -> None:
    elf = Elf()
    elf.symbol("weak_alias", CODE, 8, binding=WEAK).symbol(
        "local_alias", CODE, 8, binding=LOCAL
    )
    elf.symbol("real", CODE, 8).symbol("resolver", CODE + 16, type_=IFUNC)
    elf.symbol("puts", 0, 0, section=layout.SHN_UNDEF).symbol("table", DATA, type_=OBJECT)
    elf.symbol("in_data", DATA).symbol("nowhere", 0x99999).symbol("second", CODE + 32)
    elf.symbol("versioned@@V1", CODE + 48).symbol("versioned", CODE + 48, dynamic=True)
    elf.symbol("exported", CODE + 64, dynamic=True)

    functions = read_functions(opened(tmp_path, elf))

    assert [(f.names, f.address - CODE) for f in functions] == [
        (("real", "weak_alias", "local_alias"), 0),
        (("second",), 32),
        (("versioned",), 48),
        (("exported",), 64),
    ]


def test_addresses_of_symbols(tmp_path: Path) -> None:
    elf = Elf().symbol("counter", DATA + 8, type_=OBJECT, binding=LOCAL)
    file = opened(tmp_path, elf.symbol("puts", 0, section=0))

    assert address_of(file, "counter") == DATA + 8
    assert address_of(file, "puts") is None


def test_dynamic_texts(tmp_path: Path) -> None:
    file = opened(tmp_path, Elf(needed=["libone.so.1", "libtwo.so"], run_path="$ORIGIN/lib"))

    assert file.dynamic_texts(layout.DT_NEEDED) == ["libone.so.1", "libtwo.so"]
    assert file.dynamic_texts(layout.DT_RUNPATH) == ["$ORIGIN/lib"]


def test_what_is_no_file(tmp_path: Path) -> None:
    assert refused(tmp_path) == [("is-a-directory", "is a directory, not a program")]
    assert refused(tmp_path / "none") == [("no-such-file", "no such file")]
    assert refused("a\0b") == [("no-such-file", "a\0b: no such file".removeprefix("a\0b: "))]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")

    assert refused(tmp_path / "pipe") == [("unreadable", "Not a regular file")]


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_self: object, path: str) -> memoryview:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(LiveWorld, "map_file", denied)

    assert refused(tmp_path / "secret") == [("no-permission", "permission denied")]


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (b"", "not-elf", "not an ELF file"),
        (b"text", "not-elf", "not an ELF file"),
        (b"#!/bin/sh\n", "not-elf", "is a script (`#!`)"),
        (b"\x7fELF", "elf-truncated", "truncated ELF file: the ELF header"),
        (b"\x7fELF\x01\x01\x01" + bytes(60), "elf-32-bit", "a 32-bit ELF file"),
        (b"\x7fELF\x07\x01\x01" + bytes(60), "elf-corrupt", "class 7"),
        (b"\x7fELF\x02\x07\x01" + bytes(60), "elf-corrupt", "byte order 7"),
        (b"\x7fELF\x02\x01\x01" + bytes(20), "elf-truncated", "the ELF header"),
    ],
)
def test_what_is_no_program(tmp_path: Path, data: bytes, code: str, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)

    ((found, text),) = refused(path)

    assert found == code
    assert message in text


@pytest.mark.parametrize(
    ("field", "value", "code", "message"),
    [
        ("e_phoff", 1 << 40, "elf-truncated", "the program header table"),
        ("e_shoff", 1 << 63, "elf-truncated", "the section header table"),
        ("e_phentsize", 32, "elf-corrupt", "program headers of 32 bytes"),
        ("e_shentsize", 40, "elf-corrupt", "section headers of 40 bytes"),
        ("e_phnum", 0xFFFF, "elf-truncated", "the program header table"),
        ("e_shnum", 0xFFFE, "elf-truncated", "the section header table"),
    ],
)
def test_headers_that_lead_outside(
    tmp_path: Path, field: str, value: int, code: str, message: str
) -> None:
    data = bytearray(Elf().note("p", "n").build())
    form = layout.EHDR.struct()
    head = list(form.unpack_from(data, layout.IDENT_SIZE))
    head[layout.EHDR.index(field)] = value
    form.pack_into(data, layout.IDENT_SIZE, *head)
    path = tmp_path / "file"
    path.write_bytes(data)

    ((found, text),) = refused(path)

    assert found == code
    assert message in text


def test_a_program_cut_off_anywhere_is_truncated(tmp_path: Path) -> None:
    whole = Elf(sdt_base=0x5000).note("p", "n").symbol("f", CODE).build()
    path = tmp_path / "file"
    for size in range(16, len(whole), 97):
        path.write_bytes(whole[:size])
        assert [code for code, _ in refused(path)] == ["elf-truncated"], size


def test_a_note_says_where_it_lies(tmp_path: Path) -> None:
    file = opened(tmp_path, Elf().note("p", "n"))

    (note,) = read_notes(file, Sink())

    assert isinstance(note, Note)
    assert bytes(file.data[note.at + 12 : note.at + 20]) == layout.SDT_OWNER
