"""Tests in a guest: each is accounted for, whether it hangs or the guest dies under it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.guest import journal, suite
from tests.guest.machine import FAILED, GuestError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
TESTS = """
import subprocess, time
def test_first(): pass
def test_wrong(): assert 1 == 2
def test_hangs(): subprocess.run(["sleep", "4711"])
def test_hangs_in_python():
    while True: time.sleep(0.01)
def test_last(): pass
"""


def _pytest(folder: Path, book: Path) -> str:
    (folder / "test_some.py").write_text(TESTS)
    words = ["-q", "-p", "no:cacheprovider", "-p", "tests.guest.journal", "-c", os.devnull]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "--rootdir", folder, folder],
        env={**os.environ, journal.PATH: str(book), "MARKBRIDGE_GUEST_LIMIT": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_what_hangs_fails_and_the_rest_runs(tmp_path: Path) -> None:
    book = tmp_path / "journal"
    book.write_text("")

    said = _pytest(tmp_path, book)

    known = journal.entries(book)
    failed = [entry["test"].split("::")[1] for entry in known if "failed" in entry]
    assert "3 failed, 2 passed" in said
    assert failed == ["test_wrong", "test_hangs", "test_hangs_in_python"]
    assert len(journal.finished(known)) == 5
    assert "sleep 4711" not in subprocess.check_output(["ps", "-eo", "args"], text=True)


def test_what_is_done_is_not_run_again(tmp_path: Path) -> None:
    book = tmp_path / "journal"
    done = ("first", "hangs", "hangs_in_python")
    book.write_text("")
    for name in done:
        journal.write(book, test=f"test_some.py::test_{name}", outcome="done")
    with book.open("a") as file:
        file.write('{"test": "half a li')

    assert "half" not in str(journal.entries(book))
    book.write_text("".join(book.read_text().splitlines(keepends=True)[:-1]))
    assert "1 failed, 1 passed, 3 deselected" in _pytest(tmp_path, book)


class _Dying:
    """A guest that dies at the second test, and then at none, or at any."""

    kernel = "6.1"

    def __init__(self, folder: Path, deaths: int) -> None:
        self.run = folder / "6.1"
        self.deaths = deaths
        self.asked = 0

    def stop(self) -> None: ...

    def ask(
        self, _kind: str, _words: list[str], given: dict[str, str], watch: Callable[[], None]
    ) -> int:
        book = Path(given[journal.PATH])
        left = [name for name in "abcd" if name not in journal.finished(journal.entries(book))]
        journal.write(book, collected=left)
        self.asked += 1
        for number, name in enumerate(left):
            watch()
            journal.write(book, test=name)
            if number == 1 and self.asked <= self.deaths:
                raise GuestError("Kernel panic - not syncing")
            journal.write(book, test=name, outcome="done")
        return 0


@pytest.mark.parametrize(
    ("deaths", "code", "failed"), [(0, 0, []), (1, FAILED, ["b"]), (2, FAILED, ["b", "d"])]
)
def test_a_guest_that_dies_fails_the_test_it_died_in(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    deaths: int,
    code: int,
    failed: list[str],
) -> None:
    guest = _Dying(tmp_path, deaths)

    assert suite.run(guest, ["tests/x.py"], {}, 60) == code  # type: ignore[arg-type]

    said = capsys.readouterr().out
    assert [
        line.split()[1].rstrip(":") for line in said.splitlines() if "died" in line
    ] == failed
    assert said.count("Kernel panic") == deaths
    assert journal.finished(journal.entries(tmp_path / "6.1.journal")) == set("abcd")


def test_what_has_not_run_in_time_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    guest = _Dying(tmp_path, 0)

    assert suite.run(guest, ["tests/x.py"], {}, -1) == FAILED  # type: ignore[arg-type]

    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if "not run" in line] == [
        f"FAILED {name}: not run" for name in "abcd"
    ]
