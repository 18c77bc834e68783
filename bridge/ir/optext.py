"""One line of text per operation, and back: a table of templates, used in both directions.

A template's first word is the operation's mnemonic; `{field}` stands for a field, whose type
says how it looks: registers `%3` (or `%x.3` after the variable `x`), blocks `b2`, error sites
`!4`, globals `@n.0`. Adding an operation is one line in `TEMPLATES`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from bridge.ir import ops
from bridge.ir.terms import parse_term, quote_bytes, term, unquote_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.ir.ops import Op, Terminator

TEMPLATES: dict[type, str] = {
    ops.Const: "{dest} = const {value}",
    ops.ConstString: "{dest} = string {value}",
    ops.Copy: "{dest} = copy {source}",
    ops.Arith: "{dest} = arith {left} {op} {right} {site}",
    ops.Compare: "{dest} = compare {left} {op} {right}",
    ops.Concat: "{dest} = concat {parts}",
    ops.Match: "{dest} = match {text} {pattern}",
    ops.Capture: "{dest} = capture {index} {site}",
    ops.GlobalGet: "{dest} = get {variable}",
    ops.GlobalSet: "set {variable} {source}",
    ops.GlobalAdd: "add {variable} {amount}",
    ops.ArrayGet: "{dest} = array.get {variable} {keys}",
    ops.ArraySet: "array.set {variable} {keys} {source} {site}",
    ops.ArrayAdd: "array.add {variable} {keys} {amount} {site}",
    ops.ArrayHas: "{dest} = array.has {variable} {keys}",
    ops.ArrayDelete: "delete {variable} {keys}",
    ops.StatAdd: "stat.add {variable} {keys} {source} {site}",
    ops.StatGet: "{dest} = stat.get {op} {variable} {keys} {site}",
    ops.HistogramGet: "{dest} = histogram.get {variable} {keys} {bucket} {site}",
    ops.HistogramText: "{dest} = histogram.text {variable} {keys} {site}",
    ops.IterBegin: "iterate {iterator} {variable} {order} {limit} {slices}",
    ops.IterDelete: "iterate.drop {iterator}",
    ops.Call: "{dest} = call {overloads} {arguments} {site}",
    ops.CallBuiltin: "{dest} = builtin {name} {arguments} {site}",
    ops.PrintFormat: "print {format} {arguments}{site}",
    ops.FormatString: "{dest} = format {format} {arguments}{site}",
    ops.Tick: "tick {count} {site}",
    ops.Caught: "{dest} = caught",
    ops.Jump: "jump {target}",
    ops.Branch: "branch {condition} {then} {orelse}",
    ops.IterNext: "iterate.next {iterator} {keys} {value} {body} {done}",
    ops.Return: "return {value}",
    ops.NextOverload: "next",
}

_REG = r"%(?:[A-Za-z_$@][\w$@]*\.)?\d+"


@dataclass(frozen=True, slots=True)
class Naming:
    """The names to show beside the numbers of registers and globals."""

    registers: Mapping[int, str]
    globals: Mapping[int, str]


def _tail(text: str) -> int:
    return int(text.rpartition(".")[2].lstrip("%@!bf"))


def _named(mark: str, number: int, names: Mapping[int, str]) -> str:
    name = names.get(number)
    return f"{mark}{name}.{number}" if name else f"{mark}{number}"


def _optional(show: _Show, none: str) -> _Show:
    return lambda value, naming: none if value is None else show(value, naming)


def _listed(show: _Show) -> _Show:
    return lambda value, naming: "(" + " ".join(show(item, naming) for item in value) + ")"


def _reg(value: int, naming: Naming) -> str:
    return _named("%", value, naming.registers)


def _read_optional(read: Callable[[str], Any], none: str) -> Callable[[str], Any]:
    return lambda text: None if text == none else read(text)


def _read_listed(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: tuple(map(read, text[1:-1].split()))


if TYPE_CHECKING:
    _Show = Callable[[Any, Naming], str]


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a field looks: the pattern of its text, printing, reading."""

    pattern: str
    show: _Show
    read: Callable[[str], Any]


_ORDER = re.compile(r"(key|value|[a-z]+)(\d*)([+-])")


def _show_order(value: ops.Order, _: Naming) -> str:
    key = value.key if value.by == "key" else ""
    return f"{value.by}{key}{'-' if value.descending else '+'}"


def _read_order(text: str) -> ops.Order:
    found = _ORDER.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return ops.Order(found[1], found[3] == "-", int(found[2] or 0))


_SITE = _Kind(
    r"!\d+|!none",
    lambda v, _: "!none" if v is None else f"!{v}",
    lambda t: None if t == "!none" else _tail(t),
)
_SELDOM_SITE = _Kind(
    r"(?: !\d+)?",
    lambda v, _: "" if v is None else f" !{v}",
    lambda t: _tail(t.lstrip()) if t else None,
)
"""Of operations that hardly ever fail."""
_KINDS: dict[str, _Kind] = {
    "Reg": _Kind(_REG, _reg, _tail),
    "Reg | None": _Kind(f"{_REG}|_", _optional(_reg, "_"), _read_optional(_tail, "_")),
    "tuple[Reg, ...]": _Kind(r"\([^)]*\)", _listed(_reg), _read_listed(_tail)),
    "tuple[Reg | None, ...]": _Kind(
        r"\([^)]*\)",
        _listed(_optional(_reg, "*")),
        _read_listed(_read_optional(_tail, "*")),
    ),
    "tuple[int, ...]": _Kind(r"\([^)]*\)", _listed(lambda v, _: f"f{v}"), _read_listed(_tail)),
    "int": _Kind(r"-?\d+", lambda v, _: str(v), int),
    "str": _Kind(r"[^\s\"]+", lambda v, _: v, str),
    "bytes": _Kind(r'"(?:\\.|[^"\\])*"', lambda v, _: quote_bytes(v), unquote_bytes),
    "Label": _Kind(r"b\d+", lambda v, _: f"b{v}", _tail),
    "Order | None": _Kind(
        r"\w+[+-]|unordered",
        _optional(_show_order, "unordered"),
        _read_optional(_read_order, "unordered"),
    ),
}
_BY_NAME = {
    "site": _SITE,
    "variable": _Kind(
        r"@(?:[^\s.]+\.)?\d+", lambda v, naming: _named("@", v, naming.globals), _tail
    ),
}
_HOLE = re.compile(r"\{(\w+)\}")


def _kind(class_: type, name: str) -> _Kind:
    if name == "site" and class_ in {ops.PrintFormat, ops.FormatString}:
        return _SELDOM_SITE
    if name in _BY_NAME:
        return _BY_NAME[name]
    return next(_KINDS[str(field.type)] for field in fields(class_) if field.name == name)


def _pattern(class_: type, template: str) -> re.Pattern[str]:
    parts = _HOLE.split(template)
    text = "".join(
        f"(?P<{part}>{_kind(class_, part).pattern})" if at % 2 else re.escape(part)
        for at, part in enumerate(parts)
    )
    return re.compile(text)


def _mnemonic(line: str) -> str:
    words = line.split(" ", 3)
    return words[2] if len(words) > 2 and words[1] == "=" else words[0]


_PATTERNS = {_mnemonic(t): (c, _pattern(c, t)) for c, t in TEMPLATES.items()}


def show_op(op: Op | Terminator, naming: Naming) -> str:
    """The line of an operation or terminator."""
    class_ = type(op)
    return _HOLE.sub(
        lambda hole: _kind(class_, hole[1]).show(getattr(op, hole[1]), naming),
        TEMPLATES[class_],
    )


def read_op(line: str) -> Op | Terminator:
    """The operation of a line; ValueError if there is none."""
    class_, pattern = _PATTERNS.get(_mnemonic(line), (None, None))
    found = pattern.fullmatch(line) if pattern else None
    if class_ is None or found is None:
        raise ValueError(f"not an operation: {line}")
    values = {name: _kind(class_, name).read(text) for name, text in found.groupdict().items()}
    return class_(**values)  # type: ignore[no-any-return]  # one of the table


__all__ = ["TEMPLATES", "Naming", "parse_term", "read_op", "show_op", "term"]
