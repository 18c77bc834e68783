"""The argument text of a USDT note -> where each argument lies.

In: `-4@%edi 8@16(%rsp,%rax,8)` and the machine. Out: an `Operand` per argument, or the reason
why it cannot be read. Each operand is parsed by itself, so an odd one hides no other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from lark import Transformer, UnexpectedInput, v_args

from bridge.markers import Constant, Memory, Operand, Register
from bridge.probes.grammar import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from lark import Lark, Token

WORD_BYTES = 8
SIZES = (1, 2, 4, 8)
FLOAT_SIZES = (4, 8)
_VECTORS = re.compile(r"[xyz]mm\d+|st|mm\d+|[vqdsh]\d+")
"""Registers for floating-point numbers and vectors, of both machines."""
_NEXT = re.compile(r"\s+(?=-?\d+f?@)")

# The x86-64 registers: low byte, high byte, word, double word, full.
_LEGACY = {"rax": "a", "rbx": "b", "rcx": "c", "rdx": "d"}
_POINTERS = ("rsi", "rdi", "rbp", "rsp")


def _x86_registers() -> dict[str, tuple[str, int, bool]]:
    """Name -> (full name, bytes, whether bits 8 to 15)."""
    table = {"rip": ("rip", WORD_BYTES, False)}
    for full, letter in _LEGACY.items():
        table |= {
            f"{letter}l": (full, 1, False),
            f"{letter}h": (full, 1, True),
            f"{letter}x": (full, 2, False),
            f"e{letter}x": (full, 4, False),
            full: (full, 8, False),
        }
    for full in _POINTERS:
        short = full[1:]
        table |= {
            f"{short}l": (full, 1, False),
            short: (full, 2, False),
            f"e{short}": (full, 4, False),
            full: (full, 8, False),
        }
    for number in range(8, 16):
        full = f"r{number}"
        sizes = {"b": 1, "l": 1, "w": 2, "d": 4, "": 8}
        table |= {full + suffix: (full, size, False) for suffix, size in sizes.items()}
    return table


def _a64_registers() -> dict[str, tuple[str, int, bool]]:
    table = {"sp": ("sp", 8, False), "wsp": ("sp", 4, False)}
    table |= {"fp": ("x29", 8, False), "lr": ("x30", 8, False)}
    for number in range(31):
        table[f"x{number}"] = (f"x{number}", 8, False)
        table[f"w{number}"] = (f"x{number}", 4, False)
    return table


REGISTERS = {"x86_64": _x86_registers(), "aarch64": _a64_registers()}
_ZERO = ("xzr", "wzr")


@dataclass(frozen=True, slots=True)
class UnreadableOperand:
    """An argument that cannot be read, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class OperandContext:
    """What an operand's symbols mean in its file.

    `address_of` gives a symbol's link-time address, `site` is that of the marker, `fixed`
    whether the program runs at its link-time addresses.
    """

    address_of: Callable[[str], int | None]
    site: int
    fixed: bool


def _nowhere(name: str) -> None:
    return None


NO_IMAGE = OperandContext(_nowhere, 0, fixed=False)


# --- the syntax: what is written, before registers and symbols are looked up ------------------


@dataclass(frozen=True, slots=True)
class _Sum:
    """A constant plus symbols."""

    number: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """A parsed place.

    `kind` is constant, register, memory, absolute (memory at a sum) or segment.
    """

    kind: str
    sum: _Sum = _Sum()
    base: str | None = None
    index: str | None = None
    scale: int = 1
    extension: str = ""


def _factor(sign: str | None) -> int:
    return -1 if sign == "-" else 1


@v_args(inline=True)
class _Read(Transformer):  # type: ignore[type-arg]  # Lark is untyped
    """Lark's tree -> (size token or None, place)."""

    def sum(self, sign: Token | None, first: Token, *rest: Token) -> _Sum:
        number, names, factor = 0, [], _factor(sign)
        for piece in (first, *rest):
            match piece.type:
                case "SIGN":
                    factor *= _factor(piece)
                    continue
                case "NUMBER":
                    base = 16 if piece.lower().startswith("0x") else 10
                    number += factor * int(piece, base)
                case _:
                    names.append(str(piece))
            factor = 1
        return _Sum(number, tuple(names))

    def constant(self, total: _Sum) -> _Place:
        return _Place("constant", total)

    def register(self, name: Token) -> _Place:
        return _Place("register", base=name[1:])

    def indexed(self, name: Token | None, scale: Token | None) -> tuple[str | None, int]:
        return (name[1:] if name else None, int(scale) if scale else 1)

    def x86_memory(
        self, total: _Sum | None, base: Token | None, index: tuple[str | None, int] | None
    ) -> _Place:
        register, scale = index or (None, 1)
        return _Place("memory", total or _Sum(), base[1:] if base else None, register, scale)

    def absolute(self, total: _Sum) -> _Place:
        return _Place("absolute", total)

    def segment(self, *_parts: object) -> _Place:
        return _Place("segment")

    def value(self, total: _Sum) -> _Place:
        if len(total.names) == 1 and total.number == 0:
            return _Place("register", base=total.names[0])
        return _Place("constant", total)

    def a64_memory(self, base: Token) -> _Place:
        return _Place("memory", base=str(base))

    def offset(self, base: Token, total: _Sum) -> _Place:
        if len(total.names) == 1 and total.number == 0:
            return _Place("memory", base=str(base), index=total.names[0])
        return _Place("memory", total, base=str(base))

    def extended(
        self, base: Token, index: Token, extension: Token, shift: Token | None
    ) -> _Place:
        scale = 1 << int(shift, 0) if shift and int(shift, 0) <= 4 else 1
        return _Place("memory", _Sum(), str(base), str(index), scale, str(extension))

    def x86_64(self, size: Token | None, place: _Place) -> tuple[str | None, _Place]:
        return size, place

    aarch64 = x86_64


@cache
def _parser() -> Lark:
    return load("sdt_operand", _Read(), ("x86_64", "aarch64"))


@cache
def _parse(operand: str, machine: str) -> tuple[str | None, _Place] | None:
    try:
        result: tuple[str | None, _Place] = _parser().parse(operand, start=machine)  # type: ignore[assignment]  # what the transformer returns
    except UnexpectedInput:
        return None
    return result


# --- the meaning ------------------------------------------------------------------------------


def split(arguments: str) -> list[str]:
    """The operands of a note's argument text; they may hold blanks (`8@[sp, 16]`)."""
    text = arguments.strip()
    if not text:
        return []
    if "@" in text:
        return _NEXT.split(text)
    return re.split(r"\s+(?![^(\[]*[)\]])", text)


def _value(number: int, size: int, *, signed: bool) -> int:
    """A constant as the 64-bit signed number that its size and sign make of it."""
    bits = 8 * size
    number &= (1 << bits) - 1
    if number >> (bits - 1) and (signed or size == WORD_BYTES):
        number -= 1 << bits
    return number


def _size(text: str | None) -> tuple[int, bool] | UnreadableOperand:
    if text is None:
        return WORD_BYTES, True
    digits = text.rstrip("@")
    if digits.endswith("f"):
        return _float_size(abs(int(digits[:-1])))
    number = int(digits)
    if abs(number) not in SIZES:
        return UnreadableOperand(f"it has {abs(number)} bytes; only 1, 2, 4 or 8 can be read")
    return abs(number), number < 0


def _float_size(size: int) -> tuple[int, bool] | UnreadableOperand:
    """A floating-point number is its bits, as SystemTap has it."""
    if size in FLOAT_SIZES:
        return size, False
    return UnreadableOperand(
        f"it is a floating-point number of {size} bytes; only 4 or 8 can be read"
    )


def _resolve(total: _Sum, image: OperandContext) -> int | UnreadableOperand:
    number = total.number
    for name in total.names:
        address = image.address_of(name)
        if address is None:
            return UnreadableOperand(f"its symbol `{name}` is not in the file's symbol table")
        number += address
    return number


def operand(
    text: str, machine: str, image: OperandContext = NO_IMAGE
) -> Operand | UnreadableOperand:
    """Where one argument lies."""
    if machine not in REGISTERS:
        return UnreadableOperand("the machine is not supported")
    parsed = _parse(text, machine)
    if parsed is None:
        return UnreadableOperand(f"its place `{text}` is not understood")
    size_text, place = parsed
    size = _size(size_text)
    if isinstance(size, UnreadableOperand):
        return size
    match place.kind:
        case "register":
            return _register(place, machine, *size)
        case "constant":
            return _constant(place, image, *size)
        case "segment":
            return UnreadableOperand(f"its place `{text}` is relative to a segment register")
        case _:
            return _memory(place, machine, image, *size)


def _register(
    place: _Place, machine: str, size: int, signed: bool
) -> Operand | UnreadableOperand:
    name = place.base or ""
    if machine == "aarch64" and name in _ZERO:
        return Constant(0)
    known = REGISTERS[machine].get(name)
    if known is None and _VECTORS.fullmatch(name):
        return UnreadableOperand(
            f"it lies in `{name}`, a floating-point register, which the kernel does not show to"
            " probes; have the program keep the value in memory (volatile)"
        )
    if known is None or name == "rip":
        return UnreadableOperand(f"it lies in `{name}`, which is not a general register")
    full, width, high = known
    # A value wider than its register is the register without sign.
    return Register(full, min(size, width), signed and size <= width, high)


def _constant(
    place: _Place, image: OperandContext, size: int, signed: bool
) -> Operand | UnreadableOperand:
    if place.sum.names and not image.fixed:
        return UnreadableOperand(
            "it is the address of a symbol in a program that moves when loaded"
        )
    number = _resolve(place.sum, image)
    if isinstance(number, UnreadableOperand):
        return number
    return Constant(_value(number, size, signed=signed))


def _memory(
    place: _Place,
    machine: str,
    image: OperandContext,
    size: int,
    signed: bool,
) -> Operand | UnreadableOperand:
    displacement = _resolve(place.sum, image)
    if isinstance(displacement, UnreadableOperand):
        return displacement
    base, index = place.base, place.index
    if place.extension not in ("", "lsl", "uxtx", "sxtx"):
        return UnreadableOperand(f"its index register is extended by `{place.extension}`")
    for name in (base, index):
        known = REGISTERS[machine].get(name or "sp")
        if name and (known is None or known[1] != WORD_BYTES):
            return UnreadableOperand(
                f"its address is in `{name}`, which is not an address register"
            )
    if base == "rip" or (place.sum.names and base is None and not image.fixed):
        # `foo(%rip)`: at the hit the instruction pointer is the site's address, moved as the
        # program is, so the symbol lies at a constant distance from it.
        if not place.sum.names:
            return UnreadableOperand(
                "it is relative to the instruction pointer without a symbol"
            )
        base, displacement = "rip", displacement - image.site
    elif place.sum.names and not image.fixed:
        return UnreadableOperand("its address is relative to a symbol of a program that moves")
    full = {name: REGISTERS[machine][name][0] for name in (base, index) if name}
    return Memory(
        full.get(base or ""), full.get(index or ""), place.scale, displacement, size, signed
    )
