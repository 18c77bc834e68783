"""Compiled scripts without markers, kept between runs.

What such a script compiles to depends on its text, the options, this package and the host's
name, so it need not be compiled again; that halves the time to start. Scripts with markers
depend on other files and are never kept. One rule: an entry is read only out of a folder that
belongs to this user alone.
"""

from __future__ import annotations

import os
import pickle
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from bridge.artifact import Placed
    from bridge.source import Source

PACKAGE = Path(__file__).resolve().parent.parent
ENTRIES = 200
"""How many entries are kept; the oldest go first."""
_FOREIGN_RIGHTS = 0o022


def _folder() -> Path | None:
    """The folder of entries; None where there is no safe one."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    folder = Path(base) / "markbridge" / "scripts"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):
        return None
    if status.st_uid != os.geteuid() or status.st_mode & _FOREIGN_RIGHTS:
        return None
    return folder


def _stamp() -> str:
    """Changes whenever a file of this package does."""
    newest = count = 0
    for root in (PACKAGE, PACKAGE / "grammars", PACKAGE / "formats"):
        for folder, _, names in os.walk(root):
            if folder.endswith("__pycache__"):
                continue
            for name in names:
                newest = max(newest, os.stat(os.path.join(folder, name)).st_mtime_ns)  # noqa: PTH116, PTH118 - fast
                count += 1
    return f"{PACKAGE}|{count}|{newest}|{sys.version}"


def entry(main: Source, arguments: argparse.Namespace) -> Path | None:
    """Where the compiled form of a script is, or would be; None if none may be kept."""
    folder = _folder()
    if (
        folder is None
        or arguments.include
        or arguments.xx
        or "process" in main.text
        or "kernel" in main.text
    ):
        return None
    options = [
        f"{name}={getattr(arguments, name)!r}"
        for name in (
            "words",
            "extra",
            "defines",
            "globals_",
            "guru",
            "unoptimized",
            "compatible",
        )
    ]
    facts = [main.name, main.text, *options, *os.uname(), _stamp()]
    return folder / sha256("\0".join(facts).encode("utf-8", "replace")).hexdigest()


def recall(path: Path) -> Placed | None:
    """The compiled script there, if it is there and whole."""
    try:
        placed: Placed = pickle.loads(path.read_bytes())  # noqa: S301 - only we can write there
    except (OSError, pickle.PickleError, EOFError, AttributeError, ImportError, TypeError):
        return None
    return placed


def keep(path: Path, placed: Placed) -> None:
    """Keep a compiled script; that this fails is no error."""
    if placed.hooks:
        return
    import tempfile

    with suppress(OSError):
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pickle.dumps(placed))
        Path(name).replace(path)
        _forget_old(path.parent)


def _forget_old(folder: Path) -> None:
    entries = sorted(folder.iterdir(), key=lambda entry: entry.stat().st_mtime_ns)
    for old in entries[:-ENTRIES]:
        old.unlink()
