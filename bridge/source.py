"""Texts and places: one offset space for all texts of a compilation.

Every text gets a base offset from `SourceMap`, so a `Span` is two ints and knows its file. A
macro expansion or a pasted argument is a text of its own whose `parent` is the place that it
stands for. Texts are `str` in which each character is one byte of the file (Latin-1), because
SystemTap counts columns in bytes; `Source.decode` gives the readable form of a piece.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range [start, end) of global offsets."""

    start: int
    end: int

    def to(self, other: Span) -> Span:
        """The range from the start of this one to the end of `other`."""
        return Span(self.start, max(self.end, other.end))


NOWHERE = Span(0, 0)


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """A readable position:

    file name, line and column, both counted from 1; columns are bytes and a tab is one.
    """

    name: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.name}:{self.line}:{self.column}"


@dataclass(slots=True)
class Source:
    """One text:

    its display name, its characters, its base in the offset space, and where it was expanded
    from.
    """

    name: str
    text: str
    base: int
    parent: Span | None = None
    origin: str = ""
    _lines: list[int] = field(default_factory=list)

    def line_starts(self) -> list[int]:
        """Local offsets at which the lines of the text start."""
        if not self._lines:
            starts, at = [0], self.text.find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = self.text.find("\n", at + 1)
            self._lines = starts
        return self._lines

    def place(self, offset: int) -> SourceLocation:
        """The line and column of a global offset inside this text."""
        local = offset - self.base
        starts = self.line_starts()
        line = bisect_right(starts, local)
        return SourceLocation(self.name, line, local - starts[line - 1] + 1)

    def line(self, number: int) -> str:
        """The text of line `number` (from 1), without its newline."""
        starts = self.line_starts()
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end]

    @staticmethod
    def decode(piece: str) -> str:
        """A piece of a Latin-1 byte text as readable text (UTF-8 where it is valid)."""
        return piece.encode("latin-1").decode("utf-8", "replace")


def script_text(text: str) -> str:
    """A name or path of the machine as scripts have it: each of its bytes as a character."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def machine_text(text: str) -> str:
    """The bytes of a script's text as a name or path of the machine, where they are UTF-8."""
    if text.isascii():
        return text
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


class SourceMap:
    """All texts of one compilation.

    Offset 0 belongs to no text, so `NOWHERE` is never a real place.
    """

    def __init__(self) -> None:
        self._sources: list[Source] = []
        self._bases: list[int] = []
        self._next = 1

    def add(
        self, name: str, text: str | bytes, parent: Span | None = None, origin: str = ""
    ) -> Source:
        """Register a text.

        `parent` is the place it was expanded at, `origin` the word for that (`macro`,
        `argument`).
        """
        if isinstance(text, bytes):
            text = text.decode("latin-1")
        source = Source(name, text, self._next, parent, origin)
        self._sources.append(source)
        self._bases.append(self._next)
        self._next += len(text) + 1
        return source

    def source(self, span: Span) -> Source | None:
        """The text in which `span` starts; None for `NOWHERE`."""
        at = bisect_right(self._bases, span.start) - 1
        return self._sources[at] if at >= 0 else None

    def place(self, span: Span) -> SourceLocation | None:
        """The readable position of the start of `span`."""
        source = self.source(span)
        return source.place(span.start) if source else None

    def text(self, span: Span) -> str:
        """The characters of `span`."""
        source = self.source(span)
        return source.text[span.start - source.base : span.end - source.base] if source else ""
