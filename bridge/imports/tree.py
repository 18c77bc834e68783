"""Tokens of a bpftrace program -> its tree: nodes that know their kind and their text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from bridge import parsing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.imports.tokens import BpftraceReader, BpftraceToken


@dataclass(frozen=True, slots=True, eq=False)
class BpftraceNode:
    """A part of the program: the name of its rule or terminal, its parts, its place."""

    kind: str
    parts: tuple[BpftraceNode, ...]
    text: str
    start: int
    end: int

    def walk(self) -> Iterator[BpftraceNode]:
        """It and all below it."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def operator(self) -> str:
        """The operator of a binary, prefix or assign node."""
        signs = (p.text for p in self.parts if p.text and p.kind in (p.text, "ASSIGN"))
        return next(signs)

    def rest(self) -> tuple[BpftraceNode, ...]:
        """The parts that are no signs or keywords."""
        return tuple(part for part in self.parts if part.kind != part.text)


class _Builder:
    """Makes a node of every reduction."""

    def __getattr__(self, name: str) -> Callable[[list[Any]], BpftraceNode]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda children: _node(name, children)


def _node(kind: str, children: list[Any]) -> BpftraceNode:
    parts = tuple(_leaf(one) for one in children if one is not None)
    start = parts[0].start if parts else 0
    return BpftraceNode(kind, parts, "", start, parts[-1].end if parts else 0)


def _leaf(one: BpftraceToken | BpftraceNode) -> BpftraceNode:
    if isinstance(one, BpftraceNode):
        return one
    return BpftraceNode(_signs().get(one.type, one.type), (), one.text, one.start, one.end)


@cache
def _literals() -> dict[str, str]:
    return dict(parsing.load("bpftrace", object()).terminals)


@cache
def _signs() -> dict[str, str]:
    return {name: literal for literal, name in _literals().items()}


def parse(reader: BpftraceReader) -> BpftraceNode:
    """The tree of a program; ImportFailure, if it is none."""
    terminals = _literals()
    feeder = parsing.load("bpftrace", _Builder()).feeder()
    for token in reader.tokens():
        fed = token._replace(type=terminals.get(token.type, token.type))
        if token.type == "$END":
            done, tree = feeder.finish(fed)
            if done:
                found: BpftraceNode = tree
                return found
        if token.type == "$END" or not feeder.feed(fed):
            raise reader.fail(token.start, f"unexpected {token.text!r}")
    raise AssertionError("the end of the text is a token")
