"""Walking trees: children, all nodes, and rebuilding with changes.

Rule: a rewrite gives back the very same node where nothing changed below it.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from bridge.script.syntax import ast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

N = TypeVar("N", bound=ast.Node)


_LINKS: dict[type[ast.Node], tuple[str, ...]] = {}


def _links(kind: type[ast.Node]) -> tuple[str, ...]:
    """The fields that may hold nodes, in order."""
    found = _LINKS.get(kind)
    if found is None:
        found = _LINKS[kind] = _find_links(kind)
    return found


def _find_links(kind: type[ast.Node]) -> tuple[str, ...]:
    return tuple(
        f.name
        for f in fields(kind)
        if "|" in f.type or f.type in _NODE_TYPES or "tuple[" in f.type
    )


_NODE_TYPES = frozenset(
    ("Expr", "Stmt", "Block", "Name", "Indexable", "String", "Number", "Sort", "Component")
)


def children(node: ast.Node) -> list[ast.Node]:
    """The nodes directly below, in the order of the text's construct."""
    found: list[ast.Node] = []
    for name in _links(type(node)):
        value = getattr(node, name)
        if isinstance(value, tuple):
            found += [item for item in value if isinstance(item, ast.Node)]
        elif isinstance(value, ast.Node):
            found.append(value)
    return found


def walk(node: ast.Node) -> Iterator[ast.Node]:
    """The node and all below it, parents first, in order; any depth."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        stack += reversed(children(top))


def too_deep(node: ast.Node, limit: int) -> ast.Node | None:
    """A node that lies more than `limit` levels down; the tree may have any depth."""
    level: list[ast.Node] = [node]
    for _ in range(limit):
        level = [child for parent in level for child in children(parent)]
        if not level:
            return None
    return level[0]


def rebuild(node: N, change: Callable[[ast.Node], ast.Node]) -> N:
    """The node with `change` applied to each of its children."""
    changes: dict[str, Any] = {}
    for name in _links(type(node)):
        value = getattr(node, name)
        if isinstance(value, ast.Node):
            new: Any = change(value)
            if new is not value:
                changes[name] = new
        elif isinstance(value, tuple) and value:
            items = tuple(change(x) if isinstance(x, ast.Node) else x for x in value)
            if any(a is not b for a, b in zip(items, value, strict=True)):
                changes[name] = items
    return replace(node, **changes) if changes else node


def transform(node: N, change: Callable[[ast.Node], ast.Node]) -> N:
    """The tree rebuilt from below: `change` sees each node with its new children."""
    return cast("N", change(rebuild(node, lambda child: transform(child, change))))
