"""Lengths and shapes of x86-64 instructions, one of each form."""

from __future__ import annotations

import pytest

from bridge.probes.x86 import RIP, RSP, decode

WHOLE = [
    "90",
    "f390",
    "6690",
    "6666666690",
    "0f1f440000",
    "662e0f1f840000000000",
    "55",
    "4154",
    "4889e5",
    "b801000000",
    "66b80100",
    "48b80102030405060708",
    "a10102030405060708",
    "67a101020304",
    "c3",
    "c20800",
    "c8100000",
    "6801000000",
    "66680100",
    "6a01",
    "e800000000",
    "48e800000000",
    "eb00",
    "7500",
    "0f8400000000",
    "e300",
    "f6c001",
    "f7c001000000",
    "66f7c00100",
    "48f7c001000000",
    "f7d0",
    "f6d8",
    "83e4f0",
    "4881ec00010000",
    "69c001000000",
    "6bc001",
    "c70000000000",
    "66c7000000",
    "8f00",
    "0f05",
    "0f0b",
    "0fa2",
    "0fc8",
    "0fbae001",
    "0fc2c100",
    "660f70c100",
    "0f0fc1bf",
    "0f38f000",
    "660f3a0fc108",
    "d9c0",
    "dd442408",
    "f0480fc108",
    "64488b042528000000",
    "c5f877",
    "c5f96ec0",
    "c5fdd7c0",
    "c5f970c100",
    "c4e27d18c0",
    "c4e37d39c101",
    "c4e1f96ec0",
    "62f1fd486f00",
    "62f27d4818c0",
    "62f3f54803c201",
    "62f1fd4870c000",
    "62f57c4858c1",
    "66" * 14 + "90",
]


@pytest.mark.parametrize("code", WHOLE)
def test_lengths(code: str) -> None:
    data = bytes.fromhex(code)

    instruction = decode(data + bytes(4))

    assert instruction is not None
    assert instruction.length == len(data)
    assert decode(data[:-1]) is None
    moved = decode(b"\xcc" * 3 + data, 3)
    assert moved == instruction


@pytest.mark.parametrize(
    "code",
    [
        "",
        "06",
        "9a0000000000",
        "d5",
        "0f04",
        "0f3f",
        "48c5f877",
        "8fe878c0c001",  # AMD's XOP
        "c4e07d18c0",  # no such map
        "62f07d4818c0",
        "66" * 15 + "90",
    ],
)
def test_what_is_no_instruction(code: str) -> None:
    assert decode(bytes.fromhex(code) + bytes(0)) is None


@pytest.mark.parametrize(
    ("code", "base", "index", "displacement"),
    [
        ("488b4424f8", RSP, -1, -8),
        ("488b0424", RSP, -1, 0),
        ("488b8424f8ffffff", RSP, -1, -8),
        ("498b442408", 12, -1, 8),
        ("488b44c808", 0, 1, 8),
        ("4a8b44e008", 0, 12, 8),
        ("488b04c500000000", -1, 0, 0),
        ("488b0510000000", RIP, -1, 16),
        ("488b4500", 5, -1, 0),
        ("498b45f0", 13, -1, -16),
        ("488b00", 0, -1, 0),
    ],
)
def test_memory_operands(code: str, base: int, index: int, displacement: int) -> None:
    instruction = decode(bytes.fromhex(code))

    assert instruction is not None
    assert instruction.is_memory
    assert (instruction.base, instruction.index) == (base, index)
    assert instruction.displacement == displacement


@pytest.mark.parametrize(
    ("code", "call", "nop", "target"),
    [
        ("e8fcffffff", True, False, -4),
        ("ff10", True, False, None),
        ("41ff14c4", True, False, None),
        ("ff20", False, False, None),
        ("eb05", False, False, 5),
        ("e900000000", False, True, 0),
        ("e901000000", False, False, 1),
        ("0f8510000000", False, False, 16),
        ("90", False, True, None),
        ("0f1f4000", False, True, None),
        ("488d742600", False, True, None),
        ("c5f877", False, False, None),
        ("4889e5", False, True, None),
        ("31c0", False, False, None),
    ],
)
def test_calls_nops_and_targets(code: str, call: bool, nop: bool, target: int | None) -> None:
    instruction = decode(bytes.fromhex(code))

    assert instruction is not None
    assert (instruction.is_call, instruction.is_nop) == (call, nop)
    assert instruction.target == target
