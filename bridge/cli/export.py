"""`markbridge export SCRIPT --to NAME`: a script for another tracer, or its markers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from bridge.cli.front import EXIT_ERROR, UsageError
from bridge.progress import doing

if TYPE_CHECKING:
    import argparse

OTEL = "otel"
"""The one that takes a recorded trace."""
CONSUMERS = ("bpftrace", "ftrace", "gdb", "lttng", OTEL, "perf", "systemtap")
"""The modules of `bridge.export`."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    from bridge.cli.script import configure_script

    configure_script(parser)
    parser.add_argument(
        "--to",
        required=True,
        choices=CONSUMERS,
        dest="consumer",
        help="who takes the result (otel: of a trace)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what the consumer takes; 1 if it cannot take the script."""
    from bridge.cli.script import compile_arguments, live_targets
    from bridge.cli.terminal import say_diagnostics
    from bridge.export.model import Exported
    from bridge.world import LiveWorld

    if arguments.consumer == OTEL:
        return _spans(arguments)
    compiled = compile_arguments(arguments, live_targets(arguments))
    if compiled is None:
        return EXIT_ERROR
    exported = Exported(
        compiled.placed, LiveWorld(), arguments.consumer, compiled.typed, compiled.sources
    )
    with doing(f"writing for {arguments.consumer}"):
        text = import_module(f"bridge.export.{arguments.consumer}").export(exported)
    say_diagnostics((*compiled.warnings, *exported.problems), compiled.sources)
    if exported.failed:
        return EXIT_ERROR
    print(text, end="")
    return 0


def _spans(arguments: argparse.Namespace) -> int:
    """Print the spans of a trace; warn of events that have no partner."""
    from bridge.cli.terminal import say
    from bridge.export.otel import document
    from bridge.json_text import dumps
    from bridge.trace.open import open_trace

    if len(arguments.words) != 1 or arguments.text is not None:
        raise UsageError("--to otel takes a recorded trace, and nothing else")
    name = arguments.words[0]
    with open_trace(name) as trace, doing(f"reading {name}", "events") as activity:
        host = trace.attributes.get("hostname", "")
        about = {"host.name": host} if host else {}
        shown, found = document(activity.each(trace), about, trace.event_classes)
    print(dumps(shown))
    for name, number in sorted(found.unpaired.items()):
        say(f"warning: {number} events `{name}` have no partner in their thread: no span")
    return 0
