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
    if not character:
        return b"\\0"
    return bytes([character]) if 0x20 <= character < 0x7F else b"\\%03o" % character


def escaped(text: bytes, room: int | None = None) -> bytes:
    """Unprintable bytes, quotes and backslashes as C escapes; no escape is cut in two."""
    shown = b""
    for piece in map(_escape, _characters(text)):
        if room is not None and len(shown) + len(piece) > room:
            break
        shown += piece
    return shown


def _width(character: str | int) -> int:
    """The room that an escape takes: a NUL's two bytes are counted as four, as in SystemTap."""
    return len(_escape(character)) if character else 4


def buffer_quoted(data: bytes, most: int, longest: int, size: int | None = None) -> bytes:
    """A buffer of `size` bytes in quotes, of which `data` is the start.

    Dots follow if more than its last character did not fit, unless a NUL is the first that
    did not.
    """
    room = max(min(most, longest) if most > 0 else longest, 5) - 2
    shown, risk = b"", (0, 0)
    character: str | int = 0
    left = len(data) if size is None else size
    for character in _characters(data):
        if room <= 0:
            break
        left -= len(character.encode()) if isinstance(character, str) else 1
        width = _width(character)
        if not risk[1] and width > 1 and room - 3 < width:
            risk = (len(shown), width)
        if room < width:
            break
        shown += _escape(character)
        room -= width
    if not character or left <= 0:
        return b'"' + shown + b'"'
    at = len(shown) - 3 + room
    at = risk[0] if risk[0] < at < sum(risk) else at
    return (b'"' + shown)[: at + 1] + b'"...'
