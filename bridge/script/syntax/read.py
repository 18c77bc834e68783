"""The name of a script's file -> its bytes, of which no more are read than a script may have.

Rule: whatever the name stands for (a folder, a pipe that nobody writes to, a device without an
end), the answer comes in bounded time and memory: bytes, or `OSError`.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from bridge.script.syntax.lex import MAX_BYTES

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S = 10.0
"""How long a pipe may be silent."""
_PIECE = 1 << 16


def read_text(path: Path | str) -> bytes:
    """The bytes of a file; of one that is too large a few more than a script may have."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        return read_descriptor(descriptor)
    finally:
        os.close(descriptor)


def why(error: OSError | ValueError) -> str:
    """Why a file cannot be read (`ValueError`: its name has a NUL in it)."""
    return (error.strerror if isinstance(error, OSError) else "") or str(error)


def read_descriptor(descriptor: int) -> bytes:
    """The bytes up to the end, or to the size that is too large."""
    pieces, size = [], 0
    while size <= MAX_BYTES:
        piece = _read(descriptor)
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _read(descriptor: int) -> bytes:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    while waiting.poll(PATIENCE_S * 1000):
        with suppress(BlockingIOError):
            return os.read(descriptor, _PIECE)
    raise TimeoutError(errno.ETIMEDOUT, "timed out waiting for input")
