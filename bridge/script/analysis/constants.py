"""A tree -> the same with what is known from its constants computed, and dead branches gone.

What is folded, and how far, is SystemTap's: a constant shift by more than 64 counts as one by
64, a negative one as none; what has an effect stays. Spec: systemtap-language section 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bridge.ir.arithmetic import calculate, compare, wrap
from bridge.script import errors
from bridge.script.syntax import ast
from bridge.script.syntax.lex import evaluate
from bridge.script.syntax.walk import rebuild

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.diagnostics import Diagnostic

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_SHIFTS = frozenset({"<<", ">>"})
_COMPARISONS = frozenset({"<", ">", "<=", ">=", "==", "!="})
_LEFT_DECIDES = {("*", 0): 0, ("&", 0): 0, (">>", 0): 0, ("<<", 0): 0, ("|", -1): -1}
_LEFT_DECIDES[">>", -1] = -1
_RIGHT_DECIDES = {("*", 0): 0, ("&", 0): 0, ("%", 1): 0, ("%", -1): 0, ("|", -1): -1}
"""The result with this constant on one side, whatever the other is."""
_LEFT_NEUTRAL = {0: ("+", "|", "^"), 1: ("*",), -1: ("&",)}
_RIGHT_NEUTRAL = {0: ("+", "-", "|", "^"), 1: ("*", "/"), -1: ("&",)}
"""With these the result is the other side."""
_BOUNDS = {("<", _LEAST): 0, (">=", _LEAST): 1, (">", _MOST): 0, ("<=", _MOST): 1}
"""What a comparison gives with this on its right side."""
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def number(value: int, node: ast.Expr) -> ast.Number:
    """A number in the place of an expression."""
    return ast.Number(value, span=node.span, token=node.token)


class Constants:
    """Folds what is constant; `changed` says whether there was anything.

    `idle` says whether evaluating an expression does nothing else; without it, names
    are not known yet, and only what is computed from constants alone is folded. `moved` is told
    what stands for what.
    """

    def __init__(
        self,
        report: Callable[[Diagnostic], None],
        idle: Callable[[ast.Expr], bool] | None = None,
        moved: Callable[[ast.Node, ast.Node], None] | None = None,
    ) -> None:
        self._report = report
        self._idle = idle
        self._moved = moved
        self.changed = False

    def fold(self, node: ast.Node) -> ast.Node:
        """The node with constants folded and dead code gone."""
        asked = _asked(node)
        new: ast.Node | None = None
        if asked is None:
            new = self._computed(rebuild(node, self.fold))
        else:
            answer = self.expr(asked)
            if isinstance(answer, ast.Number):
                new = self._decided(node, answer.value)
            if new is None:
                new = rebuild(node, lambda c: answer if c is asked else self.fold(c))
        if new is not node:
            self._replaced(node, new)
        return new

    def _replaced(self, old: ast.Node, new: ast.Node) -> None:
        self.changed = True
        if self._moved is not None:
            self._moved(old, new)

    def block(self, body: ast.Block) -> ast.Block:
        """A whole body."""
        folded = self.fold(body)
        assert isinstance(folded, ast.Block)
        return folded

    def expr(self, node: ast.Expr) -> ast.Expr:
        """An expression; it folds to one."""
        return cast("ast.Expr", self.fold(node))

    def _decided(self, node: ast.Node, answer: int) -> ast.Node | None:
        """What is run of a node where its question has this answer; None: all of it."""
        match node:
            case ast.If(then=then, orelse=orelse):
                taken = then if answer else orelse
                return _nothing(node) if taken is None else self.fold(taken)
            case ast.Ternary(then=then, orelse=orelse):
                return self.fold(then if answer else orelse)
            case ast.Foreach():
                return _nothing(node) if answer <= 0 else None
            case ast.For(init=init) if not answer:
                return _nothing(node) if init is None else self._alone(init)
            case ast.While() if not answer:
                return _nothing(node)
        return None

    def _alone(self, value: ast.Expr) -> ast.Stmt:
        return ast.ExprStmt(self.expr(value), span=value.span, token=value.token)

    # --- what is computed

    def _computed(self, node: ast.Node) -> ast.Node:
        match node:
            case ast.Binary(left=ast.Number(value=a), right=ast.Number(value=b)):
                return self._numbers(node, a, b)
            case ast.Binary(left=ast.String(raw=s), right=ast.String(raw=t)):
                return _strings(node, s, t)
            case ast.Binary(op=("&&" | "||") as op, left=ast.Number(value=a)):
                return number(int(op == "||"), node) if bool(a) == (op == "||") else node
            case ast.Unary(operand=ast.Number(value=value)):
                return number(_unary(node.op, value), node)
            case ast.Binary() if self._idle is not None:
                return _one_sided(node, self._idle)
        return node

    def _numbers(self, node: ast.Binary, left: int, right: int) -> ast.Expr:
        if node.op == ">>>":
            message = errors.Message("unsupported-operator", "unsupported binary operator >>>")
            self._report(errors.semantic(message, node.token, "operator '>>>'"))
            return node
        value = _value(node.op, left, right)
        return node if value is None else number(value, node)


def _asked(node: ast.Node) -> ast.Expr | None:
    """The expression by which a node runs some of its parts only."""
    match node:
        case ast.If() | ast.Ternary() | ast.While() | ast.For():
            return node.condition
        case ast.Foreach():
            return node.limit
    return None


def _nothing(node: ast.Node) -> ast.Null:
    return ast.Null(span=node.span, token=node.token)


def _one_sided(node: ast.Binary, idle: Callable[[ast.Expr], bool]) -> ast.Expr:
    """An operation with a constant on one side."""
    op = node.op
    match node:
        case ast.Binary(op=".", left=ast.String(raw=""), right=other):
            return other
        case ast.Binary(op=".", left=other, right=ast.String(raw="")):
            return other
        case ast.Binary(left=ast.Number(value=value), right=other):
            neutral = op in _LEFT_NEUTRAL.get(value, ())
            result = _LEFT_DECIDES.get((op, value), _BOUNDS.get((_TURNED.get(op, ""), value)))
        case ast.Binary(left=other, right=ast.Number(value=value)):
            neutral = op in _RIGHT_NEUTRAL.get(value, ()) or (op in _SHIFTS and value <= 0)
            result = _RIGHT_DECIDES.get((op, value), _BOUNDS.get((op, value)))
            if op in {"&&", "||"} and bool(value) == (op == "||"):
                result = int(op == "||")
        case _:
            return node
    if neutral:
        return other
    return node if result is None or not idle(other) else number(result, node)


def _value(op: str, left: int, right: int) -> int | None:
    """What an operation on two numbers gives; None for a division by 0, and for texts."""
    if op in _COMPARISONS:
        return compare(op, left, right)
    if op in {"&&", "||"}:
        return int(bool(left and right)) if op == "&&" else int(bool(left or right))
    if op in _SHIFTS:
        right = min(max(right, 0), 64)  # by 64 the machine does not shift at all
    return calculate(op, left, right) if op != "." else None


def _strings(node: ast.Binary, left: str, right: str) -> ast.Expr:
    """Of texts as written, so that an escaped letter is not the letter itself."""
    if node.op in _COMPARISONS:
        return number(compare(node.op, left, right), node)
    if node.op != ".":
        return node
    raw = left + right
    text = evaluate(raw).partition("\0")[0]
    return ast.String(text, raw, span=node.span, token=node.token)


def _unary(op: str, value: int) -> int:
    match op:
        case "-":
            return wrap(-value)
        case "~":
            return ~value
        case "!":
            return int(not value)
    return value
