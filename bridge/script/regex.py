"""The syntax of SystemTap's regular expressions: what is wrong with a pattern.

POSIX extended ones with `(?:…)`. Rule: only the syntax is known here; matching is the run
time's. Spec: section 3 and regex matching in the language reference.
"""

from __future__ import annotations

from bridge.script.lex import evaluate

CLASSES = frozenset(
    [
        "alpha",
        "alnum",
        "blank",
        "cntrl",
        "d",
        "digit",
        "xdigit",
        "graph",
        "l",
        "lower",
        "print",
        "punct",
        "s",
        "space",
        "u",
        "upper",
    ]
)
MAX_REPEAT = 12345


class _Problem(Exception):
    pass


class _Pattern:
    """A reader over a pattern, one byte at a time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def next(self) -> str:
        c = self.peek()
        self._at += 1
        return c

    def problem(self, message: str, back: int = 0) -> _Problem:
        return _Problem(f"(at position {max(self._at - back, 0)}): {message}")

    def run(self) -> None:
        self._alternatives()
        if self.peek() == ")":
            raise self.problem("unbalanced ')'")

    def _alternatives(self) -> None:
        self._depth += 1
        if self._depth > 200:
            raise self.problem("nesting too deep")
        while True:
            while self.peek() not in {"", "|", ")"}:
                self._factor()
            if self.peek() != "|":
                break
            self._at += 1
        self._depth -= 1

    def _factor(self) -> None:
        c = self.next()
        if c in {"*", "+", "?", "{"}:
            raise self.problem(f"unexpected '{c}'", 1)
        if c == "[":
            self._range()
        elif c == "(":
            self._group()
        elif c == "\\" and not self.next():
            raise self.problem("unexpected end of regex")
        while self.peek() and self.peek() in "*+?{":
            sign = self.next()
            if c in {"^", "$"}:
                raise self.problem(f"postfix closure '{sign}' applied to anchoring operator", 1)
            if sign == "{":
                self._count()

    def _group(self) -> None:
        if self.peek() == "?":
            self._at += 1
            if self.peek() != ":":
                raise self.problem(f"unexpected '(?{self.peek()}'", 1)
            self._at += 1
        opened = self._at
        self._alternatives()
        if not self.peek():
            self._at = opened
            raise self.problem("expected ), found end of regex", 1)
        self._at += 1

    def _count(self) -> None:
        self._number()
        c = self.next()
        if c == "," and self.peek() != "}":
            if not self.peek().isdigit():
                raise self.problem("expected '}' or number")
            self._number()
        if c == ",":
            c = self.next()
        if c != "}":
            raise self.problem("expected ',' or '}'", 1)

    def _number(self) -> None:
        start = self._at
        while self.peek().isdigit():
            self._at += 1
        digits = self._text[start : self._at]
        if not digits:
            raise self.problem("expected number")
        if len(digits) > len(str(MAX_REPEAT)) or int(digits) >= MAX_REPEAT:
            raise self.problem(f"{digits} is too large")

    def _range(self) -> None:
        if self.peek() == "^":
            self._at += 1
        first = True
        while first or self.peek() != "]":
            if not self.peek():
                raise self.problem("unclosed character class", 2)
            self._member()
            first = False
        self._at += 1

    def _member(self) -> None:
        if self._text.startswith("[:", self._at):
            end = self._text.find(":]", self._at)
            if end < 0:
                name = self._text[self._at + 2 :]
                raise self.problem(f"unclosed character class '[:{name}'")
            name = self._text[self._at + 2 : end]
            if name not in CLASSES:
                raise _Problem(f"unknown character class '{name}'")
            self._at = end + 2
            return
        low = self._one()
        if self.peek() == "-" and self._text[self._at + 1 : self._at + 2] not in {"", "]"}:
            self._at += 1
            high = self._one()
            if high < low:
                raise self.problem(f"Inverted character range {low}-{high}", 1)

    def _one(self) -> str:
        c = self.next()
        return self.next() if c == "\\" else c


def regex_problem(raw: str) -> str:
    """What is wrong with a pattern (escapes kept); empty if nothing."""
    try:
        _Pattern(evaluate(raw)).run()
    except _Problem as problem:
        return str(problem)
    return ""
