"""Small pieces of a script's text: names, numbers, formats, comments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.imports.words import RESERVED, UNITS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.imports.tree import BpftraceNode

_NUMBER = re.compile(r"(?P<digits>0[xX][0-9a-fA-F]+|\d+)(?:e(?P<zeros>\d+))?(?P<unit>[a-z]*)")


class Unmapped(Exception):
    """Something has no counterpart; its text says what."""


def split_if(node: BpftraceNode) -> tuple[BpftraceNode, ...]:
    """Condition, block, and what comes else."""
    found = [part for part in node.parts if part.text not in ("if", "else") or part.parts]
    return tuple(found)


def bare(node: BpftraceNode) -> BpftraceNode:
    """What stands in parentheses."""
    return node.parts[1] if node.kind == "group" else node


def uncast(node: BpftraceNode) -> BpftraceNode:
    """What is cast, without parentheses."""
    while node.kind in ("group", "cast") and len(node.parts) > 1:
        node = node.parts[1]
    return node


def global_names(maps: Iterable[str]) -> dict[str, str]:
    """Names of globals that the script has no other use for."""
    names: dict[str, str] = {}
    for name in maps:
        own = name[1:] or "map"
        while own in RESERVED or own in names.values():
            own += "_"
        names[name] = own
    return names


def line(label: str) -> str:
    """A print of a label alone."""
    return f'printdln("", {label})' if ", " in label else f"println({label})"


def number_of(text: str) -> int:
    """`1e6`, `0x10`, `1_000`, `5ms` (nanoseconds)."""
    found = _NUMBER.fullmatch(text.replace("_", "").rstrip("uUlL"))
    if found is None:
        raise Unmapped(f"the number {text}")
    value: int = int(found["digits"], 0 if found["digits"][:2].lower() == "0x" else 10)
    zeros: int = 10 ** int(found["zeros"] or 0)
    return value * zeros * UNITS.get(found["unit"], 1)


def literal(text: str) -> str:
    """A number as the script takes it."""
    return text if text.isalnum() and text[:2] == "0x" else str(number_of(text))


def conversion(found: re.Match[str]) -> str:
    """A conversion of printf."""
    letter = {"i": "d", "X": "x"}.get(found[4], found[4])
    return f"%{found[1]}{found[2]}{found[3]}{letter}"


def joined(form: str, values: list[str], function: str = "printf") -> str:
    """A call with a format and values."""
    return f"{function}({', '.join((form, *values))})"


def inert(text: str) -> str:
    """A text for a comment."""
    return text.replace("*/", "* /").replace("\n", " ")


def comment(text: str, indent: str) -> str:
    """A text in comments, line by line."""
    lines = text.replace("*/", "* /").strip().splitlines()
    return "".join(f"{indent}# {line.rstrip()}\n" for line in lines)
