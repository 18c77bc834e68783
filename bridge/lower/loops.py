"""`for`, `while` and `foreach` -> blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.program import Value
from bridge.lower.aggregates import bucket_count, histogram_statistic
from bridge.lower.assign import assign_variable
from bridge.lower.builder import VALUES, Loop
from bridge.lower.expr import (
    lower_condition,
    lower_effect,
    lower_expr,
    lower_keys,
    variable_number,
)
from bridge.script.analysis.typed import GlobalVariable, LocalVariable
from bridge.script.syntax import ast

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.ir.program import Reg
    from bridge.lower.builder import Builder

Header = tuple[ast.Expr | None, ast.Expr | None, ast.Expr | None]


def lower_for(
    b: Builder,
    stmt: ast.For | ast.While,
    header: Header,
    lower_stmt: Callable[[Builder, ast.Stmt], None],
) -> None:
    """A loop with init, condition and step, each of which may be missing."""
    init, condition, step = header
    top, body, again, leave = b.label(), b.label(), b.label(), b.label()
    if init:
        lower_effect(b, init)
        b.tick(1, stmt)
    b.tick(1, stmt, update=True)
    b.start(top)
    b.tick(1, stmt)
    if condition:
        lower_condition(b, condition, body, leave)
    b.start(body)
    b.loops.append(Loop(leave, again, len(b.iterators)))
    lower_stmt(b, stmt.body)
    b.tick(0, stmt.body, update=True)
    b.loops.pop()
    b.start(again)
    if step:
        lower_effect(b, step)
        b.tick(1, stmt)
    b.terminate(ops.Jump(top))
    b.start(leave)


def lower_foreach(
    b: Builder, stmt: ast.Foreach, lower_stmt: Callable[[Builder, ast.Stmt], None]
) -> None:
    """A loop over an array, or over the buckets of a histogram."""
    if isinstance(stmt.array, ast.Histogram):
        _over_histogram(b, stmt, stmt.array, lower_stmt)
    else:
        _over_array(b, stmt, stmt.array, lower_stmt)


def _over_array(
    b: Builder,
    stmt: ast.Foreach,
    array: ast.Name,
    lower_stmt: Callable[[Builder, ast.Stmt], None],
) -> None:
    variable = b.facts.names[array]
    assert isinstance(variable, GlobalVariable)
    limit = b.hold(lower_expr(b, stmt.limit)) if stmt.limit else None
    slices = lower_keys(b, stmt.slices)
    limit_reg = b.release(limit) if limit else None
    keep = len(b.iterators)
    iterator = b.open_iterator()
    number = variable_number(b, variable)
    b.emit(ops.IterBegin(iterator, number, _order(stmt.sort), limit_reg, slices))
    b.tick(1, stmt, update=True)
    top, body, leave = b.label(), b.label(), b.label()
    b.start(top)
    b.tick(1, stmt)
    keys = tuple(_target(b, name) for name in stmt.keys)
    value = _target(b, stmt.value) if stmt.value else None
    b.terminate(ops.IterNext(iterator, keys, value, body, leave))
    b.start(body)
    for name, reg in zip((*stmt.keys, stmt.value), (*keys, value), strict=True):
        if name is not None and reg is not None:
            _store(b, name, reg)
    _body(b, stmt, Loop(leave, top, keep), lower_stmt)
    b.terminate(ops.Jump(top))
    b.iterators.pop()
    b.start(leave)


def _body(
    b: Builder,
    stmt: ast.Foreach,
    loop: Loop,
    lower_stmt: Callable[[Builder, ast.Stmt], None],
) -> None:
    b.loops.append(loop)
    lower_stmt(b, stmt.body)
    b.tick(1 if isinstance(stmt.array, ast.Histogram) else 0, stmt.body, update=True)
    b.loops.pop()


def _order(sort: ast.Sort | None) -> ops.Order | None:
    return ops.Order(sort.by, sort.descending, sort.key) if sort else None


def _target(b: Builder, name: ast.Name) -> Reg:
    """The register that the iteration writes: a local's, or one on the way to a global."""
    variable = b.facts.names[name]
    if isinstance(variable, LocalVariable):
        return b.local(variable)
    return b.reg(VALUES[variable.type])


def _store(b: Builder, name: ast.Name, reg: Reg) -> None:
    variable = b.facts.names[name]
    if isinstance(variable, GlobalVariable):
        assign_variable(b, variable, reg)


def _over_histogram(
    b: Builder,
    stmt: ast.Foreach,
    histogram: ast.Histogram,
    lower_stmt: Callable[[Builder, ast.Stmt], None],
) -> None:
    """Buckets 0 .. n-1; the loop variable itself counts, as in SystemTap's `for`."""
    limit = _copied(b, lower_expr(b, stmt.limit)) if stmt.limit else None
    statistic = histogram_statistic(b, histogram)
    done = b.reg(Value.LONG)
    one = b.const(1)
    b.tick(1, stmt, update=True)
    test, body, again, leave = b.label(), b.label(), b.label(), b.label()
    bucket = _target(b, stmt.keys[0])
    b.emit(ops.Const(bucket, 0))
    b.emit(ops.Const(done, 0))
    b.start(test)
    inside = b.reg(Value.LONG)
    b.emit(ops.Compare(inside, "<", bucket, b.const(bucket_count(histogram))))
    checked = body if limit is None else b.label()
    b.terminate(ops.Branch(inside, checked, leave))
    if limit is not None:
        b.start(checked)
        within = b.reg(Value.LONG)
        b.emit(ops.Compare(within, "<", done, limit))
        b.terminate(ops.Branch(within, body, leave))
    b.start(body)
    _store(b, stmt.keys[0], bucket)
    if stmt.value is not None:
        value = _target(b, stmt.value)
        b.emit(ops.HistogramGet(value, *statistic, bucket, b.site(histogram)))
        _store(b, stmt.value, value)
    _body(b, stmt, Loop(leave, again, len(b.iterators)), lower_stmt)
    b.start(again)
    b.emit(ops.Arith(done, "+", done, one))
    b.emit(ops.Arith(bucket, "+", bucket, one))
    b.terminate(ops.Jump(test))
    b.start(leave)


def _copied(b: Builder, reg: Reg) -> Reg:
    copy = b.reg(b.type_of(reg))
    b.emit(ops.Copy(copy, reg))
    return copy
