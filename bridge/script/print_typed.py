"""typed.Typed -> the listing of `check -p2`, in the form of `stap -p2`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.script.infer import word
from bridge.script.print_tree import expr_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.script.typed import (
        FunctionInfo,
        GlobalVariable,
        LocalVariable,
        ProbeInfo,
        Typed,
    )


def typed_text(typed: Typed) -> str:
    """Globals, functions and probes with their types."""
    lines: list[str] = []
    if typed.globals:
        lines += ["# globals", *(_global(g) for g in typed.globals)]
    if typed.functions:
        lines.append("# functions")
        for function in sorted(typed.functions, key=lambda f: f.name):
            lines += _function(function)
    if typed.probes:
        lines.append("# probes")
        for probe in typed.probes:
            lines += _probe(probe)
    return "\n".join(lines) + "\n"


def _global(variable: GlobalVariable) -> str:
    wrap = "%" if variable.wrap else ""
    size = f"[{variable.size}]" if variable.size is not None else ""
    keys = ""
    if variable.keys is not None:
        keys = f" [{', '.join(word(key) for key in variable.keys)}]"
    return f"{variable.name}{wrap}{size}:{word(variable.type)}{keys}"


def _function(function: FunctionInfo) -> Iterator[str]:
    parameters = ", ".join(f"{p.name}:{word(p.type)}" for p in function.parameters)
    yield f"{function.name}:{word(function.result)} ({parameters})"
    own = {id(p) for p in function.parameters}
    yield from _locals(v for v in function.facts.locals.values() if id(v) not in own)


def _probe(probe: ProbeInfo) -> Iterator[str]:
    condition = f" if ({expr_text(probe.condition)})" if probe.condition is not None else ""
    yield f"{probe.point}{condition} /* <- {probe.script_point}{condition} */"
    yield from _locals(probe.facts.locals.values())


def _locals(variables: Iterable[LocalVariable]) -> Iterator[str]:
    found = [f"  {v.name}:{word(v.type)}" for v in variables]
    if found:
        yield "  # locals"
        yield from found
