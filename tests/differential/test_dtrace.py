"""`markbridge dtrace` beside SystemTap's dtrace(1): the same macros, notes and semaphores."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.facility.provider import header
from bridge.facility.provider import object as object_file
from bridge.facility.provider.machines import named
from bridge.facility.provider.parse import parse
from tests.support.providers import PROJECTS, SERVER, project_file

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(shutil.which("dtrace") is None, reason="needs systemtap-sdt-dev"),
]

_MACRO = re.compile(r"^#define (\w+)\(([^)]*)\)", re.MULTILINE)
_NOTE = re.compile(r"Provider: (.*)\n\s+Name: (.*)\n\s+Location: .*Semaphore: (\S+)\n(.*)")
_SEMAPHORE = re.compile(r"(\d+): \S+ +(\d+ OBJECT +\w+ +\w+) .* (\w+_semaphore)$", re.MULTILINE)


def macros(text: str) -> dict[str, int]:
    """Name and number of arguments, those for want of <sys/sdt.h> left out."""
    return {
        name: len([word for word in words.split(",") if word.strip()])
        for name, words in _MACRO.findall(text)
        if not name.startswith("DTRACE_PROBE")
    }


def oracle(source: Path, out: Path, *flags: str) -> None:
    done = subprocess.run(
        ["dtrace", *flags, "-s", source, "-o", out],
        cwd=out.parent,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def ours(source: Path, out: Path) -> str:
    file = parse(source.read_text("utf-8", "surrogateescape"), str(source))
    (out / "probes.h").write_text(header.write(file.providers))
    machine = named("x86_64")
    (out / "probes.o").write_bytes(object_file.write(file.providers, machine))
    return (out / "probes.h").read_text()


def _asks(name: str, listed: dict[str, int]) -> bool:
    """Whether a macro is the question for a tracer; there are probes of such names, too."""
    return name.endswith("_ENABLED") and name.removesuffix("_ENABLED") in listed


def program(folder: Path, listed: dict[str, int]) -> tuple[list[tuple[str, ...]], set[str]]:
    """Notes and semaphores of a program that uses every macro."""
    lines = ['#include "probes.h"', "int main(int count, char **words) {", "(void)words;"]
    for name, arity in listed.items():
        if _asks(name, listed):
            lines.append(f"if ({name}()) count++;")
        else:
            lines.append(f"{name}({', '.join(f'count + {n}' for n in range(arity))});")
    (folder / "main.c").write_text("\n".join([*lines, "return count; }"]))
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "main.c", "probes.o", "-o", "main"]
    subprocess.run(["gcc", *flags], cwd=folder, check=True)
    shown = subprocess.run(
        ["readelf", "-nsW", "main"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    notes = [
        (provider, name, str(int(semaphore, 16) != 0), arguments)
        for provider, name, semaphore, arguments in _NOTE.findall(shown)
    ]
    assert len(notes) == sum(not _asks(name, listed) for name in listed)
    return notes, {f"{kind} {name}" for _, kind, name in _SEMAPHORE.findall(shown)}


def compare(source: Path, tmp_path: Path) -> None:
    folders = tmp_path / "theirs", tmp_path / "ours"
    for folder in folders:
        folder.mkdir()
    theirs, own = folders
    oracle(source, theirs / "probes.h", "-h")
    oracle(source, theirs / "probes.o", "-G")
    listed = macros((theirs / "probes.h").read_text())
    assert macros(ours(source, own)) == listed
    assert program(own, listed) == program(theirs, listed)


def test_same_as_systemtap(tmp_path: Path) -> None:
    source = tmp_path / "server.d"
    source.write_text(SERVER)
    compare(source, tmp_path)


@pytest.mark.parametrize("name", PROJECTS)
def test_provider_files_of_projects(name: str, tmp_path: Path) -> None:
    path = project_file(name)
    if path is None:
        pytest.skip("MARKBRIDGE_PROVIDERS names no folder with this file")
    compare(path, tmp_path)
