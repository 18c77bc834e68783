"""The own ELF reader says what readelf, pyelftools and objdump say, on this machine's files."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from bridge.diagnostics import Sink
from bridge.formats import elf_notes as layout
from bridge.probes.elf import ElfFile, open_elf
from bridge.probes.sdt import read_notes
from bridge.probes.symbols import read_symbols
from bridge.probes.x86 import decode
from bridge.world import LiveWorld

pytestmark = pytest.mark.tools

FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/postgresql/15/bin")
WITHOUT_NOTES = 12
LARGEST = 20_000_000
_NOTE = re.compile(
    r"Provider: (?P<provider>.*)\n\s+Name: (?P<name>.*)\n"
    r"\s+Location: (?P<pc>\w+), Base: (?P<base>\w+), Semaphore: (?P<semaphore>\w+)\n"
    r"\s+Arguments: ?(?P<arguments>.*)"
)


@cache
def elf_files() -> tuple[str, ...]:
    """ELF files of this machine: all that mention USDT notes, and some that do not."""
    noted, others = [], []
    for folder in FOLDERS:
        for path in sorted(Path(folder).glob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            if path.stat().st_size > LARGEST:
                continue
            data = path.read_bytes()
            if data[:5] != layout.MAGIC + bytes([layout.CLASS_64]):
                continue
            (noted if layout.SDT_SECTION.encode() in data else others).append(str(path))
    step = max(1, len(others) // WITHOUT_NOTES)
    return (*noted, *others[::step])


def opened(path: str) -> ElfFile:
    sink = Sink()
    elf = open_elf(path, LiveWorld(), sink)
    assert elf is not None, sink.items
    return elf


def output(*command: str) -> str:
    return subprocess.run(
        command, capture_output=True, text=True, errors="surrogateescape", check=True
    ).stdout


def test_there_is_something_to_compare() -> None:
    with_notes = [p for p in elf_files() if opened(p).section(layout.SDT_SECTION)]

    assert len(with_notes) >= 1
    assert len(elf_files()) > WITHOUT_NOTES


def test_notes_are_those_of_readelf() -> None:
    for path in elf_files():
        elf = opened(path)
        base = elf.section(layout.SDT_BASE_SECTION)
        sink = Sink()
        found = [
            (note.provider, note.name, note.arguments, note.address, note.semaphore)
            for note in read_notes(elf, sink)
        ]
        expected = []
        for match in _NOTE.finditer(output("readelf", "-n", "-W", path)):
            linked = int(match["base"], 16)
            moved = base.header.address - linked if base and linked else 0
            semaphore = int(match["semaphore"], 16)
            expected.append(
                (
                    match["provider"],
                    match["name"],
                    match["arguments"],
                    int(match["pc"], 16) + moved,
                    semaphore + moved if semaphore else 0,
                )
            )
        assert found == expected, path
        assert sink.items == []


def test_notes_are_those_of_pyelftools() -> None:
    from elftools.elf.elffile import ELFFile

    for path in elf_files():
        expected = []
        with Path(path).open("rb") as file:
            section = ELFFile(file).get_section_by_name(layout.SDT_SECTION)
            for note in section.iter_notes() if section else ():
                texts = note["n_descdata"][24:].split(b"\0")
                expected.append(tuple(text.decode() for text in texts[:3]))
        found = [(n.provider, n.name, n.arguments) for n in read_notes(opened(path), Sink())]
        assert found == expected, path


def test_sections_segments_and_symbols_are_those_of_pyelftools() -> None:
    from elftools.elf.elffile import ELFFile

    for path in elf_files()[::3]:
        elf = opened(path)
        with Path(path).open("rb") as file:
            reference = ELFFile(file)
            sections = [
                (s.name, s["sh_addr"], s["sh_offset"], s["sh_size"])
                for s in reference.iter_sections()
            ]
            segments = [
                (s["p_vaddr"], s["p_offset"], s["p_filesz"], s["p_memsz"])
                for s in reference.iter_segments()
            ]
            dynamic = reference.get_section_by_name(".dynsym")
            symbols = {
                (s.name, s["st_value"], s["st_size"])
                for s in (dynamic.iter_symbols() if dynamic else ())
                if s.name
            }
            needed = [
                tag.needed
                for segment in reference.iter_segments("PT_DYNAMIC")
                for tag in segment.iter_tags("DT_NEEDED")
            ]
        heads = [(s.name, s.header) for s in elf.sections]
        assert [(n, h.address, h.offset, h.size) for n, h in heads] == sections
        assert [
            (s.address, s.offset, s.file_size, s.memory_size) for s in elf.segments
        ] == segments
        assert symbols <= {(s.name, s.address, s.size) for s in read_symbols(elf)}
        assert elf.dynamic_texts(layout.DT_NEEDED) == needed


_LINE = re.compile(r"^\s*(?P<at>[0-9a-f]+):\t(?P<bytes>(?:[0-9a-f]{2} )+)\s*(?P<text>.*)$")
# objdump joins `wait` with the x87 instruction behind it, and prints data in code as `(bad)` or
# as prefixes without an instruction.
_NOT_ONE = re.compile(
    r"\(bad\)|^\.byte|^(rex\S*|data16|[c-gs]s|repn?z?|lock|addr32)( rex\S*)*$"
)


@pytest.mark.parametrize("name", ["libm.so.6", "libz.so.1", "libc.so.6"])
def test_instructions_are_as_long_as_objdump_says(name: str) -> None:
    library = f"/usr/lib/x86_64-linux-gnu/{name}"
    if not Path(library).exists():
        pytest.skip(f"no {library}")
    text = output("objdump", "-d", "-w", "-j", ".text", library)
    count = 0
    for line in text.splitlines()[:: 1 if name == "libz.so.1" else 4]:
        match = _LINE.match(line)
        if match is None or match["bytes"].startswith("9b") or _NOT_ONE.search(match["text"]):
            continue
        code = bytes.fromhex(match["bytes"])
        instruction = decode(code)
        assert instruction is not None, line
        assert instruction.length == len(code), line
        assert decode(code[:-1]) is None, line
        count += 1
    assert count > 1000
