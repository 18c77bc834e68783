"""A bpftrace program -> a script; what has no counterpart is in comments at its place.

Probes, filters, maps and what collects in them, printf, times, texts, conditions, loops and
types of C are translated; maps are printed at the end, as bpftrace does. The rule: a statement
is translated as a whole or not at all, and what is left out is counted and said.
Source: bpftrace(8), "Probe types", "Builtins", "Map functions".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bridge.imports import maps as m
from bridge.imports.pieces import (
    Unmapped,
    bare,
    comment,
    conversion,
    global_names,
    inert,
    joined,
    line,
    literal,
    number_of,
    split_if,
    uncast,
)
from bridge.imports.points import Point, point
from bridge.imports.tokens import BpftraceReader
from bridge.imports.tree import BpftraceNode, parse
from bridge.imports.words import (
    BUILTINS,
    CONSTANTS,
    INTEGERS,
    LEFT_OUT,
    MEMBERS,
    RESERVED,
    TEXTS,
    TIME_PARTS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class TracepointFields(Protocol):
    """Knows the fields of tracepoints."""

    def __call__(self, group: str, name: str) -> Mapping[str, str] | None:
        """Each with "string" or "long", `#N` with the name of an argument; None: no such."""


_CONVERSION = re.compile(r"%([-+ #0]*)(\d*)((?:\.\d+)?)[hlqjzt]*([a-zA-Z%])")


_JOIN = """function join__:string (list:long, between:string)
{
	text = ""
	for (i = 0; i < 16; i++) {
		one = user_uint64(list + 8 * i)
		if (one == 0) break
		text .= (i ? between : "") . user_string2(one, "")
	}
	return text
}
"""
"""What join() prints: up to 16 texts of a list of pointers."""


@dataclass(slots=True)
class Imported:
    """A script, and what of the program is not in it: lines, and why."""

    text: str
    left_out: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Probe:
    """The probe that is being translated."""

    points: list[Point]
    types: dict[str, str] = field(default_factory=dict)
    """Structures that local variables point to."""
    texts: set[str] = field(default_factory=set)
    """Local variables that are texts."""
    loops: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """Variables of `for`: the map, and the names of its keys."""
    named: str = ""
    """The probe point, where only one is meant."""

    @property
    def kind(self) -> str:
        return self.points[0].kind

    @property
    def user(self) -> bool:
        return self.points[0].user


def translate(text: str, name: str, fields: TracepointFields) -> Imported:
    """The script of a program; ImportFailure, if it cannot be read."""
    reader = BpftraceReader(text, name)
    tree = parse(reader)
    return _Translation(reader, tree, fields).all()


class _Translation:
    """One program."""

    def __init__(
        self, reader: BpftraceReader, tree: BpftraceNode, fields: TracepointFields
    ) -> None:
        self._reader, self._tree, self._fields = reader, tree, fields
        self._maps = m.find_maps(tree)
        self._names = global_names(self._maps)
        self._macros = {n.parts[1].text: n for n in tree.parts if n.kind == "macro"}
        self._left: list[tuple[int, str]] = []
        self._probe = _Probe([])
        self._ends: list[str] = []
        self._inside: list[str] = []
        self._begun = self._optional = self._joins = False
        self._all: list[Point] = []
        self._loop = 0
        self._typed: dict[str, list[str]] = {}
        """For maps with keys, a value of the type of each."""

    # --- the whole ------------------------------------------------------------------------

    def all(self) -> Imported:
        parts = [self._item(item) for item in self._tree.parts]
        head = (
            f"# Made by markbridge import bpftrace of {self._reader.file.rpartition('/')[2]}\n"
        )
        declared = "".join(self._declaration(one) for one in self._maps.values())
        if self._begun:
            declared += "global begun__\n"
            parts.insert(0, "probe begin(-1)\n{\n\tbegun__ = ktime_get_ns()\n}\n")
        declared += _JOIN if self._joins else ""
        shown = self._never() + self._auto_print()
        comments = "".join(comment(one, "") for one in self._reader.declarations)
        body = "\n".join(filter(None, (head + comments + declared, *parts, shown)))
        return Imported(body, self._left)

    def _declaration(self, one: m.Map) -> str:
        if one.problem:
            self._left.append((1, one.problem))
        return f"global {self._names[one.name]}\n" if not one.problem else ""

    def _item(self, node: BpftraceNode) -> str:
        if node.kind == "macro":
            return self._macro(node)
        points = [point(part.text) for part in node.parts if part.kind == "POINT"]
        good = [one for one in points if isinstance(one, Point)]
        text, self._all = "", good
        for part, one in zip((p for p in node.parts if p.kind == "POINT"), points, strict=True):
            if isinstance(one, str):
                text += self._skip(part, one)
        if not good:
            return text + comment(self._source(node), "")
        for group in self._groups(node, good):
            text += self._handler(node, group)
        return text

    def _groups(self, node: BpftraceNode, points: list[Point]) -> list[list[Point]]:
        """Points that can share a handler; one each, if it asks which of them it is."""
        names = {part.text for part in node.walk() if part.kind == "NAME"}
        apart = "probe" in names or "args" in names
        if apart and len(points) > 1:
            return [[one] for one in points]
        groups: dict[tuple[str, bool], list[Point]] = {}
        for one in points:
            groups.setdefault((one.kind, one.user), []).append(one)
        return list(groups.values())

    def _handler(self, node: BpftraceNode, points: list[Point]) -> str:
        self._probe = _Probe(points, named=points[0].written if len(points) == 1 else "")
        try:
            first = self._filter(node)
        except Unmapped as why:
            return self._skip(node, str(why)) + comment(self._source(node), "")
        body = self._block(node.parts[-1], "\t")
        where = ",\n      ".join(self._place(one) for one in points)
        return f"probe {where}\n{{\n{first}{body}}}\n"

    def _place(self, one: Point) -> str:
        """Of a list, and of functions that are inlined here and there, not all may be there."""
        certain = one.kind in ("BEGIN", "END", "interval", "profile", "software", "hardware")
        if certain or (len(self._all) == 1 and one.kind not in ("kprobe", "kretprobe")):
            return one.text
        self._optional = True
        return f"{one.text}?"

    def _filter(self, node: BpftraceNode) -> str:
        parts = [part.kind for part in node.parts]
        if "FILTER" not in parts:
            return ""
        condition = self._truth(node.parts[parts.index("FILTER") + 1])
        return f"\tif (!({condition})) next\n"

    def _macro(self, node: BpftraceNode) -> str:
        """`macro f($x, @y) { ... }`: a macro of the script, whose parameters are `@x`."""
        name, *parameters = (part.text for part in node.rest() if part.kind != "block")
        self._inside = [one.strip("$@") for one in parameters]
        self._probe = _Probe([Point("", "macro", "")])
        block = node.parts[-1]
        statements = [part for part in block.parts if part.kind not in "{};"]
        try:
            if len(statements) == 1 and statements[0].kind not in ("if", "assign", "while"):
                body = self._expr(statements[0])
            else:
                body = self._block(block, "\t")
        except Unmapped as why:
            return self._skip(node, str(why)) + comment(self._source(node), "")
        finally:
            self._inside = []
        given = f"({', '.join(one.strip('$@') for one in parameters)})" if parameters else ""
        return f"@define {name}{given} %( {body} %)\n"

    def _source(self, node: BpftraceNode) -> str:
        return self._reader.text[node.start : node.end]

    def _skip(self, node: BpftraceNode, why: str) -> str:
        line = self._reader.text.count("\n", 0, node.start) + 1
        self._left.append((line, why))
        return f"/* not translated: {inert(why)} */\n"

    # --- statements -----------------------------------------------------------------------

    def _block(self, block: BpftraceNode, indent: str) -> str:
        return "".join(
            self._statement(one, indent)
            for one in block.parts
            if one.kind not in ("{", "}", ";")
        )

    def _statement(self, node: BpftraceNode, indent: str) -> str:
        try:
            return self._translated(node, indent)
        except Unmapped as why:
            note = self._skip(node, str(why))
            return f"{indent}{note}" + comment(self._source(node), indent)

    def _translated(self, node: BpftraceNode, indent: str) -> str:  # noqa: C901, PLR0911 - one case per kind
        match node.kind:
            case "if":
                return self._if(node, indent)
            case "while":
                condition, block = node.parts[1], node.parts[2]
                inner = self._block(block, indent + "\t")
                return f"{indent}while ({self._truth(bare(condition))}) {{\n{inner}{indent}}}\n"
            case "unroll":
                self._loop += 1
                i, count = f"turn{self._loop}", self._expr(bare(node.parts[1]))
                inner = self._block(node.parts[2], indent + "\t")
                return f"{indent}for ({i} = 0; {i} < {count}; {i}++) {{\n{inner}{indent}}}\n"
            case "for":
                return self._for(node, indent)
            case "block":
                return self._block(node, indent)
            case "return":
                return f"{indent}next\n"
            case "jump":
                return f"{indent}{node.parts[0].text}\n"
            case "let":
                if len(node.parts) == 1 or node.parts[-2].text != "=":
                    return ""
                return self._assigned(node.rest()[0], "=", node.parts[-1], indent)
            case "assign":
                return self._assigned(node.parts[0], node.operator(), node.parts[-1], indent)
            case "call":
                return self._called(node, indent)
            case _:
                return f"{indent}{self._expr(node)}\n"

    def _if(self, node: BpftraceNode, indent: str) -> str:
        condition, then, *rest = split_if(node)
        text = f"{indent}if ({self._truth(bare(condition))}) {{\n"
        text += f"{self._block(then, indent + chr(9))}{indent}}}"
        if rest and rest[0].kind == "if":
            text += f" else {self._if(rest[0], indent).lstrip()}".rstrip("\n")
        elif rest:
            text += f" else {{\n{self._block(rest[0], indent + chr(9))}{indent}}}"
        return text + "\n"

    def _for(self, node: BpftraceNode, indent: str) -> str:
        """`for ($kv : @map) { ... }`."""
        head = node.parts[1] if node.parts[1].kind == "for_head" else node
        variable = next(part for part in head.parts if part.kind == "VARIABLE")
        over = next((part for part in head.parts if part.kind == "MAP"), None)
        if over is None:
            raise Unmapped("a loop over numbers")
        kept = self._map(over)
        keys = tuple(self._fresh_keys(max(kept.keys, 1)))
        self._probe.loops[variable.text] = (over.text, keys)
        inner = self._block(node.parts[-1], indent + "\t")
        head_ = f"[{', '.join(keys)}]" if len(keys) > 1 else keys[0]
        return f"{indent}foreach ({head_} in {self._names[over.text]}) {{\n{inner}{indent}}}\n"

    def _fresh_keys(self, count: int) -> list[str]:
        """Names for the keys of a loop; each has one type in a handler."""
        self._loop += 1
        return [
            f"key{self._loop}{chr(ord('a') + n) if count > 1 else ''}" for n in range(count)
        ]

    def _assigned(self, target: BpftraceNode, op: str, value: BpftraceNode, indent: str) -> str:
        how = m.called(value)
        if how in m.COLLECTING and m.map_of(target) is not None:
            return f"{indent}{self._collected(target, how, value)}\n"
        kept = m.map_of(target)
        place = self._expr(target)
        if place.startswith("(@"):
            place = place[1:-1]
        if kept is not None:
            wanted = self._map(kept)
            as_text = wanted.text or bool(wanted.held)
            return (
                f"{indent}{place} {op} {self._text(value) if as_text else self._expr(value)}\n"
            )
        self._learn(target.text, value)
        shown = self._text(value) if target.text in self._probe.texts else self._expr(value)
        return f"{indent}{place} {op} {shown}\n"

    def _learn(self, variable: str, value: BpftraceNode) -> None:
        """What a local variable is from now on."""
        structure = self._structure(value)
        if structure:
            self._probe.types[variable] = structure
        if self._is_text(value):
            self._probe.texts.add(variable)

    def _collected(self, target: BpftraceNode, how: str, value: BpftraceNode) -> str:
        place, given = self._place_of(target), m.arguments(value)
        if how == "count":
            return f"{place}++"
        amount = self._expr(given[0])
        return f"{place} += {amount}" if how == "sum" else f"{place} <<< {amount}"

    def _place_of(self, target: BpftraceNode) -> str:
        """A map or an entry, of statistics, too."""
        if target.kind == "MAP":
            return self._names[self._map(target).name]
        return self._expr(target)

    def _called(self, node: BpftraceNode, indent: str) -> str:  # noqa: PLR0911 - one case per function
        name, given = m.called(node), m.arguments(node)
        match name:
            case "printf":
                return f"{indent}{self._printf(node)}\n"
            case "print":
                return self._print(given, indent)
            case "clear" | "delete" | "zero":
                return self._emptied(name, given, indent)
            case "exit":
                return f"{indent}exit()\n"
            case "join" if self._probe.user:
                self._joins = True
                between = self._expr(given[1]) if len(given) > 1 else '" "'
                return f"{indent}println(join__({self._expr(given[0])}, {between}))\n"
            case "time":
                form = given[0].text if given else '"%H:%M:%S\\n"'
                return f"{indent}{joined(*self._time(form))}\n"
            case "system":
                if len(given) != 1 or given[0].kind != "STRING":
                    raise Unmapped("system() with values")
                return f"{indent}system({given[0].text})\n"
            case _ if name in self._macros:
                return f"{indent}@{name}({', '.join(map(self._expr, given))})\n"
            case _:
                return f"{indent}{self._expr(node)}\n"

    def _emptied(self, name: str, given: tuple[BpftraceNode, ...], indent: str) -> str:
        if not given or m.map_of(given[0]) is None:
            raise Unmapped(f"{name}() of this")
        target = given[0]
        if name == "delete" and len(given) == 2:  # of the map, with a key
            inner = given[1].rest() if given[1].kind == "tuple" else given[1:]
            own = self._names[self._map(target).name]
            return f"{indent}delete {own}[{', '.join(map(self._expr, inner))}]\n"
        if name == "zero":
            kept = self._map(target)
            own = self._names[kept.name]
            if kept.keys and not kept.is_statistic:
                keys = self._fresh_keys(kept.keys)
                head = f"[{', '.join(keys)}]" if len(keys) > 1 else keys[0]
                return f"{indent}foreach ({head} in {own}) {own}[{', '.join(keys)}] = 0\n"
        return f"{indent}delete {self._place_of(target)}\n"

    # --- prints ---------------------------------------------------------------------------

    def _printf(self, node: BpftraceNode) -> str:
        form, *given = m.arguments(node)
        if form.kind != "STRING":
            raise Unmapped("a format that is no text")
        letters = [f[4] for f in _CONVERSION.finditer(form.text) if f[4] != "%"]
        if len(letters) != len(given):
            raise Unmapped("a format with other arguments")
        words = []
        for letter, one in zip(letters, given, strict=True):
            if letter not in "sdiuxXpc":
                raise Unmapped(f"the format %{letter}")
            words.append(self._text(one) if letter == "s" else self._expr(one))
        text = _CONVERSION.sub(conversion, form.text)
        return f"printf({', '.join((text, *words))})"

    def _print(self, given: tuple[BpftraceNode, ...], indent: str) -> str:
        if not given:
            raise Unmapped("print() of nothing")
        found = m.map_of(given[0])
        if found is None:
            shown = self._text(given[0]) if self._is_text(given[0]) else self._expr(given[0])
            return f"{indent}println({shown})\n"
        kept = self._map(found)
        if given[0].kind == "index":
            return f"{indent}{self._shown_entry(kept, self._expr(given[0]))}\n"
        top = self._expr(given[1]) if len(given) > 1 else ""
        divisor = self._expr(given[2]) if len(given) > 2 else ""
        return "".join(f"{indent}{line}\n" for line in self._shown(kept, top, divisor))

    def _shown(self, kept: m.Map, top: str = "", divisor: str = "") -> list[str]:
        """A map as bpftrace prints it; only the `top` largest entries, values divided."""
        own = self._names[kept.name]
        if kept.keys <= 0:
            there = f"if (@count({own})) " if kept.is_statistic else ""
            return [f"{there}{self._shown_entry(kept, own, divisor)}"]
        keys = self._fresh_keys(kept.keys)
        head = f"[{', '.join(keys)}]" if len(keys) > 1 else keys[0]
        order = {"avg": " @avg", "min": " @min", "max": " @max"}.get(kept.how, "")
        if kept.is_statistic and not order:
            order = " @count"
        sign = "-" if top else "+"
        sort = f"{order} {sign}" if order else sign
        label = ', ", ", '.join((f'"{kept.name}["', *keys)).replace(', ", "', "", 1)
        label += ', "]: "'
        entry = f"{own}[{', '.join(keys)}]"
        line = self._shown_entry(kept, entry, divisor, label)
        limit = f" limit {top}" if top else ""
        return [f"foreach ({head} in {own}{sort}{limit}) {line}"]

    def _shown_entry(self, kept: m.Map, entry: str, divisor: str = "", label: str = "") -> str:
        label = label or f'"{kept.name}: "'
        over = f" / {divisor}" if divisor else ""
        if kept.how in ("avg", "min", "max"):
            return f'printdln("", {label}, @{kept.how}({entry}){over})'
        if kept.how == "stats":
            values = f'"count ", @count({entry}), ", average ", @avg({entry})'
            return f'printdln("", {label}, {values}, ", total ", @sum({entry}))'
        if kept.how == "hist":
            return f"{{ {line(label)}; print(@hist_log({entry})) }}"
        if kept.how == "lhist":
            low, high, step = (number_of(text) for text in kept.bounds)
            bounds = f"{low}, {high - step}, {step}"
            return f"{{ {line(label)}; print(@hist_linear({entry}, {bounds})) }}"
        return f'printdln("", {label}, {entry}{over})'

    def _never(self) -> str:
        """Says what the maps hold, where a machine lacks the places that fill them."""
        lines = []
        for kept in self._maps.values():
            own, keys = self._names[kept.name], self._typed.get(kept.name)
            if kept.problem or (kept.keys > 0 and keys is None):
                continue
            entry = own if keys is None else f"{own}[{', '.join(keys)}]"
            value = '""' if kept.text or kept.held else "0"
            lines.append(f"\t{entry} {'<<<' if kept.is_statistic else '='} {value}\n")
        return f"probe never\n{{\n{''.join(lines)}}}\n\n" if lines and self._optional else ""

    def _auto_print(self) -> str:
        """What bpftrace prints when it ends: all maps that still have something."""
        lines = []
        for kept in self._maps.values():
            if not kept.problem:
                lines += [f"\t{line}\n" for line in self._shown(kept)]
        # behind the program's own END
        return f"probe end(1)\n{{\n{''.join(lines)}}}\n" if lines else ""

    def _time(self, form: str) -> tuple[str, list[str]]:
        """A format of strftime(3) -> one of printf, and its arguments."""
        values: list[str] = []

        def part(found: re.Match[str]) -> str:
            if found[0] == "%%":
                return "%%"
            if found[1] not in TIME_PARTS:
                raise Unmapped(f"the format {found[0]} of a time")
            first, length = TIME_PARTS[found[1]]
            values.append(f"substr(tz_ctime(gettimeofday_s()), {first}, {length})")
            return "%s"

        form = form.replace("%T", "%H:%M:%S")
        return re.sub(r"%(.)", part, form.replace("%H:%M:%S", "%\0")), values

    # --- expressions ----------------------------------------------------------------------

    def _map(self, node: BpftraceNode) -> m.Map:
        found = m.map_of(node)
        kept = self._maps[(node if found is None else found).text]
        if kept.problem:
            raise Unmapped(kept.problem)
        return kept

    def _truth(self, node: BpftraceNode) -> str:
        """A condition; an entry that holds texts is true if it is there."""
        if node.kind == "group":
            return f"({self._truth(node.parts[1])})"
        if node.kind == "binary" and node.operator() in ("&&", "||"):
            left, right = node.parts[0], node.parts[-1]
            return f"{self._truth(left)} {node.operator()} {self._truth(right)}"
        if node.kind == "prefix" and node.operator() == "!":
            return f"!({self._truth(node.parts[-1])})"
        found = m.map_of(node)
        kept = None if found is None else self._map(found)
        if kept is not None and kept.held and node.kind == "index":
            # a pointer that is there, whether its text could be read or not
            entry = self._expr(node)
            at = entry.index("[")
            return f"{entry[at:]} in {entry[:at]}"
        if kept is not None and (kept.text or kept.held):
            return f'{self._expr(node)} != ""'
        return self._expr(node)

    def _expr(self, node: BpftraceNode) -> str:  # noqa: C901, PLR0911, PLR0912 - one case per kind
        match node.kind:
            case "NUMBER":
                return str(number_of(node.text)) if "e" in node.text else literal(node.text)
            case "STRING":
                return node.text
            case "PARAMETER":
                return node.text
            case "VARIABLE":
                return self._variable(node.text)
            case "MAP":
                if node.text.strip("@") in self._inside:
                    return node.text
                kept = self._map(node)
                if kept.is_statistic:
                    raise Unmapped(f"the value of {node.text}, which is a statistic")
                return self._names[node.text]
            case "NAME":
                return self._name(node.text)
            case "group":
                return f"({self._expr(node.parts[1])})"
            case "prefix":
                return self._prefix(node)
            case "step":
                return f"{self._expr(node.parts[0])}{node.parts[1].text}"
            case "binary":
                return self._binary(node)
            case "ternary":
                return self._ternary(node)
            case "cast":
                return self._cast(node)
            case "index":
                return self._index(node)
            case "member":
                return self._member(node)
            case "call":
                return self._call(node)
            case "assign":
                raise Unmapped("an assignment inside of an expression")
            case _:
                raise Unmapped(f"{self._source(node)}")

    def _variable(self, name: str) -> str:
        if name.strip("$") in self._inside:
            return f"(@{name[1:]})"
        if name in self._probe.loops:
            raise Unmapped(f"{name} as a whole")
        own = name[1:]
        taken = own in RESERVED or own in self._names.values()
        return f"{own}_" if taken else own

    def _name(self, name: str) -> str:
        if found := re.fullmatch(r"arg(\d)", name):
            return self._argument(int(found[1]))
        if name == "probe" and self._probe.named and "*" not in self._probe.named:
            return f'"{self._probe.named}"'
        if name == "retval":
            return "returnval()"
        if name == "elapsed":
            self._begun = True
            return "(ktime_get_ns() - begun__)"
        if name in BUILTINS:
            return BUILTINS[name]
        if name in self._reader.defines:
            return f"({self._reader.defines[name]})"
        if name in CONSTANTS:
            return str(CONSTANTS[name])
        raise Unmapped(LEFT_OUT.get(name, f"{name} is not known"))

    def _argument(self, number: int) -> str:
        kind = self._probe.kind
        if kind == "usdt":
            return f"$arg{number + 1}"
        if kind == "rawtracepoint":
            fields = self._fields(*self._probe.points[0].event) or {}
            if f"#{number}" not in fields:
                raise Unmapped(f"arg{number} of {self._probe.points[0].written}")
            return f"${fields[f'#{number}']}"
        if kind in ("kprobe", "uprobe", "macro"):
            return f"ulong_arg({number + 1})"
        raise Unmapped(f"arg{number} here")

    def _prefix(self, node: BpftraceNode) -> str:
        op, operand = node.operator(), node.parts[-1]
        if op == "*":
            inner = operand.parts[1] if operand.kind == "group" else operand
            size, signed = 8, False
            if inner.kind == "cast":
                size, signed = INTEGERS.get(inner.parts[0].text.strip("()* "), (8, True))
            space = "user" if self._is_user(inner) else "kernel"
            sign = "" if signed else "u"
            return f"{space}_{sign}int{8 * size}({self._expr(uncast(inner))})"
        if op == "&":
            return f"&{self._expr(operand)}"
        if op == "!":
            return f"!({self._truth(operand)})"
        return f"{op}{self._expr(operand)}"

    def _binary(self, node: BpftraceNode) -> str:
        left, op, right = node.parts[0], node.operator(), node.parts[-1]
        if op in ("&&", "||"):
            return f"({self._truth(left)}) {op} ({self._truth(right)})"
        if op in ("==", "!=") and (self._is_text(left) or self._is_text(right)):
            return f"{self._text(left)} {op} {self._text(right)}"
        if op in ("==", "!=") and m.called(left) == "strncmp" and right.text == "0":
            one, other, size = m.arguments(left)
            cut = [
                f"substr({self._text(text)}, 0, {self._expr(size)})" for text in (one, other)
            ]
            return f"{cut[0]} {op} {cut[1]}"
        return f"{self._expr(left)} {op} {self._expr(right)}"

    def _ternary(self, node: BpftraceNode) -> str:
        condition, then, orelse = node.rest()
        make: Callable[[BpftraceNode], str] = self._expr
        if self._is_text(then) or self._is_text(orelse):
            make = self._text
        return f"({self._truth(condition)} ? {make(then)} : {make(orelse)})"

    def _cast(self, node: BpftraceNode) -> str:
        """Numbers of fewer bits are cut; pointers are numbers in a script."""
        type_, value = node.parts[0].text.strip("()").strip(), self._expr(node.parts[1])
        if type_ not in INTEGERS or INTEGERS[type_][0] == 8:
            return f"({value})" if node.parts[1].kind == "binary" else value
        size, signed = INTEGERS[type_]
        mask = (1 << 8 * size) - 1
        cut = f"(({value}) & {mask:#x})"
        top = 1 << (8 * size - 1)
        return f"(({cut} ^ {top:#x}) - {top:#x})" if signed else cut

    def _index(self, node: BpftraceNode) -> str:
        base = node.parts[0]
        if base.kind == "MAP":
            own, kept = self._names[base.text], self._map(base)
            keys = [
                self._text(k) if self._is_text(k) else self._expr(k) for k in m.keys_of(node)
            ]
            if len(keys) != kept.keys:
                raise Unmapped(f"{base.text} with {len(keys)} keys")
            types = ['""' if self._is_text(k) else "0" for k in m.keys_of(node)]
            self._typed.setdefault(base.text, types)
            return f"{own}[{', '.join(keys)}]"
        if base.kind == "PARAMETER" or self._is_text(base):
            raise Unmapped("a letter of a text")
        return f"{self._expr(base)}[{self._expr(node.rest()[1])}]"

    def _member(self, node: BpftraceNode) -> str:
        base, name = node.parts[0], node.parts[2].text
        if base.text == "args" and base.kind == "NAME":
            return self._field(name)
        if base.kind == "VARIABLE" and base.text in self._probe.loops:
            over, keys = self._probe.loops[base.text]
            if name == "1":
                return f"{self._names[over]}[{', '.join(keys)}]"
            if len(keys) == 1:
                return keys[0]
        if base.kind == "member" and name.isdigit():
            inner = base.parts[0]
            if inner.kind == "VARIABLE" and inner.text in self._probe.loops:
                return self._probe.loops[inner.text][1][int(name)]
        structure = self._structure(base)
        if structure:
            return f'@cast({self._expr(uncast(base))}, "{structure}", "kernel")->{name}'
        if pointed := self._pointed(base, name):
            return pointed
        if base.kind in ("member", "index"):
            return f"{self._expr(base)}->{name}"
        raise Unmapped(f"the type of {self._source(base)}")

    def _pointed(self, base: BpftraceNode, name: str) -> str:
        """A member of what a field of a system call points to in the program's memory."""
        is_field = base.kind == "member" and base.parts[0].text == "args"
        if is_field and self._probe.user and name in MEMBERS:
            offset, size = MEMBERS[name]
            return f"user_int{8 * size}({self._expr(base)} + {offset})"
        return ""

    def _field(self, name: str) -> str:
        kind = self._probe.kind
        if kind == "kretfunc":
            return f"@entry(${name})"
        return f"${name}"

    def _call(self, node: BpftraceNode) -> str:  # noqa: C901, PLR0911, PLR0912 - one case each
        name, given = m.called(node), m.arguments(node)
        match name:
            case "str":
                return self._string(given)
            case "ksym" | "usym" if given:
                return f"{'symname' if name == 'ksym' else 'usymname'}({self._expr(given[0])})"
            case "ksym" | "kaddr" | "uaddr" | "cgroupid" | "join" | "cat" | "buf" | "signal":
                raise Unmapped(LEFT_OUT.get(name, f"{name}() has no counterpart"))
            case "ntop":
                return self._address(given)
            case "bswap":
                if not given[0].text.endswith("port") and "port" not in self._source(given[0]):
                    raise Unmapped("bswap() of a number whose size is not known")
                return f"ntohs({self._expr(given[0])})"
            case "kstack" | "ustack":
                return BUILTINS[name]
            case "strftime":
                form, values = self._time(given[0].text)
                return joined(form, values, "sprintf")
            case "kptr" | "uptr":
                return self._expr(given[0])
            case "len" if len(given) == 1 and self._is_text(given[0]):
                return f"strlen({self._text(given[0])})"
            case "has_key" | "strcontains":
                return self._asked(name, given)
            case _ if name in self._macros:
                return f"@{name}({', '.join(map(self._expr, given))})"
            case _:
                raise Unmapped(LEFT_OUT.get(name, f"{name}() has no counterpart"))

    def _asked(self, name: str, given: tuple[BpftraceNode, ...]) -> str:
        if name == "strcontains":
            return f"isinstr({self._text(given[0])}, {self._text(given[1])})"
        keys = given[1].rest() if given[1].kind == "tuple" else given[1:]
        words = [self._text(k) if self._is_text(k) else self._expr(k) for k in keys]
        return f"([{', '.join(words)}] in {self._names[self._map(given[0]).name]})"

    def _string(self, given: tuple[BpftraceNode, ...]) -> str:
        """`str(p)`, whose fault is an empty text, as in bpftrace."""
        pointer = given[0]
        if pointer.kind == "PARAMETER":
            return f"@{pointer.text[1:]}"
        found = m.map_of(pointer)
        if found is not None:
            return self._expr(pointer)
        if self._is_text(pointer):
            return self._text(pointer)
        space = "user" if self._is_user(pointer) else "kernel"
        value = self._expr(uncast(pointer))
        if len(given) > 1:
            if space == "user":
                return f'user_string_n2({value}, {self._expr(given[1])}, "")'
            return f"kernel_string_n({value}, {self._expr(given[1])})"
        return f'{space}_string2({value}, "")'

    def _is_user(self, node: BpftraceNode) -> bool:
        """Whether a pointer is one of a program."""
        if m.called(node) in ("uptr", "kptr"):
            return m.called(node) == "uptr"
        return self._probe.user

    def _address(self, given: tuple[BpftraceNode, ...]) -> str:
        """`ntop([family,] address)`."""
        address = given[-1]
        wide = "v6" in self._source(address) or "6" in self._source(address)[-5:]
        if len(given) == 1 and address.text == "0":
            return '""'
        if len(given) > 1:
            family = self._expr(given[0])
            wide = wide or family == str(CONSTANTS["AF_INET6"])
        else:
            family = str(CONSTANTS["AF_INET6"] if wide else CONSTANTS["AF_INET"])
        shown = self._expr(address)
        return f"format_ipaddr({'&' if wide and '->' in shown else ''}{shown}, {family})"

    # --- what things are ------------------------------------------------------------------

    def _structure(self, node: BpftraceNode) -> str:
        """The structure that a value points to; "" if that is not known."""
        if node.kind == "group":
            return self._structure(node.parts[1])
        if node.kind == "cast":
            return m.structure_of(node.parts[0].text)
        if node.kind == "VARIABLE":
            return self._probe.types.get(node.text, "")
        if node.text == "curtask":
            return "task_struct"
        found = m.map_of(node)
        return self._maps[found.text].structure if found is not None else ""

    def _is_text(self, node: BpftraceNode) -> bool:  # noqa: PLR0911 - one case per kind
        match node.kind:
            case "group":
                return self._is_text(node.parts[1])
            case "STRING":
                return True
            case "NAME":
                return node.text in TEXTS
            case "VARIABLE":
                return node.text in self._probe.texts
            case "call":
                return m.called(node) in TEXTS
            case "ternary":
                return any(self._is_text(part) for part in node.rest()[1:])
            case "member" if node.parts[0].text == "args":
                return self._field_is_text(node.parts[2].text)
            case "MAP" | "index":
                found = m.map_of(node)
                kept = None if found is None else self._maps[found.text]
                return kept is not None and (kept.text or bool(kept.held))
            case _:
                return False

    def _field_is_text(self, name: str) -> bool:
        fields = self._fields(*self._probe.points[0].event) if self._probe.points else None
        return fields is not None and fields.get(name) == "string"

    def _text(self, node: BpftraceNode) -> str:
        """What is asked for as a text: pointers and members are read as one."""
        if self._is_text(node):
            return self._expr(node)
        if node.kind == "group":
            return f"({self._text(node.parts[1])})"
        if node.kind == "ternary":
            condition, then, orelse = node.rest()
            return f"({self._truth(condition)} ? {self._text(then)} : {self._text(orelse)})"
        if node.kind == "NUMBER":
            return '""'
        if node.kind in ("member", "index", "VARIABLE", "NAME", "cast", "call"):
            space = "user" if self._is_user(node) and self._structure_base(node) else "kernel"
            return f'{space}_string2({self._expr(node)}, "")'
        raise Unmapped(f"{self._source(node)} as a text")

    def _structure_base(self, node: BpftraceNode) -> bool:
        """Whether a value is of the program itself, no member of a kernel's structure."""
        return not any(self._structure(part) for part in node.walk())
