"""What the user did wrong, as data: collected in a `Sink` and rendered at the edge.

A `Diagnostic` points into a script by `Span`, or into a binary input by `FileOffset`. Rendering
is plain text; colour is the terminal's affair. `as_json` gives the stable machine form.
"""

from __future__ import annotations

import re
from dataclasses import field, replace
from enum import Enum
from string import whitespace
from typing import TYPE_CHECKING, Any

from bridge.source import NOWHERE, Source, SourceLocation, SourceMap, Span
from bridge.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


LONGEST_LINE = 400
"""Of a longer line of a script only the part around the place is shown."""


class Severity(Enum):
    """How bad it is. Warnings never stop a stage."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class FileOffset:
    """A byte of a binary input;

    `context` is the chain of what was being read, outermost first.
    """

    path: str
    byte: int
    context: tuple[str, ...] = ()

    def __str__(self) -> str:
        chain = "".join(f" ({piece})" for piece in self.context)
        return f"{self.path}: byte {self.byte:#x}{chain}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One message.

    `code` is a word (`unset-variable`), `message` the sentence, `token` the description of the
    token it is about in SystemTap's vocabulary (`identifier 'x'`, empty when none), `chain` the
    follow-up messages that SystemTap prints as further blocks ("type was first inferred here"),
    `macros` the macro invocations that the place came out of (`@m` and where), innermost first,
    `context` what was being done.
    """

    code: str
    message: str
    span: Span = NOWHERE
    token: str = ""
    severity: Severity = Severity.ERROR
    phase: str = "semantic"
    hint: str = ""
    chain: tuple[Diagnostic, ...] = ()
    file: FileOffset | None = None
    macros: tuple[tuple[str, Span], ...] = ()
    context: str = ""


@dataclass(slots=True)
class Sink:
    """Collects diagnostics of one compilation or one read; passes go on after an error."""

    items: list[Diagnostic] = field(default_factory=list)

    def report(self, diagnostic: Diagnostic) -> None:
        """Add one diagnostic."""
        self.items.append(diagnostic)

    @property
    def errors(self) -> list[Diagnostic]:
        """The diagnostics that stop the pipeline."""
        return [d for d in self.items if d.severity is Severity.ERROR]

    @property
    def warnings(self) -> list[Diagnostic]:
        """The diagnostics that do not."""
        return [d for d in self.items if d.severity is Severity.WARNING]

    @property
    def failed(self) -> bool:
        """Whether an error was reported."""
        return any(d.severity is Severity.ERROR for d in self.items)


def _expansions(
    source: Source | None, sources: SourceMap
) -> Iterator[tuple[Source, SourceLocation, Span]]:
    """The texts that a text was expanded from, innermost first."""
    while source is not None and source.parent is not None:
        outer = sources.source(source.parent)
        if outer is None:
            return
        yield source, outer.place(source.parent.start), source.parent
        source = outer


def _excerpt(source: Source, place: SourceLocation, span: Span) -> list[str]:
    """The line with a caret row, in the form of the architecture's section 7."""
    number = str(place.line)
    text, column = _window(source.line(place.line), place.column)
    marked = text[column - 1 : max(column, column - 1 + span.end - span.start)]
    carets = "^" * max(1, len(_blank(Source.decode(marked).replace("\t", " "))))
    gutter = " " * len(number)
    return [
        f"{gutter} |",
        f"{number} | {Source.decode(text)}",
        f"{gutter} | {_blank(Source.decode(text[: column - 1]))}{carets}",
    ]


def _blank(text: str) -> str:
    """As much room as a text takes on a terminal; tabs and their like stay."""
    if text.isascii():
        return "".join(c if c in whitespace else " " for c in text)
    from unicodedata import combining, east_asian_width

    return "".join(
        c
        if c in whitespace
        else " " * (0 if combining(c) else 1 + (east_asian_width(c) in "WF"))
        for c in text
    )


def _window(line: str, column: int) -> tuple[str, int]:
    """The part around a column of a line that is too long to be shown, and the column there."""
    if len(line) <= LONGEST_LINE:
        return line, column
    start = max(0, column - 1 - LONGEST_LINE // 2)
    end = start + LONGEST_LINE
    before, after = "..." if start else "", "..." if end < len(line) else ""
    return before + line[start:end] + after, column - start + len(before)


def render(diagnostic: Diagnostic, sources: SourceMap) -> str:
    """The diagnostic as plain text, with place, source line and caret."""
    lines = [f"{diagnostic.severity.value}[{diagnostic.code}]: {diagnostic.message}"]
    if diagnostic.token:
        lines[0] += f": {diagnostic.token}"
    source = sources.source(diagnostic.span)
    if diagnostic.file is not None:
        lines.append(f" --> {diagnostic.file}")
    elif source is not None:
        place = source.place(diagnostic.span.start)
        lines.append(f" --> {place}")
        lines += _excerpt(source, place, diagnostic.span)
        lines += [
            f"  = in expansion of {inner.origin or 'text'} at {outer}"
            for inner, outer, _ in _expansions(source, sources)
        ]
    for name, span in diagnostic.macros:
        if (outer := sources.source(span)) is not None:
            invoked = outer.place(span.start)
            lines.append(f"  = in expansion of macro {name} at {invoked}")
            lines += _excerpt(outer, invoked, span)
    if diagnostic.context:
        lines.append(f"  = {diagnostic.context}")
    if diagnostic.hint:
        lines.append(f"  = hint: {diagnostic.hint}")
    lines += [render(follow_up, sources) for follow_up in diagnostic.chain]
    return "\n".join(lines)


def as_json(diagnostic: Diagnostic, sources: SourceMap) -> dict[str, object]:
    """The diagnostic as plain data:

    code, severity, phase, message, token, place, hint, chain.
    """
    place = sources.place(diagnostic.span)
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "phase": diagnostic.phase,
        "message": diagnostic.message,
        "token": diagnostic.token,
        "place": None
        if place is None
        else {"file": place.name, "line": place.line, "column": place.column},
        "file": None
        if diagnostic.file is None
        else {"path": diagnostic.file.path, "byte": diagnostic.file.byte},
        "hint": diagnostic.hint,
        "macros": [
            {"name": name, "place": str(sources.place(span))}
            for name, span in diagnostic.macros
        ],
        "chain": [as_json(follow_up, sources) for follow_up in diagnostic.chain],
    }


# --- for people -------------------------------------------------------------------------------

MOST_ALTERNATIVES = 5
_ALTERNATIVES = re.compile(r"\((?P<what>similar[^:()]*|alternatives): (?P<names>[^()]+)\)")
_ELSEWHERE = frozenset({"no-match", "while-resolving-probe-point"})
"""Messages that say that something is wrong, and leave it to others to say what."""
_FOLLOWS = frozenset({"unresolved-type"})
"""Errors that come of another one: a value that was refused has no type."""


def without_consequences(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """One error per mistake: where there are others, those that come of them are left out."""
    found = list(dict.fromkeys(diagnostics))
    causes = [d for d in found if d.severity is Severity.ERROR and d.code not in _FOLLOWS]
    return [d for d in found if d.code not in _FOLLOWS or not causes]


def told(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """What people read: one diagnostic per mistake, its reason first, with few alternatives.

    The texts of the diagnostics themselves are SystemTap's.
    """
    return [_plain(diagnostic) for diagnostic in without_consequences(diagnostics)]


def _plain(diagnostic: Diagnostic) -> Diagnostic:
    chain = tuple(_flat(diagnostic))
    reasons = [d for d in chain if d.code not in _ELSEWHERE] or list(chain[-1:])
    if diagnostic.code not in _ELSEWHERE or not chain:
        return replace(_shortened(diagnostic), chain=tuple(map(_shortened, diagnostic.chain)))
    first, *others = reasons[:MOST_ALTERNATIVES]
    placed = _place_of(diagnostic, first)
    rest = tuple(map(_shortened, others))
    return replace(_shortened(first), chain=rest, context=diagnostic.message, **placed)


def _place_of(outer: Diagnostic, reason: Diagnostic) -> dict[str, Any]:
    """The place of a reason: its own in the script, else that of what it is the reason of."""
    if reason.span != NOWHERE:
        return {}
    return {"span": outer.span, "macros": outer.macros, "file": None}


def _flat(diagnostic: Diagnostic) -> Iterator[Diagnostic]:
    """The follow-ups of a message, and theirs."""
    for inner in diagnostic.chain:
        yield inner
        yield from _flat(inner)


def _shortened(diagnostic: Diagnostic) -> Diagnostic:
    message = _ALTERNATIVES.sub(_first_names, diagnostic.message)
    if diagnostic.hint.startswith("did you mean"):
        message = _ALTERNATIVES.sub("", diagnostic.message).rstrip()
    return replace(diagnostic, message=message)


def _first_names(found: re.Match[str]) -> str:
    names = found["names"].split(", ")[:MOST_ALTERNATIVES]
    return f"({found['what']}: {', '.join(names)})"


def in_words(diagnostic: Diagnostic, sources: SourceMap | None = None) -> str:
    """A diagnostic in one line: place, message, token, hint."""
    place = sources.place(diagnostic.span) if sources is not None else None
    text = f"{place}: {diagnostic.message}" if place is not None else diagnostic.message
    if diagnostic.token:
        text += f": {diagnostic.token}"
    if diagnostic.hint:
        text += f" ({diagnostic.hint})"
    return text
