"""64-bit integers as the language computes with them (spec section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T", int, bytes, str)
MASK = (1 << 64) - 1
SIGN = 1 << 63


def wrap(value: int) -> int:
    """The value as a signed 64-bit integer."""
    return ((value + SIGN) & MASK) - SIGN


def _divide(left: int, right: int) -> int:
    quotient = abs(left) // abs(right)
    return -quotient if (left < 0) != (right < 0) else quotient


_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": lambda a, b: a - _divide(a, b) * b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "<<": lambda a, b: a << (b & 63),
    ">>": lambda a, b: a >> (b & 63),
    ">>>": lambda a, b: (a & MASK) >> (b & 63),
}


def calculate(op: str, left: int, right: int) -> int | None:
    """Left op right; None for a division by 0."""
    if right == 0 and op in {"/", "%"}:
        return None
    return wrap(_OPERATORS[op](left, right))


def compare(op: str, left: T, right: T) -> int:
    """0 or 1. Strings compare by their bytes."""
    results = {
        "==": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }
    return int(results[op])
