"""switch_file(): the output goes on in the next file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.command import Runner

SCRIPT = """
probe begin {
    println("one") switch_file() println("two") switch_file() println("three") exit()
}
probe end { println("last") }
"""


def test_what_follows_is_in_the_next_file(run: Runner, tmp_path: Path) -> None:
    first = tmp_path / "out"

    done = run("run", "-o", first, "-e", SCRIPT)

    assert (done.code, done.out, done.err) == (0, "", "")
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == {"out": "one\n", "out.1": "two\n", "out.2": "three\nlast\n"}


def test_without_a_file_nothing_is_switched(run: Runner) -> None:
    assert run("run", "-e", SCRIPT).out == "one\ntwo\nthree\nlast\n"
    run("run", "-o", "/dev/null", "-e", SCRIPT)
    assert not Path("/dev/null.1").exists()


def test_a_file_that_cannot_be_written_is_told(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "out.1").mkdir()

    done = run("run", "-o", tmp_path / "out", "-e", SCRIPT)

    assert "cannot switch the output to" in done.err
    assert "Is a directory" in done.err
    assert (tmp_path / "out").read_text() == "one\ntwo\nthree\nlast\n"
