"""The printf family (spec section 8): a format and its arguments -> bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.interpreter.faults import ScriptError
from bridge.ir.arithmetic import MASK
from bridge.ir.program import Conversion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bridge.ir.program import Format

    Read = Callable[[int, int, bool], bytes]

Item = int | bytes
PRINT_BYTES = 8192
"""The size of the print buffer."""
_NAMED = {7: "a", 8: "b", 12: "f", 10: "n", 13: "r", 9: "t", 11: "v", 39: "'", 92: "\\"}
_BASES = {"u": ("", "d"), "o": ("0", "o"), "X": ("0X", "X"), "x": ("0x", "x"), "p": ("0x", "x")}
_BINARY = {1, 2, 4, 8}


@dataclass(frozen=True, slots=True)
class _How:
    """A conversion with its numbers known; -1 stands for none."""

    letter: str
    flag: str
    width: int
    precision: int

    @property
    def left(self) -> bool:
        """Whether it stands at the left of its width."""
        return self.flag == "-"


def format_bytes(
    format_: Format,
    arguments: Sequence[Item],
    capacity: int,
    read: Read,
    *,
    nul: bool = False,
) -> bytes:
    """The text, cut to `capacity`. Widths and precisions are at most the room that is left.

    With `nul` that includes the one which ends a string. `read` gives memory at an address, of
    the kernel or of the process.
    """
    left = iter(arguments)
    text = b""
    for piece in format_.pieces:
        if isinstance(piece, Conversion):
            how = _how(piece, left, capacity + nul - len(text))
            text += _convert(how, next(left), capacity, read)
        else:
            text += piece
        text = text[:capacity]
    return text


def _how(piece: Conversion, arguments: Iterator[Item], widest: int) -> _How:
    width = _size(piece.width, arguments)
    precision = _size(piece.precision, arguments)
    return _How(piece.letter, piece.flag, min(width, widest), min(precision, widest))


def _size(size: int | str | None, arguments: Iterator[Item]) -> int:
    if size is None:
        return -1
    if isinstance(size, int):
        return size
    value = next(arguments)
    assert isinstance(value, int)
    # a width from an argument is a C int; one below 0 counts as 0
    return max(0, ((value + (1 << 31)) & 0xFFFFFFFF) - (1 << 31))


def _convert(how: _How, value: Item, widest: int, read: Read) -> bytes:
    if isinstance(value, bytes):
        return _string(how, value, widest)
    match how.letter:
        case "c":
            return _padded(how, _char(how, value & 0xFF), b" ")
        case "b":
            return _binary(how, value)
        case "m" | "M":
            return _memory(how, value, read)
        case _:
            return _integer(how, value)


def _integer(how: _How, value: int) -> bytes:
    """Signed only as %d; `#` shows the base."""
    if how.letter in {"d", "i"}:
        sign = "-" if value < 0 else how.flag if how.flag in {"+", " "} else ""
        return _number(how, sign, str(abs(value)))
    prefix, base = _BASES[how.letter]
    shown = prefix if how.flag == "#" or how.letter == "p" else ""
    return _number(how, shown, format(value & MASK, base))


def _memory(how: _How, address: int, read: Read) -> bytes:
    """User memory with `#`, else the kernel's."""
    size = max(how.precision, 1)
    wanted = min(size, PRINT_BYTES)
    data = read(address, wanted, how.flag != "#")
    if len(data) < wanted:
        fault = f"read fault [man error::fault] at {address + len(data) & MASK:#x}"
        raise ScriptError(fault)
    shown = data.hex().encode() if how.letter == "M" else data
    return b" " * (how.width - size * len(shown) // len(data)) + shown


def _string(how: _How, value: bytes, widest: int) -> bytes:
    text = value[: how.precision if how.precision >= 0 else widest]
    return _padded(how, text, b" ") + (b"\0" if how.flag == "0" else b"")


def _padded(how: _How, text: bytes, fill: bytes) -> bytes:
    padding = fill * (how.width - len(text))
    return text + padding if how.left else padding + text


def _char(how: _How, code: int) -> bytes:
    if how.flag != "#":
        return bytes([code])
    if code in _NAMED:
        return b"\\" + _NAMED[code].encode()
    return bytes([code]) if 0x20 <= code < 0x7F else b"\\%03o" % code


def _number(how: _How, prefix: str, digits: str) -> bytes:
    """Zeros of the precision stand before the digits, those of the flag before them."""
    body = digits.rjust(how.precision, "0") if how.precision > 0 else digits
    fill = how.width - len(prefix) - len(body)
    if how.flag == "0" and not how.left:
        return f"{prefix}{'0' * fill}{body}".encode()
    return _padded(how, f"{prefix}{body}".encode(), b" ")


def _binary(how: _How, value: int) -> bytes:
    sizes = [size for size in (how.precision, how.width) if size in _BINARY]
    size = sizes[0] if sizes else 8
    return _padded(how, (value & MASK).to_bytes(8, "little")[:size], b"\0")
