"""`markbridge list`: what a probe point stands for on this machine, in the form of `stap -L`.

Each line is a probe point and the variables that a handler there can read. What is found but
cannot be used says why on standard error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.cli.front import EXIT_ERROR
from bridge.cli.terminal import say_diagnostics
from bridge.diagnostics import Diagnostic, Severity, Sink
from bridge.markers import Kind, MarkerAttachment, NoMatch, PointPart, ValueType
from bridge.source import NOWHERE, SourceMap

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from bridge.markers import Expansion, Targets, Variable
    from bridge.script.ast import ProbePoint


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "pattern", help='probe points as in a script, for instance \'process("ls").mark("*")\''
    )
    add = parser.add_argument
    add("-c", dest="command", default="", metavar="CMD", help="what `process` means")
    add("-x", dest="pid", type=int, default=0, metavar="PID", help="what `process` means")
    add("--unsafe-nop5", action="store_true", help="say nothing about the red zone")


def run(arguments: argparse.Namespace) -> int:
    """Print the list; 1 if nothing was found."""
    from bridge.cli.script import live_targets

    sources, sink = SourceMap(), Sink()
    points = _points(arguments.pattern, sources, sink)
    targets = live_targets(arguments)
    lines: set[str] = set()
    for point in points:
        for expansion in _expanded(point, targets, sink):
            lines.add(line(expansion))
            for warning in _warnings(expansion):
                sink.report(warning)
    for text in sorted(lines):
        print(text)
    say_diagnostics(dict.fromkeys(sink.items), sources)
    return 0 if lines else EXIT_ERROR


def _points(pattern: str, sources: SourceMap, sink: Sink) -> tuple[ProbePoint, ...]:
    """The points of a pattern, as the script parser reads them."""
    from bridge.script import ast
    from bridge.script.parse import parse

    text = f"probe {pattern} {{ }}"
    source = sources.add("<pattern>", text.encode("utf-8", "surrogateescape"))
    script = parse(source, sources, sink)
    definitions = script.definitions if script is not None else ()
    probes = (d for d in definitions if isinstance(d, ast.Probe))
    return tuple(point for probe in probes for point in probe.points)


def _expanded(point: ProbePoint, targets: Targets, sink: Sink) -> tuple[Expansion, ...]:
    parts = [PointPart(c.name, c.argument, c.token) for c in point.components]
    found = targets.expand(parts)
    if not isinstance(found, NoMatch):
        return found
    near = f" (similar: {', '.join(found.similar)})" if found.similar else ""
    span = point.components[min(found.part, len(parts) - 1)].token
    sink.report(Diagnostic("no-match", found.message + near, span, chain=found.reasons))
    return ()


def line(expansion: Expansion) -> str:
    """`process("x").mark("hit") $arg1:long`."""
    attachment = expansion.attachment
    traced = (
        isinstance(attachment, MarkerAttachment) and attachment.marker.kind is Kind.TRACEPOINT
    )
    variables = (f"${v.name}:{_type(v, traced=traced)}" for v in expansion.variables)
    return " ".join((expansion.point, *variables))


def _type(variable: Variable, *, traced: bool) -> str:
    if traced and variable.ctype:
        return variable.ctype
    return "long" if variable.type is ValueType.LONG else "string"


def _warnings(expansion: Expansion) -> Iterator[Diagnostic]:
    """What a marker has that cannot be used: unsafe sites, arguments that cannot be read."""
    if not isinstance(expansion.attachment, MarkerAttachment):
        return
    marker = expansion.attachment.marker
    for site in marker.sites:
        if site.unsafe:
            message = (
                f"{expansion.point}: the site at {site.address:#x} is refused: {site.unsafe}"
            )
            yield Diagnostic("unsafe-site", message, NOWHERE, severity=Severity.WARNING)
    for name, reason in marker.unreadable:
        message = f"{expansion.point}: ${name} cannot be read: {reason}"
        yield Diagnostic("unreadable-argument", message, NOWHERE, severity=Severity.WARNING)
