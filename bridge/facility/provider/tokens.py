"""Text of a provider file -> tokens for `grammars/provider.lark`.

Comments are C's and C++'s. A line that starts with '#' is the preprocessor's: the rule is that
`#include` and conditions, which change what the file says, are passed over with a note; the
line markers that cpp leaves say where the text comes from.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from bridge.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"(?P<space>(?>(?:[ \t\r\n\f\v]+|//[^\n]*|/\*(?>.*?\*/)|\\\r?\n)+))"
    r"|(?P<directive>\#(?:\\\r?\n|[^\n])*)"
    r"|(?P<NAME>[A-Za-z_$][A-Za-z0-9_$]*)"
    r"|(?P<NUMBER>[0-9][A-Za-z0-9_$.]*)"
    r"|(?P<text>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|(?P<sign>[{}()\[\],;:*])"
    r"|(?P<OTHER>->|\.\.\.|/(?!\*)|[-+%=<>!&|^~?.@`])",
    re.DOTALL,
)
_KEYWORDS = ("provider", "probe")
_MARKER = re.compile(r'#[ \t]*(?:line[ \t]+)?(\d+)(?:[ \t]+"((?:\\.|[^"\\])*)")?')
_DIRECTIVE = re.compile(r"#[ \t]*([A-Za-z_]*)[ \t]*(.*)", re.DOTALL)
_DEFINE = re.compile(r"([A-Za-z_]\w*)[ \t]+([A-Za-z_][\w \t*]*?)[ \t]*(?:/[/*].*)?", re.DOTALL)
_CONDITIONS = ("if", "ifdef", "ifndef", "else", "elif", "endif")


class ProviderError(TraceError):
    """A provider file that cannot be read; the message names file and line."""


class ProviderToken(NamedTuple):
    """A token; `type` is the grammar's literal or the name of its terminal."""

    type: str
    text: str
    line: int
    file: str


class ProviderReader:
    """One text being read; `notes` and `defines` fill up as its tokens are taken."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.line = 1
        self.notes: list[str] = []
        self.defines: dict[str, str] = {}
        self._told: set[str] = set()

    def fail(self, message: str) -> ProviderError:
        """The error at this place, to be raised."""
        return ProviderError(f"{self.file}:{self.line}: {message}")

    def tokens(self) -> Iterator[ProviderToken]:
        """All tokens, `$END` last."""
        at, fresh = 0, True
        if self.text.startswith("\ufeff"):
            at = 1
        while at < len(self.text):
            match = _TOKEN.match(self.text, at)
            if match is None:
                raise self.fail(self._wrong(at))
            kind, text = str(match.lastgroup), match[0]
            if kind == "directive":
                if not fresh:
                    raise self.fail("'#' stands at the start of a line only")
                self._directive(text)
                at = match.end()
                continue
            if kind not in ("space", "directive"):
                yield self._token(kind, text)
            fresh = "\n" in text if kind == "space" else False
            fresh = fresh or (kind == "space" and at == 0)
            self.line += text.count("\n")
            at = match.end()
        yield ProviderToken("$END", "the end of the file", self.line, self.file)

    def _token(self, kind: str, text: str) -> ProviderToken:
        if kind == "sign" or text in _KEYWORDS:
            kind = text
        elif kind == "text":
            kind = "OTHER"
        return ProviderToken(kind, text, self.line, self.file)

    def _wrong(self, at: int) -> str:
        if self.text.startswith("/*", at):
            return "the comment has no end"
        return f"unexpected character {self.text[at]!r}"

    def _directive(self, text: str) -> None:
        marker = _MARKER.match(text)
        if marker:
            # the line after it has this number; its own new line is still to come
            self.line = int(marker[1]) - 1
            self.file = marker[2] or self.file
            return
        word, rest = _DIRECTIVE.match(text).groups()  # type: ignore[union-attr]  # it starts with '#'
        define = _DEFINE.fullmatch(rest.strip()) if word == "define" else None
        if define:
            self.defines[define[1]] = " ".join(define[2].split())
        if word == "include" or word in _CONDITIONS:
            self._note(word)
        self.line += text.count("\n")

    def _note(self, word: str) -> None:
        """Once for each kind: what is passed over, and what to do about it."""
        kind = "#include" if word == "include" else "a condition"
        if kind not in self._told:
            self._told.add(kind)
            shown = f"#{word} is passed over; -C runs the preprocessor"
            self.notes.append(f"{self.file}:{self.line}: {shown}")


__all__ = ["ProviderError", "ProviderReader", "ProviderToken"]
