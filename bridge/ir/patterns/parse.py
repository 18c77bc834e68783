"""The characters of a pattern -> its tree.

In goes a `Text`: bytes with their places in the source, where escapes of string literals are
done already. What is wrong is a `PatternError`; its words and position are SystemTap's, which
has read one character ahead at some of them. POSIX's extended syntax with `(?:…)`; a backslash
makes the next character literal. The rule: nothing is accepted here that has no meaning.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from bridge.ir.patterns import tree
from bridge.ir.patterns.tree import Tree, alternatives
from bridge.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_REPEAT = 12345
_MAX_DEPTH = 100
_SPECIAL = frozenset(b".[{()\\*+?|^$")
_REPEATS = frozenset(b"*+?{")


def _mask(text: str) -> int:
    return sum(1 << byte for byte in set(text.encode()))


_DIGITS, _SPACES = _mask(string.digits), _mask(" \t\r\n\v\f")
_LOWER, _UPPER = _mask(string.ascii_lowercase), _mask(string.ascii_uppercase)
_PUNCTUATION = _mask(string.punctuation.replace("\\", ""))
_PRINTED = _mask(string.punctuation) | _DIGITS | _LOWER | _UPPER
CLASSES = {
    "alpha": _LOWER | _UPPER,
    "alnum": _LOWER | _UPPER | _DIGITS,
    "blank": _mask(" \t"),
    "cntrl": _mask("".join(map(chr, [*range(1, 32), 127]))),
    "d": _DIGITS,
    "digit": _DIGITS,
    "xdigit": _mask(string.hexdigits),
    "graph": _PRINTED,
    "l": _LOWER,
    "lower": _LOWER,
    "print": _PRINTED | _mask(" "),
    "punct": _PUNCTUATION,
    "s": _SPACES,
    "space": _SPACES,
    "u": _UPPER,
    "upper": _UPPER,
}
"""Named classes: `punct` is without the backslash, as in SystemTap."""


class PatternError(Exception):
    """What is wrong with a pattern, and where: a position in the source, None if unknown."""

    def __init__(self, message: str, position: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class PatternByte:
    """A byte that stands at `start` to `end` in the source; or what is wrong there."""

    byte: int
    start: int
    end: int
    problem: PatternError | None = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """A tree, and its number of groups with that of the whole match."""

    tree: Tree
    groups: int


def parse_bytes(pattern: bytes) -> Pattern:
    """The pattern that bytes without escapes stand for."""
    return parse([PatternByte(byte, at, at + 1) for at, byte in enumerate(pattern)])


def parse(units: Sequence[PatternByte]) -> Pattern:
    """The pattern; PatternError says why it is none, or that it is too large."""
    parser = _Parser(_Cursor(units))
    whole = parser.whole()
    needed = tree.operations(whole) + 3
    groups = parser.groups
    if (
        groups > tree.MAX_GROUPS
        or needed > tree.MAX_OPERATIONS
        or needed * groups > tree.MAX_SLOTS
    ):
        raise PatternError(f"too large: {needed} operations, {groups - 1} groups", None)
    return Pattern(whole, groups)


class _Cursor:
    """A reader that looks one character ahead; its position moves when it looks."""

    def __init__(self, units: Sequence[PatternByte]) -> None:
        self._units = units
        self._index = 0
        self._ahead = 0
        self.pos = 0
        self.last = 0

    @property
    def finished(self) -> bool:
        """Whether all has been seen."""
        return self._index == len(self._units)

    def peek(self) -> int:
        """The next character; 0 at the end."""
        if not self._ahead and not self.finished:
            unit = self._units[self._index]
            if unit.problem:
                raise unit.problem
            self._index += 1
            self.last, self.pos = unit.start, unit.end
            self._ahead = unit.byte
        return self._ahead

    def next(self) -> int:
        """Take the next character, which must be there."""
        if not self._ahead and self.finished:
            raise PatternError("unexpected end of regex", self.pos)
        taken = self.peek()
        self._ahead = 0
        return taken

    def follows(self, byte: int) -> bool:
        """Whether this comes after what has been seen."""
        return not self.finished and self._units[self._index].byte == byte

    @property
    def left(self) -> int:
        """How much of the source has not been seen."""
        return self._units[-1].end - self.pos if self._units else 0


class _Parser:
    """Recursive descent; `groups` counts those that were opened, with the whole."""

    def __init__(self, cursor: _Cursor) -> None:
        self._cursor = cursor
        self._depth = 0
        self.groups = 1

    def whole(self) -> Tree:
        found = self._alternatives()
        if not self._cursor.finished:
            raise PatternError("unbalanced ')'", self._cursor.pos)
        return found

    def _problem(self, message: str) -> PatternError:
        return PatternError(message, self._cursor.last)

    def _expect(self, wanted: str) -> None:
        try:
            found = chr(self._cursor.next())
        except PatternError:
            raise self._problem(f"expected {wanted}, found end of regex") from None
        if found != wanted:
            raise self._problem(f"expected {wanted}, found {found}")

    def _alternatives(self) -> Tree:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._problem("nesting too deep")
        found = self._series()
        while self._cursor.peek() == ord("|"):
            self._cursor.next()
            found = alternatives(found, self._series())
        self._depth -= 1
        return found

    def _series(self) -> Tree:
        parts: list[Tree] = []
        while True:
            byte = self._cursor.peek()
            if not byte or byte in b"|)":
                break
            parts.append(self._repeated())
        return parts[0] if len(parts) == 1 else tree.Series(tuple(parts))

    def _repeated(self) -> Tree:
        byte = self._cursor.peek()
        if byte in _REPEATS:
            raise self._problem(f"unexpected '{chr(byte)}'")
        literal = byte == ord("\\") or byte not in _SPECIAL
        found = self._one()
        count = 0
        while self._cursor.peek() in _REPEATS:
            sign = chr(self._cursor.next())
            if isinstance(found, tree.Start | tree.End):
                raise self._problem(f"postfix closure '{sign}' applied to anchoring operator")
            count += 1
            if self._depth + count > _MAX_DEPTH:
                raise self._problem("nesting too deep")
            found = self._repeat(found, sign)
        # A lone set merges with its neighbours (tree.alternatives), not a repeated literal.
        return tree.Series((found,)) if literal and count else found

    def _one(self) -> Tree:
        byte = self._cursor.next()
        match chr(byte):
            case ".":
                return tree.OneOf(tree.ANY)
            case "[":
                return self._set()
            case "(":
                return self._group()
            case "^":
                return tree.Start()
            case "$":
                return tree.End()
            case "\\":
                return tree.OneOf(1 << self._cursor.next())
            case _:
                return tree.OneOf(1 << byte)

    def _group(self) -> Tree:
        number = None
        if self._cursor.peek() == ord("?"):
            self._cursor.next()
            sign = self._cursor.peek()
            if sign != ord(":"):
                raise self._problem(f"unexpected '(?{chr(sign)}'" if sign else "unexpected '(?")
            self._cursor.next()
        else:
            number = self.groups
            self.groups += 1
        body = self._alternatives()
        self._expect(")")
        return tree.Group(body, number)

    # --- repetition ---------------------------------------------------------------------------

    def _repeat(self, body: Tree, sign: str) -> Tree:
        match sign:
            case "*":
                return alternatives(tree.Many(body), tree.Series())
            case "+":
                return tree.Many(body)
            case "?":
                return alternatives(body, tree.Series())
            case _:
                return self._counted(body)

    def _counted(self, body: Tree) -> Tree:
        low = self._number()
        high: int | None = low
        sign = self._cursor.next()
        if sign == ord(","):
            high = self._upper_bound()
        elif sign != ord("}"):
            raise self._problem("expected ',' or '}'")
        if high is not None and high < low:
            raise self._problem(f"{low} to {high} times")
        if high is None and low < 2:
            body = tree.Many(body)
            return body if low else alternatives(body, tree.Series())
        return tree.Times(body, low, high)

    def _upper_bound(self) -> int | None:
        sign = self._cursor.peek()
        if sign == ord("}"):
            self._cursor.next()
            return None
        if not chr(sign).isdecimal():
            raise PatternError("expected '}' or number", self._cursor.pos)
        high = self._number()
        self._expect("}")
        return high

    def _number(self) -> int:
        digits = ""
        while chr(self._cursor.peek()).isdecimal():
            digits += chr(self._cursor.next())
        if not digits:
            raise PatternError("expected number", self._cursor.pos)
        if len(digits) > len(str(_MAX_REPEAT)) or int(digits) >= _MAX_REPEAT:
            raise PatternError(f"{digits} is too large", self._cursor.pos)
        return int(digits)

    # --- sets ---------------------------------------------------------------------------------

    def _set(self) -> Tree:
        cursor = self._cursor
        inverted = cursor.peek() == ord("^")
        if inverted:
            cursor.next()
        mask = 0
        while True:
            if cursor.finished:
                raise self._problem("unclosed character class")
            mask |= self._member()
            if cursor.peek() == ord("]"):
                break
        cursor.next()
        return tree.OneOf(tree.ANY & ~mask if inverted else mask)

    def _member(self) -> int:
        cursor = self._cursor
        low = cursor.next()
        if low == ord("\\"):
            low = cursor.peek()
            cursor.next()
        elif low == ord("[") and cursor.peek() == ord(":"):
            cursor.next()
            return self._class()
        if cursor.left < 2 or cursor.peek() != ord("-") or cursor.follows(ord("]")):
            return 1 << low
        cursor.next()
        high = cursor.peek()
        if high < low:
            raise PatternError(f"Inverted character range {chr(low)}-{chr(high)}", cursor.pos)
        cursor.next()
        return (2 << high) - (1 << low)

    def _class(self) -> int:
        cursor = self._cursor
        name = ""
        byte = cursor.peek()
        while not (byte == ord(":") and cursor.follows(ord("]")) and cursor.left > 1):
            if cursor.finished:
                raise PatternError(f"unclosed character class '[:{name}'", cursor.pos)
            name += chr(byte)
            cursor.next()
            byte = cursor.peek()
        cursor.next()
        cursor.next()
        if name not in CLASSES:
            raise PatternError(f"unknown character class '{name}'", None)
        return CLASSES[name]
