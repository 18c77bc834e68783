"""A script as SystemTap takes it: one file, its own aliases gone, nothing of our library.

The rule: what the library has stays a name (functions, and aliases such as `syscall.open`),
because SystemTap has it under the same name, and at other places of the kernel than we do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.script.printing.print_tree import definition_text, expr_text, statement_text
from bridge.script.syntax import ast
from bridge.script.syntax.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridge.export.model import Exported
    from bridge.script.analysis.typed import Typed, Written

_HEAD = "# Made by markbridge export --to systemtap\n"
_REPLACED = ast.Probe | ast.Alias
"""What probes at their places stand for."""


def export(exported: Exported) -> str:
    """The script."""
    typed = exported.typed
    probes = _probes(typed)
    own = [one for one in typed.own if not isinstance(one, _REPLACED)]
    nodes = [*own, *(node for probe in probes for node in (*probe.bodies, *probe.conditions))]
    parts = [definition_text(one) for one in (*own, *_private(typed, nodes))]
    return _HEAD + "\n".join([*parts, *map(_probe_text, probes)]) + "\n"


def _private(typed: Typed, nodes: Iterable[ast.Node]) -> Iterator[ast.Function]:
    """Functions that only our library has: macros of it call them in the script."""
    known = {f.name: f.declaration for f in typed.functions if f.name.startswith("_")}
    waiting = [call for node in nodes for call in walk(node)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and node.name in known:
            found = known.pop(node.name)
            if found not in typed.own:
                yield found
                waiting += walk(found)


def _probes(typed: Typed) -> list[Written]:
    """One for all places of a point; those that print globals are SystemTap's own doing."""
    groups: dict[tuple[object, ...], Written] = {}
    for probe in typed.probes:
        if probe.written is not None and not probe.made:
            written = probe.written
            key = (written.point, *written.bodies, *written.conditions)
            groups.setdefault(key, written)
    return list(groups.values())


def _probe_text(probe: Written) -> str:
    conditions = " && ".join(f"({expr_text(one)})" for one in probe.conditions)
    bodies = "\n".join(statement_text(body) for body in probe.bodies)
    return f"probe {probe.point}{f' if ({conditions})' if conditions else ''}\n{{\n{bodies}\n}}"
