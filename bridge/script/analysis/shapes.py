"""Typed bodies -> the shape of each statistic: the parts that some expression uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.ir.program import Buckets, StatShape
from bridge.script import errors
from bridge.script.analysis.typed import Facts, GlobalVariable
from bridge.script.analysis.types import Type
from bridge.script.printing.describe import describe
from bridge.script.syntax import ast
from bridge.script.syntax.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.script.analysis.program import Body, ResolvedScript

MAX_BITS = 62


@dataclass(slots=True)
class _Found:
    parts: set[str] = field(default_factory=set)
    bits: int | None = None
    buckets: Buckets | None = None


class _Shapes:
    def __init__(self, program: ResolvedScript) -> None:
        self._program = program
        self.found: dict[GlobalVariable, _Found] = {}

    def add(self, facts: Facts, node: ast.Node) -> None:
        match node:
            case ast.StatOp(stat=stat):
                found = self._of(facts, stat)
                if found is not None:
                    found.parts.add(node.op)
                    if node.op == "variance":
                        self._variance(found, node)
            case ast.Histogram(stat=stat):
                found = self._of(facts, stat)
                if found is not None:
                    self._histogram(facts, found, node)
            case ast.Foreach(array=ast.Name() as array, sort=ast.Sort(by=by)) if by != "key":
                found = self._of(facts, array)
                if found is not None:
                    # the variance as an order means the count
                    found.parts.add("count" if by in {"value", "variance"} else by)

    def _of(self, facts: Facts, stat: ast.Expr) -> _Found | None:
        name = stat.base if isinstance(stat, ast.Index) else stat
        variable = facts.names.get(name) if isinstance(name, ast.Name) else None
        if not isinstance(variable, GlobalVariable) or variable.type is not Type.STAT:
            return None
        return self.found.setdefault(variable, _Found())

    def _variance(self, found: _Found, node: ast.StatOp) -> None:
        bits = node.parameters[0] if node.parameters else 0
        if not 0 <= bits <= MAX_BITS:
            self._refuse("bad-bit-shift", f"bit shift ({bits}) out of range <0..62>", node)
        elif found.bits not in (None, 0, bits):
            self._refuse(
                "bad-bit-shift",
                f"conflicting bit shifts declared (previously {found.bits})",
                node,
            )
        else:
            found.bits = bits

    def _histogram(self, facts: Facts, found: _Found, node: ast.Histogram) -> None:
        linear = node.kind == "linear"
        buckets = Buckets("linear", *node.parameters) if linear else Buckets("log")
        if found.buckets not in (None, buckets):
            name = node.stat.base if isinstance(node.stat, ast.Index) else node.stat
            variable = facts.names.get(name) if isinstance(name, ast.Name) else None
            text = variable.label if isinstance(variable, GlobalVariable) else ""
            self._refuse(
                "several-histograms", f"multiple histogram types declared on '{text}'", node
            )
        found.buckets = buckets

    def _refuse(self, code: str, text: str, node: ast.Expr) -> None:
        message = errors.Message(code, text)
        self._program.sink.report(errors.semantic(message, node.token, describe(node)))


def set_shapes(program: ResolvedScript, bodies: Iterable[Body]) -> None:
    """Set the `stat` of every statistic."""
    shapes = _Shapes(program)
    for body in bodies:
        for block in body.blocks:
            for node in walk(block.block):
                shapes.add(body.facts, node)
        for condition in body.conditions:
            for node in walk(condition.expr):
                shapes.add(body.facts, node)
    for variable in program.globals.values():
        if variable.type is Type.STAT:
            found = shapes.found.get(variable, _Found())
            parts = frozenset(found.parts)
            variable.stat = StatShape(parts, found.bits or 0, found.buckets)
