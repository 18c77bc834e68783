"""Probe points in programs: what they expand to, and what is said where they do not."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bridge.markers import (
    Constant,
    Expansion,
    Kind,
    MarkerAttachment,
    NoMatch,
    Register,
)
from bridge.probes import markers_of
from bridge.probes.live import LiveTargets
from bridge.probes.machine import Options
from bridge.world import LiveWorld, RecordedWorld
from tests.support.elf_writer import CODE, CODE_OFFSET, DATA, DATA_OFFSET, IFUNC, Elf
from tests.support.points import parts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.targets.conftest import Recorder

PATH = {"PATH": "/usr/local/bin:/usr/bin"}


def expand(
    world: RecordedWorld | LiveWorld, point: str, options: Options | None = None
) -> tuple[Expansion, ...]:
    found = LiveTargets(world, options).expand(parts(point))
    assert not isinstance(found, NoMatch), found
    return found


def refuse(
    world: RecordedWorld | LiveWorld, point: str, options: Options | None = None
) -> NoMatch:
    found = LiveTargets(world, options).expand(parts(point))
    assert isinstance(found, NoMatch)
    return found


def attachment(expansion: Expansion) -> MarkerAttachment:
    assert isinstance(expansion.attachment, MarkerAttachment)
    return expansion.attachment


@pytest.fixture
def world(recorded: Recorder) -> RecordedWorld:
    """Two programs, a library that one needs, and files that are no programs."""
    app = Elf(needed=["libapp.so.1", "libnone.so"], run_path="$ORIGIN/lib")
    app.note("app", "hit", "-4@%edi 8@$3", CODE).note("app", "hit", "-4@%esi 8@$3", CODE + 16)
    app.note("app", "hit", "8@%rax", CODE + 32).note("other", "hit", "", CODE + 48)
    app.note("app", "float", "8f@%xmm0 -4@%ecx", CODE + 64, semaphore=DATA + 0x100)
    app.symbol("work", CODE, 16).symbol("worker", CODE + 16, 16).symbol("work_alias", CODE, 16)
    app.symbol("work.cold", CODE + 80).symbol("pick", CODE + 96, type_=IFUNC)
    app.symbol("twice", CODE + 112, binding=0).symbol("twice", CODE + 128, binding=0)
    library = Elf().note("lib", "inside", "8@%rdx").symbol("helper", CODE, 8, dynamic=True)
    return RecordedWorld(
        recorded_files(
            {
                "/usr/bin/app": app.build(),
                "/usr/bin/apple": Elf().note("apple", "hit").build(),
                "/usr/bin/lib/libapp.so.1": library.build(),
                "/usr/bin/plain": Elf(needed=["libapp.so.1"]).build(),
                "/usr/bin/arm": Elf(machine=183).note("arm", "hit", "8@x1").build(),
                "/usr/bin/mips": Elf(machine=8).note("mips", "hit").build(),
                "/usr/bin/script": "#!/bin/sh\n",
                "/usr/bin/old": b"\x7fELF\x01\x01\x01" + bytes(64),
                "/usr/bin/cut": app.build()[:-100],
            },
            recorded,
        )
    )


def recorded_files(files: dict[str, bytes | str], recorded: Recorder) -> Path:
    return recorded(files, env=PATH).folder


def test_notes_of_one_name_and_arity_are_one_marker(world: RecordedWorld) -> None:
    first, second, third = expand(world, 'process("/usr/bin/app").mark("hit")')

    marker = attachment(first).marker
    assert (marker.kind, marker.provider, marker.name) == (Kind.USDT, "app", "hit")
    assert marker.machine == "x86_64"
    assert [(s.path, s.offset, s.address) for s in marker.sites] == [
        ("/usr/bin/app", CODE_OFFSET, CODE),
        ("/usr/bin/app", CODE_OFFSET + 16, CODE + 16),
    ]
    one, two = marker.variables
    assert one.operands == (Register("rdi", 4, signed=True), Register("rsi", 4, signed=True))
    assert (one.ctype, one.operand(1).name) == ("int", "rsi")
    assert (two.name, two.operands, two.operand(1)) == ("arg2", (Constant(3),), Constant(3))
    assert first.strings == {"name": "hit", "provider": "app"}
    assert [v.name for v in attachment(second).marker.variables] == ["arg1"]
    assert attachment(third).marker.provider == "other"
    assert {e.point for e in (first, second, third)} == {'process("/usr/bin/app").mark("hit")'}


def test_a_semaphore_is_a_file_offset_and_a_float_has_a_reason(world: RecordedWorld) -> None:
    (expansion,) = expand(world, 'process("/usr/bin/app").mark("fl*")')

    marker = attachment(expansion).marker
    assert marker.sites[0].ref_ctr_offset == DATA_OFFSET + 0x100
    assert [v.name for v in marker.variables] == ["arg2"]
    assert marker.unreadable == (
        (
            "arg1",
            "it lies in `xmm0`, a floating-point register, which the kernel does not show to"
            " probes; have the program keep the value in memory (volatile)",
        ),
    )


def test_provider(world: RecordedWorld) -> None:
    (expansion,) = expand(world, 'process("/usr/bin/app").provider("o*").mark("h*")')

    assert expansion.point == 'process("/usr/bin/app").provider("other").mark("hit")'
    assert refuse(world, 'process("/usr/bin/app").provider("x").mark("hit")').message == (
        "no match"
    )


def test_programs_by_name_and_by_pattern(world: RecordedWorld) -> None:
    assert len(expand(world, 'process("app").mark("hit")')) == 3
    found = expand(world, 'process("/usr/bin/app*").mark("hit")')
    assert {attachment(e).marker.sites[0].path for e in found} == {
        "/usr/bin/app",
        "/usr/bin/apple",
    }
    # What a pattern matches and is no program does not matter.
    assert expand(world, 'process("/usr/bin/*").mark("float")')
    assert refuse(world, 'process("/usr/bin/*").mark("nothing*")').reasons != ()
    assert refuse(world, 'process("/usr/bin/z*").mark("x")') == NoMatch(0)


def test_functions(world: RecordedWorld) -> None:
    (expansion,) = expand(world, 'process("app").function("work")')

    marker = attachment(expansion).marker
    assert (marker.kind, marker.provider, marker.name) == (
        Kind.FUNCTION,
        "/usr/bin/app",
        "work",
    )
    assert [(v.name, v.operands[0]) for v in marker.variables] == [
        (f"arg{i}", Register(name, 8, signed=True))
        for i, name in enumerate(("rdi", "rsi", "rdx", "rcx", "r8", "r9"), 1)
    ]
    assert expansion.point == 'process("/usr/bin/app").function("work")'


def test_function_suffixes(world: RecordedWorld) -> None:
    (called,) = expand(world, 'process("app").function("work").call')
    (returns,) = expand(world, 'process("app").function("work").return')

    assert called.point == 'process("/usr/bin/app").function("work").call'
    assert attachment(called).marker.kind is Kind.FUNCTION
    assert attachment(returns).marker.kind is Kind.FUNCTION_RETURN
    assert [(v.name, v.operands[0]) for v in returns.variables] == [
        ("return", Register("rax", 8, signed=True))
    ]


def test_function_patterns(world: RecordedWorld) -> None:
    found = expand(world, 'process("app").function("w*")')

    assert [attachment(e).marker.name for e in found] == ["work", "worker"]
    (alias,) = expand(world, 'process("app").function("work_alias")')
    assert attachment(alias).marker.sites[0].address == CODE
    assert expand(world, 'process("app").function("work.cold")')
    (twice,) = expand(world, 'process("app").function("twice")')
    assert [s.address - CODE for s in attachment(twice).marker.sites] == [112, 128]
    assert refuse(world, 'process("app").function("pick")').message.startswith("no match")


def test_arguments_on_aarch64(world: RecordedWorld, recorded: Recorder) -> None:
    (expansion,) = expand(world, 'process("arm").mark("hit")')
    assert expansion.variables[0].operands == (Register("x1", 8, signed=False),)

    arm = recorded({"/usr/bin/arm": Elf(machine=183).symbol("f", CODE).build()}, env=PATH)
    (entry,) = expand(arm, 'process("arm").function("f")')
    (back,) = expand(arm, 'process("arm").function("f").return')
    assert [v.operands[0] for v in entry.variables][7] == Register("x7", 8, signed=True)
    assert [v.operands[0] for v in back.variables] == [Register("x0", 8, signed=True)]


def test_libraries(world: RecordedWorld) -> None:
    (mark,) = expand(world, 'process("app").library("libapp*").mark("inside")')
    (function,) = expand(world, 'process("app").library("libapp.so.1").function("helper")')
    (direct,) = expand(
        world, 'process("app").library("/usr/bin/lib/libapp.so.1").mark("inside")'
    )

    prefix = 'process("/usr/bin/app").library("/usr/bin/lib/libapp.so.1")'
    assert mark.point == direct.point == f'{prefix}.mark("inside")'
    assert function.point == f'{prefix}.function("helper")'
    assert refuse(world, 'process("app").library("libzzz*").mark("x")').message == "no match"
    # Its run path is that of the program: `plain` has none, and the library is not elsewhere.
    assert refuse(world, 'process("plain").library("libapp*").mark("x")').part == 0


@pytest.mark.parametrize(
    ("point", "message", "code"),
    [
        ('process("/usr/bin").mark("x")', "no match", "is-a-directory"),
        ('process("/usr/bin/none").mark("x")', "no match", "no-such-file"),
        ('process("/usr/bin/script").mark("x")', "no match", "not-elf"),
        ('process("/usr/bin/old").mark("x")', "no match", "elf-32-bit"),
        ('process("/usr/bin/cut").mark("x")', "no match", "elf-truncated"),
        ('process("/usr/bin/cut").function("x")', "no match", "elf-truncated"),
        ('process("/usr/bin/mips").mark("hit")', "no match", "elf-unsupported"),
        ('process("/usr/bin/plain").mark("x")', "no match", "no-markers"),
        ('process("/usr/bin/plain").function("x")', "no match", "no-symbols"),
        ('process("/usr/bin/script").library("x").mark("y")', "no match", "not-elf"),
        ('process("app").function("*@app.c")', "no match", "needs-debug-information"),
    ],
)
def test_bad_files_are_named_with_the_reason(
    world: RecordedWorld, point: str, message: str, code: str
) -> None:
    found = refuse(world, point)

    assert found.message == message
    (reason,) = found.reasons
    assert reason.code == code
    assert reason.file is not None
    assert reason.file.path.startswith("/usr/bin")
    assert reason.message.startswith(reason.file.path)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ('process("zzz").mark("x")', "cannot find executable 'zzz'"),
        ('process("").mark("x")', "cannot find executable ''"),
        ('process("app").mark("hot")', "no match (similar marks: hit, float)"),
        (
            'process("app").function("wrk")',
            "no match (similar functions: work, worker, twice, work.cold, work_alias)",
        ),
        (
            'process.mark("x")',
            "unspecified process probe is invalid without a -c COMMAND or -x PID",
        ),
        ('process(77).mark("x")', "cannot probe pid 77: No such process"),
    ],
)
def test_messages(world: RecordedWorld, point: str, message: str) -> None:
    found = refuse(world, point)
    assert found.message + (found.near() if found.near is not None else "") == message


def test_the_program_of_the_command(world: RecordedWorld) -> None:
    options = Options(command="LANG=C app --fast 'a b'")

    found = expand(world, 'process.mark("float")', options)

    assert [e.point for e in found] == ['process("/usr/bin/app").mark("float")']
    assert attachment(found[0]).follow_target
    assert refuse(world, 'process.mark("x")', Options(command="zzz 1")).message == (
        "cannot find executable 'zzz'"
    )


def test_a_note_outside_of_the_segments_is_reported(recorded: Recorder) -> None:
    elf = Elf().note("p", "far", address=0x999999).note("p", "lost", semaphore=0x888888)
    world = recorded({"/usr/bin/app": elf.build()}, env=PATH)

    for name, what in (("far", "the marker p:far at 0x999999"), ("lost", "the semaphore")):
        (reason,) = refuse(world, f'process("app").mark("{name}")').reasons
        assert reason.code == "elf-unmapped"
        assert what in reason.message


def test_unsafe_sites_say_so(recorded: Recorder) -> None:
    code = bytes.fromhex("48897c24f8 0f1f440000 c3")
    elf = Elf(code=code).note("p", "n", address=CODE + 5).symbol("f", CODE, len(code))
    world = recorded({"/usr/bin/app": elf.build()}, env=PATH)
    point = 'process("app").mark("n")'

    (refused,) = expand(world, point)
    (forced,) = expand(world, point, Options(unsafe_nop5=True))

    assert "red zone" in attachment(refused).marker.sites[0].unsafe
    assert attachment(forced).marker.sites[0].unsafe == ""


def can_see(world: LiveWorld, name: str) -> bool:
    point = f'process({os.getpid()}).function("{name}")'
    return not isinstance(LiveTargets(world, Options()).expand(parts(point)), NoMatch)


def test_processes_of_this_machine() -> None:
    world = LiveWorld()
    # Of a stripped interpreter only the dynamic symbols are left.
    name = "main" if can_see(world, "main") else "Py_BytesMain"
    point = f'process({os.getpid()}).function("{name}")'

    (expansion,) = expand(world, point)

    assert attachment(expansion).pid == os.getpid()
    assert not attachment(expansion).follow_target
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        (target,) = expand(world, f'process.function("{name}")', Options(pid=child.pid))
        child.kill()
    assert attachment(target).follow_target
    assert refuse(world, 'process.mark("x")', Options(pid=child.pid)).message == (
        f"cannot probe pid {child.pid}: No such process"
    )


def test_markers_of(world: RecordedWorld) -> None:
    markers = markers_of("/usr/bin/app", world)

    assert [(m.provider, m.name, len(m.sites)) for m in markers] == [
        ("app", "hit", 2),
        ("app", "hit", 1),
        ("other", "hit", 1),
        ("app", "float", 1),
    ]
    assert markers_of("/usr/bin/script", world) == ()
    assert markers_of("/usr/bin/none", world) == ()
    assert markers_of("/usr/bin/plain", world) == ()


OLD = b"\x7fELF\x01\x01\x01" + bytes(64)


@pytest.mark.parametrize(
    ("point", "used"),
    [
        ("/lib64/libx.so.6", "/usr/lib/x86_64-linux-gnu/libx.so.6"),
        ("/usr/lib64/libx.so.6", "/usr/lib/x86_64-linux-gnu/libx.so.6"),
        ("/lib*/libx.so.6", "/usr/lib/x86_64-linux-gnu/libx.so.6"),
        ("/usr/lib*/libx.so*", "/usr/lib/x86_64-linux-gnu/libx.so.6"),
        ("/usr/lib64/liby.so", ""),
    ],
)
def test_libraries_are_where_debian_has_them(recorded: Recorder, point: str, used: str) -> None:
    """Of 32 bits, or none, at the path of another distribution."""
    library = Elf().note("x", "hit").build()
    files = {
        "/usr/lib/x86_64-linux-gnu/libx.so.6": library,
        "/lib32/libx.so.6": OLD,
        "/usr/lib32/libx.so.6": OLD,
        "/lib64/liby.so": library,
        "/usr/lib64/liby.so": library,
        "/usr/lib/x86_64-linux-gnu/liby.so": library,
    }
    world = RecordedWorld(recorded_files(files, recorded))
    (found,) = expand(world, f'process("{point}").mark("hit")')
    assert found.point == f'process("{used or point}").mark("hit")'
    assert [note.code for note in found.notes] == (["multiarch-path"] if used else [])


def test_with_strict_names_a_path_is_a_path(recorded: Recorder) -> None:
    files: dict[str, bytes | str] = {"/usr/lib/x86_64-linux-gnu/libx.so.6": Elf().build()}
    world = RecordedWorld(recorded_files(files, recorded))
    point = 'process("/lib64/libx.so.6").mark("hit")'
    found = refuse(world, point, Options(strict_names=True))
    assert [reason.code for reason in found.reasons] == ["no-such-file"]
