"""Bytes -> the length and shape of one x86-64 instruction.

Only what site safety asks: length, prefixes, opcode, ModRM operand, relative target. What it
does not know is None, never a guess. Tables: Intel SDM volume 2, appendix A. Tests hold the
lengths equal to objdump's.
"""

from __future__ import annotations

from dataclasses import dataclass

RSP, RIP = 4, 16
LONGEST = 15

_PREFIXES = frozenset(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3")
_INVALID = frozenset(
    b"\x06\x07\x0e\x16\x17\x1e\x1f\x27\x2f\x37\x3f\x60\x61\x82\x9a\xce\xd4\xd5\xd6\xea"
)


def _ranges(*bounds: int) -> frozenset[int]:
    """The numbers of the closed ranges first, last, first, last..."""
    pairs = zip(bounds[::2], bounds[1::2], strict=True)
    return frozenset(n for first, last in pairs for n in range(first, last + 1))


_ARITHMETIC = range(0, 0x40, 8)
# Which opcodes of each map have a ModRM byte, and the size of their immediate.
_ONE_MODRM = (
    frozenset(row + n for row in _ARITHMETIC for n in range(4))
    | _ranges(0x80, 0x8F, 0xC6, 0xC7, 0xD0, 0xD3, 0xD8, 0xDF, 0xF6, 0xF7, 0xFE, 0xFF)
    | {0x63, 0x69, 0x6B, 0xC0, 0xC1}
)
_ONE_IMM8 = (
    frozenset(row + 4 for row in _ARITHMETIC)
    | _ranges(0x70, 0x7F, 0xB0, 0xB7, 0xE0, 0xE7)
    | {0x6A, 0x6B, 0x80, 0x83, 0xA8, 0xC0, 0xC1, 0xC6, 0xCD, 0xEB}
)
_ONE_IMMZ = frozenset(row + 5 for row in _ARITHMETIC) | {0x68, 0x69, 0x81, 0xA9, 0xC7}
_TWO_PLAIN = (
    _ranges(0x04, 0x0B, 0x30, 0x37, 0x80, 0x8F, 0xA8, 0xAA, 0xC8, 0xCF, 0xA0, 0xA2)
    | {0x0E, 0x77}
) - {0x04, 0x0A}
INVALID_0F = _ranges(0x24, 0x27) | {0x04, 0x0A, 0x0C, 0x36, 0x39, *range(0x3B, 0x40)}
NOPS_0F = frozenset((0x0D, *range(0x18, 0x20)))
_TWO_IMM8 = _ranges(0x70, 0x73, 0xC4, 0xC6) | {0x0F, 0xA4, 0xAC, 0xBA, 0xC2}
_VECTOR_IMM8 = _ranges(0x70, 0x73, 0xC4, 0xC6) | {0xC2}


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction.

    `map` is 1 for one-byte opcodes, 2 for `0f`, 3 for `0f 38`, 4 for `0f 3a`. `base` and
    `index` are register numbers of a memory operand, `target` is relative to the next
    instruction.
    """

    length: int
    prefixes: bytes
    rex: int
    map: int
    opcode: int
    vector: bool = False
    mod: int = -1
    reg: int = -1
    rm: int = -1
    base: int = -1
    index: int = -1
    displacement: int = 0
    target: int | None = None

    @property
    def is_memory(self) -> bool:
        """Whether it has a memory operand described by a ModRM byte."""
        return self.mod in (0, 1, 2)

    @property
    def is_call(self) -> bool:
        """`call`, direct or indirect."""
        if self.map != 1 or self.vector:
            return False
        return self.opcode == 0xE8 or (self.opcode == 0xFF and self.reg & 7 in (2, 3))

    @property
    def is_nop(self) -> bool:
        """An instruction that a kernel takes for a nop: also `lea`, `mov` without effect.

        More than are nops, never fewer.
        """
        if self.vector:
            return False
        if self.map == 2:
            return self.opcode in NOPS_0F
        if self.opcode == 0xE9:
            return self.target == 0
        return self.opcode in (0x89, 0x8B, 0x8D, 0x90)


class _Cursor:
    """Reads an instruction's bytes; `ended` tells that there were too few."""

    def __init__(self, code: bytes, at: int) -> None:
        self.code, self.start, self.at = code, at, at

    def ended(self) -> bool:
        return self.at > min(len(self.code), self.start + LONGEST)

    def byte(self) -> int:
        self.at += 1
        return self.code[self.at - 1] if self.at <= len(self.code) else 0

    def peek(self) -> int:
        return self.code[self.at] if self.at < len(self.code) else 0

    def signed(self, size: int) -> int:
        self.at += size
        return int.from_bytes(self.code[self.at - size : self.at], "little", signed=True)


@dataclass(slots=True)
class _Opcode:
    """Prefixes and opcode, decoded; then what follows it."""

    prefixes: bytes = b""
    rex: int = 0
    map: int = 1
    opcode: int = 0
    vector: bool = False


def decode(code: bytes, at: int = 0) -> Instruction | None:
    """The instruction at an offset; None if it is unknown, invalid, or cut off."""
    cursor = _Cursor(code, at)
    opcode = _opcode(cursor)
    if opcode is None or cursor.ended():
        return None
    operand = _modrm(cursor, opcode.rex) if _has_modrm(opcode) else None
    if operand is not None and opcode.map == 1 and opcode.opcode == 0x8F and operand[1] & 7:
        return None  # AMD's XOP
    size = _immediate(opcode, -1 if operand is None else operand[1] & 7)
    value = cursor.signed(size)
    if cursor.ended():
        return None
    mod, reg, rm, base, index, displacement = operand or (-1, -1, -1, -1, -1, 0)
    return Instruction(
        cursor.at - at,
        opcode.prefixes,
        opcode.rex,
        opcode.map,
        opcode.opcode,
        opcode.vector,
        mod,
        reg,
        rm,
        base,
        index,
        displacement,
        value if _is_relative(opcode) else None,
    )


def _opcode(cursor: _Cursor) -> _Opcode | None:
    start = cursor.at
    while cursor.peek() in _PREFIXES and not cursor.ended():
        cursor.byte()
    found = _Opcode(prefixes=cursor.code[start : cursor.at])
    if cursor.peek() & 0xF0 == 0x40:
        found.rex = cursor.byte()
    first = cursor.byte()
    match first:
        case 0x0F:
            return _escaped(cursor, found)
        case 0xC4 | 0xC5 | 0x62 if found.rex:
            return None
        case 0xC4 | 0xC5:
            return _vex(cursor, found, first)
        case 0x62:
            return _evex(cursor, found)
        case _:
            found.opcode = first
            return None if first in _INVALID else found


def _escaped(cursor: _Cursor, found: _Opcode) -> _Opcode | None:
    second = cursor.byte()
    if second in (0x38, 0x3A):
        found.map = 3 if second == 0x38 else 4
        found.opcode = cursor.byte()
        return found
    found.map, found.opcode = 2, second
    return None if second in INVALID_0F else found


def _vex(cursor: _Cursor, found: _Opcode, first: int) -> _Opcode | None:
    found.vector = True
    second = cursor.byte()
    # R, X, B stand inverted where REX has them (SDM 2.3.5).
    if first == 0xC5:
        found.rex, field = (~second >> 5) & 4, 1
    else:
        found.rex, field = (~second >> 5) & 7, second & 31
        cursor.byte()
    found.map = field + 1
    found.opcode = cursor.byte()
    return found if field in (1, 2, 3) else None


def _evex(cursor: _Cursor, found: _Opcode) -> _Opcode | None:
    found.vector = True
    second = cursor.byte()
    found.rex = (~second >> 5) & 7
    cursor.byte()
    cursor.byte()
    found.opcode = cursor.byte()
    # Maps 5 and 6 (half precision) are laid out as `0f 38`.
    maps = {1: 2, 2: 3, 3: 4, 5: 3, 6: 3}
    found.map = maps.get(second & 7, 0)
    return found if found.map else None


def _has_modrm(found: _Opcode) -> bool:
    if found.map == 1:
        return found.opcode in _ONE_MODRM
    if found.map == 2:
        return found.opcode not in _TWO_PLAIN
    return True


def _immediate(found: _Opcode, extension: int) -> int:
    """The size of the immediate; `extension` is the ModRM byte's `reg`."""
    if found.map == 4:
        return 1
    if found.map == 3:
        return 0
    if found.map == 2:
        if found.vector:
            return 1 if found.opcode in _VECTOR_IMM8 else 0
        if 0x80 <= found.opcode <= 0x8F:
            return 4
        return 1 if found.opcode in _TWO_IMM8 else 0
    return _immediate_one(found, extension)


def _immediate_one(found: _Opcode, extension: int) -> int:
    opcode, small = found.opcode, 0x66 in found.prefixes and not found.rex & 8
    word = 2 if small else 4
    match opcode:
        case 0xC2 | 0xCA:
            return 2
        case 0xC8:
            return 3
        case 0xE8 | 0xE9:
            return 4
        case 0xA0 | 0xA1 | 0xA2 | 0xA3:
            return 4 if 0x67 in found.prefixes else 8
        case 0xF6 | 0xF7:
            return (1 if opcode == 0xF6 else word) if extension in (0, 1) else 0
        case _ if 0xB8 <= opcode <= 0xBF:
            return 8 if found.rex & 8 else word
        case _ if opcode in _ONE_IMM8:
            return 1
        case _:
            return word if opcode in _ONE_IMMZ else 0


def _is_relative(found: _Opcode) -> bool:
    if found.vector:
        return False
    if found.map == 2:
        return 0x80 <= found.opcode <= 0x8F
    return found.map == 1 and (
        found.opcode in (0xE0, 0xE1, 0xE2, 0xE3, 0xE8, 0xE9, 0xEB)
        or 0x70 <= found.opcode <= 0x7F
    )


def _modrm(cursor: _Cursor, rex: int) -> tuple[int, int, int, int, int, int]:
    """mod, reg, rm, base, index, displacement; -1 for no register."""
    byte = cursor.byte()
    mod, reg, rm = byte >> 6, (byte >> 3 & 7) | (rex << 1 & 8), byte & 7
    base, index = -1, -1
    if mod == 3:
        return mod, reg, rm | (rex << 3 & 8), base, index, 0
    size = (0, 1, 4)[mod]
    if rm == 4:
        sib = cursor.byte()
        number = (sib >> 3 & 7) | (rex << 2 & 8)
        index = -1 if number == 4 else number
        base = (sib & 7) | (rex << 3 & 8)
        if mod == 0 and sib & 7 == 5:
            base, size = -1, 4
    elif mod == 0 and rm == 5:
        base, size = RIP, 4
    else:
        base = rm | (rex << 3 & 8)
    return mod, reg, rm | (rex << 3 & 8), base, index, cursor.signed(size)
