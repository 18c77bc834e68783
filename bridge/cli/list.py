"""`markbridge list`: what a probe point stands for on this machine, in the form of `stap -L`.

Each line is a probe point and the variables that a handler there can read; an alias
keeps its name. What is found but cannot be used says why on standard error.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cli.front import EXIT_ERROR, EXIT_HOST
from bridge.cli.list_file import is_file_of_markers, look_into
from bridge.cli.terminal import say_diagnostics
from bridge.diagnostics import Diagnostic, Severity, Sink, as_json, told
from bridge.json_text import dumps
from bridge.marker_lookup import derived_of
from bridge.markers import MarkerAttachment, NoAccess, ValueType
from bridge.probes import families
from bridge.progress import doing
from bridge.source import NOWHERE, SourceMap, machine_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from bridge.markers import Expansion, Variable


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    from bridge.cli.script import configure_replay

    parser.add_argument(
        "pattern",
        help='probe points as in a script, for instance \'process("ls").mark("*")\', or an ELF'
        " file, whose markers are listed, also those of old kernels",
    )
    add = parser.add_argument
    add("-c", dest="command", default="", metavar="CMD", help="what `process` means")
    add("-x", dest="pid", type=int, default=0, metavar="PID", help="what `process` means")
    add(
        "-I", dest="include", metavar="DIR", action="append", default=[], help="a tapset folder"
    )
    configure_replay(parser, "list what the trace there has; may be given several times")
    add("--format", choices=("text", "json"), default="text", help="for people, or for tools")
    add("--unsafe-nop5", action="store_true", help="say nothing about the red zone")
    add("--strict-names", action="store_true", help="only names that this kernel has itself")


def run(arguments: argparse.Namespace, *, with_variables: bool = True) -> int:
    """Print the list; 1 if nothing was found, 3 if the host hides what there is."""
    from bridge.cli.script import of_the_host, targets_of

    sources, sink = SourceMap(), Sink()
    lines: set[str] = set()
    if not arguments.replay and is_file_of_markers(arguments.pattern):
        own, arguments.pattern = look_into(arguments.pattern)
        lines.update(own)
    with doing(f"looking up {arguments.pattern}"):
        include = tuple(map(Path, arguments.include))
        targets = targets_of(arguments)
        found = derived_of(arguments.pattern, targets, sources, sink, include)
        for derived in found if arguments.pattern else ():
            alias = machine_text(derived.alias)
            name = alias or derived.expansion.point
            lines.add(line(derived.expansion, alias) if with_variables else name)
            for warning in _warnings(derived.expansion):
                sink.report(warning)
    if getattr(arguments, "format", "text") == "json":
        _print_json(lines, sink, sources)
        return 0 if lines else EXIT_ERROR
    for text in sorted(lines):
        print(text)
    say_diagnostics(dict.fromkeys(sink.items), sources)
    if lines:
        return 0
    return EXIT_HOST if any(map(of_the_host, sink.items)) else EXIT_ERROR


def _print_json(lines: set[str], sink: Sink, sources: SourceMap) -> None:
    """The points with the types of their variables by name, and what is wrong with them."""
    points = []
    for text in sorted(lines):
        point, *variables = re.split(r" (?=\$)", text)
        pairs = (variable[1:].partition(":") for variable in variables)
        types = {name: kind for name, _, kind in pairs}
        points.append({"point": point, "variables": types})
    wrong = [as_json(d, sources) for d in told(dict.fromkeys(sink.items))]
    print(dumps({"points": points, "diagnostics": wrong}, indent=1))


def line(expansion: Expansion, alias: str = "") -> str:
    """`process("x").mark("hit") $arg1:long`; an alias stands for the point, as in stap."""
    if expansion.scope is not None:
        scope = expansion.scope
        listed = (
            f"${one.name}:{one.ctype}"
            for one in (*scope.result(), *scope.listed())
            if _is_there(expansion, one.name)
        )
        return " ".join((alias or expansion.point, *listed))
    if not isinstance(expansion.attachment, MarkerAttachment):
        return alias or expansion.point
    family = families.of_kind(expansion.attachment.marker.kind)
    variables = [f"${name}:long" for name in family.listed] or [
        f"${v.name}:{_type(v, traced=family.shows_types)}" for v in expansion.variables
    ]
    return " ".join((alias or expansion.point, *variables))


def _is_there(expansion: Expansion, name: str) -> bool:
    """Whether a variable can be read: at the return of a function, or where it was entered."""
    scopes = [expansion.scope, expansion.entry.scope if expansion.entry is not None else None]
    return any(
        scope is not None
        and not isinstance(scope.access(name, (), address_of=address_of), NoAccess)
        for scope in scopes
        for address_of in (False, True)
    )


def _type(variable: Variable, *, traced: bool) -> str:
    if (traced or variable.alias) and variable.ctype:
        return variable.ctype
    return "long" if variable.type is ValueType.LONG else "string"


def _warnings(expansion: Expansion) -> Iterator[Diagnostic]:
    """What a marker has that cannot be used: unsafe sites, arguments that cannot be read."""
    if not isinstance(expansion.attachment, MarkerAttachment):
        return
    marker = expansion.attachment.marker
    for fault in expansion.reasons:
        message = f"{fault.message}; only arguments are listed"
        yield replace(fault, message=message, severity=Severity.WARNING)
    for lack in expansion.lacking:
        yield replace(lack, severity=Severity.WARNING)
    for site in marker.sites:
        if site.unsafe:
            message = (
                f"{expansion.point}: the site at {site.address:#x} is refused: {site.unsafe}"
            )
            yield Diagnostic("unsafe-site", message, NOWHERE, severity=Severity.WARNING)
    for name, reason in marker.unreadable:
        message = f"{expansion.point}: ${name} cannot be read: {reason}"
        yield Diagnostic("unreadable-argument", message, NOWHERE, severity=Severity.WARNING)
