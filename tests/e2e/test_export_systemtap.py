"""What SystemTap printed of exported scripts, and what we print of the scripts themselves.

`tests/cases/exported/systemtap/NAME.exported` is the export of `NAME.stp` for the program
`tests/support/load.c` (LOAD), and `NAME.expected` is what SystemTap 4.8 printed of it on Linux
6.1, with `-c LOAD`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Compiler, Runner

TESTS = Path(__file__).resolve().parent.parent
CASES = TESTS / "cases" / "exported" / "systemtap"
NAMES = sorted(path.stem for path in CASES.glob("*.stp"))

pytestmark = [pytest.mark.root, pytest.mark.bpf]


@pytest.fixture
def load(compile_c: Compiler) -> Path:
    return compile_c("load", (TESTS / "support" / "load.c").read_text(), "-g", "-pthread")


def _words(name: str, load: Path) -> list[Path]:
    script = CASES / f"{name}.stp"
    return [script, *([load] * ("@1" in script.read_text()))]


@pytest.mark.parametrize("name", NAMES)
def test_the_export_is_what_systemtap_ran(name: str, run: Runner, load: Path) -> None:
    done = run("export", "--to", "systemtap", *_words(name, load))

    assert done.code == 0, done.err
    shown = done.out.replace(str(load), "LOAD")
    assert shown == (CASES / f"{name}.exported").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_we_print_what_systemtap_printed(name: str, run: Runner, load: Path) -> None:
    done = run("run", *_words(name, load), "-c", load)

    assert done.code == 0, done.err
    assert done.out == (CASES / f"{name}.expected").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_the_export_runs_here_as_well(
    name: str, run: Runner, load: Path, tmp_path: Path
) -> None:
    file = tmp_path / "exported.stp"
    file.write_text((CASES / f"{name}.exported").read_text().replace("LOAD", str(load)))

    done = run("run", file, "-c", load)

    assert done.code == 0, done.err
    assert done.out == (CASES / f"{name}.expected").read_text()


def test_there_are_five() -> None:
    assert NAMES == ["allocations", "calls", "forks", "lines", "orders"]


# --- what stays a name of the library ---------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "exported"),
    [
        # an alias of the library, by an alias of the script: the outer one goes
        (
            "probe mine = syscall.kill { number = sig } probe mine { println(number, name) }",
            "probe syscall.kill\n{\n{\n  number = sig;\n}\n{\n  println(number, name);\n}\n}\n",
        ),
        # several at a time
        ("probe nd_syscall.*stat?, signal.send { println(1) }", "probe nd_syscall.*stat?\n"),
        ("probe nd_syscall.*stat?, signal.send { println(1) }", "probe signal.send\n"),
        # a condition of the script's stays, what the place answers is asked again there
        (
            "global n probe nd_syscall.close.return if (n) { println(returnval(), pp()) }",
            "nd_syscall.close.return if ((n))\n{\n{\n  println(returnval(), pp());\n}\n}\n",
        ),
        # the library's tables and what fills them are its own
        ("probe begin { println(signal_str(9)) exit() }", "println(signal_str(9));"),
        # what was folded here is decided there
        (
            "probe nd_syscall.open { println(@defined($flags) ? $flags : 1) }",
            "println(@defined($flags) ? ($flags) : 1);",
        ),
    ],
)
def test_what_the_library_has_is_named(script: str, exported: str, run: Runner) -> None:
    done = run("export", "--to", "systemtap", "-e", script)

    assert done.code == 0, done.err
    assert exported in done.out
    assert "syscalls:" not in done.out
    assert '"KILL"' not in done.out
