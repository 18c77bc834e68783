"""typed.Typed -> the listing of `check -p2`, as `stap -p2` prints it (or `stap -v -p2`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.script.analysis.infer import word
from bridge.script.builtins import Builtin
from bridge.script.printing import print_bodies
from bridge.script.syntax import ast
from bridge.script.syntax.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.script.analysis.typed import (
        Facts,
        FunctionInfo,
        GlobalVariable,
        LocalVariable,
        ProbeInfo,
        Typed,
    )


def typed_text(typed: Typed, *, verbose: bool = False) -> str:
    """Globals, functions and probes with their types; `verbose`: and with what they run."""
    lines: list[str] = []
    if typed.embedded:
        lines += ["# global embedded code", *(f"%{{{code}%}}" for code in typed.embedded)]
    if typed.globals:
        lines += ["# globals", *(_global(g, verbose) for g in typed.globals)]
    if functions := _functions(typed, verbose):
        lines += ["# functions", *functions]
    if typed.probes:
        lines.append("# probes")
        for probe in typed.probes:
            lines += _probe(probe, verbose)
    return "\n".join(lines) + "\n"


def _global(variable: GlobalVariable, verbose: bool) -> str:
    wrap = "%" if variable.wrap else ""
    size = f"[{variable.size}]" if variable.size is not None else ""
    keys = ""
    if variable.keys is not None:
        keys = f" [{', '.join(word(key) for key in variable.keys)}]"
    initial = variable.declaration.initial if verbose else None
    value = f" = {print_bodies.Bodies().expr(initial)}" if initial is not None else ""
    return f"{variable.name}{wrap}{size}:{word(variable.type)}{keys}{value}"


def _functions(typed: Typed, verbose: bool) -> list[str]:
    """The script's functions and the built-in ones that are called, by their full names."""
    texts = {f.label: list(_function(f, verbose)) for f in typed.functions}
    for builtin in _called(typed):
        label = f"__global_{builtin.name}__overload_{len(builtin.parameters)}"
        texts[label] = [builtin.signature]
    return [line for label in sorted(texts) for line in texts[label]]


def _called(typed: Typed) -> Iterator[Builtin]:
    for function in typed.functions:
        if function.declaration.body is not None:
            yield from _calls(function.declaration.body, function.facts)
    for probe in typed.probes:
        for body in probe.bodies:
            yield from _calls(body, probe.facts)


def _calls(tree: ast.Node, facts: Facts) -> Iterator[Builtin]:
    for node in walk(tree):
        found = facts.calls.get(node) if isinstance(node, ast.Call) else None
        if isinstance(found, Builtin):
            yield found


def _function(function: FunctionInfo, verbose: bool) -> Iterator[str]:
    parameters = ", ".join(f"{p.name}:{word(p.type)}" for p in function.parameters)
    yield f"{function.name}:{word(function.result)} ({parameters})"
    own = {id(p) for p in function.parameters}
    yield from _locals(v for v in function.facts.locals.values() if id(v) not in own)
    if verbose:
        yield f"{{ {print_bodies.function_body(function)} }}"


def _probe(probe: ProbeInfo, verbose: bool) -> Iterator[str]:
    condition = print_bodies.Bodies(probe.facts).condition(probe.condition)
    chain = "".join(f" <- {origin}" for origin in probe.origins)
    yield f"{probe.listed}{condition} /*{chain} */"
    yield from _locals(probe.facts.locals.values())
    if verbose:
        body = print_bodies.probe_body(
            probe.bodies, probe.condition, probe.facts, simplified=not probe.made
        )
        yield f"{{ {body} }}"


def _locals(variables: Iterable[LocalVariable]) -> Iterator[str]:
    found = [f"  {v.name}:{word(v.type)}" for v in variables]
    if found:
        yield "  # locals"
        yield from found
