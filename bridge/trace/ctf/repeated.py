"""Several folders of one trace, as snapshots of a session leave them: each packet is read once.

A packet that another folder has, too, is left out in the later one. The rule: only packets that
are equal byte for byte are the same.
"""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING

from bridge.trace.ctf.cursor import CtfCursor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bridge.trace.ctf.reader import CtfReader

    Place = tuple[Path, int, int]
    """A file, and where in it a packet is: from, to."""

START_BYTES = 256
"""Header and context of a packet are there: who wrote it, when, how much."""


def _packets(reader: CtfReader) -> Iterator[tuple[int, Place]]:
    cursor = CtfCursor(reader.folder, reader.plan)
    for stream, path in enumerate(cursor.files):
        for at, size in cursor.packets(stream):
            yield stream, (path, at, at + size)


def _bytes(place: Place, most: int | None = None) -> bytes:
    path, start, end = place
    stop = end if most is None else min(end, start + most)
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        return data[start:stop]


def skip_repeated(readers: Iterable[CtfReader]) -> None:
    """Tell the readers of each trace which packets another one of them reads."""
    by_trace: dict[bytes, list[CtfReader]] = {}
    for reader in readers:
        uuid = reader.plan.description.uuid
        if uuid is not None:
            by_trace.setdefault(uuid, []).append(reader)
    for same in by_trace.values():
        if len(same) > 1:
            _skip(same)


def _skip(readers: list[CtfReader]) -> None:
    seen: dict[tuple[int, bytes], list[Place]] = {}
    for reader in readers:
        found: list[tuple[tuple[int, bytes], Place]] = []
        skipped: dict[int, list[int]] = {}
        for stream, place in _packets(reader):
            key = place[2] - place[1], _bytes(place, START_BYTES)
            if any(_bytes(place) == _bytes(other) for other in seen.get(key, ())):
                skipped.setdefault(stream, []).append(place[1])
            else:
                found.append((key, place))
        reader.skip(skipped)
        for key, place in found:
            seen.setdefault(key, []).append(place)
