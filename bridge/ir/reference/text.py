"""Text with C escapes, as printf's `%#c` and the quoting built-ins show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ESCAPES = {7: b"a", 8: b"b", 9: b"t", 10: b"n", 11: b"v", 12: b"f", 13: b"r"}


def int32(value: int) -> int:
    """The value as a C int."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def _characters(text: bytes) -> Iterator[str | int]:
    """The characters of UTF-8 beyond ASCII as text, everything else as bytes."""
    at = 0
    while at < len(text):
        first = text[at]
        size = next((n for n, top in ((4, 0xF0), (3, 0xE0), (2, 0xC0)) if first >= top), 1)
        try:
            character = text[at : at + size].decode() if size > 1 and first < 0xF8 else ""
        except UnicodeDecodeError:
            character = ""
        yield character or first
        at += size if character else 1


def _escape(character: str | int) -> bytes:
    if isinstance(character, str):
        code = ord(character)
        return b"\\U%08X" % code if code > 0xFFFF else b"\\u%04X" % code
    if character in _ESCAPES:
        return b"\\" + _ESCAPES[character]
    if character in b'\\"':
        return b"\\" + bytes([character])
    return bytes([character]) if 0x20 <= character < 0x7F else b"\\%03o" % character


def escaped(text: bytes, room: int | None = None) -> bytes:
    """Unprintable bytes, quotes and backslashes as C escapes; no escape is cut in two."""
    shown = b""
    for piece in map(_escape, _characters(text)):
        if room is not None and len(shown) + len(piece) > room:
            break
        shown += piece
    return shown


def buffer_quoted(data: bytes, most: int, longest: int) -> bytes:
    """A buffer in quotes; dots follow if more than its last character did not fit."""
    room = max(min(most, longest) if most > 0 else longest, 5) - 2
    left, shown = list(_characters(data)), b""
    while left and len(shown) < room:
        piece = _escape(left.pop(0))
        if len(shown) + len(piece) > room:
            break
        shown += piece
    if left:
        return b'"' + escaped(data, room - 3) + b'"...'
    return b'"' + shown + b'"'
