"""Syntax trees for comparison, and the property that what is printed is read back."""

from __future__ import annotations

from dataclasses import fields

from bridge.diagnostics import Sink
from bridge.script.options import AnalyseOptions
from bridge.script.printing.print_tree import script_text
from bridge.script.syntax import ast
from bridge.script.syntax.parse import parse
from bridge.source import SourceMap, Span


def plain(node: object) -> object:
    """The tree without its places."""
    if isinstance(node, ast.Node):
        values = [getattr(node, f.name) for f in fields(node)]
        return (type(node).__name__, *(plain(v) for v in values if not isinstance(v, Span)))
    return tuple(map(plain, node)) if isinstance(node, tuple) else node


def prints_back(script: ast.Script, options: AnalyseOptions) -> bool:
    """Whether the printed tree is read as the same tree; no macro is left in it."""
    sources = SourceMap()
    source = sources.add("printed.stp", script_text(script))
    again = parse(source, sources, Sink(), options, tapset=True)
    return again is not None and plain(again.definitions) == plain(script.definitions)
