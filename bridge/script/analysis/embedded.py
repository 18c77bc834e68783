"""Embedded C in a script's tree: its translation, in the places of the C code.

There is no C compiler in a run: `bridge.script.c` translates what only computes and reads.
Rule: a body is understood as a whole or not at all; what is not understood is refused where a
call needs it, at the token that cannot be translated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, cast

from bridge.diagnostics import Sink
from bridge.script.builtins import BUILTINS
from bridge.script.c import HELPER
from bridge.script.options import AnalyseOptions
from bridge.script.syntax import ast, conditions
from bridge.script.syntax.parse import parse
from bridge.script.syntax.walk import transform
from bridge.source import SourceMap, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.script.c.unit import EmbeddedUnit

BUILT_IN = "%"
"""What the names of calls begin with that mean a built-in function, whatever is defined."""
MAXSTRINGLEN = 512
"""Without `-DMAXSTRINGLEN` (stap(1))."""
_NO_OPTIONS = AnalyseOptions()
_RESULT = re.compile(r"\b(?:STAP_RETVALUE|__retvalue)\s*[-+|&]?=|\bSTAP_RETURN\s*\(")
_BRACKET = 2
"""Characters of `%{` and of `%}`."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """C that is not understood: why, and where."""

    reason: str
    span: Span


class EmbeddedC:
    """The embedded C of one compilation."""

    def __init__(
        self, file_level: Sequence[ast.Embedded] = (), options: AnalyseOptions | None = None
    ) -> None:
        self.file_level = tuple(file_level)
        self._options = options or _NO_OPTIONS
        self._unit: EmbeddedUnit | None = None

    @property
    def ready(self) -> bool:
        """Whether it was made for a compilation."""
        return self._options is not _NO_OPTIONS

    @property
    def unit(self) -> EmbeddedUnit:
        """What the level of the file declares."""
        from bridge.script.c.unit import EmbeddedUnit

        if self._unit is None:
            known = self._options.conditions or conditions.host_conditions()
            longest = self._options.defines.get("MAXSTRINGLEN", "")
            self._unit = EmbeddedUnit(
                [node.code for node in self.file_level],
                version_numbers(known.get("kernel_v", "")),
                int(longest) if longest.isdigit() else MAXSTRINGLEN,
            )
        return self._unit

    def body(self, declaration: ast.Function) -> ast.Block | Refusal:
        """The body of a function in the language; its places are the function's."""
        from bridge.script.c.tree import Unsupported

        assert declaration.code is not None
        base = declaration.span.end - _BRACKET - len(declaration.code)
        if (refused := self.unit.refused) is not None:
            index, error = refused
            start = self.file_level[index].span.start + _BRACKET
            return Refusal(error.reason, _at(start + error.at))
        parameters = {p.name: p.type == "string" for p in declaration.parameters}
        result = declaration.result
        if result is None and _RESULT.search(declaration.code):
            result = "long"  # what SystemTap infers for a function without a declared result
        try:
            text = self.unit.body(declaration.code, parameters, result)
        except Unsupported as error:
            return Refusal(error.reason, _at(base + error.at))
        names = ", ".join(sorted(parameters))
        function = _parsed(f"function f({names}) {{\n{text}\n}}")
        assert function.body is not None
        return cast("ast.Block", _placed(function.body, declaration))

    def variables(self, at: ast.Node) -> list[ast.Global]:
        """The variables of the file that bodies name so far, as globals."""
        return [
            ast.Global(
                name,
                private=False,
                wrap=False,
                size=None,
                initial=ast.Number(value, span=at.span, token=at.token),
                span=at.span,
                token=at.token,
            )
            for name, value in self.unit.used.items()
        ]

    def helper(self, name: str) -> tuple[ast.Function, Refusal | None] | None:
        """A helper function of the file level in the language; without body if refused."""
        from bridge.script.c.tree import Unsupported

        found = self.unit.functions.get(name)
        if found is None:
            return None
        index, function = found
        node = self.file_level[index]
        start = node.span.start + _BRACKET
        count, refusal = len(function.parameters), None
        names = [f"p{i}" for i in range(count)]
        result: str | None = "long"
        text = "return 0"
        try:
            names, result, text = self.unit.helper(function)
        except Unsupported as error:
            refusal = Refusal(error.reason, _at(start + error.at))
        kind = f":{result}" if result else ""
        parameters = ", ".join(f"{parameter}:long" for parameter in names)
        made = _parsed(f"function {HELPER}{name}{kind}({parameters}) {{\n{text}\n}}")
        if refusal is not None:
            made = replace(made, body=None, code="")
        return cast("ast.Function", _placed(made, node)), refusal


def expression(code: str, node: ast.Expr) -> ast.Expr | None:
    """An embedded expression that is understood, in the place of `node`."""
    from bridge.script.c.tree import Unsupported

    try:
        text, _ = EmbeddedC().unit.expression(code)
    except Unsupported:
        return None
    body = _parsed(f"function f() {{ return {text} }}").body
    assert body is not None
    assert isinstance(body.body[0], ast.Return)
    value = body.body[0].value
    assert value is not None
    return cast("ast.Expr", _placed(value, node))


def version_numbers(version: str) -> tuple[int, int, int]:
    """`6.1.0-13-amd64` as three numbers."""
    digits = version.partition("-")[0].split(".")
    numbers = [int(part) if part.isdigit() else 0 for part in digits[:3]]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return (major, minor, patch)


def _at(offset: int) -> Span:
    return Span(offset, offset + 1)


@cache
def _parsed(text: str) -> ast.Function:
    sources, sink = SourceMap(), Sink()
    options = AnalyseOptions()
    script = parse(sources.add("C", text), sources, sink, options, tapset=True)
    assert script is not None, f"{text}\n{sink.items}"
    (function,) = script.definitions
    assert isinstance(function, ast.Function)
    return function


def _placed(tree: ast.Node, at: ast.Node) -> ast.Node:
    """The tree with all its places where the C code is, and its calls as built-in ones."""

    def change(node: ast.Node) -> ast.Node:
        if isinstance(node, ast.Call) and (node.name, len(node.arguments)) in BUILTINS:
            node = replace(node, name=f"{BUILT_IN}{node.name}")
        return replace(node, span=at.span, token=at.token)

    return transform(tree, change)
