"""The bytes of a DWARF expression -> operations with their operands. Source: DWARF 5, 7.7.1."""

from __future__ import annotations

from typing import NamedTuple

from bridge.formats.dwarf import OPERATIONS
from bridge.probes.dwarf.sections import DebugError


class Operation(NamedTuple):
    """`name` is without its DW_OP_; GNU's older operations have the names of their heirs."""

    name: str
    arguments: tuple[int | bytes, ...] = ()

    def number(self, index: int) -> int:
        """An operand that is a number."""
        found = self.arguments[index]
        assert isinstance(found, int)
        return found


class _Reader:
    def __init__(self, code: bytes) -> None:
        self._code = code
        self._at = 0

    @property
    def is_done(self) -> bool:
        return self._at >= len(self._code)

    def take(self, count: int) -> bytes:
        piece = self._code[self._at : self._at + count]
        if len(piece) != count:
            raise DebugError("an expression is cut off")
        self._at += count
        return piece

    def fixed(self, count: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(count), "little", signed=signed)

    def leb(self, *, signed: bool = False) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        negative = signed and byte & 0x40
        return value - (1 << shift) if negative else value


def operations_of(code: bytes, address_size: int, offset_size: int) -> list[Operation]:
    """The operations of an expression; what is not known raises `DebugError`."""
    reader = _Reader(code)
    found = []
    while not reader.is_done:
        number = reader.fixed(1)
        if number not in OPERATIONS:
            raise DebugError(f"an expression has the unknown operation {number:#x}")
        name, form = OPERATIONS[number]
        found.append(Operation(name, tuple(_operands(reader, form, address_size, offset_size))))
    return found


def _operands(
    reader: _Reader, form: str, address_size: int, offset_size: int
) -> list[int | bytes]:
    found: list[int | bytes] = []
    at = 0
    while at < len(form):
        letter, width = form[at], form[at + 1 : at + 2]
        at += 1
        if width.isdigit():
            at += 1
        match letter:
            case "a":
                found.append(reader.fixed(address_size))
            case "o":
                found.append(reader.fixed(offset_size))
            case "b":
                count = reader.fixed(int(width)) if width.isdigit() else reader.leb()
                found.append(reader.take(count))
            case _ if width.isdigit():
                found.append(reader.fixed(int(width), signed=letter == "s"))
            case _:
                found.append(reader.leb(signed=letter == "s"))
    return found
