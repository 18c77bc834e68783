"""Options that make no sense are refused before anything runs, with what would."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-D", "MAXSTRINGLEN=0"], "-D MAXSTRINGLEN needs a number from 8 to 65536, not `0`"),
        (["-D", "MAXSTRINGLEN=-5"], "-D MAXSTRINGLEN needs a number"),
        (["-D", "MAXMAPENTRIES=99999999999"], "-D MAXMAPENTRIES needs a number"),
        (["-D", "MAXMAPENTRIES=abc"], "not `abc`"),
        (["-I", "/proc/none"], "-I /proc/none: there is no such folder"),
        (["-G", "v"], "-G needs NAME=VALUE, not `v`"),
        (["--compatible", "9.9"], "cannot be compatible with future version 9.9"),
        (["-T", "0"], "a positive number of seconds is needed"),
        (["--replay", "x", "--trace", "y"], "--replay takes neither -c nor --trace"),
    ],
)
def test_wrong_usage(run: Runner, words: list[str], message: str) -> None:
    done = run("run", *words, "-e", "probe begin { exit() }")

    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.bpf
def test_a_buffer_that_no_kernel_makes(run: Runner) -> None:
    script = 'probe kernel.trace("sched_switch") { exit() }'

    done = run("run", "-s", "99999", "-e", script)

    assert (done.code, done.out) == (2, "")
    assert "-s needs a number of megabytes from 1 to 1024" in done.err


def test_limits_count(run: Runner) -> None:
    script = "global a probe begin { for (i = 0; i < 5; i++) a[i] = i; exit() }"

    done = run("run", "-D", "MAXMAPENTRIES=3", "-e", script)

    assert done.code == 1
    assert "ERROR: Array overflow, check MAXMAPENTRIES" in done.err


def test_overrides_of_globals(run: Runner) -> None:
    script = "global v = 1 probe begin { println(v) exit() }"

    set_, unknown, wrong = (
        run("run", "-G", setting, "-e", script) for setting in ("v=0x10", "w=7", "v=abc")
    )

    assert (set_.code, set_.out, set_.err) == (0, "16\n", "")
    assert (unknown.code, unknown.out) == (0, "1\n")
    assert "Ignoring unknown module option 'w'" in unknown.err
    assert (wrong.code, wrong.out) == (1, "")
    assert "-G v needs a number, not 'abc'" in wrong.err


def test_the_name_of_the_output_may_have_the_time_in_it(run: Runner, tmp_path: Path) -> None:
    script = "probe begin { println(4) exit() }"

    done = run("run", "-o", tmp_path / "o%Y%%.txt", "-e", script)

    (file,) = tmp_path.iterdir()
    assert done.code == 0
    assert re.fullmatch(r"o20\d\d%\.txt", file.name)
    assert file.read_text() == "4\n"


def test_wildcards_of_session_points_are_named_by_what_they_stand_for(run: Runner) -> None:
    done = run("run", "-e", "probe begi*(5)? { println(pn(), pp()) exit() }")

    assert done.out == "begin(5)?begin(5)?\n"


def test_a_tapset_with_an_error_is_skipped(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "t.stp").write_text("function badf(x) { return x +* }\n")

    done = run("check", "-I", tmp_path, "-e", "probe begin { println(badf(1)) }")

    assert done.code == 1
    assert f'tapset "{tmp_path}/t.stp" has errors, and will be skipped' in done.err
    assert "unresolved function badf (similar: addr" in done.err
