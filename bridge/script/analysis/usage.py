"""Bodies -> which variables they read and write, and what has an effect.

Rule: `x++`, `x += 1` and `x <<< v` as statements write and do not read; used as a value they
read, too. Spec: systemtap-language sections 4 and 11.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.script.analysis.typed import Facts, FunctionInfo, GlobalVariable, LocalVariable
from bridge.script.analysis.types import Type
from bridge.script.builtins import SET_USER, Builtin, Effect
from bridge.script.syntax import ast
from bridge.script.syntax.walk import children, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bridge.script.analysis.program import Body, ResolvedScript

Named = GlobalVariable | LocalVariable


@dataclass(slots=True)
class Usage:
    """Variables that some body reads, and writes."""

    read: set[Named] = field(default_factory=set)
    written: set[Named] = field(default_factory=set)
    changed: set[Named] = field(default_factory=set)
    """What is written in a way that depends on what it was: `x++`, `x += 1`, `delete x`."""

    def add(self, facts: Facts, node: ast.Node, *, statement: bool = False) -> None:  # noqa: C901, PLR0912 - one case per kind
        """Note what the tree below (and with) `node` does."""
        match node:
            case ast.ExprStmt(value=value):
                self.add(facts, value, statement=True)
            case ast.Assign(target=target, value=value):
                self._target(facts, target, also_read=not statement and node.op != "=")
                if node.op not in {"=", "<<<"}:
                    self._changed(facts, target)
                self.add(facts, value)
            case ast.Step(operand=operand):
                self._target(facts, operand, also_read=not statement)
                self._changed(facts, operand)
            case ast.Delete(target=target):
                # SystemTap counts it as both
                self._target(facts, target, also_read=True)
            case ast.Foreach():
                self._foreach(facts, node)
            case ast.Try(variable=ast.Name() as variable):
                self._target(facts, variable, also_read=False)
                self.add(facts, node.body)
                self.add(facts, node.handler)
            case ast.Name():
                if node in facts.names:
                    self.read.add(facts.names[node])
            case ast.For(init=init, step=step):
                for part in (init, step):
                    if part is not None:
                        self.add(facts, part, statement=True)
                if node.condition is not None:
                    self.add(facts, node.condition)
                self.add(facts, node.body)
            case _:
                for child in children(node):
                    self.add(facts, child)

    def _target(self, facts: Facts, target: ast.Expr, *, also_read: bool) -> None:
        name: ast.Expr = target
        if isinstance(target, ast.Index):
            name = target.base
            for key in target.keys:
                if key is not None:
                    self.add(facts, key)
        if isinstance(name, ast.Name) and name in facts.names:
            self.written.add(facts.names[name])
            if also_read:
                self.read.add(facts.names[name])
        elif not isinstance(name, ast.Name):
            self.add(facts, name)

    def _changed(self, facts: Facts, target: ast.Expr) -> None:
        name = target.base if isinstance(target, ast.Index) else target
        if isinstance(name, ast.Name) and name in facts.names:
            self.changed.add(facts.names[name])

    def _foreach(self, facts: Facts, node: ast.Foreach) -> None:
        for name in (*node.keys, node.value):
            if name is not None and name in facts.names:
                self.written.add(facts.names[name])
        for child in (node.array, *node.slices, node.limit, node.body):
            if child is not None:
                self.add(facts, child)


def usage(bodies: Iterable[Body]) -> Usage:
    """What all these bodies do."""
    found = Usage()
    for body in bodies:
        for block in body.blocks:
            found.add(body.facts, block.block)
        for condition in body.conditions:
            found.add(body.facts, condition.expr)
    return found


def called(body: Body) -> set[FunctionInfo]:
    """The functions of the script that a body calls."""
    tables = (found for found in body.facts.calls.values() if isinstance(found, tuple))
    return {function for table in tables for function in table}


def callers(program: ResolvedScript) -> dict[FunctionInfo, list[FunctionInfo]]:
    """Which functions call a function."""
    found: dict[FunctionInfo, list[FunctionInfo]] = {}
    for body in program.functions.values():
        if body.function is not None:
            for callee in called(body):
                found.setdefault(callee, []).append(body.function)
    return found


def reaching(
    goals: Iterable[FunctionInfo], calling: Mapping[FunctionInfo, Sequence[FunctionInfo]]
) -> frozenset[FunctionInfo]:
    """The goals and all functions that call one of them, directly or not."""
    pending = list(goals)
    found = set(pending)
    while pending:
        for caller in calling.get(pending.pop(), ()):
            if caller not in found:
                found.add(caller)
                pending.append(caller)
    return frozenset(found)


class Effects:
    """Which functions and expressions have an effect besides their value.

    `locals_`: what a function does to its own variables counts, too.
    """

    def __init__(self, program: ResolvedScript, *, locals_: bool = False) -> None:
        self._locals = locals_
        self._impure: frozenset[FunctionInfo] = frozenset()
        acting = {
            body.function
            for body in program.functions.values()
            if body.function is not None and self._acts(body)
        }
        self._impure = reaching(acting, callers(program)) if acting else frozenset()

    def _acts(self, body: Body) -> bool:
        code = body.function.declaration.code if body.function else None
        if code is not None and "/* pure */" not in code:
            return True
        inside = not self._locals
        return any(self.of(body.facts, block.block, inside=inside) for block in body.blocks)

    def of(self, facts: Facts, node: ast.Node, *, inside: bool = False) -> bool:
        """Whether evaluating the tree does something (`inside`: seen by a caller)."""
        return any(self._one(facts, part, inside) for part in walk(node))

    def itself(self, facts: Facts, node: ast.Expr) -> bool:
        """Whether an expression does something besides what its operands do."""
        return self._one(facts, node, inside=False)

    def _one(self, facts: Facts, node: ast.Node, inside: bool) -> bool:
        match node:
            case (
                ast.Assign(target=target) | ast.Step(operand=target) | ast.Delete(target=target)
            ):
                return self._writes(facts, target, inside)
            case ast.Print(name=name):
                return not name.startswith("s")
            case ast.Call():
                return self._call(facts.calls.get(node))
            case ast.AtOperator(op=("entry" | "defined" | "enumname")):
                return False
            case ast.Cast() | ast.AtVar():
                return node not in facts.targets
            case ast.AtOperator() | ast.AtRegister():
                return True
            case ast.EmbeddedExpr(code=code):
                return "/* pure */" not in code
        return False

    def _writes(self, facts: Facts, target: ast.Expr, inside: bool) -> bool:
        name = target.base if isinstance(target, ast.Index) else target
        if isinstance(name, ast.Number | ast.String):
            return False  # SystemTap does not mind what is not kept
        local = isinstance(name, ast.Name) and isinstance(facts.names.get(name), LocalVariable)
        return not (inside and local)

    def _call(self, found: Builtin | Sequence[FunctionInfo] | None) -> bool:
        if isinstance(found, Builtin):
            return (
                found.effect is Effect.STATE
                or found.name == SET_USER
                or found.result is Type.UNKNOWN
            )
        return any(function in self._impure for function in found or ())
