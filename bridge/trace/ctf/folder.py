"""A CTF folder being written: its metadata text, and the C writer of its streams.

Whoever writes (the recorder of live hits, `CtfWriter`) declares classes and streams here and
hands the events to the C side. The metadata is complete for all packets on disk at any time.
"""

from __future__ import annotations

import errno
import os
import uuid
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.errors import TraceError
from bridge.handles import Handle
from bridge.trace.ctf.layout import Assembler, CtfScope, native_ops, native_ranges
from bridge.trace.output import check_free, make_folder

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.trace.model import Struct

PACKET_BYTES = 256 * 1024


def explain(code: int) -> str:
    """What a negative error number means."""
    return os.strerror(-code) if code < 0 else ""


class TraceFolder:
    """Makes the folder `path`, which must not exist or be empty."""

    def __init__(self, path: Path, packet_bytes: int = PACKET_BYTES) -> None:
        self.path = path
        self.uuid = uuid.uuid4()
        try:
            check_free(path)
            make_folder(path)
            self._metadata = (path / "metadata").open("x", encoding="ascii")
        except OSError as error:
            raise TraceError(f"{path}: {error.strerror}") from None
        handle = lib.mb_ctf_writer_create(os.fsencode(path), self.uuid.bytes, packet_bytes)
        if handle == ffi.NULL:
            self._metadata.close()
            raise TraceError(f"{path}: cannot be written")
        self.writer = Handle(handle, lib.mb_ctf_writer_close, f"{path}: the trace")

    @property
    def handle(self) -> Any:  # noqa: ANN401 - of cffi
        """The C writer, for an owner that uses it from one thread; TraceError after `close`."""
        return self.writer.pointer

    def describe(self, text: str) -> None:
        """Append to the metadata; it is on disk at once."""
        try:
            self._metadata.write(text)
            self._metadata.flush()
        except OSError as error:
            raise TraceError(f"{self.path / 'metadata'}: {error.strerror}") from None

    def add_class(self, number: int, scopes: dict[CtfScope, Struct]) -> int:
        """Declare an event class to the C side; its index there.

        The scopes are in the order of the stream.
        """
        assembler = Assembler(loose=True)
        for scope, struct in scopes.items():
            assembler.scope(scope, struct)
        ops, count = native_ops(assembler.ops)
        ranges, range_count = native_ranges(assembler.ranges)
        with self.writer as handle:
            index = lib.mb_ctf_writer_add_class(
                handle, number, ops, count, ranges, range_count, assembler.variables
            )
        if index < 0:
            raise TraceError(f"{self.path}: event class {number}: {explain(index)}")
        return index

    def add_stream(self, name: str, stream_class: int, instance: int, cpu: int) -> int:
        """Declare a stream; its file is made with its first packet. Its index."""
        with self.writer as handle:
            index = lib.mb_ctf_writer_add_stream(
                handle, os.fsencode(name), stream_class, instance, cpu
            )
        if index < 0:
            raise TraceError(f"{self.path / name}: {explain(index)}")
        return index

    def close(self, clock: int) -> None:
        """Finish all packets and the metadata; nothing, if that was done before."""
        with self.writer:
            code = self.writer.close(clock)
            self.close_metadata()
        if code:
            raise self.failure(code)

    def close_metadata(self) -> None:
        """Finish the metadata."""
        self._metadata.close()

    def failure(self, code: int) -> TraceError:
        """The error for a code of the C side."""
        full = " (the disk is full)" if code in (-errno.ENOSPC, -errno.EDQUOT) else ""
        return TraceError(f"{self.path}: {explain(code)}{full}")
