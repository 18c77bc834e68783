"""Floating point carried in 64-bit integers: the built-ins of that family."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.ir.reference.machine import Item, Machine

_LONG, _DOUBLE = struct.Struct("<q"), struct.Struct("<d")
INT64_MAX, INT64_MIN = (1 << 63) - 1, -(1 << 63)


def _real(bits: int) -> float:
    return float(_DOUBLE.unpack(_LONG.pack(bits))[0])


def _bits(value: float) -> int:
    return int(_LONG.unpack(_DOUBLE.pack(value))[0])


def _parse(_: Machine, text: bytes) -> int:
    try:
        return _bits(float(text.split()[0]) if text.split() else 0.0)
    except ValueError:
        return _bits(0.0)


def _text(_: Machine, bits: int, digits: int) -> bytes:
    return f"{_real(bits):.{min(max(digits, 0), 99)}f}".encode()


_ROUNDING: dict[int, Callable[[float], float]] = {
    1: math.trunc,
    2: math.floor,
    3: math.ceil,
    4: lambda value: math.copysign(math.floor(abs(value) + 0.5), value),
}
"""By mode: towards 0, down, up, to the nearest with ties away from 0. Others: ties to even."""


def _to_long(_: Machine, bits: int, mode: int, __: int) -> int:
    value = _real(bits)
    if math.isnan(value):
        return INT64_MIN
    if math.isinf(value):
        return INT64_MAX if value > 0 else INT64_MIN
    return min(max(int(_ROUNDING.get(mode, round)(value)), INT64_MIN), INT64_MAX)


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    if not left or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _remainder(left: float, right: float) -> float:
    return math.remainder(left, right) if right and math.isfinite(left) else math.nan


def _root(_: Machine, bits: int) -> int:
    value = _real(bits)
    return _bits(math.sqrt(value) if value >= 0 else math.nan)


def _binary(function: Callable[[float, float], float]) -> Callable[[Machine, int, int], int]:
    return lambda _, left, right: _bits(function(_real(left), _real(right)))


def _test(function: Callable[[float, float], bool]) -> Callable[[Machine, int, int], int]:
    return lambda _, left, right: int(function(_real(left), _real(right)))


FUNCTIONS: dict[str, Callable[..., Item | None]] = {
    "string_to_fp": _parse,
    "long_to_fp": lambda _, value: _bits(float(value)),
    "fp_to_string": _text,
    "fp_to_long": _to_long,
    "fp_add": _binary(lambda a, b: a + b),
    "fp_sub": _binary(lambda a, b: a - b),
    "fp_mul": _binary(lambda a, b: a * b),
    "fp_div": _binary(_divide),
    "fp_rem": _binary(_remainder),
    "fp_sqrt": _root,
    "fp_eq": _test(lambda a, b: a == b),
    "fp_le": _test(lambda a, b: a <= b),
    "fp_lt": _test(lambda a, b: a < b),
}
"""By name."""
