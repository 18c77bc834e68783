"""`markbridge/marker.h`: what compilers make of it is what tracers read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import bridge
from bridge.diagnostics import Sink
from bridge.markers import Constant, Memory, Register
from bridge.probes import markers_of
from bridge.probes.elf import open_elf
from bridge.probes.operands import split
from bridge.probes.sdt import read_notes
from bridge.world import LiveWorld
from tests.conftest import ROOT
from tests.support.annotated import SIZES, SOURCE, WARNINGS
from tests.support.victims import compile_c

WORLD = LiveWorld()
COMPILERS = [
    ("gcc", "-std=gnu99"),
    ("gcc", "-std=c11", "-pedantic"),
    ("clang-14", "-std=c17"),
    ("g++", "-std=c++11", "-pedantic"),
    ("g++", "-std=gnu++20"),
    ("clang++-14", "-std=c++17"),
]


@pytest.fixture(params=COMPILERS, ids=" ".join)
def compiler(request: pytest.FixtureRequest) -> list[str]:
    words = list(request.param)
    if shutil.which(words[0]) is None:
        pytest.skip(f"no {words[0]}")
    return words


@pytest.mark.parametrize("flags", [("-O0",), ("-O2",), ("-O2", "-fno-pie", "-no-pie")])
def test_sizes_and_semaphores(
    tmp_path: Path, compiler: list[str], flags: tuple[str, ...]
) -> None:
    name, *standard = compiler
    path = compile_c(tmp_path, "demo", SOURCE, *standard, *flags, *WARNINGS, compiler=name)
    elf = open_elf(str(path), WORLD, Sink())
    assert elf is not None

    notes = {note.name: note for note in read_notes(elf, Sink())}

    assert {note.provider for note in notes.values()} == {"demo"}
    assert {name: _sizes(note.arguments) for name, note in notes.items()} == SIZES
    assert {name for name, note in notes.items() if note.semaphore} == {"sem"}
    offset = elf.semaphore_offset(notes["sem"].semaphore)
    assert offset is not None
    assert elf.data[offset : offset + 2] == b"\0\0"
    for note in notes.values():
        # a one-byte nop, then a ten-byte one
        assert elf.bytes_at(note.address, 11).hex() == "90662e0f1f840000000000"


def _sizes(arguments: str) -> list[int | None]:
    sizes = [operand.split("@")[0] for operand in split(arguments)]
    return [None if size.endswith("f") else int(size) for size in sizes]


@pytest.mark.parametrize("flags", [("-O0",), ("-O2",), ("-O3", "-fno-pie", "-no-pie")])
def test_every_argument_can_be_read(
    tmp_path: Path, compiler: list[str], flags: tuple[str, ...]
) -> None:
    name, *standard = compiler
    path = compile_c(tmp_path, "demo", SOURCE, *standard, *flags, *WARNINGS, compiler=name)

    markers = markers_of(str(path), WORLD)

    assert {m.name for m in markers} == set(SIZES)
    for marker in markers:
        assert marker.unreadable == ()
        assert all(site.unsafe == "" for site in marker.sites)
        for variable in marker.variables:
            for operand in variable.operands:
                assert isinstance(operand, Register | Memory | Constant)


def test_several_sites_and_constants(tmp_path: Path) -> None:
    source = """
    #include <markbridge/marker.h>
    int main(int argc, char **argv)
    {
        (void)argv;
        if (argc > 1) MARKBRIDGE_MARK(demo, twice, argc, 40);
        MARKBRIDGE_MARK(demo, twice, 'x', -argc);
        return 0;
    }
    """
    path = compile_c(tmp_path, "twice", source, "-O2", *WARNINGS)

    (marker,) = markers_of(str(path), WORLD)

    assert len(marker.sites) == 2
    first, second = marker.variables
    assert Constant(ord("x")) in first.operands
    assert Constant(40) in second.operands


def test_names_are_expanded_and_files_share_a_semaphore(tmp_path: Path) -> None:
    one = """
    #include <markbridge/marker.h>
    #define NAME shared
    MARKBRIDGE_SEMAPHORE(demo, shared);
    void other(void);
    int main(void)
    {
        if (MARKBRIDGE_ENABLED(demo, shared)) MARKBRIDGE_MARK(demo, NAME);
        other();
    }
    """
    two = """
    #include <markbridge/marker.h>
    MARKBRIDGE_SEMAPHORE_EXTERN(demo, shared);
    void other(void)
    {
        if (MARKBRIDGE_ENABLED(demo, shared)) MARKBRIDGE_MARK_SEMAPHORE(demo, shared, 1);
    }
    """
    other = tmp_path / "other.c"
    other.write_text(two)
    path = compile_c(tmp_path, "both", one, str(other), *WARNINGS)

    markers = markers_of(str(path), WORLD)

    assert {m.name for m in markers} == {"shared"}
    assert {len(m.variables): bool(m.sites[0].ref_ctr_offset) for m in markers} == {
        0: False,
        1: True,
    }


OTHERS = {
    "i386-linux-gnu": "-4@",
    "arm-linux-gnueabihf": "-4@",
    "powerpc64le-linux-gnu": "-4@",
    "s390x-linux-gnu": "-4@",
    "aarch64-linux-gnu": "-4@",
}
BARE = """
#include <markbridge/marker.h>
MARKBRIDGE_SEMAPHORE(demo, counted);
int f(int a, const char *text)
{
    MARKBRIDGE_MARK(demo, hit, a, text, 7);
    if (MARKBRIDGE_ENABLED(demo, counted)) MARKBRIDGE_MARK_SEMAPHORE(demo, counted, a);
    return a + (text != 0);
}
"""


def _compile(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "x.c").write_text(BARE)
    command = [*words, "-O2", *WARNINGS, "-Icsrc/include", "-c", str(folder / "x.c")]
    return subprocess.run(
        [*command, "-o", str(folder / "x.o")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


@pytest.mark.parametrize("machine", OTHERS)
def test_notes_of_other_machines(tmp_path: Path, machine: str) -> None:
    """As readelf reads them: addresses of the machine's size, each argument with its size."""
    if shutil.which("clang") is None:
        pytest.skip("no clang")
    done = _compile(tmp_path, "clang", f"--target={machine}", "-ffreestanding")
    assert (done.returncode, done.stderr) == (0, "")
    read = subprocess.run(
        ["readelf", "-n", str(tmp_path / "x.o")], capture_output=True, text=True, check=True
    ).stdout

    names = re.findall(r"Name: (\w+)", read)
    places = [int(place, 16) for place in re.findall(r"Location: (0x\w+)", read)]
    arguments = [text.split() for text in re.findall(r"Arguments: (.*)", read)]
    pointer = 4 if machine.startswith(("i386", "arm")) else 8
    assert names == ["hit", "counted"]
    assert 0 < places[0] < places[1]
    assert [one.split("@")[0] for one in arguments[0]] == ["-4", str(pointer), "-4"]
    assert arguments[0][2].lstrip("-4@$#") == "7"


def test_without_notes_the_compiler_says_so(tmp_path: Path) -> None:
    done = _compile(tmp_path, "gcc", "-U__ELF__", "-Wno-unused-parameter")

    assert done.returncode == 0
    assert done.stderr.count("note: ") == 1
    assert "markers are left out on this machine" in done.stderr


def test_the_file_for_pkg_config(tmp_path: Path) -> None:
    """It is where the header is, wherever that was installed."""
    if shutil.which("pkg-config") is None:
        pytest.skip("no pkg-config")
    shutil.copytree(ROOT / "csrc" / "include", tmp_path / "elsewhere")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(tmp_path / "elsewhere" / "pkgconfig")}

    def asked(option: str) -> str:
        command = ["pkg-config", option, "markbridge"]
        return subprocess.check_output(command, env=environment, text=True).strip()

    assert Path(asked("--cflags").removeprefix("-I")).resolve() == tmp_path / "elsewhere"
    assert asked("--modversion") == bridge.__version__


def test_the_licence_allows_to_copy_it() -> None:
    text = (ROOT / "csrc" / "include" / "markbridge" / "marker.h").read_text()

    assert text.startswith("/* SPDX-License-Identifier: 0BSD */")
    assert "with\n * or without fee is hereby granted" in text
