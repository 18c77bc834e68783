"""A project's own sources and steps, with `markbridge dtrace` in place of SystemTap's.

CPython's are not kept here: MARKBRIDGE_CPYTHON names the folder of its source, of the version
that runs the tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(shutil.which("dtrace") is None, reason="needs systemtap-sdt-dev"),
]

FOLDER = Path(os.environ.get("MARKBRIDGE_CPYTHON", "/nowhere"))
SOURCES = ("Modules/gcmodule.c", "Python/import.c", "Python/ceval.c")
"""All that have probes but sysmodule.c, which needs what its configure found."""


def _run(*command: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _built(out: Path, *dtrace: object) -> tuple[list[str], list[str]]:
    """Notes and semaphores after the steps of CPython's Makefile, linked together."""
    out.mkdir()
    made = out / "pydtrace_probes.h"
    _run(*dtrace, "-o", made, "-h", "-s", "Include/pydtrace.d")
    made.write_text(re.sub("PYTHON_", "PyDTrace_", made.read_text()))
    configured = Path(sysconfig.get_config_h_filename()).parent
    flags = ["-O0", "-w", "-c", "-DPy_BUILD_CORE", "-DWITH_DTRACE=1", f"-I{out}", "-IInclude"]
    flags += ["-IInclude/internal", f"-I{configured}"]
    objects = []
    for source in SOURCES:
        objects.append(out / f"{Path(source).stem}.o")
        _run("gcc", *flags, source, "-o", objects[-1])
    _run(*dtrace, "-o", out / "pydtrace.o", "-G", "-s", "Include/pydtrace.d", *objects)
    _run("ld", "-r", *objects, out / "pydtrace.o", "-o", out / "all.o")
    notes = _run("readelf", "-nW", out / "all.o")
    symbols = _run("readelf", "-sW", out / "all.o")
    found = re.findall(r"Name: (\w+)\n.*\n\s*(Arguments:.*)", notes)
    return (
        sorted(" ".join(pair) for pair in found),
        sorted(
            re.findall(r"(?:OBJECT|NOTYPE) .* (\w+ +\w+_semaphore)$", symbols, re.MULTILINE)
        ),
    )


@pytest.mark.skipif(
    not (FOLDER / "Include" / "pydtrace.d").is_file(),
    reason="MARKBRIDGE_CPYTHON names no folder with CPython's source",
)
def test_cpython_is_built_the_same(tmp_path: Path) -> None:
    version = (FOLDER / "Include" / "patchlevel.h").read_text()
    if f'"{sys.version_info[0]}.{sys.version_info[1]}.' not in version:
        pytest.skip("CPython's source is of another version than what runs the tests")

    theirs = _built(tmp_path / "theirs", "dtrace")
    ours = _built(tmp_path / "ours", sys.executable, "-m", "bridge", "dtrace")

    assert ours == theirs
    names = {note.split()[0] for note in ours[0]}
    assert {"gc__start", "import__find__load__done", "function__entry", "line"} <= names
    assert not any("UND" in symbol for symbol in ours[1])
    assert len(ours[1]) >= len(names)
