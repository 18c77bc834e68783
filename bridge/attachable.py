"""A placed program -> what no engine can attach, whatever machine it runs on: diagnostics.

Whoever accepts a script (`check`, `explain`, `run`, the library) asks here, so that none of
them refuses it later. The rule: what a host lacks is not said here, but by the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.diagnostics import Diagnostic
from bridge.ir.program import variables
from bridge.markers import is_argument_only
from bridge.probes import families

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.artifact import Hook, Placed
    from bridge.ir.program import Handler


def refused(placed: Placed) -> Iterator[Diagnostic]:
    """What is wrong, in the order of the hooks."""
    for hook in placed.hooks:
        handlers = [placed.program.handlers[number] for number in hook.handlers]
        yield from _unsafe(hook, handlers)
        if families.of_kind(hook.attachment.marker.kind).raw_arguments:
            yield from _mixed(hook, handlers)


def _unsafe(hook: Hook, handlers: list[Handler]) -> Iterator[Diagnostic]:
    """Sites where a probe would disturb the program; wildcards leave them out."""
    asking = next((handler for handler in handlers if not handler.optional), None)
    marker = hook.attachment.marker
    for site in marker.sites:
        if site.unsafe and asking is not None:
            message = (
                f"marker {marker.provider}:{marker.name} at {site.address:#x} in"
                f" {site.path} cannot be traced: {site.unsafe}"
            )
            yield Diagnostic("unsafe-site", message, asking.span)


def _mixed(hook: Hook, handlers: list[Handler]) -> Iterator[Diagnostic]:
    """A field and an argument of one tracepoint: no program gets both.

    In one handler, that is refused where its types are found out.
    """
    marker = hook.attachment.marker
    by_name = {variable.name: variable for variable in marker.readable}
    read = [variables(handler.captures) for handler in handlers]
    names = variables(hook.layout.captures).union(*read)
    used = [by_name[name] for name in sorted(names) if name in by_name]
    fields = [variable for variable in used if variable.raw is None]
    arguments = [variable for variable in used if is_argument_only(variable)]
    if fields and arguments:
        field, argument = fields[0].name, arguments[0].name
        message = (
            f"tracepoint {marker.provider}:{marker.name}: one handler reads the field ${field}"
            f" of its record, another one its argument ${argument}; use the arguments or the"
            " fields"
        )
        second = next(
            (h for h, its in zip(handlers, read, strict=True) if argument in its), handlers[0]
        )
        yield Diagnostic("field-and-argument", message, second.span)
