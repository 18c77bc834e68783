"""Debug information wherever it is: stripped files, dwz, compression, aliases, and damage."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.diagnostics import Sink
from bridge.markers import Access, GlobalAccess, MarkerAttachment, Memory, NoMatch, PointPart
from bridge.probes.dwarf.image import open_image
from bridge.probes.dwarf.index import is_index
from bridge.probes.elf import open_elf
from bridge.probes.live import LiveTargets
from bridge.world import LiveWorld

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.markers import Expansion
    from bridge.probes.dwarf.image import DebugImage

    Build = Callable[..., Path]

SOURCE = """
struct node { int val; struct node *next; };
static volatile int counter = 5;
int shared = 3;
static inline __attribute__((always_inline)) int twice(int q) { return q * 2; }
__attribute__((noipa)) long real_work(long bytes, struct node *first)
{ counter++; return bytes + twice(first->val); }
long work(long, struct node *) __attribute__((alias("real_work")));
long weak_work(long, struct node *) __attribute__((weak, alias("real_work")));
static long hidden_work(long, struct node *) __attribute__((alias("real_work")));
int main(int argc, char **argv)
{ struct node n = { argc, 0 }; return (int)(work(argc, &n) + hidden_work(1, &n) + shared); }
"""
OTHER = """
struct node { int val; struct node *next; };
extern int shared;
long more(struct node *n) { return n->val + shared; }
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def compile_(*flags: str, text: str = SOURCE, name: str = "prog") -> Path:
        (tmp_path / f"{name}.c").write_text(text)
        command = ["gcc", "-g", *flags, f"{name}.c", "-o", name]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        return tmp_path / name

    return compile_


def expand(program: Path, *parts: tuple[str, str | int | None]) -> tuple[Expansion, ...]:
    first = PointPart("process", str(program))
    found = LiveTargets(LiveWorld()).expand([first, *(PointPart(*part) for part in parts)])
    assert not isinstance(found, NoMatch), found
    return found


def image_of(program: Path) -> tuple[DebugImage | None, Sink]:
    sink = Sink()
    elf = open_elf(str(program), LiveWorld(), sink)
    assert elf is not None
    return open_image(elf, LiveWorld(), sink), sink


def strip(program: Path) -> None:
    for command in (
        ["objcopy", "--only-keep-debug", program.name, f"{program.name}.debug"],
        ["strip", program.name],
        ["objcopy", f"--add-gnu-debuglink={program.name}.debug", program.name],
    ):
        subprocess.run(command, cwd=program.parent, check=True)


# --- aliases ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["work", "weak_work", "hidden_work", "*_work"])
@pytest.mark.parametrize("stripped", [False, True])
def test_an_alias_is_the_function_that_it_names(
    build: Build, name: str, stripped: bool
) -> None:
    program = build("-O2")
    if stripped:
        strip(program)
    (found,) = expand(program, ("function", name))

    assert 'function("real_work@' in found.point
    assert found.scope is not None
    assert [one.name for one in found.scope.listed()] == ["bytes", "first"]
    path = found.scope.access("first", ["val"])
    assert isinstance(path, Access)
    (returned,) = expand(program, ("function", name), ("return", None))
    assert [one.name for one in returned.scope.result()] == ["return"]  # type: ignore[union-attr]


# --- symbols in operands ----------------------------------------------------------------------

MARKS = """
#include <sys/sdt.h>
static volatile int counter = 5; static volatile long other[4] = { 1, 2, 3, 4 };
volatile short wide = 2;
int main(void)
{ STAP_PROBE3(op, hit, counter, other[2], wide); counter++; return 0; }
"""


@pytest.mark.parametrize("flags", [["-O2"], ["-O2", "-no-pie"]], ids=" ".join)
def test_operands_with_symbols_of_a_stripped_file(build: Build, flags: list[str]) -> None:
    program = build(*flags, text=MARKS, name="marks")
    (whole,) = expand(program, ("mark", "hit"))
    strip(program)
    (stripped,) = expand(program, ("mark", "hit"))

    assert isinstance(whole.attachment, MarkerAttachment)
    assert isinstance(stripped.attachment, MarkerAttachment)
    marker = stripped.attachment.marker
    assert not marker.unreadable
    assert [v.operands for v in marker.variables] == [
        v.operands for v in whole.attachment.marker.variables
    ]
    assert all(isinstance(v.operands[0], Memory) for v in marker.variables)
    program.with_suffix(".debug").unlink()
    (lost,) = expand(program, ("mark", "hit"))
    assert isinstance(lost.attachment, MarkerAttachment)
    assert len(lost.attachment.marker.unreadable) == 3


# --- how it is stored -------------------------------------------------------------------------


def _readable(program: Path) -> None:
    (found,) = expand(program, ("function", "real_work"))
    assert found.scope is not None
    access = found.scope.access("first", ["next", "val"])
    assert isinstance(access, Access)
    assert access.offsets[-2:] == (8, 0)
    assert len(expand(program, ("function", "twice"))) == 1


STORED = [
    ["-gdwarf-4"],
    ["-gdwarf-5"],
    ["-gdwarf-4", "-gz=zlib"],
    ["-gdwarf-5", "-gz=zlib"],
    ["-gdwarf-5", "-gz=zlib-gnu"],
    ["-gdwarf-5", "-gdwarf64"],
    ["-gdwarf-4", "-fdebug-types-section"],
    ["-gdwarf-5", "-fdebug-types-section"],
    ["-gdwarf-2", "-gstrict-dwarf"],
    ["-gdwarf-3", "-gstrict-dwarf"],
    ["-flto"],
]


@pytest.mark.parametrize("flags", STORED, ids=" ".join)
def test_forms_of_debug_information(build: Build, flags: list[str]) -> None:
    program = build("-O2", *flags)
    _readable(program)
    strip(program)
    _readable(program)


def test_sections_compressed_with_zstd(build: Build) -> None:
    program = build("-O2")
    done = subprocess.run(
        ["objcopy", "--compress-debug-sections=zstd", program], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("this objcopy does not know zstd")
    _readable(program)


def test_sections_compressed_with_zstd_by_hand(build: Build, tmp_path: Path) -> None:
    if shutil.which("zstd") is None:
        pytest.skip("no zstd")
    program = build("-O2", "-Wl,--build-id=none")
    names = (".debug_info", ".debug_abbrev", ".debug_str")
    for name in names:
        raw, packed = tmp_path / "raw", tmp_path / "packed"
        subprocess.run(
            [
                "objcopy",
                "-O",
                "binary",
                f"--only-section={name}",
                "--set-section-flags",
                f"{name}=alloc",
                program,
                raw,
            ],
            check=True,
        )
        data = subprocess.run(
            ["zstd", "-c", "--content-size", raw], capture_output=True, check=True
        ).stdout
        head = (2).to_bytes(8, "little") + raw.stat().st_size.to_bytes(8, "little")
        packed.write_bytes(head + (1).to_bytes(8, "little") + data)
        subprocess.run(["objcopy", "--update-section", f"{name}={packed}", program], check=True)
    _set_compressed(program, names)
    _readable(program)


def _set_compressed(program: Path, names: tuple[str, ...]) -> None:
    """Set SHF_COMPRESSED, which objcopy does not do for contents that it is given."""
    elf = open_elf(str(program), LiveWorld(), Sink())
    assert elf is not None
    data = bytearray(program.read_bytes())
    for name in names:
        section = elf.section(name)
        assert section is not None
        at = elf.header.shoff + section.number * 64 + 8
        flags = int.from_bytes(data[at : at + 8], "little") | 0x800
        data[at : at + 8] = flags.to_bytes(8, "little")
    program.write_bytes(data)


@pytest.mark.tools
def test_what_dwz_moved_to_another_file(build: Build, tmp_path: Path) -> None:
    if shutil.which("dwz") is None:
        pytest.skip("no dwz")
    build("-O2", "-gdwarf-4")
    build(
        "-O2",
        "-gdwarf-4",
        "-shared",
        "-fPIC",
        text=SOURCE + OTHER.split("}", 1)[1].replace("extern int shared;", ""),
        name="other.so",
    )
    subprocess.run(["dwz", "-m", "common.debug", "prog", "other.so"], cwd=tmp_path, check=True)

    assert (tmp_path / "common.debug").exists()
    _readable(tmp_path / "prog")
    _readable(tmp_path / "other.so")
    (tmp_path / "common.debug").unlink()
    image_of(tmp_path / "prog")  # does not end in a traceback


# --- the kept index ---------------------------------------------------------------------------


def test_a_kept_index_is_used_and_mended(build: Build, tmp_path: Path) -> None:
    program = build("-O2")
    _readable(program)
    (kept,) = (tmp_path / "cache" / "markbridge" / "debug").iterdir()
    good = kept.read_bytes()
    assert is_index(good)

    before = kept.stat().st_mtime_ns
    _readable(program)
    assert kept.stat().st_mtime_ns == before

    for damaged in (b"", good[:-8], good[: len(good) // 2], b"\xff" * len(good)):
        kept.write_bytes(damaged)
        _readable(program)
        assert kept.read_bytes() == good


def test_a_damaged_index_is_none_or_harmless(build: Build) -> None:
    program = build("-O2")
    image, _ = image_of(program)
    assert image is not None
    good = image.debug.make_index()
    chance = random.Random(1)
    for _ in range(2000):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        is_index(bytes(data))


# --- damage -----------------------------------------------------------------------------------

SECTIONS = (
    *(".debug_info", ".debug_abbrev", ".debug_line", ".debug_str", ".debug_rnglists"),
    *(".debug_loclists", ".debug_aranges", ".debug_line_str", ".eh_frame"),
)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("flags", [["-gdwarf-4"], ["-gdwarf-5"]], ids=" ".join)
def test_random_damage_is_a_message(build: Build, flags: list[str], seed: int) -> None:
    program = build("-O2", *flags, "-Wl,--build-id=none")
    elf = open_elf(str(program), LiveWorld(), Sink())
    assert elf is not None
    places = [s.header for name in SECTIONS if (s := elf.section(name)) is not None]
    whole = program.read_bytes()
    chance = random.Random(seed)
    for _ in range(60):
        data = bytearray(whole)
        head = chance.choice(places)
        for _ in range(chance.choice((1, 1, 2, 8))):
            data[head.offset + chance.randrange(head.size)] = chance.choice(
                (0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256))
            )
        program.write_bytes(data)
        _ask_everything(program)


def _ask_everything(program: Path) -> None:
    binder = LiveTargets(LiveWorld())
    first = PointPart("process", str(program))
    for part in (
        PointPart("function", "*"),
        PointPart("function", "work"),
        PointPart("statement", "*@*.c:7"),
    ):
        answer = binder.expand([first, part])
        for one in answer if isinstance(answer, tuple) else ():
            if one.scope is None:
                continue
            for listed in one.scope.listed():
                one.scope.access(listed.name, (), pretty="$$")
            one.scope.static(GlobalAccess("shared"))
            one.scope.structure("node", "")


def test_claims_that_are_too_large(build: Build) -> None:
    program = build("-O2", "-gz=zlib", "-Wl,--build-id=none")
    elf = open_elf(str(program), LiveWorld(), Sink())
    assert elf is not None
    section = elf.section(".debug_info")
    assert section is not None
    data = bytearray(program.read_bytes())
    at = section.header.offset + 8
    data[at : at + 8] = (1 << 60).to_bytes(8, "little")
    program.write_bytes(data)

    image, sink = image_of(program)
    assert image is None
    assert "claims to have 1152921504606846976 bytes" in sink.items[0].message


@pytest.mark.parametrize("version", [4, 5])
def test_split_debug_information_is_refused(build: Build, version: int) -> None:
    program = build("-gsplit-dwarf", f"-gdwarf-{version}")
    first = PointPart("process", str(program))
    for part in (
        ("function", "twice"),
        ("function", "main@prog.c"),
        ("statement", "*@prog.c:5"),
    ):
        refused = LiveTargets(LiveWorld()).expand([first, PointPart(*part)])
        assert isinstance(refused, NoMatch)
        (reason,) = refused.reasons
        assert reason.code == "split-debug-information"
        assert ".dwo), which are not read: compile it without -gsplit-dwarf" in reason.message
        assert str(program.parent) in reason.message
    (by_symbol,) = expand(program, ("function", "main"))
    assert [reason.code for reason in by_symbol.reasons] == ["split-debug-information"]
    all_ = expand(program, ("function", "*"))
    assert [note.severity.value for note in all_[0].notes] == ["warning"]


@pytest.mark.parametrize("version", [4, 5])
def test_a_package_of_split_debug_information_is_refused(build: Build, version: int) -> None:
    """What dwp(1) made of the files, which need not be there any more."""
    program = build("-gsplit-dwarf", f"-gdwarf-{version}")
    package = program.with_name(f"{program.name}.dwp")
    files = [*program.parent.glob("*.dwo")]
    if version == 4:
        subprocess.run(["dwp", "-e", program, "-o", package], cwd=program.parent, check=True)
    else:  # binutils' dwp does not know version 5; of one unit the package is little more
        shutil.copy(files[0], package)
    for file in files:
        file.unlink()
    for part in (
        ("statement", "*@prog.c:5"),
        ("function", "main@prog.c"),
        ("function", "main"),
    ):
        found = LiveTargets(LiveWorld()).expand(
            [PointPart("process", str(program)), PointPart(*part)]
        )
        (reason,) = found.reasons if isinstance(found, NoMatch) else found[0].reasons
        assert reason.code == "split-debug-information"
        assert f"({package}), which are not read" in reason.message


def test_what_is_split_may_be_asked_for_by_the_file_alone(build: Build) -> None:
    whole, split = build(), build("-gsplit-dwarf", name="split")

    assert [e.reasons for e in expand(whole, ("function", "main"))] == [()]
    calls = expand(split, ("function", "*"), ("call", None))
    assert {note for expansion in calls for note in expansion.notes} == set()
