"""Regular expressions of the language -> Python's.

Differences that matter: character classes like `[[:alpha:]]`, a backslash or bracket inside
brackets stands for itself, `.` matches a newline, `$` is the very end.
"""

from __future__ import annotations

import re
from functools import cache

_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r" \t\n\v\f\r",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
    "xdigit": "0-9a-fA-F",
    "cntrl": r"\x00-\x1f\x7f",
    "print": " -~",
    "graph": "!-~",
}
_PIECE = re.compile(r"\\.|\[\^?\]?(?:\[:\w+:\]|[^\]])*\]|\$|.", re.DOTALL)
_INSIDE = re.compile(r"\[:(\w+):\]|(.)", re.DOTALL)


@cache
def compile_pattern(pattern: bytes) -> re.Pattern[bytes]:
    """The compiled form of a pattern."""
    text = pattern.decode("latin-1")
    parts = [_piece(found[0]) for found in _PIECE.finditer(text)]
    return re.compile("".join(parts).encode("latin-1"), re.DOTALL)


def _piece(piece: str) -> str:
    if piece == "$":
        return r"\Z"
    if not piece.startswith("[") or len(piece) == 1:
        return piece
    mark = "^" if piece[1] == "^" else ""
    inside = piece[1 + len(mark) : -1]
    return f"[{mark}{_INSIDE.sub(_member, inside)}]"


def _member(found: re.Match[str]) -> str:
    if found[1]:
        return _CLASSES[found[1]]
    return found[2] if found[2] == "-" or found[2].isalnum() else re.escape(found[2])
