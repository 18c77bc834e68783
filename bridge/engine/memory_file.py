"""A file in memory: where a session prints whose text is wanted as a value."""

from __future__ import annotations

import os


class MemoryFile:
    """A file in memory that C code writes to."""

    def __enter__(self) -> MemoryFile:
        self.descriptor = os.memfd_create("markbridge")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def bytes(self) -> bytes:
        """All that was written."""
        size = os.fstat(self.descriptor).st_size
        return os.pread(self.descriptor, size, 0)

    def text(self) -> str:
        """The same as UTF-8; bytes that are none become surrogates."""
        return self.bytes().decode("utf-8", "surrogateescape")
