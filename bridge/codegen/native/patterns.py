"""The tree of a regular expression -> operations for the machine in csrc/runtime/regex.c.

In goes a pattern's bytes; out come operations of three numbers and sets of 256 bits. The rule:
of two ways the first is always the preferred one, so the order of operations decides what a
group holds.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, assert_never

from bridge import declared
from bridge.ir.patterns import tree
from bridge.ir.patterns.parse import parse_bytes
from bridge.values import dataclass

if TYPE_CHECKING:
    from bridge.ir.patterns.tree import Tree


class PatternOp(IntEnum):
    """MB_REGEX_* of csrc/runtime/session.cdef.h."""

    BYTE = declared.MB_REGEX_BYTE
    SPLIT = declared.MB_REGEX_SPLIT
    JUMP = declared.MB_REGEX_JUMP
    SAVE = declared.MB_REGEX_SAVE
    START = declared.MB_REGEX_START
    ACCEPT = declared.MB_REGEX_ACCEPT


@dataclass(frozen=True, slots=True)
class PatternCode:
    """Operations `(op, x, y)`, sets of 32 bytes, and the number of groups with the whole.

    `groups` is 0 if the script asks for none: then the first match ends the search.
    """

    operations: tuple[tuple[int, int, int], ...]
    sets: tuple[bytes, ...]
    groups: int


def compile_pattern(pattern: bytes, *, grouped: bool = True) -> PatternCode:
    """What finds a pattern (PatternError: it is none); the last set says how a match begins."""
    parsed = parse_bytes(pattern)
    writer = _Writer(grouped)
    writer.write(tree.Group(parsed.tree, 0))
    writer.add(PatternOp.ACCEPT)
    writer.set_number(_beginnings(writer.code, list(writer.sets)), at_the_end=True)
    sets = tuple(mask.to_bytes(32, "little") for mask in writer.sets)
    return PatternCode(
        tuple((op, x, y) for op, x, y in writer.code), sets, parsed.groups if grouped else 0
    )


class _Writer:
    def __init__(self, grouped: bool) -> None:
        self.code: list[list[int]] = []
        self.sets: list[int] = []
        self._grouped = grouped

    def add(self, op: PatternOp, x: int = 0, y: int = 0) -> list[int]:
        self.code.append([op, x, y])
        return self.code[-1]

    def set_number(self, mask: int, *, at_the_end: bool = False) -> int:
        if at_the_end or mask not in self.sets:
            self.sets.append(mask)
            return len(self.sets) - 1
        return self.sets.index(mask)

    def write(self, node: Tree) -> None:
        match node:
            case tree.OneOf(mask=mask):
                self.add(PatternOp.BYTE, self.set_number(mask))
            case tree.End():
                self.add(PatternOp.BYTE, self.set_number(tree.END_OF_TEXT))
            case tree.Start():
                self.add(PatternOp.START)
            case tree.Series(parts=parts):
                for part in parts:
                    self.write(part)
            case tree.Either(choices=choices):
                self._either(choices)
            case tree.Many(body=body):
                self._many(body)
            case tree.Times():
                self._times(node)
            case tree.Group(body=body, number=number):
                self._group(body, number)
            case _:
                assert_never(node)

    def _either(self, choices: tuple[Tree, ...]) -> None:
        jumps = []
        for choice in choices[:-1]:
            split = self.add(PatternOp.SPLIT, len(self.code) + 1)
            self.write(choice)
            jumps.append(self.add(PatternOp.JUMP))
            split[2] = len(self.code)
        self.write(choices[-1])
        for jump in jumps:
            jump[1] = len(self.code)

    def _many(self, body: Tree) -> None:
        again = len(self.code)
        self.write(body)
        self.add(PatternOp.SPLIT, again, len(self.code) + 1)

    def _times(self, node: tree.Times) -> None:
        optional = (node.high or node.low) - node.low
        splits = []
        for _ in range(optional):
            splits.append(self.add(PatternOp.SPLIT, len(self.code) + 1))
            self.write(node.body)
        for split in splits:
            split[2] = len(self.code)
        for number in range(node.low):
            if node.high is None and not number:
                self._many(node.body)
            else:
                self.write(node.body)

    def _group(self, body: Tree, number: int | None) -> None:
        if number is None or not self._grouped:
            self.write(body)
            return
        self.add(PatternOp.SAVE, 2 * number)
        self.write(body)
        self.add(PatternOp.SAVE, 2 * number + 1)


def _beginnings(code: list[list[int]], sets: list[int]) -> int:
    """The set of bytes that a match after the start of the text can begin with."""
    mask, seen, todo = 0, set[int](), [0]
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        op, x, y = code[at]
        match PatternOp(op):
            case PatternOp.BYTE:
                mask |= sets[x]
            case PatternOp.SPLIT:
                todo += [x, y]
            case PatternOp.JUMP:
                todo.append(x)
            case PatternOp.SAVE:
                todo.append(at + 1)
            case PatternOp.ACCEPT:
                return tree.ANY | tree.END_OF_TEXT
            case PatternOp.START:
                pass
    return mask
