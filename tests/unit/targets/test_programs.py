"""Which files a name means: PATH, patterns, the command's program, libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.diagnostics import Sink
from bridge.probes.elf import open_elf
from bridge.probes.programs import command_program, library_paths, program_paths
from bridge.world import WITHOUT, LiveWorld, RecordedWorld, find_executable, kept, tracefs
from tests.support.elf_writer import Elf

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.targets.conftest import Recorder


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("ls -l", "ls"),
        ("  /bin/ls", "/bin/ls"),
        ("A=1 B='x y' ls", "ls"),
        ("'my program' x", "my program"),
        ("./a=b c", "./a=b"),
        ("it's", "it's"),
        ("", ""),
        ("A=1", ""),
    ],
)
def test_the_program_of_a_command(command: str, program: str) -> None:
    assert command_program(command) == program


def test_names_are_looked_for_in_path(recorded: Recorder) -> None:
    world = recorded(
        {"/usr/bin/app": b"", "/opt/bin/app": b"", "/opt/bin/other": b""},
        env={"PATH": "/none:/opt/bin:/usr/bin"},
    )

    assert find_executable(world, "app") == "/opt/bin/app"
    assert find_executable(world, "zzz") is None
    assert find_executable(world, "/usr/bin/app") == "/usr/bin/app"
    assert program_paths("app", world) == ["/opt/bin/app"]
    assert program_paths("*app", world) == ["/opt/bin/app", "/usr/bin/app"]
    assert program_paths("/opt/*/o*", world) == ["/opt/bin/other"]


def test_without_path_the_usual_folders_count(recorded: Recorder) -> None:
    assert find_executable(recorded({"/usr/bin/app": b""}), "app") == "/usr/bin/app"


def test_libraries_are_found_as_ld_so_finds_them(recorded: Recorder) -> None:
    def library(*needed: str) -> bytes:
        return Elf(needed=list(needed)).build()

    world = recorded(
        {
            "/app": Elf(needed=["liba.so", "libb.so", "libe.so"], run_path="/run").build(),
            "/run/liba.so": library("libc.so"),
            "/lib/liba.so": library(),
            "/conf/libb.so": library("liba.so", "libd.so"),
            "/usr/lib/libc.so": library(),
            "/env/libd.so": library(),
            "/env/libb.so.old": library(),
            "/etc/ld.so.conf": "# comment\ninclude /etc/ld.so.conf.d/*.conf\n",
            "/etc/ld.so.conf.d/x.conf": "/conf # here\ninclude /etc/ld.so.conf\n",
        },
        env={"LD_LIBRARY_PATH": "/env"},
    )
    elf = open_elf("/app", world, Sink())
    assert elf is not None

    assert library_paths("lib*", elf, world) == [
        "/run/liba.so",
        "/conf/libb.so",
        "/usr/lib/libc.so",
        "/env/libd.so",
    ]
    assert library_paths("libe.so", elf, world) == []
    assert library_paths("/lib/liba.so", elf, world) == ["/lib/liba.so"]


def test_folders_of_the_machine_need_no_configuration(recorded: Recorder) -> None:
    """As in small containers on Debian, which have no ld.so.conf."""
    world = recorded(
        {
            "/app": Elf(needed=["liba.so", "libb.so", "libc.so"]).build(),
            "/usr/lib/x86_64-linux-gnu/liba.so": Elf().build(),
            "/lib/x86_64-linux-gnu/libb.so": Elf().build(),
            "/usr/lib/aarch64-linux-gnu/libc.so": Elf().build(),
        }
    )
    elf = open_elf("/app", world, Sink())
    assert elf is not None
    assert library_paths("lib*", elf, world) == [
        "/usr/lib/x86_64-linux-gnu/liba.so",
        "/lib/x86_64-linux-gnu/libb.so",
    ]


def test_libraries_of_a_process_are_those_below_its_root(recorded: Recorder) -> None:
    root = "/proc/7/root"
    needed = ["liba.so", "libb.so", "libd.so", "libe.so", "libf.so"]
    ours = ("/lib/liba.so", "/conf/libb.so", "/env/libd.so", "/o/libe.so", "/x/libf.so")
    theirs = ("/lib/liba.so", "/conf/libb.so", "/o/libe.so", "/x/libf.so")
    world = recorded(
        {
            f"{root}/o/app": Elf(needed=needed, run_path="$ORIGIN").build(),
            **dict.fromkeys((*ours, *(root + path for path in theirs)), Elf().build()),
            f"{root}/etc/ld.so.conf": "include /etc/more/*.conf\n",
            f"{root}/etc/more/a.conf": "/conf\n",
            "/proc/7/maps": "7f00-7f01 r-xp 00000000 08:01 5      /x/libf.so\n",
        },
        env={"LD_LIBRARY_PATH": "/env"},
    )
    elf = open_elf(f"{root}/o/app", world, Sink())
    assert elf is not None
    assert library_paths("lib*", elf, world) == [f"{root}{path}" for path in theirs]
    assert library_paths("/lib/lib*.so", elf, world) == [f"{root}/lib/liba.so"]
    assert library_paths(f"{root}/lib/liba.so", elf, world) == [f"{root}/lib/liba.so"]


def test_recorded_facts(tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text(
        '{"release": "6.18.44-x", "machine": "aarch64", "hz": 100}'
    )
    world = RecordedWorld(tmp_path)

    assert (world.release, world.machine, world.user_hz) == ((6, 18), "aarch64", 100)
    assert world.env == {}
    assert tracefs(world) is None
    with pytest.raises(FileNotFoundError):
        world.read_file("/x")


def test_this_machine(tmp_path: Path) -> None:
    world = LiveWorld({"PATH": str(tmp_path)})
    program = tmp_path / "tool"
    program.write_text("#!/bin/sh\n")

    assert find_executable(world, "tool") is None
    program.chmod(0o755)
    assert find_executable(world, "tool") == str(program)
    assert world.release > (2, 6)
    assert 24 <= world.user_hz <= 10000
    assert world.map_file(str(program)) == b"#!/bin/sh\n"
    assert world.list_dir(str(tmp_path)) == ["tool"]
    assert world.glob(f"{tmp_path}/t*") == [str(program)]
    link = tmp_path / "link"
    link.symlink_to(program)
    assert world.real_path(str(link)) == str(program)


def test_what_is_made_of_the_running_kernel_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of a recorded machine, and anew where something is taken away."""
    made: list[int] = []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    key = (str(tmp_path),)
    assert [kept(LiveWorld(), key, make) for _ in range(3)] == [0, 0, 0]
    assert kept(LiveWorld(), (*key, 1), make) == 1
    assert [kept(RecordedWorld(tmp_path), key, make) for _ in range(2)] == [2, 3]
    monkeypatch.setenv(WITHOUT, "btf")
    assert kept(LiveWorld(), key, make) == 4
    monkeypatch.delenv(WITHOUT)
    assert kept(LiveWorld(), key, make) == 0
