"""A node -> the description of its token in SystemTap's vocabulary (`operator '/'`)."""

from __future__ import annotations

from bridge.script.syntax import ast
from bridge.script.syntax.tokens import printable


def describe(node: ast.Node) -> str:
    """The token that messages name for a node."""
    match node:
        case ast.Name(id=name) | ast.Call(name=name) | ast.Print(name=name):
            return f"identifier '{name}'"
        case ast.Index(base=base):
            return describe(base)
        case ast.Target(name=name):
            return f"identifier '{name}'"
        case ast.Number(value=value):
            return f"number '{value}'"
        case ast.String(raw=raw):
            return f"string '{printable(raw)}'"
        case ast.Global(name=name) | ast.Parameter(name=name) | ast.Function(name=name):
            return f"identifier '{name}'"
        case ast.ExprStmt(value=value):
            return describe(value)
        case _:
            return _operator(node)


def _operator(node: ast.Node) -> str:  # noqa: C901, PLR0911, PLR0912 - one case per kind
    match node:
        case ast.Binary(op=op) | ast.Assign(op=op) | ast.Unary(op=op) | ast.Step(op=op):
            return f"operator '{op}'"
        case ast.Regex(op=op):
            return f"operator '{op}'"
        case ast.StatOp(op=op) | ast.AtOperator(op=op) | ast.AtLiteral(op=op):
            return f"operator '@{op}'"
        case ast.AtRegister(op=op):
            return f"operator '@{op}'"
        case ast.Histogram(kind=kind):
            return f"operator '@hist_{kind}'"
        case ast.Ternary():
            return "operator '?'"
        case ast.Cast(type=None, address_of=True):
            return "operator '&'"
        case ast.Cast(type=None, path=(ast.Element(), *_)):
            return "operator '['"
        case ast.Cast(type=type_):
            return "operator '->'" if type_ is None else "operator '@cast'"
        case ast.AtVar():
            return "operator '@var'"
        case ast.EmbeddedExpr() | ast.Embedded():
            return "embedded-code"
        case ast.Block():
            return "operator '{'"
        case ast.Null():
            return "operator ';'"
        case _:
            return "keyword"
