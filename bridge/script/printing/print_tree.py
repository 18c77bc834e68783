"""ast.Script -> SystemTap source that parses to the same tree (`check -p1`).

Rule: every operand that is not a single word or call stands in parentheses, so that no
precedence has to be known to read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.script.syntax import ast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def script_text(script: ast.Script) -> str:
    """The whole file."""
    return "\n".join(definition_text(d) for d in script.definitions) + "\n"


# --- definitions ------------------------------------------------------------------------------


def definition_text(node: ast.Definition) -> str:
    """One definition."""
    match node:
        case ast.Probe(points=points, body=body):
            return f"probe {_points(points)}\n{_block(body, 0)}"
        case ast.Alias():
            return _alias(node)
        case ast.Global():
            return _global(node)
        case ast.Function():
            return _function(node)
        case ast.Embedded(code=code):
            return f"%{{{code}%}}"


def statement_text(node: ast.Stmt) -> str:
    """One statement."""
    return _statement(node, 0)


def _points(points: Iterable[ast.ProbePoint]) -> str:
    return ", ".join(point_text(point) for point in points)


def point_text(point: ast.ProbePoint) -> str:
    """One probe point."""
    text = bare_text(point)
    if point.condition is not None:
        text += f" if ({expr_text(point.condition)})"
    return text


def bare_text(point: ast.ProbePoint) -> str:
    """One probe point, without its condition."""
    text = ".".join(_component(component) for component in point.components)
    if point.optional:
        text += "!" if point.sufficient else "?"
    return text


def _component(component: ast.PointComponent) -> str:
    match component.argument:
        case None:
            return component.name
        case int(value):
            return f"{component.name}({value})"
        case str(text):
            return f"{component.name}({quoted(text)})"


def quoted(text: str) -> str:
    """A string literal for evaluated bytes."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}
    return '"' + "".join(escapes.get(c) or _printable(c) for c in text) + '"'


def _printable(c: str) -> str:
    return c if " " <= c <= "~" else f"\\{ord(c):03o}"


def literal(node: ast.String) -> str:
    """A string literal as it was written, its unknown escapes gone."""
    return '"' + node.raw.replace('"', '\\"').replace("\n", "\\\n") + '"'


def _alias(node: ast.Alias) -> str:
    sign = "+=" if node.prologue is None else "="
    names = "".join(f"{point_text(name)} {sign} " for name in node.names)
    bodies = ",\n".join(_block(b, 0) for b in (node.prologue, node.epilogue) if b is not None)
    return f"probe {names}{_points(node.points)}\n{bodies}"


def _global(node: ast.Global) -> str:
    text = f"{'private' if node.private else 'global'} {node.name}"
    text += "%" if node.wrap else ""
    text += f"[{node.size}]" if node.size is not None else ""
    match node.initial:
        case ast.Number(value=value):
            text += f" = {value}"
        case ast.String():
            text += f" = {literal(node.initial)}"
    return text


def _function(node: ast.Function) -> str:
    private = "private " if node.private else ""
    result = f":{node.result}" if node.result else ""
    parameters = ", ".join(f"{p.name}:{p.type}" if p.type else p.name for p in node.parameters)
    priority = f":{node.priority}" if node.priority is not None else ""
    body = _block(node.body, 0) if node.body is not None else f"%{{{node.code}%}}"
    return f"{private}function {node.name}{result} ({parameters}){priority}\n{body}"


# --- statements -------------------------------------------------------------------------------


def _block(node: ast.Block, level: int) -> str:
    inner = "".join(f"{_statement(s, level + 1)}\n" for s in node.body)
    return f"{_indent(level)}{{\n{inner}{_indent(level)}}}"


def _indent(level: int) -> str:
    return "  " * min(level, 20)


def _statement(node: ast.Stmt, level: int) -> str:  # noqa: C901, PLR0911, PLR0912 - one case per kind
    at = _indent(level)
    match node:
        case ast.Null():
            return f"{at};"
        case ast.Block():
            return _block(node, level)
        case ast.ExprStmt(value=value):
            return f"{at}{expr_text(value)};"
        case ast.If():
            return _if(node, level)
        case ast.For():
            parts = "; ".join(
                "" if part is None else expr_text(part)
                for part in (node.init, node.condition, node.step)
            )
            return f"{at}for ({parts})\n{_statement(node.body, level + 1)}"
        case ast.While(condition=condition, body=body):
            return f"{at}while ({expr_text(condition)})\n{_statement(body, level + 1)}"
        case ast.Foreach():
            return f"{at}{_foreach(node)}\n{_statement(node.body, level + 1)}"
        case ast.Return(value=value):
            return f"{at}return;" if value is None else f"{at}return {expr_text(value)};"
        case ast.Delete(target=target):
            return f"{at}delete {expr_text(target)};"
        case ast.Break():
            return f"{at}break;"
        case ast.Continue():
            return f"{at}continue;"
        case ast.Next():
            return f"{at}next;"
        case ast.Try():
            variable = f" ({node.variable.id})" if node.variable else ""
            body_text, handler = _block(node.body, level), _block(node.handler, level)
            return f"{at}try\n{body_text}\n{at}catch{variable}\n{handler}"


def _if(node: ast.If, level: int) -> str:
    text = (
        f"{_indent(level)}if ({expr_text(node.condition)})\n{_statement(node.then, level + 1)}"
    )
    if node.orelse is not None:
        text += f"\n{_indent(level)}else\n{_statement(node.orelse, level + 1)}"
    return text


def _foreach(node: ast.Foreach) -> str:
    sort, keys = node.sort, [key.id for key in node.keys]
    after = ""
    if sort is not None:
        sign = "-" if sort.descending else "+"
        if sort.by == "key":
            keys[sort.key] += sign
        else:
            after = sign if sort.by == "value" else f" @{sort.by}{sign}"
    value = f"{node.value.id} = " if node.value is not None else ""
    slices = f"[{_list(node.slices)}]" if node.slices else ""
    limit = f" limit {expr_text(node.limit)}" if node.limit is not None else ""
    array = expr_text(node.array)
    return f"foreach ({value}[{', '.join(keys)}] in {array}{slices}{after}{limit})"


# --- expressions ------------------------------------------------------------------------------


def _list(nodes: Sequence[ast.Expr | None]) -> str:
    return ", ".join("*" if node is None else expr_text(node) for node in nodes)


_ATOMS = (
    ast.Number,
    ast.String,
    ast.Name,
    ast.Index,
    ast.Call,
    ast.Print,
    ast.StatOp,
    ast.AtOperator,
    ast.AtLiteral,
    ast.AtRegister,
    ast.EmbeddedExpr,
)


def _operand(node: ast.Expr) -> str:
    return expr_text(node) if isinstance(node, _ATOMS) else f"({expr_text(node)})"


def expr_text(node: ast.Expr) -> str:  # noqa: C901, PLR0911, PLR0912 - one case per kind
    """One expression."""
    match node:
        case ast.Number(value=value):
            return str(value % (1 << 64))
        case ast.String():
            return literal(node)
        case ast.Name(id=name):
            return name
        case ast.Target() | ast.Cast() | ast.AtVar():
            return target_text(node, expr_text)
        case ast.Unary(op=op, operand=operand):
            return f"{op}{_operand(operand)}"
        case ast.Step(op=op, operand=operand, prefix=prefix):
            text = _operand(operand)
            return f"{op}{text}" if prefix else f"{text}{op}"
        case ast.Binary(op=op, left=left, right=right):
            return f"{_operand(left)} {op} {_operand(right)}"
        case ast.Regex(op=op, left=left, pattern=pattern):
            return f"{_operand(left)} {op} {literal(pattern)}"
        case ast.In(keys=keys, array=array):
            inner = ", ".join("*" if k is None else _operand(k) for k in keys)
            return f"[{inner}] in {expr_text(array)}"
        case ast.Ternary(condition=condition, then=then, orelse=orelse):
            return f"{_operand(condition)} ? {_operand(then)} : {_operand(orelse)}"
        case ast.Assign(op=op, target=target, value=value):
            return f"{_operand(target)} {op} {_operand(value)}"
        case ast.Index(base=base, keys=keys):
            return f"{expr_text(base)}[{_list(keys)}]"
        case ast.Call(name=name, arguments=arguments):
            return f"{name}({_list(arguments)})"
        case ast.Print():
            return _print(node)
        case ast.StatOp(op=op, stat=stat, parameters=parameters):
            return f"@{op}({_parameters(stat, parameters)})"
        case ast.Histogram(kind=kind, stat=stat, parameters=parameters):
            return f"@hist_{kind}({_parameters(stat, parameters)})"
        case ast.AtOperator(op=op, operand=operand, literals=literals):
            more = "".join(f", {quoted(text)}" for text in literals)
            return f"@{op}({expr_text(operand)}{more})"
        case ast.AtLiteral(op=op, literals=literals):
            return f"@{op}({', '.join(quoted(text) for text in literals)})"
        case ast.AtRegister(op=op, arguments=arguments):
            return f"@{op}({_list(arguments)})"
        case ast.EmbeddedExpr(code=code):
            return f"%{{{code}%}}"


def _parameters(stat: ast.Expr, parameters: Sequence[int]) -> str:
    return ", ".join([expr_text(stat), *map(str, parameters)])


def _print(node: ast.Print) -> str:
    pieces = [literal(s) for s in (node.format, node.delimiter) if s is not None]
    pieces += [expr_text(argument) for argument in node.arguments]
    return f"{node.name}({', '.join(pieces)})"


def target_text(
    node: ast.Target | ast.Cast | ast.AtVar, expr: Callable[[ast.Expr], str]
) -> str:
    """A target expression; `expr` prints what is in it."""
    text = "&" if node.address_of else ""
    match node:
        case ast.Target(name=name):
            text += name
        case ast.Cast(value=value, type=None):
            text += f"({expr(value)})"
        case ast.Cast(value=value, type=str(type_), module=module):
            text += f"@cast({expr(value)}, {quoted(type_)}{_module(module)})"
        case ast.AtVar(name=name, module=module):
            text += f"@var({quoted(name)}{_module(module)})"
    for component in node.path:
        match component:
            case ast.Member(name=name):
                text += f"->{name}"
            case ast.Element(index=index):
                text += f"[{expr(index)}]"
    return text + node.pretty


def _module(module: str | None) -> str:
    return "" if module is None else f", {quoted(module)}"
