"""Sites where a uprobe would disturb the program, and those where it would not."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest

from bridge.diagnostics import Sink
from bridge.probes import safety
from bridge.probes.elf import ElfFile, open_elf
from bridge.probes.safety import RED_ZONE as RED_ZONE_TEXT
from bridge.probes.safety import SitePolicy, entry_skip, instruction_fault, site_fault
from bridge.probes.sdt import read_notes
from bridge.probes.x86 import decode
from bridge.world import LiveWorld
from tests.support.elf_writer import CODE, Elf
from tests.support.victims import RED_ZONE, SAFE, UNSAFE, compile_c

if TYPE_CHECKING:
    from pathlib import Path

NOP5 = "0f1f440000"
STEP_OVER, STEP_BACK = "488d642480", "488da42480000000"
NEW, OLD = SitePolicy((6, 18)), SitePolicy((6, 17))


def program(tmp_path: Path, code: str, size: int | None = None, address: int = CODE) -> ElfFile:
    data = bytes.fromhex(code.replace(" ", ""))
    padding = bytes([0x90]) * (address - CODE)
    elf = Elf(code=padding + data).symbol("f", address, len(data) if size is None else size)
    path = tmp_path / "program"
    path.write_bytes(elf.build())
    found = open_elf(str(path), LiveWorld(), Sink())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("code", "at", "fault"),
    [
        # leaf that keeps a value below the stack pointer
        (f"48897c24f8 {NOP5} 488b4424f8 c3", 5, RED_ZONE_TEXT),
        # the same through the frame pointer
        (f"55 4889e5 48897df8 {NOP5} 488b45f8 5d c3", 8, RED_ZONE_TEXT),
        # leaf in registers: nothing can be below
        (f"{NOP5} 488d0437 c3", 0, ""),
        (f"4883ec18 48897c2408 {NOP5} 4883c418 c3", 9, ""),
        # the stack pointer gets away: lea -8(%rsp); mov %rsp,%rax; push %rsp
        (f"488d4424f8 {NOP5} c3", 5, RED_ZONE_TEXT),
        (f"4889e0 {NOP5} c3", 3, RED_ZONE_TEXT),
        (f"54 58 {NOP5} c3", 2, RED_ZONE_TEXT),
        # a call proves it, but not one at the entry nor one to the next instruction
        (f"55 4889e5 48897df8 {NOP5} e800100000 5d c3", 8, ""),
        (f"55 4889e5 {NOP5} ff10 5d c3", 4, ""),
        (f"e800100000 55 4889e5 48897df8 {NOP5} c3", 13, RED_ZONE_TEXT),
        (f"f30f1efa e800100000 55 4889e5 {NOP5} c3", 13, RED_ZONE_TEXT),
        (f"55 4889e5 e800000000 58 {NOP5} c3", 10, RED_ZONE_TEXT),
        # a call does not prove it where something is below the stack pointer all the same
        (f"48897c24f8 {NOP5} e800100000 c3", 5, RED_ZONE_TEXT),
        # leaves the function: what happens there is unknown
        (f"{NOP5} e900100000", 0, RED_ZONE_TEXT),
        (f"{NOP5} 7501 90 c3", 0, ""),
        # guarded
        (f"48897c24f8 {STEP_OVER} {NOP5} {STEP_BACK} c3", 10, ""),
        (f"48897c24f8 {STEP_OVER} {NOP5} c3", 10, RED_ZONE_TEXT),
        (f"48897c24f8 {NOP5} {STEP_BACK} c3", 5, RED_ZONE_TEXT),
        # other nops of five bytes
        ("48897c24f8 6666666690 c3", 5, RED_ZONE_TEXT),
        ("48897c24f8 660f1f4000 c3", 5, RED_ZONE_TEXT),
        ("48897c24f8 488d742600 c3", 5, RED_ZONE_TEXT),
        ("48897c24f8 e900000000 c3", 5, RED_ZONE_TEXT),
        # breakpoints are safe
        ("48897c24f8 90 c3", 5, ""),
        ("48897c24f8 0f1f4000 c3", 5, ""),
        ("48897c24f8 660f1f440000 c3", 5, ""),
        ("48897c24f8 b801000000 c3", 5, ""),
        # not at an instruction of the function, or not to be decoded
        (f"48b8{NOP5}000000 c3", 2, RED_ZONE_TEXT),
        (f"{NOP5} 06 c3", 0, RED_ZONE_TEXT),
        # the kernel refuses
        ("662e0f1f840000000000 c3", 0, "the prefix `cs`"),
        ("f0480fc108 c3", 0, "the prefix `lock`"),
        ("cc c3", 0, "the instruction 0xcc"),
        ("f4", 0, "the instruction 0xf4"),
        ("06", 0, "no instruction"),
    ],
)
def test_sites(tmp_path: Path, code: str, at: int, fault: str) -> None:
    found = site_fault(program(tmp_path, code), CODE + at, NEW)

    assert bool(found) == bool(fault), found
    assert fault in found


LEAF = f"48897c24f8 {NOP5} 488b4424f8 c3"


def test_kernels_and_the_override(tmp_path: Path) -> None:
    elf = program(tmp_path, LEAF)

    assert site_fault(elf, CODE + 5, OLD) == ""
    assert site_fault(elf, CODE + 5, SitePolicy((7, 0))) == RED_ZONE_TEXT
    assert site_fault(elf, CODE + 5, SitePolicy()) == RED_ZONE_TEXT
    assert site_fault(elf, CODE + 5, SitePolicy((6, 18), allow_nop5=True)) == ""


def test_the_override_does_not_help_where_the_kernel_refuses(tmp_path: Path) -> None:
    elf = program(tmp_path, "662e0f1f840000000000 c3")

    assert "prefix" in site_fault(elf, CODE, SitePolicy((6, 18), allow_nop5=True))


@pytest.mark.parametrize(("start", "safe"), [(0xFF6, False), (0xFF7, True), (0xFFA, True)])
def test_a_nop_in_two_pages_keeps_its_breakpoint(
    tmp_path: Path, start: int, safe: bool
) -> None:
    elf = program(tmp_path, LEAF, address=CODE + start)

    assert (site_fault(elf, CODE + start + 5, NEW) == "") is safe


@pytest.mark.parametrize("size", [0, 3, 8])
def test_without_the_functions_extent_nothing_is_proven(tmp_path: Path, size: int) -> None:
    elf = program(tmp_path, f"{NOP5} 488d0437 c3", size)

    assert site_fault(elf, CODE, NEW) == RED_ZONE_TEXT


@pytest.mark.parametrize(
    ("code", "skip"),
    [
        ("f30f1efa 55 4889e5 c3", 4),
        ("f30f1efa 4154 c3", 4),
        ("f30f1efa 90 c3", 4),
        ("f30f1efa e900000000", 4),
        ("f30f1efa 4883ec08 c3", 0),
        ("f30f1efa c3", 0),
        ("f30f1efa", 0),
        ("55 4889e5 c3", 0),
        ("f30f1e", 0),
    ],
)
def test_entries(tmp_path: Path, code: str, skip: int) -> None:
    elf = program(tmp_path, code)

    assert entry_skip(elf, CODE, len(bytes.fromhex(code.replace(" ", "")))) == skip


def test_aarch64_instructions_are_aligned(tmp_path: Path) -> None:
    path = tmp_path / "arm"
    path.write_bytes(Elf(machine=183, code=bytes(16)).build())
    elf = open_elf(str(path), LiveWorld(), Sink())
    assert elf is not None

    assert instruction_fault(elf, CODE + 4) == ""
    assert "start of an instruction" in instruction_fault(elf, CODE + 2)


@pytest.mark.parametrize("optimization", ["-O0", "-O1", "-O2", "-O3"])
@pytest.mark.parametrize("compiler", ["gcc", "clang-14"])
def test_compiled_programs(tmp_path: Path, compiler: str, optimization: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    path = compile_c(tmp_path, "victim", RED_ZONE, optimization, compiler=compiler)
    elf = open_elf(str(path), LiveWorld(), Sink())
    assert elf is not None

    faults: dict[str, set[str]] = {}
    for note in read_notes(elf, Sink()):
        faults.setdefault(note.name, set()).add(site_fault(elf, note.address, NEW))

    assert {name for name in SAFE if faults[name] == {""}} == SAFE
    assert {name for name in UNSAFE if faults[name] == {RED_ZONE_TEXT}} == UNSAFE
    assert all("`cs`" in fault for fault in faults["nop10"])
    if optimization != "-O0":
        assert faults["registers"] == {""}


def test_what_is_not_decoded_is_taken_and_no_nop() -> None:
    numbers = random.Random(5)
    passed: set[int] = set()
    heads = [bytes([first]) for first in range(256)]
    heads += [bytes([rex, first]) for rex in (0x41, 0x48) for first in range(256)]
    heads += [bytes([*more, 0x0F, n]) for more in (b"", b"\x48", b"\x66") for n in range(256)]
    for head in heads:
        for _ in range(24):
            code = (head + numbers.randbytes(safety.LONGEST))[: safety.LONGEST]
            if not safety._is_plain(code):
                continue
            passed.add(head[-1])
            found = decode(code)
            assert safety._refused(found) == "", code.hex()
            assert found is not None
            assert not safety._is_nop5(found), code.hex()
    assert len(passed) > 150
