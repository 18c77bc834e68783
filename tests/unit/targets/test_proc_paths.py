"""Paths through /proc/PID: of processes with our root, and with another one."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.proc_paths import leads_through_process, resolve, root_of
from bridge.world import LiveWorld

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN = f"/proc/{os.getpid()}"


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def test_what_is_ours_has_its_plain_path(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    link = tmp_path / "link"
    link.symlink_to(f"/proc/self/root{file}")
    with _opened(file) as descriptor:
        for path in (
            f"{OWN}/root{file}",
            f"/proc/self/root{file}",
            f"{OWN}/fd/{descriptor}",
            f"{OWN}/task/{os.getpid()}/fd/{descriptor}",
            str(link),
            f"{tmp_path}/nothing/../file",
        ):
            assert resolve(path) == os.path.realpath(file)
    assert resolve("/proc/self/exe") == os.path.realpath("/proc/self/exe")


def test_a_deleted_file_keeps_the_link_that_opens_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with _opened(file) as descriptor:
        file.unlink()
        path = f"{OWN}/fd/{descriptor}"
        assert resolve(path) == path
        file.write_text("another one of the same name")
        assert resolve(path) == path
        assert bytes(LiveWorld().map_file(path)) == b"old"


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert resolve(f"{tmp_path}/a/c").startswith(str(tmp_path))


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to("file")
    monkeypatch.chdir(tmp_path)
    assert resolve("link") == os.path.realpath(tmp_path / "file")


@pytest.mark.parametrize(
    ("path", "through", "root"),
    [
        ("/proc/12/exe", True, "/proc/12/root"),
        ("/proc/12/task/13/root/bin/app", True, "/proc/12/task/13/root"),
        ("/host/proc/12/root/bin/app", True, "/host/proc/12/root"),
        ("/proc/12/maps", False, ""),
        ("/proc/12/rooted", False, ""),
        ("/home/proc/app", False, ""),
    ],
)
def test_which_paths_lead_through_a_process(path: str, through: bool, root: str) -> None:
    assert (leads_through_process(path), root_of(path)) == (through, root)


@pytest.mark.root
def test_absolute_links_below_another_root(tmp_path: Path) -> None:
    world = LiveWorld()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool").write_text("there")
    for name, text in (
        ("absolute", "/bin/tool"),
        ("up", "../../../bin/tool"),
        ("folder", "/bin"),
        ("ours", f"{tmp_path}/bin/tool"),
    ):
        (tmp_path / name).symlink_to(text)
    waiting = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, cwd=tmp_path)
    jailed = subprocess.Popen(
        [
            "python3",
            "-c",
            f"import os; os.chroot({str(tmp_path)!r}); print(flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        jailed.stdout.readline()
        root = f"/proc/{jailed.pid}/root"
        for name in ("absolute", "up", "folder/tool", "bin/../absolute"):
            assert world.real_path(f"{root}/{name}") == f"{root}/bin/tool"
            assert world.read_file(f"{root}/{name}") == b"there"
            assert world.exists(f"{root}/{name}")
        assert not world.exists(f"{root}/ours")
        assert world.glob(f"{root}/folder/t*") == [f"{root}/bin/tool"]
        assert world.list_dir(f"{root}/folder") == ["tool"]
        assert world.real_path(f"/proc/{waiting.pid}/cwd/bin/tool") == str(
            (tmp_path / "bin" / "tool").resolve()
        )
    finally:
        for process in (waiting, jailed):
            process.communicate()
