"""A format literal -> `ir.program.Format`: the printf family's conversions.

Rule: one flag only, as SystemTap parses it (`%-#s` is an error). Spec: section 8.
"""

from __future__ import annotations

import re
from functools import lru_cache

from bridge.ir.program import Conversion, Format
from bridge.script.analysis.types import Type
from bridge.script.syntax.lex import evaluate

_CONVERSION = re.compile(r"%([0+\-\ \#]?)(\*|[0-9]*)(?:\.(\*|[0-9]*))?l?([diuoxXpcsbmM])")
_PREFIX = re.compile(r"%[0+\-\ \#]?(?:\*|[0-9]*)(?:\.(?:\*|[0-9]*))?l?")

MAX_SIZE = (1 << 31) - 1
"""The largest width or precision; at run time the size of the buffer is the limit."""
TRAILING = "trailing incomplete print format conversion"
INVALID = "invalid or missing conversion specifier"


def _size(text: str | None) -> int | str | None:
    if text == "*":
        return "*"
    if not text:
        return None
    digits = text.lstrip("0")
    return min(int(digits or "0"), MAX_SIZE) if len(digits) <= len(str(MAX_SIZE)) else MAX_SIZE


def _pieces(raw: str) -> list[str | Conversion] | str:
    """Literal texts (escapes kept) and conversions; a str says what is wrong."""
    pieces: list[str | Conversion] = []
    at = 0
    while at < len(raw):
        if raw[at] != "%":
            end = raw.find("%", at)
            end = len(raw) if end < 0 else end
            pieces.append(raw[at:end])
            at = end
        elif raw.startswith("%%", at):
            pieces.append("%")
            at += 2
        elif found := _CONVERSION.match(raw, at):
            flag, width, precision, letter = found.groups()
            # "%.d" is a precision of 0
            exact = "0" if precision == "" else precision
            pieces.append(Conversion(letter, flag, _size(width), _size(exact)))
            at = found.end()
        else:
            prefix = _PREFIX.match(raw, at)
            incomplete = prefix is not None and prefix.end() == len(raw)
            return TRAILING if incomplete else INVALID
    return pieces


def format_problem(raw: str) -> str:
    """What SystemTap says against a format literal (escapes kept); empty if nothing."""
    found = _pieces(raw)
    return found if isinstance(found, str) else ""


@lru_cache(256)  # a wildcard has the same one at thousands of places
def parse_format(raw: str) -> Format:
    """The format of a literal that has no problem; a NUL ends the text up to a conversion."""
    found = _pieces(raw)
    assert not isinstance(found, str)
    pieces: list[bytes | Conversion] = []
    for piece in found:
        if isinstance(piece, Conversion):
            pieces.append(piece)
            continue
        text = evaluate(piece).encode("latin-1")
        if pieces and isinstance(last := pieces[-1], bytes):
            pieces[-1] = last + text
        else:
            pieces.append(text)
    kept = (p.partition(b"\0")[0] if isinstance(p, bytes) else p for p in pieces)
    return Format(tuple(piece for piece in kept if piece))


def argument_types(format_: Format) -> tuple[Type, ...]:
    """The type of each argument that the format takes, `*` widths included."""
    types: list[Type] = []
    for piece in format_.pieces:
        if isinstance(piece, bytes):
            continue
        types += [Type.LONG for size in (piece.width, piece.precision) if size == "*"]
        types.append(Type.STRING if piece.letter == "s" else Type.LONG)
    return tuple(types)
