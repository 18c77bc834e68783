"""Machine code, kept by the text that it was made of, so that LLVM sees no text twice.

In: what decides about the code (its text, the level, the machine). Out: the bytes of an object
file. One rule: an entry is read only out of a folder that belongs to this user alone.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.codegen import llvm_binding
from bridge.parsing import private_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENTRIES = 200
"""How many entries are kept; the oldest go first."""
_DIGEST_BYTES = 32

Code = dict[str, bytes]
"""Code by the names of its parts."""
_brought: dict[str, Code] = {}
_collected: list[dict[str, Code]] = []


def key_of(*facts: str) -> str:
    """What code is found by: what decides about it, but not who made it."""
    return sha256("\0".join(facts).encode("utf-8", "replace")).hexdigest()


def bring(code: dict[str, Code]) -> None:
    """Let code be used that a program's file brings along (`engine.program_file`)."""
    _brought.update(code)


def brought(*facts: str) -> Code | None:
    """The code of these facts, if a file has brought it."""
    return _brought.get(key_of(*facts)) if _brought else None


def has_brought() -> bool:
    """Whether a file has brought any."""
    return bool(_brought)


@contextmanager
def collected() -> Iterator[dict[str, Code]]:
    """All code that is made meanwhile."""
    found: dict[str, Code] = {}
    _collected.append(found)
    try:
        yield found
    finally:
        _collected.remove(found)


def is_collected() -> bool:
    """Whether the code that is made now goes into a file."""
    return bool(_collected)


def note(code: Code, *facts: str) -> None:
    """Tell who collects that this code was made of these facts."""
    for found in _collected:
        found[key_of(*facts)] = code


def object_code(make: Callable[[], bytes], *facts: str) -> bytes:
    """The object file that `make` gives, or has given for the same facts before."""
    folder = private_folder("code")
    if folder is None:
        return make()
    key = "\0".join((llvm_binding.version(), *facts)).encode("utf-8", "replace")
    path = folder / sha256(key).hexdigest()
    code = _read(path)
    if code is None:
        code = make()
        _write(path, code)
    return code


def _read(path: Path) -> bytes | None:
    """The code there, if it is whole: its digest comes first."""
    try:
        data = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    digest, code = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    return code if sha256(code).digest() == digest else None


def _write(path: Path, code: bytes) -> None:
    """Keep it; that this fails is no error."""
    import tempfile

    with suppress(OSError):
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(sha256(code).digest() + code)
        Path(name).replace(path)
        entries = sorted(path.parent.iterdir(), key=lambda entry: entry.stat().st_mtime_ns)
        for old in entries[:-ENTRIES]:
            old.unlink()
