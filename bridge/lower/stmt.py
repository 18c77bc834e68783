"""Statements -> blocks.

The counting of statements (`Tick`) follows SystemTap's order of code exactly, because a script
can see at which statement MAXACTION strikes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from bridge.ir import ops
from bridge.ir.program import Value
from bridge.lower.assign import assign_variable, lower_delete
from bridge.lower.expr import lower_condition, lower_effect, lower_expr
from bridge.lower.loops import lower_for, lower_foreach
from bridge.script.analysis.typed import LocalVariable
from bridge.script.syntax import ast

if TYPE_CHECKING:
    from bridge.ir.program import Reg
    from bridge.lower.builder import Builder


def lower_stmt(b: Builder, stmt: ast.Stmt) -> None:  # noqa: C901 - one case per statement
    """Lower one statement."""
    match stmt:
        case ast.Null():
            pass
        case ast.Block(body=body):
            for inner in body:
                lower_stmt(b, inner)
        case ast.ExprStmt(value=value):
            lower_effect(b, value)
            b.tick(1, stmt)
        case ast.If():
            _lower_if(b, stmt)
        case ast.For(init=init, condition=condition, step=step):
            lower_for(b, stmt, (init, condition, step), lower_stmt)
        case ast.While(condition=condition):
            lower_for(b, stmt, (None, condition, None), lower_stmt)
        case ast.Foreach():
            lower_foreach(b, stmt, lower_stmt)
        case ast.Delete(target=target):
            lower_delete(b, target)
            b.tick(1, stmt)
        case ast.Try():
            _lower_try(b, stmt)
        case ast.Return() | ast.Break() | ast.Continue() | ast.Next():
            _lower_leave(b, stmt)
        case _:
            assert_never(stmt)


def _lower_if(b: Builder, stmt: ast.If) -> None:
    b.tick(1, stmt, update=True)
    then, after = b.label(), b.label()
    orelse = b.label() if stmt.orelse else after
    lower_condition(b, stmt.condition, then, orelse)
    b.start(then)
    lower_stmt(b, stmt.then)
    b.tick(0, stmt.then, update=True)
    if stmt.orelse:
        b.terminate(ops.Jump(after))
        b.start(orelse)
        lower_stmt(b, stmt.orelse)
        b.tick(0, stmt.orelse, update=True)
    b.start(after)


def _lower_try(b: Builder, stmt: ast.Try) -> None:
    b.tick(0, stmt, update=True)
    outer, first = b.on_error, b.next_iterator
    body, handler, after = b.label(), b.label(), b.label()
    b.on_error = handler
    b.start(body)
    lower_stmt(b, stmt.body)
    b.tick(0, stmt.body, update=True)
    b.terminate(ops.Jump(after))
    b.on_error = outer
    b.start(handler)
    _lower_caught(b, stmt)
    for iterator in range(first, b.next_iterator):
        b.emit(ops.IterDelete(iterator))
    b.tick(1, stmt, update=True)
    lower_stmt(b, stmt.handler)
    b.tick(0, stmt.handler, update=True)
    b.start(after)


def _lower_caught(b: Builder, stmt: ast.Try) -> None:
    if stmt.variable is None:
        b.emit(ops.Caught(None))
        return
    variable = b.facts.names[stmt.variable]
    if isinstance(variable, LocalVariable):
        b.emit(ops.Caught(b.local(variable)))
    else:
        message = b.reg(Value.STRING)
        b.emit(ops.Caught(message))
        assign_variable(b, variable, message)


def _lower_leave(b: Builder, stmt: ast.Return | ast.Break | ast.Continue | ast.Next) -> None:
    match stmt:
        case ast.Return(value=value):
            result = lower_expr(b, value) if value else default_result(b)
            b.tick(1, stmt, update=True)
            b.leave(ops.Return(result))
        case ast.Next():
            b.tick(1, stmt, update=True)
            b.leave(ops.Return() if b.is_handler else ops.NextOverload())
        case ast.Break():
            b.tick(1, stmt, update=True)
            b.drop_iterators(b.loops[-1].keep)
            b.terminate(ops.Jump(b.loops[-1].leave))
        case ast.Continue():
            b.tick(1, stmt, update=True)
            b.terminate(ops.Jump(b.loops[-1].again))
        case _:
            assert_never(stmt)


def default_result(b: Builder) -> Reg | None:
    """What a function returns that does not say: 0, "" or nothing."""
    match b.function.result:
        case None:
            return None
        case Value.LONG:
            return b.const(0)
        case Value.STRING:
            return b.string(b"")
