"""The -D limits and the depth of calls -> ir.Limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.ir.program import Limits
from bridge.script.syntax import ast
from bridge.script.syntax.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridge.script.analysis.typed import Facts, FunctionInfo, Typed

_FIELDS = {
    "MAXSTRINGLEN": "maxstringlen",
    "MAXACTION": "maxaction",
    "MAXACTION_INTERRUPTIBLE": "maxaction_interruptible",
    "MAXNESTING": "maxnesting",
    "MAXMAPENTRIES": "maxmapentries",
    "MAXERRORS": "maxerrors",
    "MAXSKIPPED": "maxskipped",
    "HIST_ELISION": "hist_elision",
    "MAXBACKTRACE": "maxbacktrace",
    "MAXUSERSTACK": "maxuserstack",
}
RECURSION_NESTING = 10
"""How much deeper than the longest chain of calls a recursive script may go."""


def limits_of(typed: Typed) -> Limits:
    """The limits of a program; -D settings win."""
    values = {
        field: typed.options[name] for name, field in _FIELDS.items() if name in typed.options
    }
    if "maxaction" in values:
        values.setdefault("maxaction_interruptible", 10 * values["maxaction"])
    values.setdefault("maxnesting", _nesting(typed))
    return Limits(**values)


def _callees(facts: Facts, nodes: Iterable[ast.Node]) -> tuple[FunctionInfo, ...]:
    found: dict[FunctionInfo, None] = {}
    for node in (inner for top in nodes for inner in walk(top)):
        if isinstance(node, ast.Call):
            target = facts.calls.get(node)
            if isinstance(target, tuple):
                found.update(dict.fromkeys(target))
    return tuple(found)


def _nesting(typed: Typed) -> int:
    """The deepest chain of calls + 1, and 10 more if there is recursion (spec section 10)."""
    calls = {
        f: _callees(f.facts, (f.declaration.body,)) if f.declaration.body else ()
        for f in typed.functions
    }
    depths: dict[FunctionInfo, int] = {}
    recursive = False
    deepest = 0
    for probe in {id(probe.facts): probe for probe in typed.probes}.values():
        for function in _callees(probe.facts, probe.bodies):
            depth, loops = _depth(function, calls, depths)
            deepest, recursive = max(deepest, depth), recursive or loops
    return deepest + 1 + (RECURSION_NESTING if recursive else 0)


def _depth(
    start: FunctionInfo,
    calls: Mapping[FunctionInfo, tuple[FunctionInfo, ...]],
    depths: dict[FunctionInfo, int],
) -> tuple[int, bool]:
    """The longest chain from a function, and whether one comes back to itself.

    A chain that comes back counts the repeated call once more, as SystemTap does. Iterative, so
    that long chains are no danger.
    """
    path: list[FunctionInfo] = [start]
    pending = [list(calls[start])]
    best = {start: 1}
    recursive = False
    while path:
        if not pending[-1]:
            done = path.pop()
            pending.pop()
            depths[done] = best[done]
            if path:
                best[path[-1]] = max(best[path[-1]], best[done] + 1)
            continue
        callee = pending[-1].pop()
        if callee in depths:
            best[path[-1]] = max(best[path[-1]], depths[callee] + 1)
        elif callee in path:
            recursive = True
            best[path[-1]] = max(best[path[-1]], 2)
        else:
            best[callee] = 1
            path.append(callee)
            pending.append(list(calls[callee]))
    return depths[start], recursive
