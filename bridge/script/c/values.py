"""What an expression of embedded C is in the script language.

A value is text of the language with its C type. Texts (`char *` into strings of the script)
are a string and an offset; memory of the kernel is an address, or a path through the kernel's
own types (`@cast(p, "task_struct", "kernel")->comm`), whose type only its reader knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from bridge.script.c import tree as c
from bridge.script.c.types import converted


class CKind(Enum):
    """How a value stands in the language."""

    NUMBER = auto()
    """An expression."""
    TEXT = auto()
    """A place in a string: `text` and `offset`."""
    MEMORY = auto()
    """What is at the address `text`, of type `type`."""
    PATH = auto()
    """What a path gives."""
    LOCAL = auto()
    """A local structure, member by member: `text` begins their names."""


@dataclass(frozen=True, slots=True)
class CValue:
    """A translated expression."""

    kind: CKind
    text: str
    type: c.CType
    offset: str = "0"
    variable: CVariable | None = None
    """The variable that it is, where it can be assigned to."""


@dataclass(slots=True, eq=False)
class CVariable:
    """A local variable: `name` in the language. `base` is the string a `char *` points into."""

    name: str
    type: c.CType
    text: bool = False
    """A string: an array of characters, or a parameter of the script function."""
    base: str = ""
    decided: bool = False
    """Whether a `char *` is known to be an address or a place in a string."""


def number(text: str, type_: c.CType = c.LONG) -> CValue:
    """An expression with a number."""
    return CValue(CKind.NUMBER, text, type_)


def string(text: str, offset: str = "0") -> CValue:
    """A place in a string."""
    return CValue(CKind.TEXT, text, c.Pointer(c.CHAR), offset)


def cast_path(address: str, structure: str) -> str:
    """The start of a path through a structure of the kernel."""
    return f'@cast({address}, "{structure}", "kernel")'


READERS = {1: "kernel_char", 2: "kernel_short", 4: "kernel_int", 8: "kernel_long"}


def read(value: CValue, at: int) -> str:
    """The value as a number."""
    match value:
        case CValue(kind=CKind.NUMBER | CKind.PATH, text=text):
            return text
        case CValue(kind=CKind.MEMORY, text=text, type=c.Array()):
            return text
        case CValue(kind=CKind.MEMORY, text=text, type=c.Int(size=size) as type_):
            return converted(f"{READERS[size]}({text})", type_, c.Int(size))
        case CValue(kind=CKind.MEMORY, text=text, type=c.Pointer() | c.Unknown()):
            return f"kernel_long({text})"
        case CValue(kind=CKind.LOCAL):
            raise c.Unsupported("a whole structure as a value", at)
        case CValue(kind=CKind.TEXT):
            raise c.Unsupported("a text where a number is needed", at)
        case _:
            raise c.Unsupported("a whole structure as a value", at)


def address(value: CValue, at: int) -> CValue:
    """`&value`."""
    match value:
        case CValue(kind=CKind.MEMORY, text=text, type=type_):
            return number(text, c.Pointer(type_))
        case CValue(kind=CKind.PATH, text=text):
            return number(f"&{text}", c.Pointer(c.UNKNOWN))
        case _:
            raise c.Unsupported("the address of a local variable", at)


def as_string(value: CValue, at: int) -> str:
    """The value as a string, from its offset to its end."""
    match value:
        case CValue(kind=CKind.TEXT, text=text, offset="0"):
            return text
        case CValue(kind=CKind.TEXT, text=text, offset=offset):
            return f"substr({text}, {offset}, strlen({text}))"
        case CValue(kind=CKind.PATH, text=text):
            return f"kernel_string({text})"
        case CValue(type=c.Pointer(to=c.Int(size=1) | c.Void() | c.Unknown()) | c.Unknown()):
            return f"kernel_string({read(value, at)})"
        case CValue(kind=CKind.MEMORY, type=c.Array(of=c.Int(size=1)), text=text):
            return f"kernel_string({text})"
        case _:
            raise c.Unsupported("this is no text", at)
