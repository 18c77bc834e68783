"""Floating point built-ins of the interpreter, at their edges."""

import math
import struct

import pytest

from bridge.interpreter.faults import ScriptError
from bridge.interpreter.floats import FUNCTIONS


def _bits(value: float) -> int:
    return struct.unpack("<q", struct.pack("<d", value))[0]


def _call(name: str, *arguments: object) -> object:
    return FUNCTIONS[name](None, *arguments)


@pytest.mark.parametrize(
    ("value", "mode", "result"),
    [
        (2.5, 0, 2),
        (2.5, 1, 2),
        (-2.5, 2, -3),
        (2.1, 3, 3),
        (-2.5, 4, -3),
        (math.inf, 0, 2**63 - 1),
        (-math.inf, 0, -(2**63)),
        (math.nan, 0, 0),
        (1e300, 1, 2**63 - 1),
    ],
)
def test_rounding(value: float, mode: int, result: int) -> None:
    assert _call("fp_to_long", _bits(value), mode, 0) == result


@pytest.mark.parametrize(
    ("name", "left", "right", "result"),
    [
        ("fp_div", 1.0, 0.0, math.inf),
        ("fp_div", -1.0, 0.0, -math.inf),
        ("fp_rem", 5.5, 2.0, -0.5),
        ("fp_mul", 1.5, 2.0, 3.0),
    ],
)
def test_arithmetic(name: str, left: float, right: float, result: float) -> None:
    assert _call(name, _bits(left), _bits(right)) == _bits(result)


def test_what_is_no_number() -> None:
    with pytest.raises(ScriptError, match="invalid format"):
        _call("string_to_fp", b"x")
    assert _call("fp_eq", _bits(math.nan), _bits(math.nan)) == 0
    assert math.isnan(struct.unpack("<d", struct.pack("<q", _call("fp_sqrt", _bits(-1.0))))[0])
