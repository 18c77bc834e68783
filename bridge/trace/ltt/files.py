"""Folder -> the files of a trace, and the header of the first block of each.

`scan` lists regular files in a stable order; `first_header` finds the first block that can be
read, so that a damaged first block does not cost the file. The rule: only `formats.ltt` knows
bytes, and a header is a plain dict.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from construct import ConstructError

from bridge.formats import ltt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from construct import Struct

PAGE = 4096
SEARCHED_PAGES = 4096
_HEAD_BYTES = 256
_NEAR_PAGES, _NEAR_BLOCKS = 17, 5

Header = dict[str, int]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file with the place, byte order and size of its first readable block."""

    path: Path
    relative: str
    magic_at: int
    big: bool
    first: int
    """Where in the file the first block with a magic number starts."""
    head: bytes


def scan(folder: Path, depth: int = 2) -> Iterator[Path]:
    """All regular files in a folder and those in it, but hidden ones, in a stable order."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            if depth > 1:
                yield from scan(entry, depth - 1)
        elif entry.is_file():
            yield entry


def _magic(head: bytes) -> tuple[int, bool] | None:
    for at in ltt.MAGIC_PLACES:
        word = head[at : at + 4]
        for big in (False, True):
            if word == ltt.MAGIC.to_bytes(4, "big" if big else "little"):
                return at, big
    return None


def find(path: Path, folder: Path, pages: int = SEARCHED_PAGES) -> FoundFile | None:
    """The first of some pages of the file that starts a block; None if there is none."""
    relative = path.relative_to(folder).as_posix()
    try:
        with path.open("rb") as file:
            for page in range(pages):
                file.seek(page * PAGE)
                head = file.read(_HEAD_BYTES)
                if not head:
                    return None
                place = _magic(head)
                if place:
                    return FoundFile(path, relative, *place, page * PAGE, head)
    except OSError:
        return None
    return None


def further_heads(found: FoundFile, sizes: Iterable[int]) -> list[bytes]:
    """The starts of some later blocks of a file, where blocks may have one of the sizes."""
    offsets = {page * PAGE for page in range(1, _NEAR_PAGES)}
    for size in sizes:
        offsets |= {number * size for number in range(1, _NEAR_BLOCKS)}
    magic = ltt.MAGIC.to_bytes(4, "big" if found.big else "little")
    heads = []
    with found.path.open("rb") as file:
        for offset in sorted(offsets):
            file.seek(found.first + offset)
            head = file.read(_HEAD_BYTES)
            if head[found.magic_at : found.magic_at + 4] == magic:
                heads.append(head)
    return heads


def parse_header(layout: Struct, data: bytes) -> Header | None:
    """The fields of a header as numbers; None if the data is too short."""
    try:
        parsed = layout.parse(data)
    except ConstructError:
        return None
    return {name: value for name, value in parsed.items() if isinstance(value, int)}


def places(layout: Struct) -> dict[str, int]:
    """The offset of each field of a header, and its size as `bytes`."""
    found, at = {}, 0
    for sub in layout.subcons:
        found[sub.name] = at
        at += sub.sizeof()
    found["bytes"] = at
    return found


def block_layout(at: dict[str, int], big: bool) -> dict[str, int | float]:
    """What C must know of a block header whose fields are at these places."""
    return {
        "big": int(big),
        "header_bytes": at["bytes"],
        "magic_at": at["magic"],
        "magic": ltt.MAGIC,
        "begin_at": at["begin"],
        "end_at": at["end"],
        "size_at": at["size"],
    }


def vote(headers: list[Header], name: str, preferred: Header | None) -> int:
    """The value that most headers have; the preferred header decides a tie."""
    values = Counter(header[name] for header in headers if name in header)
    if not values:
        return 0
    most = max(values.values())
    winners = [value for value, number in values.items() if number == most]
    if preferred and preferred.get(name) in winners:
        return preferred[name]
    return winners[0]


def block_size(
    path: Path, first: int, said: int, magic_at: int, magic: bytes, least: int
) -> int:
    """The size of the blocks of a file whose blocks all have one size.

    What the first block says counts if the next block is where it says, else the distance to
    the next magic number does.
    """
    size = path.stat().st_size - first
    with path.open("rb") as file:

        def is_block(at: int) -> bool:
            file.seek(first + at + magic_at)
            return file.read(4) == magic

        if least <= said <= size and (said == size or said + least > size or is_block(said)):
            return said
        for at in range(PAGE, min(size, SEARCHED_PAGES * PAGE), PAGE):
            if is_block(at):
                return at
    return said if said >= max(size, least) else max(size, least)


def numbered(name: str, is_cpu: Callable[[str], bool] = str.isdigit) -> tuple[str, int]:
    """Channel and CPU of a file name; CPU -1 if it has none. `strtol` ignores what follows."""
    channel, underscore, tail = name.rpartition("_")
    digits = ""
    for character in tail:
        if not is_cpu(character):
            break
        digits += character
    return (channel, int(digits)) if underscore and digits else (name, -1)
