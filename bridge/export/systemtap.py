"""A script as SystemTap's own front end takes it: aliases gone, one file, no library of ours.

What was not used is left out; probes are at the points that their aliases stand for. The rule:
functions of the library stay calls, because SystemTap has them under the same names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.script.printing.print_tree import definition_text, expr_text, statement_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.export.model import Exported
    from bridge.script.analysis.typed import FunctionInfo, ProbeInfo, Typed

_HEAD = "# Made by markbridge export --to systemtap\n"


def export(exported: Exported) -> str:
    """The script."""
    typed = exported.typed
    parts = [*_globals(typed), *_functions(typed, exported), *_probes(typed)]
    return _HEAD + "\n".join(parts) + "\n"


def _globals(typed: Typed) -> Iterator[str]:
    declarations = dict.fromkeys(variable.declaration for variable in typed.globals)
    return (definition_text(declaration) for declaration in declarations)


def _functions(typed: Typed, exported: Exported) -> Iterator[str]:
    declarations = {f.declaration: f for f in typed.functions if not _is_known(f, exported)}
    return (definition_text(declaration) for declaration in declarations)


def _is_known(function: FunctionInfo, exported: Exported) -> bool:
    """Whether SystemTap's library has it: it is in ours, and no private name of it."""
    source = exported.sources.source(function.declaration.span)
    in_library = source is not None and source.name.startswith("tapset/")
    return in_library and not function.name.startswith("_")


def _probes(typed: Typed) -> Iterator[str]:
    """One for all places of a point; those that print globals are SystemTap's own doing."""
    groups: dict[tuple[object, ...], ProbeInfo] = {}
    for probe in typed.probes:
        if not probe.made:
            groups.setdefault((probe.script_point, *probe.bodies), probe)
    for probe in groups.values():
        condition = "" if probe.condition is None else f" if ({expr_text(probe.condition)})"
        bodies = "\n".join(statement_text(body) for body in probe.bodies)
        yield f"probe {probe.script_point}{condition}\n{{\n{bodies}\n}}"
