"""Text of a facility description -> tokens for `grammars/facility.lark`.

`<`, an optional slash and the name of an element are one token. Between tokens stand white
space and C's comments. The rule: what genevent took as a character of a name or a number is
one, and no other is; texts are Latin-1, one character per byte.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from bridge.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator

# atomic: no text makes the search go back
_BETWEEN = r"(?>(?:[ \t\n\v\f\r]+|/\*(?>.*?\*/)|//[^\n]*)*)"
_SPACE = re.compile(_BETWEEN, re.DOTALL)
_TOKEN = re.compile(
    r"(?P<PROLOG><" + _BETWEEN + r"\?[^>]*>)"
    r"|<" + _BETWEEN + r"(?P<slash>/?)" + _BETWEEN + r"(?P<tag>[A-Za-z_][A-Za-z0-9_-]*)"
    r'|(?P<STRING>"(?:\\.|[^"\\\n])*")'
    r"|(?P<WORD>[A-Za-z0-9_-]+)"
    r"|(?P<sign>/(?!\*)|[>=])",
    re.DOTALL,
)
_TEXT = re.compile(r"[^<]*")
_BYTE_ORDER_MARKS = ("\ufeff", "\xef\xbb\xbf")
_DESCRIPTION = "description"
LONGEST_STRING = 1023
"""Bytes of a quoted string: the generators' buffer."""


class FacilityError(TraceError):
    """A description that cannot be read; the message names file and line."""


class FacilityToken(NamedTuple):
    """A token; `type` is the grammar's literal or the name of its terminal."""

    type: str
    text: str
    line: int


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.at = next((len(m) for m in _BYTE_ORDER_MARKS if text.startswith(m)), 0)
        self.line = 1
        self.counted = 0

    def here(self) -> int:
        """The line of the place that is read."""
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        return self.line

    def fail(self, message: str) -> FacilityError:
        """The error at this place, to be raised."""
        return FacilityError(f"{self.name}:{self.here()}: {message}")

    def next(self) -> FacilityToken | None:
        """The next token; None at the end."""
        space = _SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at
        if self.at >= len(self.text):
            return None
        line, match = self.here(), _TOKEN.match(self.text, self.at)
        if match is None:
            raise self.fail(self._wrong())
        self.at = match.end()
        if match["tag"]:
            return FacilityToken(f"<{match['slash']}{match['tag']}", match["tag"], line)
        if match["STRING"] and len(match["STRING"]) > LONGEST_STRING + 2:
            raise self.fail(f"a quoted text is longer than {LONGEST_STRING} bytes")
        if match["sign"]:
            return FacilityToken(match["sign"], match["sign"], line)
        return FacilityToken(str(match.lastgroup), match[0], line)

    def _wrong(self) -> str:
        rest = self.text[self.at : self.at + 4]
        if rest.startswith("/*"):
            return "the comment has no end"
        if rest.startswith('"'):
            return "the quoted text does not end on its line"
        if rest == "<!--":
            return "unexpected character '!': comments are written /* … */ here"
        if rest.startswith("<"):
            return f"unexpected character {rest[1:2]!r} after '<'" if rest[1:] else "unfinished"
        return f"unexpected character {rest[0]!r}"

    def raw(self) -> FacilityToken:
        """All text up to the next tag."""
        line, match = self.here(), _TEXT.match(self.text, self.at)
        text = match[0] if match else ""
        self.at += len(text)
        return FacilityToken("TEXT", text, line)


def tokens(text: str, name: str) -> Iterator[FacilityToken]:
    """The tokens of a text, `$END` last.

    Raises:
        FacilityError: for a character that no token begins with.

    """
    reader = _Reader(text, name)
    inside = opening = False
    while (token := reader.next()) is not None:
        yield token
        if token.text == _DESCRIPTION and token.type.startswith("<"):
            # `<description>` inside of one closes it
            opening = token.type == "<description" and not inside
            inside = opening
        elif token.type == ">" and opening:
            opening = False
            yield reader.raw()
    yield FacilityToken("$END", "the end of the file", reader.here())


__all__ = ["FacilityError", "FacilityToken", "tokens"]
