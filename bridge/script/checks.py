"""Typed bodies -> what is still wrong: loops, l-values, values that cannot be used.

SystemTap finds these when it generates code (its pass 3). Spec: sections 3, 4 and 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.script import ast, errors
from bridge.script.describe import describe
from bridge.script.types import Type
from bridge.script.walk import children

if TYPE_CHECKING:
    from bridge.script.program import Body, Program


def check(program: Program) -> None:
    """Report what is wrong; of each kind only the first."""
    checker = _Checker(program)
    for body in program.bodies():
        checker.body(body)


class _Checker:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._body: Body | None = None
        self._seen: set[str] = set()

    def body(self, body: Body) -> None:
        self._body = body
        for block in body.blocks:
            self._node(block.block, loop=False)

    def _report(self, message: str, node: ast.Node) -> None:
        if message not in self._seen:
            self._seen.add(message)
            self._program.sink.report(errors.semantic(message, node.token, describe(node)))

    def _type(self, node: ast.Expr) -> Type:
        assert self._body is not None
        return self._body.facts.types.get(node, Type.UNKNOWN)

    def _node(self, node: ast.Node, loop: bool) -> None:
        match node:
            case ast.Break() if not loop:
                self._report("cannot 'break' outside loop", node)
            case ast.Continue() if not loop:
                self._report("cannot 'continue' outside loop", node)
            case ast.Print():
                self._print(node)
            case ast.Assign(target=target) | ast.Step(operand=target):
                self._left_side(node, target)
        inside = loop or isinstance(node, ast.For | ast.While | ast.Foreach)
        for child in children(node):
            self._value(node, child)
            self._node(child, inside)

    def _print(self, node: ast.Print) -> None:
        for argument in node.arguments:
            if isinstance(argument, ast.Histogram):
                continue
            if self._type(argument) not in (Type.LONG, Type.STRING):
                message = "print format actual argument evaluation type unsupported"
                self._report(message, argument)

    def _left_side(self, node: ast.Expr, target: ast.Expr) -> None:
        match target:
            case ast.Name() | ast.Target() | ast.Cast() | ast.AtVar():
                return
            case ast.Index(base=ast.Name()):
                return
            case ast.Index():
                self._report("Assignment to read-only histogram bucket", node)
            case _:
                self._report("Expecting lvalue for assignment", node)

    def _value(self, parent: ast.Node, child: ast.Node) -> None:
        """A function without a result is no value."""
        if not isinstance(child, ast.Call) or isinstance(parent, ast.ExprStmt | ast.Print):
            return
        if self._type(child) is Type.UNKNOWN:
            self._report("return value type unsupported", child)
