"""Compiled scripts, kept between runs.

What a script without markers compiles to depends on its text, the options, this package and the
host's name; one that probes tracepoints depends on the running kernel and its modules, too. So
they need not be compiled again. Scripts with other markers, and those that name files, depend
on more and are never kept. One rule: an entry is read only out of a folder that belongs to this
user alone.
"""

from __future__ import annotations

import os
import pickle
import sys
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.markers import Kind
from bridge.world import TRACEFS, WITHOUT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from bridge.artifact import Placed
    from bridge.source import Source

PACKAGE = Path(__file__).resolve().parent.parent
ENTRIES = 200
"""How many entries are kept; the oldest go first."""
_FOREIGN_RIGHTS = 0o022
_OF_THE_KERNEL = frozenset({Kind.TRACEPOINT, Kind.SAMPLE})
"""Markers that the running kernel alone knows."""
_OF_FILES = ("@cast", "@var", "module")
"""What may ask files for types, or make the kernel load something."""


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


@cache
def _stamp() -> str:
    """Changes whenever a file of this package does, which this process has loaded by now."""
    newest = count = 0
    for root in (PACKAGE, PACKAGE / "grammars", PACKAGE / "formats"):
        for folder, _, names in os.walk(root):
            if folder.endswith("__pycache__"):
                continue
            for name in names:
                newest = max(newest, os.stat(os.path.join(folder, name)).st_mtime_ns)  # noqa: PTH116, PTH118 - fast
                count += 1
    return f"{PACKAGE}|{count}|{newest}|{sys.version}"


def _kernel() -> Iterator[str]:
    """What tells one running kernel from others, with the rights to look at it."""
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/modules"):
        try:
            yield Path(path).read_text()
        except OSError:
            yield ""
    yield os.environ.get(WITHOUT, "")
    yield str(os.geteuid())
    for folder in TRACEFS:
        yield str(os.access(f"{folder}/events", os.R_OK))


def entry(main: Source, arguments: argparse.Namespace) -> Path | None:
    """Where the compiled form of a script is, or would be; None if none may be kept."""
    folder = _folder()
    if (
        folder is None
        or arguments.include
        or arguments.xx
        or arguments.pid
        or "process" in main.text
        or any(word in main.text for word in _OF_FILES)
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
    facts = [main.name, main.text, *options, *os.uname(), _stamp(), *_kernel()]
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
    if any(hook.attachment.marker.kind not in _OF_THE_KERNEL for hook in placed.hooks):
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
