"""Expressions -> registers: operands from left to right; `&& || ?:` short-circuit.

`lower_expr` gives a value, `lower_effect` throws it away, `lower_condition` jumps by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from bridge.ir import ops
from bridge.ir.program import Value
from bridge.lower import aggregates, assign, calls, prints, targets
from bridge.lower.builder import VALUES
from bridge.script.analysis.typed import GlobalVariable, LocalVariable
from bridge.script.syntax import ast
from bridge.script.syntax.regex import pattern_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.ir.program import Label, Reg
    from bridge.lower.builder import Builder

_LOGICAL = {"&&", "||"}


def lower_expr(b: Builder, node: ast.Expr) -> Reg:
    """The register with the value of an expression."""
    match node:
        case ast.Number(value=value) | ast.String(value=value):
            return _constant(b, value)
        case ast.Name():
            return _name(b, node)
        case ast.Index():
            return _index(b, node)
        case ast.Assign() | ast.Step() | ast.Call() | ast.Print():
            return _effective(b, node)
        case ast.StatOp():
            return aggregates.lower_extractor(b, node)
        case ast.Unary() | ast.Binary() | ast.Regex() | ast.In() | ast.Ternary():
            return _operator(b, node)
        case _:
            return targets.lower_target(b, node)


def _effective(b: Builder, node: ast.Assign | ast.Step | ast.Call | ast.Print) -> Reg:
    """The value of what is mostly written for its effect."""
    match node:
        case ast.Assign():
            reg = assign.lower_assign(b, node, used=True)
        case ast.Step():
            reg = assign.lower_step(b, node, used=True)
        case ast.Call():
            reg = calls.lower_call(b, node)
        case ast.Print():
            reg = prints.lower_print(b, node)
        case _:
            assert_never(node)
    assert reg is not None, "an expression without a value is used as one"
    return reg


def _constant(b: Builder, value: int | str) -> Reg:
    return b.const(value) if isinstance(value, int) else b.string(value.encode("latin-1"))


def lower_effect(b: Builder, node: ast.Expr) -> None:
    """An expression whose value nobody wants."""
    match node:
        case ast.Assign():
            assign.lower_assign(b, node, used=False)
        case ast.Step():
            assign.lower_step(b, node, used=False)
        case ast.Call():
            calls.lower_call(b, node)
        case ast.Print():
            prints.lower_print(b, node)
        case _:
            lower_expr(b, node)


def lower_all(b: Builder, nodes: Sequence[ast.Expr]) -> tuple[Reg, ...]:
    """Several expressions, left to right; each register keeps the value it had in its turn."""
    return tuple(b.release(held) for held in [b.hold(lower_expr(b, node)) for node in nodes])


def lower_keys(b: Builder, keys: Iterable[ast.Expr | None]) -> tuple[Reg | None, ...]:
    """An index in which None stands for `*`."""
    held = [None if key is None else b.hold(lower_expr(b, key)) for key in keys]
    return tuple(None if one is None else b.release(one) for one in held)


def variable_number(b: Builder, variable: GlobalVariable) -> int:
    """The number of a global."""
    return b.shared.globals[variable]


# --- operators --------------------------------------------------------------------------------


def _operator(
    b: Builder, node: ast.Unary | ast.Binary | ast.Regex | ast.In | ast.Ternary
) -> Reg:
    match node:
        case ast.Unary():
            return _unary(b, node)
        case ast.Binary(op=op) if op in _LOGICAL:
            return _truth(b, node)
        case ast.Binary():
            return _binary(b, node)
        case ast.Regex():
            return _regex(b, node)
        case ast.In(keys=keys, array=ast.Name() as array):
            variable = b.facts.names[array]
            assert isinstance(variable, GlobalVariable)
            dest, regs = b.reg(Value.LONG), lower_keys(b, keys)
            b.emit(ops.ArrayHas(dest, variable_number(b, variable), regs))
            return dest
        case ast.In():
            raise AssertionError("`in` over a histogram")
        case ast.Ternary():
            return _ternary(b, node)
        case _:
            assert_never(node)


def _name(b: Builder, node: ast.Name) -> Reg:
    variable = b.facts.names[node]
    if isinstance(variable, LocalVariable):
        return b.local(variable)
    return assign.load(b, assign.LValue(variable, (), node))


def _index(b: Builder, node: ast.Index) -> Reg:
    if isinstance(node.base, ast.Histogram):
        return aggregates.lower_bucket(b, node, node.base)
    return assign.load(b, assign.place(b, node))


def _unary(b: Builder, node: ast.Unary) -> Reg:
    operand = lower_expr(b, node.operand)
    dest = b.reg(Value.LONG)
    match node.op:
        case "+":
            return operand
        case "-":
            b.emit(ops.Arith(dest, "-", b.const(0), operand))
        case "~":
            b.emit(ops.Arith(dest, "^", operand, b.const(-1)))
        case _:
            b.emit(ops.Compare(dest, "==", operand, b.const(0)))
    return dest


def _binary(b: Builder, node: ast.Binary) -> Reg:
    """A left-leaning chain without recursion: `a + b + c …` may be long."""
    chain: list[ast.Binary] = []
    left: ast.Expr = node
    while isinstance(left, ast.Binary) and left.op not in _LOGICAL:
        chain.append(left)
        left = left.left
    value = lower_expr(b, left)
    for inner in reversed(chain):
        held = b.hold(value)
        right = lower_expr(b, inner.right)
        value = _combine(b, inner, b.release(held), right)
    return value


def _combine(b: Builder, node: ast.Binary, left: Reg, right: Reg) -> Reg:
    if node.op not in ops.COMPARISONS:
        return assign.combine(b, node, node.op, left, right)
    dest = b.reg(Value.LONG)
    b.emit(ops.Compare(dest, node.op, left, right))
    return dest


def _regex(b: Builder, node: ast.Regex) -> Reg:
    text = lower_expr(b, node.left)
    found = b.reg(Value.LONG)
    b.emit(ops.Match(found, text, pattern_bytes(node.pattern.raw)))
    if node.op == "=~":
        return found
    dest = b.reg(Value.LONG)
    b.emit(ops.Compare(dest, "==", found, b.const(0)))
    return dest


# --- control flow -----------------------------------------------------------------------------


def lower_condition(b: Builder, node: ast.Expr, then: Label, orelse: Label) -> None:
    """Jump to `then` if the expression is not 0, else to `orelse`; ends the block."""
    if isinstance(node, ast.Binary) and node.op in _LOGICAL:
        between = b.label()
        if node.op == "&&":
            lower_condition(b, node.left, between, orelse)
        else:
            lower_condition(b, node.left, then, between)
        b.start(between)
        lower_condition(b, node.right, then, orelse)
    elif isinstance(node, ast.Unary) and node.op == "!":
        lower_condition(b, node.operand, orelse, then)
    else:
        b.terminate(ops.Branch(lower_expr(b, node), then, orelse))


def _truth(b: Builder, node: ast.Binary) -> Reg:
    dest = b.reg(Value.LONG)
    then, orelse, after = b.label(), b.label(), b.label()
    lower_condition(b, node, then, orelse)
    b.start(then)
    b.emit(ops.Const(dest, 1))
    b.terminate(ops.Jump(after))
    b.start(orelse)
    b.emit(ops.Const(dest, 0))
    b.start(after)
    return dest


def _ternary(b: Builder, node: ast.Ternary) -> Reg:
    dest = b.reg(VALUES[b.facts.types[node]])
    then, orelse, after = b.label(), b.label(), b.label()
    lower_condition(b, node.condition, then, orelse)
    b.start(then)
    b.emit(ops.Copy(dest, lower_expr(b, node.then)))
    b.terminate(ops.Jump(after))
    b.start(orelse)
    b.emit(ops.Copy(dest, lower_expr(b, node.orelse)))
    b.start(after)
    return dest
