"""The places of one probe -> groups whose handlers are one and the same.

A wildcard stands for thousands of places. A handler that asks nothing of its place but what
that is called is looked at, and compiled, once for all of them; pp() and its kin stay calls,
which the session answers. One rule: whatever a place could answer otherwise than its neighbour
keeps a handler to itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.markers import MarkerAttachment
from bridge.script.syntax import ast
from bridge.script.syntax.walk import walk

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from bridge.script.analysis.derive import Derived

NAMES = frozenset({"pp", "ppfunc", "probefunc"})
"""What tells a handler where it is."""
_ASKING = (
    *(ast.Target, ast.Cast, ast.AtVar, ast.AtOperator, ast.AtLiteral, ast.AtRegister),
    ast.EmbeddedExpr,
)


def group(found: Sequence[Derived], asking: frozenset[str]) -> list[list[Derived]]:
    """The derived probes by what they share, each group in their order.

    `asking` are the functions that a place answers, besides its names.
    """
    groups: dict[Hashable, list[Derived]] = {}
    blind: dict[Hashable, bool] = {}
    for number, derived in enumerate(found):
        trees = _trees(derived)
        key = tuple(map(id, trees))
        if key not in blind:
            blind[key] = not any(_asks(tree, asking) for tree in trees)
        kind = _kind(derived) if blind[key] else None
        groups.setdefault((key, kind) if kind is not None else number, []).append(derived)
    for places in groups.values():
        for derived in places:
            derived.shared = len(places) > 1
    return list(groups.values())


def _trees(derived: Derived) -> list[ast.Node]:
    bodies = [scoped.block for scoped in derived.bodies]
    return [*bodies, *(scoped.expr for scoped in derived.conditions)]


def _kind(derived: Derived) -> Hashable | None:
    """What else a handler depends on; None where it is not known to be all."""
    expansion = derived.expansion
    match expansion.attachment:
        case MarkerAttachment(marker=marker) if marker.sampling is None:
            if expansion.members_list:
                return None
            return marker.kind, marker.machine, bool(marker.sites), derived.written
    return None


def _asks(tree: ast.Node, asking: frozenset[str]) -> bool:
    for node in walk(tree):
        if isinstance(node, _ASKING):
            return True
        if isinstance(node, ast.Call) and node.name in asking:
            return True
        if _compares(node):
            return True
    return False


def _compares(node: ast.Node) -> bool:
    """Whether what a place is called may decide something, which is then known at once."""
    compares = isinstance(node, ast.Regex) or (isinstance(node, ast.Binary) and node.op != ".")
    return compares and any(map(_is_name, walk(node)))


def _is_name(node: ast.Node) -> bool:
    return isinstance(node, ast.Call) and node.name in NAMES
