"""A script -> a program of bpftrace: probes with their handlers, as far as both languages go.

Markers become `usdt:`, `tracepoint:`, `uprobe:` and `kprobe:` probes; counts, sums, statistics,
histograms, printf, conditions, loops and locals are translated, anything else is refused where
it stands. What bpftrace prints in a layout of its own (maps as a whole) is said by a warning.
Source: bpftrace(8), of version 0.17.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.export import bpftrace_globals as globals_
from bridge.export import bpftrace_places as places
from bridge.export.model import identifier
from bridge.markers import Access, Begin, End, MarkerAttachment, Timer, Variable
from bridge.script.analysis.types import Type
from bridge.script.syntax import ast
from bridge.script.syntax.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    "ppid": "curtask->real_parent->tgid",
    "pexecname": "curtask->real_parent->comm",
    "target": "cpid",
    "execname": "comm",
    "gettimeofday_ns": "nsecs",
    "ktime_get_ns": "nsecs",
    "local_clock_ns": "nsecs",
    "get_cycles": "nsecs",
    "sprint_ubacktrace": "ustack",
    "sprint_backtrace": "kstack",
    "task_current": "curtask",
}
_PRINTS = {"print_ubacktrace": "ustack", "print_backtrace": "kstack"}
_UNITS = {"ns": 1, "us": 1000, "ms": 10**6, "s": 10**9}
_TIMES = {
    f"{clock}_{unit}": divisor
    for clock in ("gettimeofday", "local_clock", "cpu_clock")
    for unit, divisor in _UNITS.items()
}
_STRINGS = {
    f"{space}_string{form}": space
    for space in ("user", "kernel")
    for form in ("", "_quoted", "_warn", "_n", "_n_warn")
} | {"user_string2": "user", "kernel_string2": "kernel"}
_LOADS = {
    f"{space}_{sign}int{bits}": (space, bits // 8, not sign)
    for space in ("user", "kernel")
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
} | {
    f"{space}_{name}": (space, size, signed)
    for space in ("user", "kernel")
    for name, size, signed in (
        ("char", 1, True), ("short", 2, True), ("int", 4, True), ("long", 8, True),
        ("ushort", 2, False), ("uint", 4, False), ("ulong", 8, False), ("pointer", 8, False),
    )
}  # fmt: skip
_UNARY = {"usymname": "usym", "symname": "ksym", "ntohs": "(uint16)bswap", "ip_ntop": "ntop"}
_CONVERSION = re.compile(r"%(?P<flags>[-+ #0]*)(?P<width>\d*|\*)(?P<precision>\.[\d*]+)?"
                         r"(?P<letter>[a-zA-Z%])")  # fmt: skip


class _Refused(Exception):
    """A node that has no counterpart; it has been reported."""


def export(exported: Exported) -> str:
    """The program."""
    translation = _Translation(exported)
    parts = [translation.start(), *map(translation.probe, translation.probes)]
    return _HEAD + "\n".join(filter(None, parts))


def _own(exported: Exported) -> list[ProbeInfo]:
    """The probes; those of the library that fill its tables are out if nobody reads these."""
    probes = [info for info in exported.typed.probes if not info.made]
    of_library = [info for info in probes if _is_of_library(info, exported)]
    rest = [info for info in probes if info not in of_library]
    used = {node.id for _, node in globals_.nodes(rest) if isinstance(node, ast.Name)}
    return rest + [
        info
        for info in of_library
        if any(isinstance(n, ast.Name) and n.id in used for _, n in globals_.nodes([info]))
    ]


def _is_of_library(info: ProbeInfo, exported: Exported) -> bool:
    """Whether it runs when the session begins, without being asked for."""
    source = exported.sources.source(info.span)
    in_library = source is not None and source.name.startswith("tapset/")
    return in_library and isinstance(info.expansion.attachment, Begin) and not info.origins[1:]


class _Translation:
    """One program; `_facts`, `_marker` and the like are those of the probe it is at."""

    def __init__(self, exported: Exported) -> None:
        self._exported = exported
        self._info: ProbeInfo
        self._facts: Facts
        self._marker: Marker | None = None
        self._site = 0
        self._raw = False
        self._printed: list[str] = []
        self.probes = _own(exported)
        self._variables = {variable.name: variable for variable in exported.typed.globals}
        self._sums = globals_.only_added_to(self.probes, exported.typed.globals)
        self._shapes = {
            variable.name: variable.stat
            for variable in exported.typed.globals
            if variable.stat is not None
        }

    def start(self) -> str:
        """Globals that begin with a value."""
        lines = [
            f"\t@{identifier(variable.name)} = {_literal(variable.initial)};\n"
            for variable in self._variables.values()
            if variable.initial
        ]
        return "BEGIN\n{\n" + "".join(lines) + "}\n" if lines else ""

    def probe(self, info: ProbeInfo) -> str:
        """One probe, or one for each of its sites; "" if it was refused."""
        self._info, self._facts, self._marker = info, info.facts, None
        attachment = info.expansion.attachment
        if isinstance(attachment, MarkerAttachment):
            self._marker = attachment.marker
        used = [one for one in map(_base, self._facts.targets.values()) if one is not None]
        self._raw = places.needs_arguments(used)
        sites = 1
        if self._marker is not None and places.needs_sites(self._marker, used):
            sites = len(self._marker.sites)
        try:
            return "\n".join(self._at(info, range(site, site + 1) if sites > 1 else None)
                             for site in range(sites))  # fmt: skip
        except _Refused:
            return ""

    def _at(self, info: ProbeInfo, sites: range | None) -> str:
        self._site = sites.start if sites else 0
        self._printed = []
        points = ",\n".join(dict.fromkeys(self._points(info, sites)))
        conditions = [] if info.condition is None else [self._expr(info.condition)]
        attachment = info.expansion.attachment
        if isinstance(attachment, MarkerAttachment) and attachment.pid:
            conditions.insert(0, f"pid == {attachment.pid}")
        if isinstance(attachment, MarkerAttachment) and attachment.follow_target:
            self._exported.warn(
                "only the command itself is followed, not its children", info.span
            )
            conditions.insert(0, "pid == cpid")
        condition = f" / {' && '.join(conditions)} /" if conditions else ""
        body = "".join(self._block(block, "\t") for block in info.bodies)
        first = "".join(line for name, line in self._unset(info) if f"${name}" in body)
        if isinstance(attachment, End):
            body += "".join(f"\tclear(@{name});\n" for name in dict.fromkeys(self._printed))
        return f"{points}{condition}\n{{\n{first}{body}}}\n"

    def _unset(self, info: ProbeInfo) -> Iterator[tuple[str, str]]:
        """Locals that may be read before they are set: bpftrace knows them by their setting."""
        at_once: set[str] = set()
        for block in info.bodies:
            for one in block.body:
                match one:
                    case ast.ExprStmt(
                        value=ast.Assign(op="=", target=ast.Name(id=name), value=v)
                    ):
                        if not any(isinstance(n, ast.Name) and n.id == name for n in walk(v)):
                            at_once.add(name)
                    case ast.ExprStmt():
                        pass
                    case _:
                        break
        for name, variable in self._facts.locals.items():
            if name not in at_once and variable.type is Type.LONG:
                yield identifier(name), f"\t${identifier(name)} = (int64)0;\n"

    def _refuse(self, what: str, span: Span, instead: str = "") -> _Refused:
        self._exported.refuse(what, span, instead)
        return _Refused()

    # --- places -------------------------------------------------------------------------------

    def _points(self, info: ProbeInfo, sites: range | None) -> list[str]:
        match info.expansion.attachment:
            case Begin():
                return ["BEGIN"]
            case End():
                return ["END"]
            case Timer(period_ns=period, randomize_ns=0) if not period % 1000:
                return [_interval(period)]
            case MarkerAttachment(marker=marker) if info.expansion.only is None:
                numbers = sites or range(max(len(marker.sites), 1))
                found = [
                    places.probe_point(marker, at, self._exported.world, raw=self._raw)
                    for at in numbers
                ]
                if None not in found:
                    return [point for point in found if point is not None]
                raise self._refuse(f"{marker.kind.value} probes", info.span)
        raise self._refuse(f"{info.script_point}", info.span)

    def _target(self, node: ast.Target | ast.Cast | ast.AtVar) -> str:
        """`$arg1` -> arg0, with the type that the note gives it; `$field` -> args->field."""
        result, text = self._facts.targets.get(node), None
        if self._marker is not None and isinstance(result, Variable):
            text = self._variable(result)
        elif self._marker is not None and isinstance(result, Access):
            start = None
            if isinstance(result.base, Variable):
                start = self._variable(result.base)
            elif result.base is None and isinstance(node, ast.Cast):
                start = self._expr(node.value)
            text = None if start is None else places.follow(result, start, self._marker)
        elif isinstance(result, str):
            text = _literal(result)
        if text is None:
            name = node.name if isinstance(node, ast.Target | ast.AtVar) else "@cast"
            raise self._refuse(f"{name} here", node.span)
        return text

    def _variable(self, variable: Variable) -> str | None:
        assert self._marker is not None
        if not self._raw:
            field = places.field(self._marker, variable)
            if field is not None:
                return f"str({field[0]})" if field[1] else field[0]
        return places.read(self._marker, variable, self._site, raw=self._raw)

    # --- statements ---------------------------------------------------------------------------

    def _block(self, block: ast.Block, indent: str) -> str:
        return "".join(self._statement(one, indent) for one in block.body)

    def _statement(self, node: ast.Stmt, indent: str) -> str:  # noqa: C901, PLR0911, PLR0912
        match node:  # one case per kind
            case ast.Null():
                return ""
            case ast.Block():
                return self._block(node, indent)
            case ast.ExprStmt(value=ast.Print() as value):
                return "".join(f"{indent}{line};\n" for line in self._print(value))
            case ast.ExprStmt(value=value):
                return f"{indent}{self._effect(value)};\n"
            case ast.If():
                return self._if(node, indent)
            case ast.While(condition=condition, body=body):
                return self._loop(condition, body, None, indent)
            case ast.For(init=init, condition=condition, step=step, body=body):
                first = "" if init is None else f"{indent}{self._effect(init)};\n"
                return first + self._loop(condition, body, step, indent)
            case ast.Foreach():
                return "".join(f"{indent}{line};\n" for line in self._foreach(node))
            case ast.Next():
                return f"{indent}return;\n"
            case ast.Break() | ast.Continue():
                return f"{indent}{type(node).__name__.lower()};\n"
            case ast.Delete(target=ast.Index() as target):
                return self._delete(target, indent)
            case ast.Delete(target=ast.Name() as target):
                return f"{indent}clear({self._expr(target)});\n"
            case ast.Try(body=body):
                return self._block(body, indent)
            case _:
                raise self._refuse(_words(node), node.span)

    def _if(self, node: ast.If, indent: str) -> str:
        text = f"{indent}if ({self._expr(node.condition)}) {{\n"
        text += f"{self._statement(node.then, indent + chr(9))}{indent}}}"
        if node.orelse is not None:
            text += f" else {{\n{self._statement(node.orelse, indent + chr(9))}{indent}}}"
        return text + "\n"

    def _loop(
        self, condition: ast.Expr | None, body: ast.Stmt, step: ast.Expr | None, indent: str
    ) -> str:
        shown = "1" if condition is None else self._expr(condition)
        if step is not None and any(isinstance(n, ast.Continue) for n in walk(body)):
            raise self._refuse("continue in a `for`", body.span, "use while")
        text = self._statement(body, indent + "\t")
        if step is not None:
            text += f"{indent}\t{self._effect(step)};\n"
        return f"{indent}while ({shown}) {{\n{text}{indent}}}\n"

    def _delete(self, target: ast.Index, indent: str) -> str:
        if None in target.keys:
            raise self._refuse("delete of several entries", target.span)
        return f"{indent}delete({self._expr(target)});\n"

    def _foreach(self, node: ast.Foreach) -> list[str]:
        """A loop that prints an array: maps are printed as a whole."""
        name = globals_.global_of(node.array)
        if not globals_.is_printing(node.body) or any(node.slices):
            raise self._refuse("foreach that does more than print", node.span)
        limited = node.limit is not None
        if (
            limited
            and node.sort is not None
            and not (node.sort.descending and node.sort.by != "key")
        ):
            raise self._refuse("foreach with this order and a limit", node.span)
        limit = f", {self._expr(node.limit)}" if node.limit is not None else ""
        lines = []
        for one in globals_.printed_by(node, self._info, self._variables):
            lines += self._whole(one, node.span, limit if one == name else "")
        return lines

    def _whole(self, name: str, span: Span, limit: str = "", keys: str = "") -> list[str]:
        """A map is printed, in bpftrace's layout."""
        self._exported.warn(f"bpftrace prints `{name}` in its own layout", span)
        ends: tuple[str, ...] = ("",)
        if name in self._shapes:
            ends = tuple(self._maps(name, span))
        names = [f"{identifier(name)}{end}" for end in ends]
        self._printed += names
        return [f"print(@{one}{keys}{limit})" for one in names]

    def _effect(self, node: ast.Expr) -> str:  # noqa: PLR0911 - one case per kind
        match node:
            case ast.Assign(op="<<<", target=target, value=value):
                return self._collect(target, value)
            case ast.Assign(op="=", target=target, value=value):
                return f"{self._expr(target)} = {self._expr(value)}"
            case ast.Assign(op=op, target=target, value=value) if op != ".=":
                place = self._expr(target)
                if op == "+=" and globals_.global_of(target) in self._sums:
                    return f"{place} = sum({self._expr(value)})"
                self._shared(target)
                if op in ("/=", "%="):
                    return f"{place} = {self._divided(op[0], target, value)}"
                return f"{place} = {place} {op[:-1]} ({self._expr(value)})"
            case ast.Step(op=op, operand=operand):
                place = self._expr(operand)
                if op == "++" and globals_.global_of(operand) in self._sums:
                    return f"{place} = {'count()' if self._counts(operand) else 'sum(1)'}"
                self._shared(operand)
                return f"{place}{op}"
            case ast.Call(name="exit", arguments=()):
                return "exit()"
            case ast.Call(name=name, arguments=()) if name in _PRINTS:
                return f'printf("%s\\n", {_PRINTS[name]})'
            case _:
                raise self._refuse(_words(node), node.span)

    def _shared(self, target: ast.Expr) -> None:
        """Reading and writing are two steps in bpftrace, and other CPUs come between."""
        name = globals_.global_of(target)
        keys = target.keys if isinstance(target, ast.Index) else ()
        by_thread = any(
            isinstance(key, ast.Call) and key.name in ("tid", "cpu") for key in keys
        )
        if name in self._variables and not by_thread and self._marker is not None:
            message = f"`{name}` can lose what several CPUs do to it at once in bpftrace"
            self._exported.warn(message, target.span)

    def _counts(self, operand: ast.Expr) -> bool:
        """Whether nothing but ++ is done to a global."""
        return self._sums[globals_.global_of(operand)] == {"++"}

    def _maps(self, name: str, span: Span) -> dict[str, str]:
        found = globals_.maps_of(self._shapes[name])
        if found is None:
            raise self._refuse(f"@variance of `{name}`", span)
        return found

    def _collect(self, target: ast.Expr, value: ast.Expr) -> str:
        """`s <<< v`: what the script asks of the statistic decides which functions it is."""
        name = globals_.global_of(target)
        if name not in self._shapes:
            raise self._refuse("this statistic", target.span)
        place, given = self._expr(target), self._expr(value)
        own, keys = place[: len(name) + 1], place[len(name) + 1 :]
        return ";\n\t".join(
            f"{own}{end}{keys} = {function.format(given)}"
            for end, function in self._maps(name, target.span).items()
        )

    # --- prints -------------------------------------------------------------------------------

    def _print(self, node: ast.Print) -> list[str]:
        """The lines of a print; maps that it shows are printed as a whole."""
        maps = list(dict.fromkeys(filter(None, map(self._shown_map, node.arguments))))
        if maps:
            return [
                line for name, keys in maps for line in self._whole(name, node.span, "", keys)
            ]
        match node.name:
            case "printf" if node.format is not None:
                form = self._format(node)
            case "print" | "println" | "printd" | "printdln":
                delimiter = node.delimiter.raw.replace("%", "%%") if node.delimiter else ""
                form = delimiter.join(map(self._conversion, node.arguments))
                form += "\\n" if node.name.endswith("ln") else ""
            case _:
                raise self._refuse(f"{node.name}()", node.span, "use printf")
        arguments = [self._expr(argument) for argument in node.arguments]
        return [f'printf("{form}"{"".join(f", {argument}" for argument in arguments)})']

    def _shown_map(self, node: ast.Expr) -> tuple[str, str] | None:
        """The map that an argument of a print is or is asked of, and its keys."""
        match node:
            case ast.Histogram(stat=stat) | ast.StatOp(stat=stat):
                name = globals_.global_of(stat)
                return name, self._expr(stat)[len(name) + 1 :]
            case ast.Name() | ast.Index() if globals_.global_of(node) in self._sums:
                name = globals_.global_of(node)
                return name, self._expr(node)[len(name) + 1 :]
            case ast.Binary(left=left, right=right):
                return self._shown_map(left) or self._shown_map(right)
            case _:
                return None

    def _format(self, node: ast.Print) -> str:
        """A format; bpftrace has no widths that are arguments, and no memory dumps."""
        assert node.format is not None
        for found in _CONVERSION.finditer(node.format.raw):
            if found["width"] == "*" or found["precision"] or found["letter"] in "mMbBn":
                raise self._refuse(f"the format {found[0]}", node.format.span)
        return re.sub(r"(%[-+ #0]*\d*)i", r"\1d", node.format.raw)

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
                return f"{self._expr(base)}[{self._keys(keys)}]"
            case ast.In(array=ast.Name() as array, keys=keys) if None not in keys:
                self._exported.warn("an entry that is 0 is none in bpftrace", node.span)
                empty = '""' if self._variables[array.id].type is Type.STRING else "0"
                return f"({self._expr(array)}[{self._keys(keys)}] != {empty})"
            case ast.Target() | ast.Cast() | ast.AtVar():
                return self._target(node)
            case ast.Unary(op=op, operand=operand):
                return f"{op}({self._expr(operand)})" if op != "+" else self._expr(operand)
            case ast.Binary(op="/" | "%" as op, left=left, right=right):
                return f"({self._divided(op, left, right)})"
            case ast.Binary(op=op, left=left, right=right) if op not in (".", ">>>"):
                return f"({self._expr(left)} {op} {self._expr(right)})"
            case ast.Ternary(condition=condition, then=then, orelse=orelse):
                parts = map(self._expr, (condition, then, orelse))
                return "({} ? {} : {})".format(*parts)
            case ast.Call():
                return self._call(node)
            case _:
                raise self._refuse(_words(node), node.span)

    def _keys(self, keys: tuple[ast.Expr | None, ...]) -> str:
        return ", ".join(self._expr(key) for key in keys if key is not None)

    def _divided(self, op: str, left: ast.Expr, right: ast.Expr) -> str:
        """It divides without signs; the quotient is cut towards 0 as in the script."""
        one, other = self._expr(left), self._expr(right)
        if (
            isinstance(right, ast.Number)
            and right.value > 0
            and not self._may_be_negative(left)
        ):
            return f"{one} {op} {other}"
        if isinstance(right, ast.Number) and right.value > 0:
            quotient = f"((uint64)(-({one})) {op} {other})"
            return f"({one}) < 0 ? -(int64){quotient} : (int64)((uint64)({one}) {op} {other})"
        raise self._refuse(
            f"`{op}` by what may be negative", right.span, "divide by a constant"
        )

    def _may_be_negative(self, node: ast.Expr) -> bool:
        match node:
            case ast.Number(value=value):
                return value < 0
            case ast.Call(name=name):
                return name not in _TIMES and name not in _CALLS and "_uint" not in name
            case ast.Binary(op="-", left=ast.Call(name=name)):
                return name not in _TIMES
            case ast.Binary(op="+" | "*" | "/" | ">>" | "%", left=left, right=right):
                return self._may_be_negative(left) or self._may_be_negative(right)
            case ast.Binary(op="&", left=left, right=right):
                return self._may_be_negative(left) and self._may_be_negative(right)
            case _:
                return True

    def _call(self, node: ast.Call) -> str:
        name, arguments = node.name, node.arguments
        if name in _TIMES:
            return "nsecs" if _TIMES[name] == 1 else f"(nsecs / {_TIMES[name]})"
        if name in _CALLS and not arguments:
            return _CALLS[name]
        if name in _STRINGS and arguments:
            return self._text(node, _STRINGS[name])
        if name in _LOADS and len(arguments) == 1:
            space, size, signed = _LOADS[name]
            given = places.space_for(self._marker, space)
            return places.load(
                f"({self._expr(arguments[0])})", size, signed=signed, space=given
            )
        if name in _UNARY and len(arguments) == 1:
            return f"{_UNARY[name]}({self._expr(arguments[0])})"
        raise self._refuse(f"{name}()", node.span)

    def _text(self, node: ast.Call, wanted: str) -> str:
        """`user_string(p)`, `user_string_n(p, n)`; what is given for a fault has to be ""."""
        pointer, *rest = node.arguments
        if rest and node.name.endswith("string2"):
            if not (isinstance(rest[0], ast.String) and not rest[0].raw):
                raise self._refuse(f'{node.name}() with a text but ""', node.span)
            rest = []
        text = self._expr(pointer)
        space = places.space_for(self._marker, wanted)
        text = text.removeprefix("(uint64)") if text.startswith("(uint64)args->") else text
        if text.startswith(("args->", "arg")) and wanted == "user":
            space = ""  # it knows whose pointers the arguments are
        inner = f"{space}({text})" if space else text
        size = f", {self._expr(rest[0])}" if rest else ""
        return f"str({inner}{size})"


def _base(result: object) -> Variable | None:
    """The variable that a target expression starts at."""
    match result:
        case Variable():
            return result
        case Access(base=Variable() as base):
            return base
        case _:
            return None


def _literal(value: int | str | None) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def _interval(period_ns: int) -> str:
    """The largest unit that fits."""
    for unit in ("s", "ms", "us"):
        if not period_ns % _UNITS[unit]:
            return f"interval:{unit}:{period_ns // _UNITS[unit]}"
    raise AssertionError(period_ns)


_WORDS = {
    ast.In: "`in` with `*`",
    ast.Regex: "regular expressions",
    ast.StatOp: "values of statistics outside of a print",
    ast.Step: "++ and -- inside of an expression",
    ast.Assign: "an assignment inside of an expression",
    ast.Foreach: "foreach",
    ast.Return: "return",
    ast.Print: "sprintf",
}


def _words(node: ast.Node) -> str:
    match node:
        case ast.Call(name=name):
            return f"{name}()"
        case ast.Binary(op=op) | ast.Unary(op=op):
            return f"the operator {op}"
        case _:
            return _WORDS.get(type(node), f"this ({type(node).__name__.lower()})")
