"""What compiles nothing works without llvmlite; the rest says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import PATIENCE

ROOT = Path(__file__).resolve().parent.parent.parent.parent
TRACE = str(ROOT / "examples" / "orders.trace")
BLOCKED = """
import sys
sys.modules["llvmlite"] = sys.modules["llvmlite.binding"] = None
from bridge.cli import main
sys.exit(main(sys.argv[1:]))
"""
SCRIPT = 'global n probe begin { n = strlen("abc") println(n) exit() }'
LIBRARY = """
import sys
sys.modules["llvmlite"] = sys.modules["llvmlite.binding"] = None
import bridge
with bridge.open_trace(sys.argv[1]) as trace:
    print(sum(1 for _ in trace) > 0)
print(len(bridge.markers_of(sys.executable)) >= 0)
print(bridge.compile("probe begin { }").name)
try:
    with bridge.compile("probe begin { exit() }").attach() as session:
        list(session)
except bridge.HostError as error:
    print(error.remedy)
"""


def without(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED, *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=PATIENCE
    )


@pytest.mark.parametrize(
    "words",
    [
        ("read", TRACE),
        ("check", "-e", SCRIPT),
        ("check", "-p1", "-e", SCRIPT),
        ("check", "-p2", "-e", SCRIPT),
        ("explain", "-e", SCRIPT),
        ("list", "timer.s(1)"),
        ("run", "--engine=interpreter", "-e", SCRIPT),
    ],
)
def test_it_works_without(words: tuple[str, ...]) -> None:
    done = without(*words)

    assert done.returncode == 0, done.stderr
    assert words[:2] == ("check", "-e") or done.stdout


def test_converting_works_without(tmp_path: Path) -> None:
    done = without("convert", TRACE, str(tmp_path / "out"), "--to", "ltt-2.6")

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words", [("run", "-e", SCRIPT), ("run", "--replay", TRACE, "-e", SCRIPT)]
)
def test_compiling_says_what_to_install(words: tuple[str, ...]) -> None:
    done = without(*words)

    assert done.returncode == 3
    assert "a script is compiled with llvmlite, which cannot be loaded" in done.stderr
    assert f"{sys.executable} -m pip install llvmlite" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_library_does_as_well() -> None:
    command = [sys.executable, "-c", LIBRARY, TRACE]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)

    remedy = (
        f"install it into the Python of markbridge: {sys.executable} -m pip install llvmlite"
    )
    assert done.stdout.splitlines() == ["True", "True", "<input>", remedy]


@pytest.mark.parametrize(
    ("option", "file"), [("--include-dir", "markbridge/marker.h"), ("--examples-dir", "shop.c")]
)
def test_the_package_has_the_header_and_the_examples(option: str, file: str) -> None:
    done = without(option)

    assert (Path(done.stdout.strip()) / file).is_file()


def test_the_option_for_compilers() -> None:
    folder = without("--include-dir").stdout.strip()

    assert without("--cflags").stdout == f"-I{folder}\n"
