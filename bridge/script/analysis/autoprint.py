"""Globals that are written but never read -> the `end` probes that print them.

Rule: the text is SystemTap 5.6's (spec section 11). One probe per variable, after the script's
own probes, in order of declaration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.script.analysis.types import Type
from bridge.script.syntax import ast

if TYPE_CHECKING:
    from bridge.script.analysis.typed import GlobalVariable

_PARTS = ("count", "min", "max", "sum", "avg")
_VALUES = {Type.LONG: "%d", Type.STRING: '"%#s"'}
_KEYS = {Type.LONG: "%#d", Type.STRING: '"%#s"'}


def display(variable: GlobalVariable) -> ast.Block:
    """The body of the probe that prints a global."""
    build = _Build(variable)
    statement = build.scalar() if variable.keys is None else build.array(len(variable.keys))
    return ast.Block((statement,), span=build.at, token=build.at)


class _Build:
    def __init__(self, variable: GlobalVariable) -> None:
        self._variable = variable
        self.at = variable.declaration.token

    def scalar(self) -> ast.Stmt:
        name = self._name(self._variable.name)
        if self._variable.type is not Type.STAT:
            conversion = _VALUES[self._variable.type]
            return self._printf(f"{self._variable.name}={conversion}\\n", (name,))
        count = self._binary("==", self._part("count", name), self._number(0))
        empty = self._printf(f"{self._variable.name} @count=0x0\\n", ())
        other = self._name(self._variable.name)
        return ast.If(count, empty, self._stat("", other, ()), span=self.at, token=self.at)

    def array(self, count: int) -> ast.Stmt:
        names = [f"__idx{number}" for number in range(count)]
        keys = tuple(self._name(name) for name in names)
        assert self._variable.keys is not None
        text = ",".join(_KEYS[type_] for type_ in self._variable.keys)
        indices: tuple[ast.Expr, ...] = tuple(self._name(name) for name in names)
        value: ast.Name | None = None
        if self._variable.type is Type.STAT:
            body = self._stat(f"[{text}]", self._element(names), indices)
        else:
            value = self._name("__val")
            format_ = f"{self._variable.name}[{text}]={_VALUES[self._variable.type]}\\n"
            body = self._printf(format_, (*indices, self._name("__val")))
        sort = ast.Sort("value", True, span=self.at, token=self.at)
        array = self._name(self._variable.name)
        return ast.Foreach(
            keys, value, array, (), sort, None, body, span=self.at, token=self.at
        )

    def _element(self, names: list[str]) -> ast.Index:
        keys = tuple(self._name(name) for name in names)
        array = self._name(self._variable.name)
        return ast.Index(array, keys, span=self.at, token=self.at)

    def _stat(self, index: str, stat: ast.Expr, keys: tuple[ast.Expr, ...]) -> ast.Stmt:
        parts = " ".join(f"@{part}=%#d" for part in _PARTS)
        values = tuple(self._part(part, stat) for part in _PARTS)
        return self._printf(f"{self._variable.name}{index} {parts}\\n", (*keys, *values))

    def _part(self, part: str, stat: ast.Expr) -> ast.Expr:
        return ast.StatOp(part, stat, span=self.at, token=self.at)

    def _printf(self, raw: str, arguments: tuple[ast.Expr, ...]) -> ast.Stmt:
        from bridge.script.syntax.lex import evaluate

        format_ = ast.String(evaluate(raw), raw, span=self.at, token=self.at)
        call = ast.Print("printf", arguments, format=format_, span=self.at, token=self.at)
        return ast.ExprStmt(call, span=self.at, token=self.at)

    def _name(self, name: str) -> ast.Name:
        return ast.Name(name, span=self.at, token=self.at)

    def _number(self, value: int) -> ast.Number:
        return ast.Number(value, span=self.at, token=self.at)

    def _binary(self, op: str, left: ast.Expr, right: ast.Expr) -> ast.Expr:
        return ast.Binary(op, left, right, span=self.at, token=self.at)
