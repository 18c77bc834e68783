"""`markbridge explain`: where each handler of a script runs and why; `--ir` prints the IR.

With `--format=json`: all that the script would attach to (`bridge.attachments`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.cli.front import EXIT_ERROR
from bridge.source import machine_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from bridge.artifact import Placed
    from bridge.markers import MarkerAttachment


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    from bridge.cli.script import configure_script

    configure_script(parser)
    parser.add_argument("--ir", action="store_true", help="print the intermediate form too")
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="for people, or for tools"
    )
    parser.add_argument("--trace", action="store_true", help="as it would be with run --trace")


def run(arguments: argparse.Namespace) -> int:
    """Print the placement."""
    from bridge.cli.script import compile_arguments, live_targets
    from bridge.cli.terminal import say_diagnostics
    from bridge.ir.dump import dump

    targets = live_targets(arguments)
    compiled = compile_arguments(arguments, targets, record=arguments.trace)
    if compiled is None:
        return EXIT_ERROR
    say_diagnostics(compiled.warnings, compiled.sources)
    if arguments.format == "json":
        print(_document(compiled.placed, arguments))
        return 0
    print("\n".join(explain(compiled.placed)))
    if arguments.ir:
        print()
        print(dump(compiled.placed.program), end="")
    return 0


def _document(placed: Placed, arguments: argparse.Namespace) -> str:
    """The attachments as JSON."""
    from bridge.attachments import attached_globals, attachments, document
    from bridge.ir.dump import dump
    from bridge.json_text import dumps
    from bridge.world import LiveWorld

    shown = document(attachments(placed, LiveWorld()), attached_globals(placed))
    return dumps(shown | ({"ir": dump(placed.program)} if arguments.ir else {}), indent=1)


def explain(placed: Placed) -> Iterator[str]:
    """The lines of the explanation: handlers in the order of the script, then globals."""
    for number in range(len(placed.program.handlers)):
        yield from _handler(placed, number)
    names = [declaration.name for declaration in placed.program.globals]
    for title, variables in (
        ("accumulated in the kernel, merged before each read", placed.accumulators),
        ("in the kernel while the script runs, per thread", placed.resident),
    ):
        if variables:
            yield f"{', '.join(names[at] for at in sorted(variables))}: {title}"


def _handler(placed: Placed, number: int) -> Iterator[str]:
    from bridge.ir.program import capture_text
    from bridge.markers import MarkerAttachment

    handler, placement = placed.program.handlers[number], placed.placements[number]
    yield machine_text(handler.point)
    if handler.script_point != handler.point:
        yield f"  written: {machine_text(handler.script_point)}"
    if isinstance(handler.expansion.attachment, MarkerAttachment):
        yield from _sites(handler.expansion.attachment)
    yield f"  runs in: {placement.where.value} space ({placement.reason})"
    if handler.captures:
        yield f"  captures: {', '.join(map(capture_text, handler.captures))}"
    for hook in placed.hooks:
        if number in hook.user and hook.held:
            yield f"  stops the process at the hit (SIGSTOP): {hook.held}"
        if number in hook.handlers and (placed.recorded or number in hook.user):
            fields = ", ".join(map(capture_text, hook.layout.captures))
            yield f"  record: {fields or 'no fields'}"


def _sites(attachment: MarkerAttachment) -> Iterator[str]:
    marker = attachment.marker
    if not marker.sites:
        name = f"{marker.provider}:{marker.name}" if marker.provider else marker.name
        yield f"  at: {marker.kind.value} {name}"
    for site in marker.sites:
        semaphore = f", semaphore at {site.ref_ctr_offset:#x}" if site.ref_ctr_offset else ""
        yield f"  at: {site.path}+{site.offset:#x}{semaphore}"
