"""The memory that a hit brings: one `mb_memory_piece` after another (live/record.cdef.h)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.declared import (
    MB_MEMORY_ABSENT,
    MB_MEMORY_CUT,
    MB_MEMORY_TEXT,
    OFFSETS,
    SIZES,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = SIZES["mb_memory_piece"]
_LENGTH, _FLAGS = (OFFSETS[f"mb_memory_piece.{name}"] for name in ("length", "flags"))


@dataclass(frozen=True, slots=True)
class NotedMemory:
    """Memory as it was at the hit."""

    address: int
    flags: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Notes:
    """All that a hit brings."""

    data: bytes

    def pieces(self) -> Iterator[NotedMemory]:
        """In the order in which they were read."""
        at = 0
        while len(self.data) - at >= _HEAD:
            address = self._number(at, 8)
            length, flags = self._number(at + _LENGTH, 4), self._number(at + _FLAGS, 4)
            at += _HEAD
            yield NotedMemory(address, flags, self.data[at : at + length])
            at += (length + 7) & ~7

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self.data[at : at + size], "little")

    def read(self, address: int, size: int) -> bytes:
        """All the bytes at an address, with NULs behind a text; none if they are not there."""
        for piece in self.pieces():
            at = address - piece.address
            if piece.flags & (MB_MEMORY_ABSENT | MB_MEMORY_CUT) or not 0 <= at < len(
                piece.data
            ):
                continue
            found = piece.data[at : at + size]
            if len(found) == size or piece.flags & MB_MEMORY_TEXT:
                return found.ljust(size, b"\0")
        return b""

    def is_absent(self, address: int) -> bool:
        """Whether a read at the address has failed at the hit."""
        return any(
            piece.flags & MB_MEMORY_ABSENT and piece.address == address
            for piece in self.pieces()
        )

    @property
    def is_cut(self) -> bool:
        """Whether there was no room for all of it."""
        return any(piece.flags & MB_MEMORY_CUT for piece in self.pieces())
