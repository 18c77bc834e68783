"""Resolved bodies -> the same without what has no effect: dead assignments, idle statements.

Rule: this runs before types are inferred, because SystemTap does it there: what is dropped may
contain type errors. Facts move along with the nodes that are rebuilt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.script import ast, errors
from bridge.script.derive import ScopedBlock
from bridge.script.describe import describe
from bridge.script.typed import LocalVariable
from bridge.script.usage import Effects, usage
from bridge.script.walk import rebuild, walk

if TYPE_CHECKING:
    from bridge.script.program import Body, Program
    from bridge.script.usage import Named

MAX_ROUNDS = 20


def optimise(program: Program) -> None:
    """Drop what has no effect, then functions that nobody calls any more."""
    for _ in range(MAX_ROUNDS):
        effects = Effects(program)
        changed = [_Sweep(program, body, effects).run() for body in program.bodies()]
        if not any(changed):
            break
        drop_unused(program)
    drop_unused(program)


def drop_unused(program: Program) -> None:
    """Forget functions that no probe reaches."""
    reached: set[int] = set()
    pending = list(program.probes)
    by_info = {id(body.function): body for body in program.functions.values()}
    while pending:
        body = pending.pop()
        for node in _nodes(body):
            found = body.facts.calls.get(node) if isinstance(node, ast.Call) else None
            for function in found if isinstance(found, tuple) else ():
                if id(function) not in reached:
                    reached.add(id(function))
                    pending.append(by_info[id(function)])
    program.functions = {
        declaration: body
        for declaration, body in program.functions.items()
        if id(body.function) in reached
    }


def _nodes(body: Body) -> list[ast.Node]:
    trees: list[ast.Node] = [block.block for block in body.blocks]
    trees += [condition.expr for condition in body.conditions]
    return [node for tree in trees for node in walk(tree)]


class _Sweep:
    """One pass over one body."""

    def __init__(self, program: Program, body: Body, effects: Effects) -> None:
        self._program = program
        self._body = body
        self._effects = effects
        self._read: set[Named] = set()

    def run(self) -> bool:
        """Rewrite the body; whether anything changed."""
        self._read = usage([self._body]).read
        blocks = tuple(
            ScopedBlock(block.script, self._block(block.block)) for block in self._body.blocks
        )
        changed = any(
            new.block is not old.block
            for new, old in zip(blocks, self._body.blocks, strict=True)
        )
        if not changed:
            return False
        self._body.blocks = blocks
        self._forget()
        function = self._body.function
        if function is not None:
            function.declaration = replace(function.declaration, body=blocks[0].block)
        return True

    def _forget(self) -> None:
        """Drop the locals that are gone."""
        facts = self._body.facts
        left = {
            id(facts.names[n])
            for n in _nodes(self._body)
            if isinstance(n, ast.Name) and n in facts.names
        }
        parameters = self._body.function.parameters if self._body.function else ()
        left |= {id(p) for p in parameters}
        facts.locals = {k: v for k, v in facts.locals.items() if id(v) in left}

    def _block(self, block: ast.Block) -> ast.Block:
        changed = self._change(block)
        assert isinstance(changed, ast.Block)
        return changed

    def _change(self, node: ast.Node) -> ast.Node:
        new = rebuild(node, self._change)
        if new is not node:
            self._move(node, new)
        match new:
            case ast.Assign(op="=", target=ast.Name() as target):
                named = self._body.facts.names.get(target)
                if isinstance(named, LocalVariable) and named not in self._read:
                    self._warn(f"Eliding assignment to '{target.id}'", new)
                    return new.value
            case ast.ExprStmt(value=value) if not self._effects.of(self._body.facts, value):
                self._warn("Eliding side-effect-free expression ", new)
                return ast.Null(span=new.span, token=new.token)
            case ast.Block(body=body) if any(isinstance(s, ast.Null) for s in body):
                kept = tuple(s for s in body if not isinstance(s, ast.Null))
                return replace(new, body=kept)
            case ast.If() | ast.Foreach():
                return self._idle(new)
        return new

    def _idle(self, node: ast.If | ast.Foreach) -> ast.Stmt:
        """A null statement instead of one that controls nothing."""
        parts: tuple[ast.Stmt | None, ...]
        parts = (node.then, node.orelse) if isinstance(node, ast.If) else (node.body,)
        if not all(part is None or _empty(part) for part in parts):
            return node
        # sorting an array is an effect: the order persists
        if isinstance(node, ast.Foreach) and node.sort is not None:
            return node
        if self._effects.of(self._body.facts, node):
            return node
        return ast.Null(span=node.span, token=node.token)

    def _move(self, old: ast.Node, new: ast.Node) -> None:
        facts = self._body.facts
        if isinstance(old, ast.Call) and isinstance(new, ast.Call) and old in facts.calls:
            facts.calls[new] = facts.calls[old]
        if old in facts.targets and type(old) is type(new):
            facts.targets[new] = facts.targets[old]

    def _warn(self, message: str, node: ast.Node) -> None:
        if not self._body.blocks[0].script.tapset:
            sink = self._program.sink
            sink.report(errors.warning(message, node.token, describe(node)))


def _empty(node: ast.Stmt) -> bool:
    return isinstance(node, ast.Null) or (isinstance(node, ast.Block) and not node.body)
