"""A path -> the reader of the trace there, whatever its format.

Each format has a module with `is_...` and `open_...`; they are asked in turn and loaded on
demand. A folder of several CTF traces (as LTTng's sessions are) is read as one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import TraceError

if TYPE_CHECKING:
    from bridge.trace.model import Reader

METADATA = "metadata"
SIGNATURES = (b"/* CTF", b"\x57\x1d\xd1\x75", b"\x75\xd1\x1d\x57")
SIGNED_BYTES = 8


def is_ctf(path: Path) -> bool:
    """Whether a folder holds a CTF trace itself: its metadata is text, or packets of it."""
    metadata = path / METADATA
    try:
        with metadata.open("rb") as file:
            start = file.read(SIGNED_BYTES)
    except OSError:
        return False
    return start.startswith(SIGNATURES)


def ctf_folders(path: Path) -> list[Path]:
    """The CTF traces in a folder or below it, in order of name."""
    if is_ctf(path):
        return [path]
    found = [Path(folder) for folder, _, files in os.walk(path) if METADATA in files]
    return sorted(folder for folder in found if is_ctf(folder))


def open_trace(path: Path | str) -> Reader:
    """Open the trace at a path; TraceError if there is none that can be read."""
    path = Path(path)
    if not path.exists():
        raise TraceError(f"{path}: there is no such trace")
    folders = ctf_folders(path) if path.is_dir() else []
    if folders:
        return _open_ctf(path, folders)
    from bridge.trace import ltt

    if ltt.is_ltt(path):
        return ltt.open_ltt(path)
    from bridge.trace import lket

    if lket.is_lket(path):
        return lket.open_lket(path)
    if path.is_dir() and (path / METADATA).is_file():
        return _open_ctf(path, [path])
    raise TraceError(f"{path}: no trace of a known format")


def _open_ctf(path: Path, folders: list[Path]) -> Reader:
    from bridge.trace.ctf.reader import CtfReader

    if len(folders) == 1:
        return CtfReader(folders[0])
    from bridge.trace.merge import MergedReader

    return MergedReader([(str(f.relative_to(path)), CtfReader(f)) for f in folders])
