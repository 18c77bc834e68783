"""Floating point carried in 64-bit integers: the built-ins of that family."""

from __future__ import annotations

import math
import re
import struct
from typing import TYPE_CHECKING

from bridge.interpreter.faults import ScriptError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.interpreter.machine import IrMachine, Item

_LONG, _DOUBLE = struct.Struct("<q"), struct.Struct("<d")
_WORD, _FLOAT = struct.Struct("<I"), struct.Struct("<f")
_NOT_A_NUMBER = 0x7FF8000000000000
INT64_MAX, INT64_MIN = (1 << 63) - 1, -(1 << 63)


def _real(bits: int) -> float:
    return float(_DOUBLE.unpack(_LONG.pack(bits))[0])


def _bits(value: float) -> int:
    if math.isnan(value):
        return _NOT_A_NUMBER
    return int(_LONG.unpack(_DOUBLE.pack(value))[0])


_NUMBER = re.compile(rb"([-+]?)(\d*)\.?(\d*)(?:[eE]([-+]?)(\d*))?\Z")
_LARGEST_EXPONENT = 2000
"""Beyond, everything is 0 or infinite."""


def _parse(_: IrMachine, text: bytes) -> int:
    """The steps are SystemTap's, so that each rounds as there."""
    found = _NUMBER.match(text)
    if found is None:
        raise ScriptError("invalid format")
    sign, whole, part, exponent_sign, exponent = found.groups()
    value, power = 0.0, 1.0
    for digit in whole + part:
        value = value * 10 + (digit - ord("0"))
    for _digit in part:
        power *= 10
    for _step in range(min(int(exponent or 0), _LARGEST_EXPONENT)):
        power = power * 10 if exponent_sign == b"-" else power / 10
    value = _divide(value, power)
    if math.isnan(value):
        raise ScriptError("invalid format")
    return _bits(-value if sign == b"-" else value)


def _decimals(part: float, count: int) -> str:
    """By repeated multiplication; the last one may come out as 10."""
    shown = ""
    for _step in range(count - 1):
        part *= 10
        shown += str(int(part))
        part -= int(part)
    part *= 10
    return shown + str(int(part) + ((part - int(part)) * 10 >= 5))


def _text(machine: IrMachine, bits: int, digits: int) -> bytes:
    value, digits = _real(bits), (digits + (1 << 31)) % (1 << 32) - (1 << 31)
    if math.isnan(value):
        return b"NaN"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if math.isinf(value):
        return f"{sign}Infinity".encode()
    rest, scaled = abs(value), 0
    while rest >= 1e18:
        rest, scaled = rest / 10, scaled + 1
    digits = min(digits, machine.session.program.limits.maxstringlen)
    decimals = f".{_decimals(rest - int(rest), digits)}" if digits > 0 else ""
    exponent = f"e{scaled}" if scaled else ""
    return f"{sign}{int(rest)}{decimals}{exponent}".encode()


_ROUNDING: dict[int, Callable[[float], float]] = {
    0: round,
    2: math.floor,
    3: math.ceil,
    4: lambda value: math.copysign(math.floor(abs(value) + 0.5), value),
}
"""By mode: to the nearest with ties to even, down, up, ties away from 0. Others: towards 0."""


def _to_long(_: IrMachine, bits: int, mode: int, __: int) -> int:
    value = _real(bits)
    if math.isnan(value):
        return 0
    if math.isinf(value):
        return INT64_MAX if value > 0 else INT64_MIN
    rounded = int(_ROUNDING.get(mode & 0xFF, math.trunc)(value))
    return min(max(rounded, INT64_MIN), INT64_MAX)


def _widen(_: IrMachine, bits: int) -> int:
    return _bits(_FLOAT.unpack(_WORD.pack(bits & 0xFFFFFFFF))[0])


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    if not left or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _remainder(left: float, right: float) -> float:
    return math.remainder(left, right) if right and math.isfinite(left) else math.nan


_QUIET = 1 << 51
_NOT_A_NUMBER = 0x7FF8 << 48


def _result(value: float, *operands: int) -> int:
    """The bits; what is not a number is an operand that is none, signalling ones first."""
    if not math.isnan(value):
        return _bits(value)
    none = [bits for bits in operands if math.isnan(_real(bits))]
    found = [bits for bits in none if not bits & _QUIET] + none
    return found[0] | _QUIET if found else _NOT_A_NUMBER


def _root(_: IrMachine, bits: int) -> int:
    value = _real(bits)
    return _result(math.sqrt(value) if value >= 0 else math.nan, bits)


def _binary(
    function: Callable[[float, float], float],
) -> Callable[[IrMachine, int, int], int]:
    return lambda _, left, right: _result(function(_real(left), _real(right)), left, right)


def _test(function: Callable[[float, float], bool]) -> Callable[[IrMachine, int, int], int]:
    return lambda _, left, right: int(function(_real(left), _real(right)))


FUNCTIONS: dict[str, Callable[..., Item | None]] = {
    "string_to_fp": _parse,
    "fp32_to_fp64": _widen,
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
