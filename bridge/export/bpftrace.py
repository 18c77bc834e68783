"""A script -> a program of bpftrace: probes with their handlers, as far as both languages go.

Markers become `usdt:`, `tracepoint:`, `uprobe:` and `kprobe:` probes; counts, sums, statistics,
histograms, printf, conditions and locals are translated, anything else is refused where it
stands. Globals that the script never prints are printed by bpftrace at its end, as it does.
Source: bpftrace(8), of version 0.17.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bridge.export.model import identifier
from bridge.markers import Begin, End, Kind, MarkerAttachment, Timer
from bridge.script.analysis.types import Type
from bridge.script.syntax import ast
from bridge.script.syntax.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.export.model import Exported
    from bridge.markers import Marker
    from bridge.script.analysis.typed import Facts, ProbeInfo
    from bridge.source import Span

_HEAD = "#!/usr/bin/env bpftrace\n"
_CALLS = {
    "pid": "pid",
    "tid": "tid",
    "uid": "uid",
    "gid": "gid",
    "cpu": "cpu",
    "execname": "comm",
    "gettimeofday_ns": "nsecs",
    "ktime_get_ns": "nsecs",
    "local_clock_ns": "nsecs",
}
_STRINGS = frozenset({"user_string", "kernel_string", "user_string_quoted"})
_LOADS = {
    f"{space}_{sign}int{bits}": f"{sign}int{bits}"
    for space in ("user", "kernel")
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}


class _Refused(Exception):
    """A node that has no counterpart; it has been reported."""


def export(exported: Exported) -> str:
    """The program."""
    translation = _Translation(exported)
    parts = [translation.probe(probe) for probe in exported.typed.probes]
    return _HEAD + "\n".join(filter(None, parts))


class _Translation:
    """One program; `_facts` and `_marker` are those of the probe that is being translated."""

    def __init__(self, exported: Exported) -> None:
        self._exported = exported
        self._facts: Facts
        self._marker: Marker | None = None
        self._sums = _only_added_to(exported.typed.probes)
        self._shapes = {
            variable.name: variable.stat
            for variable in exported.typed.globals
            if variable.stat is not None
        }

    def probe(self, info: ProbeInfo) -> str:
        """One probe; "" if it was refused, or prints what bpftrace prints by itself."""
        if info.made:
            return ""
        self._facts = info.facts
        try:
            points = ",\n".join(self._points(info))
            condition = "" if info.condition is None else f" / {self._expr(info.condition)} /"
            body = "".join(self._block(block, "\t") for block in info.bodies)
        except _Refused:
            return ""
        return f"{points}{condition}\n{{\n{body}}}\n"

    def _refuse(self, what: str, span: Span, instead: str = "") -> _Refused:
        self._exported.refuse(what, span, instead)
        return _Refused()

    # --- places -------------------------------------------------------------------------------

    def _points(self, info: ProbeInfo) -> list[str]:
        attachment = info.expansion.attachment
        self._marker = None
        match attachment:
            case Begin():
                return ["BEGIN"]
            case End():
                return ["END"]
            case Timer(period_ns=period, randomize_ns=0) if not period % 1000:
                return [f"interval:us:{period // 1000}"]
            case MarkerAttachment(marker=marker, follow_target=False):
                self._marker = marker
                if info.expansion.only is None:
                    return self._of_marker(marker, info.span)
        raise self._refuse(f"{info.script_point}", info.span)

    def _of_marker(self, marker: Marker, span: Span) -> list[str]:
        path = marker.sites[0].path if marker.sites else ""
        match marker.kind:
            case Kind.USDT:
                return [f"usdt:{path}:{marker.provider}:{marker.name}"]
            case Kind.TRACEPOINT:
                return [f"tracepoint:{marker.provider}:{marker.name}"]
            case Kind.FUNCTION if marker.name.isidentifier():
                return [f"uprobe:{path}:{marker.name}"]
            case Kind.FUNCTION_RETURN if marker.name.isidentifier():
                return [f"uretprobe:{path}:{marker.name}"]
            case Kind.KERNEL_FUNCTION if marker.kernel and not marker.kernel.offset:
                return [f"kprobe:{marker.kernel.symbol}"]
            case Kind.KERNEL_RETURN if marker.kernel:
                return [f"kretprobe:{marker.kernel.symbol}"]
            case _:
                raise self._refuse(f"{marker.kind.value} probes", span)

    def _variable(self, node: ast.Target) -> str:
        """`$arg1` -> arg0, with the type that the note gives it; `$field` -> args->field."""
        marker, name = self._marker, node.name[1:]
        if marker is None or node.path or node.pretty or node.address_of:
            raise self._refuse(f"{node.name} with a path", node.span)
        names = [variable.name for variable in marker.variables]
        if name not in names:
            raise self._refuse(node.name, node.span)
        if marker.kind is Kind.TRACEPOINT:
            return f"args->{name}"
        if marker.kind is not Kind.USDT:
            if name == "return" and marker.kind in (Kind.FUNCTION_RETURN, Kind.KERNEL_RETURN):
                return "retval"
            raise self._refuse(f"{node.name} of a function", node.span, "export to ftrace")
        operand = marker.variables[names.index(name)].operand(0)
        size, signed = getattr(operand, "size", 8), getattr(operand, "signed", True)
        if size == 8 and not signed:
            return f"arg{names.index(name)}"
        return f"({'' if signed else 'u'}int{8 * size})arg{names.index(name)}"

    # --- statements ---------------------------------------------------------------------------

    def _block(self, block: ast.Block, indent: str) -> str:
        return "".join(self._statement(one, indent) for one in block.body)

    def _statement(self, node: ast.Stmt, indent: str) -> str:
        match node:
            case ast.Null():
                return ""
            case ast.Block():
                return self._block(node, indent)
            case ast.ExprStmt(value=value):
                return f"{indent}{self._effect(value)};\n"
            case ast.If(condition=condition, then=then, orelse=orelse):
                text = f"{indent}if ({self._expr(condition)}) {{\n"
                text += f"{self._statement(then, indent + chr(9))}{indent}}}"
                if orelse is not None:
                    text += f" else {{\n{self._statement(orelse, indent + chr(9))}{indent}}}"
                return text + "\n"
            case ast.Next():
                return f"{indent}return;\n"
            case ast.Delete(target=ast.Index() as target):
                return f"{indent}delete({self._expr(target)});\n"
            case ast.Delete(target=ast.Name() as target):
                return f"{indent}clear({self._expr(target)});\n"
            case ast.Try(body=body):
                return self._block(body, indent)
            case _:
                raise self._refuse(_words(node), node.span)

    def _effect(self, node: ast.Expr) -> str:
        match node:
            case ast.Assign(op="<<<", target=target, value=value):
                return self._collect(target, value)
            case ast.Assign(op="=", target=target, value=value):
                return f"{self._expr(target)} = {self._expr(value)}"
            case ast.Assign(op=op, target=target, value=value) if op != ".=":
                place, given = self._expr(target), self._expr(value)
                if op == "+=" and _global_of(target) in self._sums:
                    return f"{place} = sum({given})"
                return f"{place} = {place} {op[:-1]} ({given})"
            case ast.Step(op=op, operand=operand):
                place = self._expr(operand)
                if op == "++" and _global_of(operand) in self._sums:
                    return f"{place} = {'count()' if self._counts(operand) else 'sum(1)'}"
                return f"{place}{op}"
            case ast.Print():
                return self._print(node)
            case ast.Call(name="exit", arguments=()):
                return "exit()"
            case _:
                raise self._refuse(_words(node), node.span)

    def _counts(self, operand: ast.Expr) -> bool:
        """Whether nothing but ++ is done to a global."""
        return self._sums[_global_of(operand)] == {"++"}

    def _collect(self, target: ast.Expr, value: ast.Expr) -> str:
        """`s <<< v`: what the script asks of the statistic decides which function it is."""
        name = target.base if isinstance(target, ast.Index) else target
        shape = self._shapes.get(name.id) if isinstance(name, ast.Name) else None
        place, given = self._expr(target), self._expr(value)
        if shape is None:
            raise self._refuse("this statistic", target.span)
        if shape.buckets is not None and shape.buckets.kind == "log":
            return f"{place} = hist({given})"
        if shape.buckets is not None:
            low, high, step = shape.buckets.low, shape.buckets.high, shape.buckets.step
            return f"{place} = lhist({given}, {low}, {high + step}, {step})"
        if len(shape.parts) == 1 and shape.parts <= {"count", "sum", "min", "max", "avg"}:
            (part,) = shape.parts
            return f"{place} = {part}({'' if part == 'count' else given})"
        return f"{place} = stats({given})"

    def _print(self, node: ast.Print) -> str:
        arguments = [self._expr(argument) for argument in node.arguments]
        if isinstance(node.arguments[0] if node.arguments else None, ast.Histogram):
            return f"print({arguments[0]})"
        match node.name:
            case "printf" if node.format is not None:
                form = node.format.raw
            case "print" | "println":
                form = "".join(map(self._conversion, node.arguments))
                form += "\\n" if node.name == "println" else ""
            case _:
                raise self._refuse(f"{node.name}()", node.span, "use printf")
        return f'printf("{form}"{"".join(f", {argument}" for argument in arguments)})'

    def _conversion(self, node: ast.Expr) -> str:
        return "%s" if self._facts.types.get(node) is Type.STRING else "%d"

    # --- expressions --------------------------------------------------------------------------

    def _expr(self, node: ast.Expr) -> str:  # noqa: C901, PLR0911 - one case per kind
        match node:
            case ast.Number(value=value):
                return str(value)
            case ast.String(raw=raw):
                return f'"{raw}"'
            case ast.Name(id=name):
                known = name in self._facts.locals
                return f"{'$' if known else '@'}{identifier(name)}"
            case ast.Index(base=ast.Name() as base, keys=keys) if None not in keys:
                inner = ", ".join(self._expr(key) for key in keys if key is not None)
                return f"{self._expr(base)}[{inner}]"
            case ast.Target():
                return self._variable(node)
            case ast.Unary(op=op, operand=operand):
                return f"{op}({self._expr(operand)})"
            case ast.Binary(op=op, left=left, right=right) if op not in (".", ">>>"):
                return f"({self._expr(left)} {op} {self._expr(right)})"
            case ast.Ternary(condition=condition, then=then, orelse=orelse):
                parts = map(self._expr, (condition, then, orelse))
                return "({} ? {} : {})".format(*parts)
            case ast.Histogram(stat=stat):
                return self._expr(stat)
            case ast.Call():
                return self._call(node)
            case _:
                raise self._refuse(_words(node), node.span)

    def _call(self, node: ast.Call) -> str:
        name, arguments = node.name, node.arguments
        if name in _CALLS and not arguments:
            return _CALLS[name]
        if name in _STRINGS and len(arguments) == 1:
            return f"str({self._expr(arguments[0])})"
        if name in _LOADS and len(arguments) == 1:
            return f"*({_LOADS[name]} *)({self._expr(arguments[0])})"
        for divisor, unit in ((1000, "us"), (10**6, "ms"), (10**9, "s")):
            if name == f"gettimeofday_{unit}" and not arguments:
                return f"(nsecs / {divisor})"
        raise self._refuse(f"{name}()", node.span)


def _global_of(node: ast.Expr) -> str:
    """The name of the variable that an lvalue belongs to."""
    name = node.base if isinstance(node, ast.Index) else node
    return name.id if isinstance(name, ast.Name) else ""


def _only_added_to(probes: Iterable[ProbeInfo]) -> dict[str, set[str]]:
    """Globals that are added to and never looked at, and by what: bpftrace adds by CPU."""
    added: dict[str, set[str]] = {}
    uses: Counter[str] = Counter()
    for info in probes:
        if info.made:
            continue
        for node in (node for body in info.bodies for node in walk(body)):
            match node:
                case ast.Name(id=name) if name not in info.facts.locals:
                    uses[name] += 1
                case ast.ExprStmt(
                    value=ast.Assign(op="+=", target=target) | ast.Step(op="++", operand=target)
                ):
                    op = "+=" if isinstance(node.value, ast.Assign) else "++"
                    added.setdefault(_global_of(target), set()).add(op)
                    uses[_global_of(target)] -= 1
                case _:
                    pass
    return {name: ops for name, ops in added.items() if uses[name] == 0}


_WORDS = {
    ast.Foreach: "foreach",
    ast.For: "for",
    ast.While: "while",
    ast.In: "`in`",
    ast.Regex: "regular expressions",
    ast.StatOp: "values of statistics (it prints them at its end)",
    ast.Cast: "@cast",
    ast.AtVar: "@var",
}


def _words(node: ast.Node) -> str:
    return _WORDS.get(type(node), f"this ({type(node).__name__.lower()})")
