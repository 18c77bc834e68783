"""`markbridge/marker.h`: what compilers make of it is what tracers read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import bridge
from bench import marker as marker_bench
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


LANGUAGES = [
    ("gcc", "c11"),
    ("gcc", "gnu99"),
    ("clang-14", "c17"),
    ("g++", "c++11"),
    ("clang++-14", "c++17"),
]
REFUSED_SOURCE = """
#include <markbridge/marker.h>
struct pair {{ int a; unsigned narrow : 3; int wider : 9; unsigned whole : 32; }};
union either {{ int a; long b; }};
typedef int four __attribute__((vector_size(16)));
void f(struct pair *p, union either *u, four v, __int128 q, _Complex double z);
void f(struct pair *p, union either *u, four v, __int128 q, _Complex double z)
{{
    (void)p; (void)u; (void)v; (void)q; (void)z;
    MARKBRIDGE_MARK({arguments});
}}
"""
NO_ARGUMENT = "markbridge: argument 2 is no integer of up to 8 bytes, pointer, array, float"
NUMBERS = ", ".join(map(str, range(1, 21)))
REFUSED = [
    *((f"demo, bad, 1, {x}, 3", NO_ARGUMENT) for x in ("*p", "*u", "v", "q", "z")),
    ("demo, bad, 1, p->narrow", f"bit-field|{NO_ARGUMENT}"),
    ("demo, bad, 1, p->wider", f"bit-field|{NO_ARGUMENT}"),
    ("demo, bad, 1, p->whole", f"bit-field|{NO_ARGUMENT}"),
    *(
        (
            f"demo, bad, {NUMBERS[: NUMBERS.index(last) + 2]}",
            "a marker has 12 arguments at most",
        )
        for last in ("13", "14", "18", "20")
    ),
    ("demo", "a marker has a provider and a name"),
]


def _errors(folder: Path, arguments: str, compiler: str, standard: str) -> list[str]:
    source = folder / ("x.cc" if "++" in compiler else "x.c")
    source.write_text(REFUSED_SOURCE.format(arguments=arguments))
    done = subprocess.run(
        [
            compiler,
            f"-std={standard}",
            "-O1",
            "-Icsrc/include",
            "-c",
            source,
            "-o",
            "/dev/null",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    return [line for line in done.stderr.splitlines() if re.search(": (error|warning): ", line)]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
@pytest.mark.parametrize(("compiler", "standard"), LANGUAGES)
def test_what_is_no_argument_is_one_error(
    tmp_path: Path, arguments: str, message: str, compiler: str, standard: str
) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")

    errors = _errors(tmp_path, arguments, compiler, standard)

    assert len(errors) == 1, errors
    assert re.search(message, errors[0]), errors
    assert ": error: " in errors[0]


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_half_wide_numbers_are_one_error(tmp_path: Path, compiler: str) -> None:
    (error,) = _errors(
        tmp_path,
        "demo, bad, 1, (_Float16)1",
        compiler,
        "gnu++17" if "+" in compiler else "gnu17",
    )
    assert NO_ARGUMENT in error


ODD = """
#include <markbridge/marker.h>
enum __attribute__((packed)) small {{ LOW, HIGH }};
int f(int n, const volatile int *place, enum small e, long double wide);
int f(int n, const volatile int *place, enum small e, long double wide)
{{
    char vla[n], text[8] = "x";
    MARKBRIDGE_MARK(demo, odd, vla, text, f, *place, place, e, wide, sizeof(vla), "text");
    if (n) MARKBRIDGE_MARK(demo, odd); else MARKBRIDGE_MARK(demo, odd, 1.5);
    return text[0];
}}
"""


@pytest.mark.parametrize(("compiler", "standard"), LANGUAGES)
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_odd_arguments(tmp_path: Path, compiler: str, standard: str, level: str) -> None:
    """Arrays of a length at run time, functions, volatile and packed ones, long double."""
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    source = tmp_path / ("x.cc" if "++" in compiler else "x.c")
    source.write_text(ODD.replace("{{", "{").replace("}}", "}"))
    command = [compiler, f"-std={standard}", level, "-Wall", "-Wextra", "-Wshadow", "-Werror"]
    command += ["-Icsrc/include", "-c", str(source), "-o", str(tmp_path / "x.o")]
    subprocess.run(command, check=True, cwd=ROOT)
    shown = subprocess.run(
        ["readelf", "-nW", tmp_path / "x.o"], check=True, capture_output=True, text=True
    ).stdout

    texts = re.findall(r"Arguments: (.*)", shown)
    sizes = [[one.split("@")[0] for one in split(text)] for text in texts]
    assert sizes == [["8", "8", "8", "-4", "8", "1", "16f", "8", "8"], [], ["8f"]]


def _stores(source: str, flags: list[str]) -> list[str]:
    """What the function writes to memory, without saving registers."""
    command = ["clang-14", *flags, "-Icsrc/include", "-xc", "-", "-S", "-o", "-"]
    text = subprocess.run(
        command, input=source, check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout
    return [line for line in text.splitlines() if re.search(r"\smov\w*\s.*, -?\w*\(%", line)]


TWELVE = """#include <markbridge/marker.h>
void f(signed char a, unsigned char b, short c, unsigned short d, int e, unsigned g);
void f(signed char a, unsigned char b, short c, unsigned short d, int e, unsigned g)
{{
    long h = a * 3L, i = b * 5L, j = c * 7L, k = d * 9L; float l = (float)e; double m = g;
    {mark}
}}
"""


@pytest.mark.skipif(shutil.which("clang-14") is None, reason="no clang-14")
@pytest.mark.parametrize("more", [[], ["-fno-omit-frame-pointer"], ["-fPIC"]])
@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-O3"])
def test_clang_stores_nothing(level: str, more: list[str]) -> None:
    """Twelve values of a marker add no store to those that are there without it."""
    mark = "MARKBRIDGE_MARK(demo, twelve, a, b, c, d, e, g, h, i, j, k, l, m);"
    flags = [level, *more, "-w"]

    with_marker = _stores(TWELVE.format(mark=mark), flags)
    without = _stores(TWELVE.format(mark=""), flags)

    assert len(with_marker) == len(without), with_marker


CLOBBER = """#include <markbridge/marker.h>
int twice(int *place, int a, long b, const char *text, double c)
{{
    int before = *place;
    MARKBRIDGE_MARK(demo, hit, {arguments});
    (void)text; (void)b; (void)c; (void)a;
    return before + *place;
}}
"""


@pytest.mark.parametrize(
    ("arguments", "loads"), [("a, b, c", 1), ("a", 1), ("a, text", 2), ('"literal"', 2)]
)
def test_memory_is_read_again_behind_pointers_alone(arguments: str, loads: int) -> None:
    """What is written before a marker is in memory for who follows a pointer.

    (To clang every statement of this kind may write to memory.)
    """
    command = ["gcc", "-O2", "-w", "-Icsrc/include", "-xc", "-", "-S", "-o", "-"]
    text = subprocess.run(
        command,
        input=CLOBBER.format(arguments=arguments),
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout

    assert text.count("(%rdi)") == loads, text


@pytest.mark.tools
@pytest.mark.parametrize("compiler", marker_bench.COMPILERS)
def test_no_more_instructions_than_other_headers(compiler: str) -> None:
    ours, *peers = marker_bench.headers().items()
    own = marker_bench.counts(compiler, *ours[1])
    assert peers
    for name, how in peers:
        theirs = marker_bench.counts(compiler, *how)
        assert sum(own.values()) <= sum(theirs.values()), (name, own, theirs)
        # a function may be an instruction longer where the optimizer took another way
        assert all(own[f] <= theirs[f] + (compiler == "gcc") for f in own), (name, own, theirs)


SEMAPHORES = """
#include <markbridge/marker.h>
#ifdef FIRST
MARKBRIDGE_SHARED_SEMAPHORE(group);
int other(int);
int main(int count, char **words)
{
    (void)words;
#else
MARKBRIDGE_SHARED_SEMAPHORE_EXTERN(group);
int other(int);
int other(int count)
{
#endif
    if (MARKBRIDGE_ACTIVE(demo, brought))
        MARKBRIDGE_MARK_ACTIVE(demo, brought, count);
    if (MARKBRIDGE_SHARED_ENABLED(group)) {
        MARKBRIDGE_MARK_SHARED(group, demo, first, count);
        MARKBRIDGE_MARK_SHARED(group, demo, second);
    }
    MARKBRIDGE_MARK_ACTIVE(demo, unasked);
#ifdef FIRST
    return other(count);
}
#else
    return count;
}
#endif
"""


@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_semaphores_that_come_along_and_are_shared(
    tmp_path: Path, compiler: list[str], level: str
) -> None:
    """One for each marker in two files, none declared; and one for two markers."""
    name, *standard = compiler
    language = ["-xc++"] if "++" in name else ["-xc"]
    (tmp_path / "x.c").write_text(SEMAPHORES)
    objects = [str(tmp_path / f"{part}.o") for part in "ab"]
    for part, defined in zip(objects, (["-DFIRST"], []), strict=True):
        command = [name, *standard, level, *WARNINGS, *defined, *language, "-c"]
        subprocess.run([*command, str(tmp_path / "x.c"), "-o", part], check=True)
    subprocess.run([name, *objects, "-o", tmp_path / "both"], check=True)

    elf = open_elf(str(tmp_path / "both"), WORLD, Sink())
    assert elf is not None
    counters: dict[str, set[int]] = {}
    for note in read_notes(elf, Sink()):
        counters.setdefault(note.name, set()).add(note.semaphore)
    assert {n: len(found) for n, found in counters.items()} == dict.fromkeys(
        ("brought", "first", "second", "unasked"), 1
    )
    assert counters["first"] == counters["second"]
    assert len(set.union(*counters.values())) == 3
    offsets = {elf.semaphore_offset(place) for (place,) in counters.values()}
    assert None not in offsets


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
