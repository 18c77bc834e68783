"""Whatever bytes an ELF file holds: a list or a reason, never an exception, never a hang."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.markers import Constant, Memory, NoMatch, Register
from bridge.probes.live import LiveTargets
from bridge.probes.operands import UnreadableOperand, operand, split
from bridge.probes.usdt import markers_of
from bridge.probes.x86 import LONGEST, decode
from bridge.world import RecordedWorld
from tests.support.elf_writer import CODE, DATA, Elf
from tests.support.points import parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

NOP5 = bytes.fromhex("0f1f440000")
SEED = (
    Elf(code=NOP5 * 20 + b"\xf3\x0f\x1e\xfa\x55" + b"\x90" * 100, sdt_base=0x5000)
    .note("p", "one", "-4@%edi 8@counter(%rip)", CODE, 0x5000, DATA)
    .note("p", "two", "8@-8(%rbp) 8@$3", CODE + 10, 0x5000)
    .symbol("work", CODE, 40)
    .symbol("counter", DATA + 16, type_=1)
    .symbol("helper", CODE + 100, 20, dynamic=True)
)
SEED.needed.append("libself.so")
WHOLE = SEED.build()
POINTS = [
    parts('process("/app").mark("*")'),
    parts('process("/app").provider("p").mark("one")'),
    parts('process("/app").function("*")'),
    parts('process("/app").function("work").return'),
    parts('process("/app").library("lib*").mark("*")'),
]


class OneFile:
    """A machine with one file, whatever path is asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.env: Mapping[str, str] = {}
        self.release, self.machine, self.user_hz = (6, 18), "x86_64", 250

    def read_file(self, path: str) -> bytes:
        return self.data

    def map_file(self, path: str) -> memoryview:
        return memoryview(self.data)

    def exists(self, path: str) -> bool:
        return not path.startswith("/etc")

    def is_executable(self, path: str) -> bool:
        return True

    def list_dir(self, path: str) -> Sequence[str]:
        return ()

    def glob(self, pattern: str) -> Sequence[str]:
        return ()

    def real_path(self, path: str) -> str:
        return path


def look(data: bytes) -> None:
    """Expand all points, and list; each answer must be one of the two kinds."""
    binder = LiveTargets(OneFile(data))
    for point in POINTS:
        found = binder.expand(point)
        if isinstance(found, NoMatch):
            assert found.message
            assert all(reason.file is not None for reason in found.reasons)
        else:
            for expansion in found:
                assert expansion.point.startswith('process("/app")')
    for marker in markers_of("/app", OneFile(data)):
        assert marker.sites
        assert all(0 <= site.offset < len(data) for site in marker.sites)


def test_the_seed_itself_is_good() -> None:
    (one, two) = markers_of("/app", OneFile(WHOLE))

    assert [v.name for v in one.variables] == ["arg1", "arg2"]
    assert two.sites[0].unsafe == ""
    assert not isinstance(LiveTargets(OneFile(WHOLE)).expand(POINTS[2]), NoMatch)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=12,
    )
)
def test_overwritten_bytes(patches: list[tuple[int, bytes]]) -> None:
    data = bytearray(WHOLE)
    for at, piece in patches:
        data[at : at + len(piece)] = piece
    look(bytes(data))


def headers() -> Iterator[int]:
    """Where the file's structure is: its head, and the tables behind the code."""
    yield from range(16, 64 + 3 * 56)
    yield from range(0x2000, len(WHOLE))


@settings(max_examples=400)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(headers())),
            st.sampled_from([0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_odd_values_in_the_structure(patches: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for at, value in patches:
        data[at] = value
    look(bytes(data))


@settings(max_examples=100)
@given(st.integers(0, len(WHOLE)), st.binary(max_size=64))
def test_cut_off_and_continued_otherwise(size: int, rest: bytes) -> None:
    look(WHOLE[:size] + rest)


@given(st.text(max_size=40), st.sampled_from(["x86_64", "aarch64"]))
def test_any_argument_text(text: str, machine: str) -> None:
    for piece in split(text):
        found = operand(piece, machine)
        assert isinstance(found, Register | Memory | Constant | UnreadableOperand)


OPERAND = st.from_regex(
    r"-?[1248]f?@(%r[abcd]x|\$-?[0-9]{1,20}|-?[0-9]{1,6}\(%r(bp|sp|[89])(,%rcx,[1248])?\))",
    fullmatch=True,
)


@given(st.lists(OPERAND, max_size=12))
def test_split_gives_back_what_was_joined(operands: list[str]) -> None:
    assert split(" ".join(operands)) == operands


@given(OPERAND)
def test_well_formed_operands_are_read(text: str) -> None:
    found = operand(text, "x86_64")

    assert isinstance(found, UnreadableOperand) == bool(re.match("-?[12]f@", text))
    if isinstance(found, Constant):
        assert -(1 << 63) <= found.value < 1 << 63


@given(st.binary(max_size=20))
def test_decoding_stays_within_the_bytes(code: bytes) -> None:
    instruction = decode(code)

    if instruction is not None:
        assert 1 <= instruction.length <= min(len(code), LONGEST)
        assert decode(code[: instruction.length]) == instruction
        assert decode(code[: instruction.length - 1]) is None


@pytest.mark.parametrize("size", [0, 4, 16, 64, 0x1000])
def test_a_recorded_machine_gives_the_same(tmp_path: Path, size: int) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "app").write_bytes(WHOLE[:size])
    (tmp_path / "world.json").write_text("{}")

    found = LiveTargets(RecordedWorld(tmp_path)).expand(POINTS[0])

    assert isinstance(found, NoMatch)
    assert len(found.reasons) == 1
