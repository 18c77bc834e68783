"""Resolved trees -> the text of them that `stap -v -p2` prints.

Every operand stands in parentheses, globals and functions have the names that SystemTap gives
them in C. Rule: without facts (points as they were written) names stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.script.analysis.typed import GlobalVariable
from bridge.script.printing.print_tree import literal, quoted, target_text
from bridge.script.syntax import ast
from bridge.script.syntax.walk import children

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bridge.script.analysis.typed import Facts, FunctionInfo

_OF_CONSTANTS = "/* pure */ /* unprivileged */ /* stable */"
_BY_WORD = {"count": " @count", "avg": " @avg", "min": " @min", "max": " @max", "sum": " @sum"}


def function_body(function: FunctionInfo) -> str:
    """The body of a function, embedded C as it is."""
    declaration = function.declaration
    if declaration.body is None:
        return f"%{{{declaration.code}%}}"
    return Bodies(function.facts).statement(declaration.body)


def probe_body(
    blocks: Sequence[ast.Block],
    condition: ast.Expr | None,
    facts: Facts,
    *,
    simplified: bool = True,
) -> str:
    """What a probe runs: the condition's check, then all bodies as one."""
    printer = Bodies(facts)
    if not simplified:
        return "".join(map(printer.whole_block, blocks))
    parts = [] if condition is None else [_checked(condition)]
    whole = ast.Block((*parts, *blocks), span=blocks[0].span, token=blocks[0].token)
    return printer.statement(whole)


def _checked(condition: ast.Expr) -> ast.If:
    span, token = condition.span, condition.token
    refused = ast.Unary("!", condition, span=span, token=token)
    return ast.If(refused, ast.Next(span=span, token=token), None, span=span, token=token)


def point(node: ast.ProbePoint, private: Mapping[str, str] | None = None) -> str:
    """One probe point with its suffix and its condition;

    with `private`, the globals in it have their full names, and these are the private ones.
    """
    printer = Bodies(None, private)
    return f"{node}{suffix(node)}{printer.condition(node.condition)}"


def suffix(node: ast.ProbePoint) -> str:
    """`?` or `!` of a point."""
    return "!" if node.sufficient else "?" if node.optional else ""


class Bodies:
    """Prints the trees of one body."""

    def __init__(
        self, facts: Facts | None = None, private: Mapping[str, str] | None = None
    ) -> None:
        self._facts = facts
        self._private = private

    def condition(self, node: ast.Expr | None) -> str:
        """What follows a point under a condition."""
        return "" if node is None else f" if ({self.expr(node)})"

    # --- statements

    def whole_block(self, node: ast.Block) -> str:
        """A block, however many statements it has."""
        inner = "".join(f"{self.statement(s)};\n" for s in node.body)
        return f"{{\n{inner}}}"

    def statement(self, node: ast.Stmt) -> str:  # noqa: C901, PLR0911, PLR0912 - one case per kind
        """One statement; blocks of one statement or none are no blocks."""
        match node:
            case ast.Block():
                return self._block(node)
            case ast.ExprStmt(value=value):
                return self.expr(value)
            case ast.If():
                return self._if(node)
            case ast.For() | ast.While():
                return self._loop(node)
            case ast.Foreach():
                return f"{self._foreach(node)} {self.statement(node.body)}"
            case ast.Return(value=None):
                return "return"
            case ast.Return(value=value):
                return f"return {self._optional(value)}"
            case ast.Delete(target=target):
                # nothing but the name is looked up here
                whole = target.id if isinstance(target, ast.Name) else self.expr(target)
                return f"delete {whole}"
            case ast.Try():
                return self._try(node)
            case ast.Next():
                return "next"
            case ast.Break():
                return "break"
            case ast.Continue():
                return "continue"
            case ast.Null():
                return ";"

    def _block(self, node: ast.Block) -> str:
        statements = list(_flat(node))
        if not statements:
            return ";"
        if len(statements) == 1:
            return self.statement(statements[0])
        inner = "".join(f"{self.statement(s)};\n" for s in statements)
        return f"{{\n{inner}}}"

    def _if(self, node: ast.If) -> str:
        text = f"if ({self.expr(node.condition)}) {self.statement(node.then)}\n"
        if node.orelse is not None and not _is_empty(node.orelse):
            text += f"else {self.statement(node.orelse)}\n"
        return text

    def _loop(self, node: ast.For | ast.While) -> str:
        init = step = None
        if isinstance(node, ast.For):
            init, step = node.init, node.step
        condition = "1" if node.condition is None else self.expr(node.condition)
        parts = f"{self._optional(init)}; {condition}; {self._optional(step)}"
        return f"for ({parts}) {self.statement(node.body)}"

    def _optional(self, node: ast.Expr | None) -> str:
        return "" if node is None else self.expr(node)

    def _foreach(self, node: ast.Foreach) -> str:
        sort, keys = node.sort, [self.expr(key) for key in node.keys]
        after = ""
        if sort is not None:
            sign = "-" if sort.descending else "+"
            if sort.by == "key":
                keys[sort.key] += sign
            else:
                after = _BY_WORD.get(sort.by, "") + sign
        value = f"{self.expr(node.value)} = " if node.value is not None else ""
        slices = f"[{self._list(node.slices)}]" if node.slices else ""
        limit = f" limit {self.expr(node.limit)}" if node.limit is not None else ""
        array = f"{self.expr(node.array)}{slices}{after}{limit}"
        return f"foreach ({value}[{', '.join(keys)}] in {array})"

    def _try(self, node: ast.Try) -> str:
        variable = f"({self.expr(node.variable)}) " if node.variable else ""
        body, handler = self.statement(node.body), self.statement(node.handler)
        return f"try {{\n{body}\n}} catch {variable}{{\n{handler}\n}}\n"

    # --- expressions

    def expr(self, node: ast.Expr) -> str:  # noqa: C901, PLR0911, PLR0912 - one case per kind
        """One expression."""
        match node:
            case ast.Number(value=value):
                return str(value)
            case ast.String():
                return literal(node)
            case ast.Name():
                return self._name(node)
            case ast.Target() | ast.Cast() | ast.AtVar():
                return target_text(node, self.expr)
            case ast.Unary(op=op, operand=operand):
                return f"{op}({self.expr(operand)})"
            case ast.Step(op=op, operand=operand, prefix=prefix):
                text = f"({self.expr(operand)})"
                return f"{op}{text}" if prefix else f"{text}{op}"
            case ast.Binary(op=op, left=left, right=right):
                return f"({self.expr(left)}) {op} ({self.expr(right)})"
            case ast.Regex(op=op, left=left, pattern=pattern):
                return f"({self.expr(left)}) {op} {literal(pattern)}"
            case ast.In(keys=keys, array=array):
                return f"[{self._list(keys)}] in {self.expr(array)}"
            case ast.Ternary(condition=condition, then=then, orelse=orelse):
                parts = [f"({self.expr(part)})" for part in (condition, then, orelse)]
                return f"{parts[0]}?{parts[1]}:{parts[2]}"
            case ast.Assign(op=op, target=target, value=value):
                return f"({self.expr(target)}) {op} ({self.expr(value)})"
            case ast.Index(base=base, keys=keys):
                return f"{self.expr(base)}[{self._list(keys)}]"
            case ast.Call(arguments=arguments):
                return f"{self._function(node)}({self._list(arguments)})"
            case ast.Print():
                return self._print(node)
            case ast.StatOp(op=op, stat=stat, parameters=parameters):
                return f"@{op}({self._parameters(stat, parameters)})"
            case ast.Histogram(kind=kind, stat=stat, parameters=parameters):
                return f"@hist_{kind}({self._parameters(stat, parameters)})"
            case ast.AtOperator(op=op, operand=operand, literals=literals):
                more = "".join(f", {quoted(text)}" for text in literals)
                return f"@{op}({self.expr(operand)}{more})"
            case ast.AtLiteral(op="const", literals=(text, *_)):
                return f"%{{ {_OF_CONSTANTS} {text} %}}"
            case ast.AtLiteral(op=op, literals=literals):
                return f"@{op}({', '.join(quoted(text) for text in literals)})"
            case ast.AtRegister(op=op, arguments=arguments):
                return f"@{op}({self._list(arguments)})"
            case ast.EmbeddedExpr(code=code):
                return f"%{{ {code} %}}"

    def _list(self, nodes: Sequence[ast.Expr | None]) -> str:
        return ", ".join("*" if node is None else self.expr(node) for node in nodes)

    def _parameters(self, stat: ast.Expr, parameters: Sequence[int]) -> str:
        return ", ".join([self.expr(stat), *map(str, parameters)])

    def _name(self, node: ast.Name) -> str:
        if self._private is not None:
            return self._private.get(node.id, f"__global_{node.id}")
        found = self._facts.names.get(node) if self._facts else None
        return found.label if isinstance(found, GlobalVariable) else node.id

    def _function(self, node: ast.Call) -> str:
        found = self._facts.calls.get(node) if self._facts else None
        return found[0].label if isinstance(found, tuple) else node.name

    def _print(self, node: ast.Print) -> str:
        pieces = [_again(s) for s in (node.format, node.delimiter) if s is not None]
        pieces += [self.expr(argument) for argument in node.arguments]
        return f"{node.name}({', '.join(pieces)})"


def _again(node: ast.String) -> str:
    """A text as it was written, its escapes escaped."""
    return '"' + node.raw.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _flat(node: ast.Block) -> Iterator[ast.Stmt]:
    """The statements of a block and of those in it, without what does nothing."""
    for statement in node.body:
        if isinstance(statement, ast.Block):
            yield from _flat(statement)
        elif not isinstance(statement, ast.Null):
            yield statement


def _is_empty(node: ast.Stmt) -> bool:
    return isinstance(node, ast.Null) or (
        isinstance(node, ast.Block) and not any(children(node))
    )
