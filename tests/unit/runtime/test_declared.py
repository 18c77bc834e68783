"""The C boundary: one source, and no difference between the two sides goes unnoticed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import declared

ROOT = Path(__file__).resolve().parents[3]
REFUSED = "is of another version than this markbridge"


@pytest.fixture
def csrc(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "csrc", tmp_path / "csrc")
    return tmp_path / "csrc"


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def compiled(csrc: Path, source: str, *flags: str) -> subprocess.CompletedProcess[str]:
    command = ["gcc", "-std=gnu11", f"-I{csrc}", *flags, str(csrc / source)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_generated_files_are_current() -> None:
    assert [
        name for name, text in declared.files().items() if (ROOT / name).read_text() != text
    ] == []


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("live/live.cdef.h", "int32_t failure;", "int32_t added, failure;", "mb_live"),
        ("live/record.cdef.h", "uint64_t time_ns;", "uint64_t added, time_ns;", "mb_record"),
        (
            "runtime/runtime.cdef.h",
            "int64_t remaining;",
            "int64_t a, remaining;",
            "mb_iterator",
        ),
        ("runtime/session.cdef.h", "MB_QUIET = 1", "MB_QUIET = 16", "MB_QUIET"),
        ("trace/ltt.cdef.h", "MB_LTT_INT = 1", "MB_LTT_INT = 3", "MB_LTT_INT"),
    ],
)
def test_a_change_in_c_alone_does_not_build(
    csrc: Path, file: str, old: str, new: str, named: str
) -> None:
    change(csrc / file, old, new)

    result = compiled(csrc, "live/declared.c", "-fsyntax-only")

    assert result.returncode != 0
    assert "has changed: run make declared" in result.stderr
    assert named in result.stderr


def test_unchanged_it_builds(csrc: Path) -> None:
    assert compiled(csrc, "live/declared.c", "-fsyntax-only").stderr == ""


def load(library: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "MARKBRIDGE_LIBRARY": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )


def number(csrc: Path) -> str:
    command = [sys.executable, str(csrc / "number.py")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def built(csrc: Path) -> Path:
    out = csrc / "library.so"
    flags = ("-shared", "-fPIC", f"-DMB_DECLARATIONS={number(csrc)}", "-o", str(out))
    result = compiled(csrc, "live/version.c", *flags)
    assert result.returncode == 0, result.stderr
    return out


CHANGES = [
    ("runtime/session.cdef.h", "void mb_session_warn(", "int mb_session_warn("),
    ("live/ring.cdef.h", "\tuint64_t limit;", "\tuint64_t limit, added;"),
    ("live/words.cdef.h", "uint64_t size)", "uint64_t size, int flags)"),
]


@pytest.mark.parametrize(("file", "old", "new"), CHANGES)
def test_a_library_with_other_declarations_is_refused(
    csrc: Path, file: str, old: str, new: str
) -> None:
    change(csrc / file, old, new)

    result = load(built(csrc), "-c", "import bridge._native")

    assert result.returncode != 0
    assert REFUSED in result.stderr


def test_comments_and_space_are_no_declarations(csrc: Path) -> None:
    change(csrc / "live/ring.cdef.h", "\tuint64_t limit;", "\t/* new */ uint64_t  limit;")

    result = load(built(csrc), "-c", "from bridge._native import lib; print('loaded')")

    assert result.stdout == "loaded\n", result.stderr


def test_the_command_says_so_in_one_message(csrc: Path) -> None:
    change(csrc / CHANGES[0][0], *CHANGES[0][1:])

    result = load(built(csrc), "-m", "bridge", "run", "-e", "probe begin { exit() }")

    assert result.returncode == 3
    assert REFUSED in result.stderr
    assert "install markbridge again" in result.stderr
    assert "Traceback" not in result.stderr
