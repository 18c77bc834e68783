"""Damaged traces: whatever bytes are wrong, reading ends, and what is whole is read."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.errors import TraceError
from bridge.trace.ctf.reader import CtfReader
from bridge.trace.ctf.text import TextOptions, lines
from bridge.trace.ctf.writer import CtfWriter
from bridge.trace.model import Event, EventClass, Field, Integer, Sequence, Struct, Text
from tests.support.mctf import compile_trace

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = 400
PAYLOAD = Struct(
    (
        Field("n", Integer(32, signed=False)),
        Field("s", Text()),
        Field("q", Sequence(Integer(16, signed=True), "", Integer(8, signed=False))),
    )
)
TYPES = Path(__file__).parents[2] / "traces"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A trace of many small packets in two streams."""
    event_class = EventClass("e", 0, PAYLOAD)
    with CtfWriter(tmp_path / "whole", packet_bytes=4096) as writer:
        for n in range(EVENTS):
            fields = {"n": n, "s": f"text {n} " * 9, "q": list(range(n % 9))}
            writer.write(Event(event_class, 1000 * n, 0, n & 1, f"s_{n & 1}", fields))
    return tmp_path / "whole"


def _flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def _scramble(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at : at + 64] = chance.randbytes(min(64, len(data) - at))


def _drop(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.randrange(1, 300)]


def _all_lines(trace: Path) -> list[str]:
    with CtfReader(trace) as reader:
        list(reader)
        reader.statistics()
        return list(lines([reader], TextOptions(clock_seconds=True, no_delta=True)))


@pytest.mark.parametrize("damage", [_flip, _cut, _scramble, _drop])
def test_streams(
    written: Path, tmp_path: Path, damage: Callable[[bytearray, random.Random], None]
) -> None:
    chance = random.Random(damage.__name__)
    whole = set(_all_lines(written))
    untouched = {line for line in whole if "cpu_id = 1" in line}
    assert len(whole) == EVENTS
    for number in range(60):
        trace = tmp_path / f"damaged{number}"
        shutil.copytree(written, trace)
        data = bytearray((trace / "s_0").read_bytes())
        damage(data, chance)
        (trace / "s_0").write_bytes(data)

        found = _all_lines(trace)

        # The other stream is whole, and at most three packets of this one are lost.
        assert untouched <= set(found)
        if damage is not _cut:
            assert len(whole - set(found)) < 180
        shutil.rmtree(trace)


@pytest.mark.parametrize("name", ["types.txt", "types-2.txt"])
def test_any_type(name: str, tmp_path: Path) -> None:
    chance = random.Random(name)
    text = (TYPES / name).read_text().partition("--- expected\n")[0]
    trace = compile_trace(text, tmp_path / "trace")
    stream = (trace / "stream").read_bytes()
    for number in range(250):
        data = bytearray(stream)
        (_flip, _cut, _scramble, _drop)[number % 4](data, chance)
        if data:
            (trace / "stream").write_bytes(data)
            _all_lines(trace)


@pytest.mark.parametrize("name", ["types.txt", "types-2.txt"])
def test_metadata(name: str, tmp_path: Path) -> None:
    chance = random.Random(1)
    text = (TYPES / name).read_text().partition("--- expected\n")[0]
    trace = compile_trace(text, tmp_path / "trace")
    metadata = (trace / "metadata").read_bytes()
    for number in range(250):
        data = bytearray(metadata)
        (_flip, _cut, _scramble, _drop)[number % 4](data, chance)
        (trace / "metadata").write_bytes(data)
        try:
            _all_lines(trace)
        except TraceError as error:
            assert "metadata" in str(error) or "no stream" in str(error)  # noqa: PT017
