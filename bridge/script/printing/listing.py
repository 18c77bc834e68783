"""Lists for `check --dump-…`: functions and aliases of the library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.script.builtins import BUILTINS
from bridge.script.library import Library
from bridge.script.printing.print_tree import point_text

if TYPE_CHECKING:
    from bridge.diagnostics import Sink
    from bridge.script.options import AnalyseOptions
    from bridge.script.syntax import ast
    from bridge.source import SourceMap

BUILT_IN_FAMILIES = frozenset(
    [
        "begin",
        "end",
        "error",
        "kernel",
        "kprobe",
        "module",
        "netfilter",
        "never",
        "perf",
        "process",
        "procfs",
        "timer",
    ]
)
"""What points begin with that are no aliases, in SystemTap."""


def _function(function: ast.Function) -> str:
    parameters = ", ".join(f"{p.name}:{p.type or 'unknown'}" for p in function.parameters)
    return f"{function.name}:{function.result or 'unknown'} ({parameters})"


def _order(line: str) -> tuple[str, str]:
    """SystemTap's order: by the names that functions have in its C."""
    return f"{line.partition(':')[0]}__overload_", line


def functions(sources: SourceMap, sink: Sink, options: AnalyseOptions) -> list[str]:
    """Every function that a script may call, by name."""
    library = Library(sources, sink, options)
    found = {builtin.signature for builtin in BUILTINS.values()}
    for name in library.function_names():
        found |= {_function(f) for _, f in library.functions(name) if not f.private}
    return sorted(found, key=_order)


def aliases(sources: SourceMap, sink: Sink, options: AnalyseOptions) -> list[str]:
    """Every probe alias of the library, with what it stands for."""
    library = Library(sources, sink, options)
    found = set()
    for _, alias in library.aliases("*"):
        sign = "+=" if alias.prologue is None else "="
        points = ", ".join(point_text(point) for point in alias.points)
        found |= {f"{point_text(name)} {sign} {points}" for name in alias.names}
    return sorted(found)
