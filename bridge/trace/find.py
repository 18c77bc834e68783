"""A folder -> the traces in it or below it, by the names of files that only traces have.

What a trace is shows in its own folder, so nobody has to name it exactly. The rule: a search
ends at once, however large the file system below is, and says when it did not see all.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

METADATA = "metadata"
SIGNATURES = (b"/* CTF", b"\x57\x1d\xd1\x75", b"\x75\xd1\x1d\x57", b"\x1e")
SIGNED_BYTES = 8
CONTROL = "control"
"""Of an LTT trace: the folder with what describes the rest."""
MOST_FOLDERS = 1000
DEEPEST = 8
_DESCRIPTION = re.compile(r"(metadata|facilities)_\d+$")
_LKET = re.compile(r"stpd_cpu\d+$")


@dataclass(frozen=True, slots=True)
class FoundTraces:
    """The traces below a folder in order of name; `whole` if the search saw everything."""

    folders: tuple[Path, ...]
    whole: bool = True


def is_ctf(path: Path) -> bool:
    """Whether a folder holds a CTF trace itself: its metadata is text, or packets of it."""
    try:
        with (path / METADATA).open("rb") as file:
            start = file.read(SIGNED_BYTES)
    except OSError:
        return False
    return start.startswith(SIGNATURES)


def _names(path: Path) -> tuple[set[str], set[str]]:
    """The files and folders in a folder; none if it cannot be read."""
    files: set[str] = set()
    folders: set[str] = set()
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.add(entry.name)
                else:
                    files.add(entry.name)
    except OSError:
        pass
    return files, folders


def _describes(names: Iterable[str]) -> bool:
    """Whether one of the files describes an LTT trace of 2006 to 2011, or is LKET's."""
    return any(_DESCRIPTION.match(name) or _LKET.match(name) for name in names)


def _is_root(path: Path, files: set[str], folders: set[str]) -> bool:
    if METADATA in files and is_ctf(path):
        return True
    if _describes(files) and path.resolve().name != CONTROL:
        return True
    if CONTROL in folders and _describes(_names(path / CONTROL)[0]):
        return True
    # 2003: descriptions in info/, buffers in cpu/; and facility traces whose control is lost.
    if "info" in folders and "cpu" in folders:
        return (path / "info" / "system.xml").is_file()
    return "eventdefs" in folders and bool(files)


def is_root(path: Path) -> bool:
    """Whether this folder is a trace itself."""
    return _is_root(path, *_names(path))


def traces_below(path: Path) -> FoundTraces:
    """The traces in a folder, or in those below it; not in a trace, nor in hidden folders."""
    found: list[Path] = []
    level, seen = [path], 0
    for _ in range(DEEPEST):
        below: list[Path] = []
        for folder in level:
            if seen >= MOST_FOLDERS:
                return FoundTraces(tuple(sorted(found)), whole=False)
            seen += 1
            files, folders = _names(folder)
            if _is_root(folder, files, folders):
                found.append(folder)
            else:
                below += (folder / name for name in sorted(folders))
        level = below
    return FoundTraces(tuple(sorted(found)), whole=not level)
