"""A string literal as a regular expression: escapes first, then the pattern.

In goes the literal's text with its escapes; out come bytes, or what is wrong. The rule: escapes
here are those of SystemTap's pattern reader, which are fewer than C's, and positions count in
the literal's text. Spec: section 3 and regex matching in the language reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.ir.patterns.parse import PatternByte, PatternError, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIMPLE = dict(zip("abtnvfr", b"\a\b\t\n\v\f\r", strict=True))
_HEXADECIMAL = "0123456789abcdef"
_OCTAL = "01234567"


def regex_problem(raw: str) -> str:
    """What is wrong with a pattern (escapes kept); empty if nothing."""
    try:
        parse(list(_units(raw)))
    except PatternError as problem:
        place = "" if problem.position is None else f" (at position {problem.position})"
        return f"{place}: {problem.message}"
    return ""


def pattern_bytes(raw: str) -> bytes:
    """The pattern (one that has no problem) without escapes."""
    return bytes(unit.byte for unit in _units(raw))


def _units(raw: str) -> Iterator[PatternByte]:
    at = 0
    while at < len(raw):
        unit = _unit(raw, at)
        if not unit.byte and not unit.problem:
            return  # a NUL ends a pattern, as any string
        yield unit
        if unit.problem:
            return
        at = unit.end


def _unit(raw: str, at: int) -> PatternByte:
    if raw[at] != "\\":
        return PatternByte(ord(raw[at]), at, at + 1)
    sign = raw[at + 1 : at + 2]
    if not sign:
        return _bad(at, at + 1, "unexpected end of regex")
    if sign == "x":
        return _number(raw, at, at + 2, _HEXADECIMAL, 2)
    if sign in "4567":
        return _bad(at, at + 1, "octal escape sequence out of range")
    if sign in "0123":
        return _number(raw, at, at + 1, _OCTAL, 3)
    return PatternByte(_SIMPLE.get(sign, ord(sign)), at, at + 2)


def _number(raw: str, at: int, first: int, digits: str, count: int) -> PatternByte:
    """A number of so many digits; at the literal's end SystemTap wants one character more."""
    kind = "two hex" if digits is _HEXADECIMAL else "three octal"
    problem = f"{kind} digits required in escape sequence"
    if at + 1 >= len(raw) - 2:
        return _bad(at, at + 1, problem)
    text = raw[first : first + count].lower()
    if any(digit not in digits for digit in text):
        return _bad(at, at + 2 + (raw[at + 2].lower() not in digits), problem)
    return PatternByte(int(text, len(digits)) & 0xFF, at, first + count)


def _bad(start: int, position: int, problem: str) -> PatternByte:
    return PatternByte(0, start, position, PatternError(problem, position))
