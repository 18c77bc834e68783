"""Which parts of each statistic a script uses -> ir.StatShape.

Only those parts are kept at run time (spec section 7).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.ir.ops import STAT_READS
from bridge.ir.program import Buckets, StatShape
from bridge.script import ast
from bridge.script.typed import GlobalVariable
from bridge.script.types import Type
from bridge.script.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.script.typed import Facts, Typed


@dataclass(slots=True)
class _Uses:
    parts: set[str] = field(default_factory=set)
    bits: int = 0
    buckets: Buckets | None = None


def stat_shapes(typed: Typed) -> dict[GlobalVariable, StatShape]:
    """The shape of every statistic."""
    uses = {v: _Uses() for v in typed.globals if v.type is Type.STAT}
    for facts, top in _bodies(typed):
        for node in walk(top):
            _note(uses, facts, node)
    return {v: v.stat or _shape(use) for v, use in uses.items()}


def _shape(use: _Uses) -> StatShape:
    return StatShape(frozenset(use.parts), use.bits, use.buckets)


def _bodies(typed: Typed) -> Iterator[tuple[Facts, ast.Node]]:
    for function in typed.functions:
        if function.declaration.body:
            yield function.facts, function.declaration.body
    for probe in typed.probes:
        for body in (*probe.bodies, *((probe.condition,) if probe.condition else ())):
            yield probe.facts, body


def _note(uses: dict[GlobalVariable, _Uses], facts: Facts, node: ast.Node) -> None:
    match node:
        case ast.StatOp(op=op, stat=stat, parameters=parameters):
            use = _use(uses, facts, stat)
            if use:
                use.parts.add(op)
                use.bits = max(use.bits, *parameters, 0)
        case ast.Histogram(stat=stat, parameters=parameters):
            use = _use(uses, facts, stat)
            if use:
                use.buckets = _buckets(parameters)
        case ast.Foreach(array=ast.Name() as array, sort=ast.Sort(by=by)):
            use = _use(uses, facts, array)
            if use:
                use.parts.add(by if by in STAT_READS else "count")
        case _:
            pass


def _buckets(parameters: tuple[int, ...]) -> Buckets:
    return Buckets("linear", *parameters) if parameters else Buckets("log")


def _use(uses: dict[GlobalVariable, _Uses], facts: Facts, node: ast.Expr) -> _Uses | None:
    name = node.base if isinstance(node, ast.Index) else node
    variable = facts.names.get(name) if isinstance(name, ast.Name) else None
    return uses.get(variable) if isinstance(variable, GlobalVariable) else None
