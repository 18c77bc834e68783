"""What commands say to people: messages on standard error, in colour where that is seen.

One rule: plain text is the content. Colour is added here only, for a terminal that is not
`dumb`, and never with NO_COLOR.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from bridge import progress
from bridge.diagnostics import Severity, render, told

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.diagnostics import Diagnostic
    from bridge.source import SourceMap

MOST_TOLD = 500
_RED, _YELLOW, _PLAIN = "\x1b[1;31m", "\x1b[1;33m", "\x1b[0m"


def _coloured(text: str, colour: str) -> str:
    """The text with its first word (`error[…]:`) in colour, if standard error shows colours."""
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR"):
        return text
    if os.environ.get("TERM", "dumb") == "dumb":
        return text
    word, colon, rest = text.partition(":")
    return f"{colour}{word}{colon}{_PLAIN}{rest}"


def say_error(message: str) -> None:
    """`error: …` on standard error."""
    progress.clear()
    print(_coloured(f"error: {message}", _RED), file=sys.stderr)


def say(message: str) -> None:
    """A message on standard error that is no error."""
    progress.clear()
    print(message, file=sys.stderr, flush=True)


def say_diagnostics(diagnostics: Iterable[Diagnostic], sources: SourceMap) -> None:
    """Diagnostics on standard error, rendered with their places; not too many."""
    shown = told(diagnostics)
    progress.clear()
    for diagnostic in shown[:MOST_TOLD]:
        colour = _RED if diagnostic.severity is Severity.ERROR else _YELLOW
        print(_coloured(render(diagnostic, sources), colour), file=sys.stderr)
    if len(shown) > MOST_TOLD:
        say(f"{len(shown) - MOST_TOLD} more messages are not shown")
