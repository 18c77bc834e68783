"""The reference traces and their dumps: unpacking, reading alike, comparing line by line."""

from __future__ import annotations

import gzip
import re
import tarfile
from collections import Counter
from typing import TYPE_CHECKING

from bridge.trace.ltt import text

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.trace.ltt.reader import LttReader

_FIELDS = re.compile(r" \{.*\} ")


def unpack(reference: Path, name: str, where: Path) -> Path:
    """The folder of a reference trace."""
    with tarfile.open(reference / "ltt" / f"{name}.tar.gz") as archive:
        # before CPython 3.11.4 there are no filters; these archives are our own
        filters = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(where, **filters)
    (folder,) = [entry for entry in where.iterdir() if entry.is_dir()]
    return folder


def expected(reference: Path, name: str) -> list[str]:
    data = gzip.decompress((reference / "ltt" / f"{name}.expected.txt.gz").read_bytes())
    return data.decode("utf8", "surrogateescape").split("\n")[:-1]


def unnamed(line: str) -> str:
    """The line as the old library wrote it where it could not name the event."""
    first, rest = line.split(" ", 1)
    channel = first.rpartition(".")[0]
    return f"{channel}.? {_FIELDS.sub(' { } ', rest, count=1)}"


def dump(reader: LttReader) -> list[str]:
    line = text.lttv_line(reader.format)
    return [line(event, place) for event, place in reader.placed_events()]


def compare(got: list[str], wanted: list[str]) -> tuple[int, int]:
    """How many lines agree, and how many of them were unnamed; fails on any difference.

    Lines with equal times come in any order, so both sides are compared as multisets.
    """
    hidden = {
        line.partition(" ")[2] for line in wanted if line.partition(" ")[0].endswith(".?")
    }
    adapted = []
    for line in got:
        short = unnamed(line)
        adapted.append(short if short.partition(" ")[2] in hidden else line)
    ours, theirs = Counter(adapted), Counter(wanted)
    assert list((ours - theirs).elements())[:3] == []
    assert list((theirs - ours).elements())[:3] == []
    return len(got), len(hidden)
