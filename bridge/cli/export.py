"""`markbridge export SCRIPT --to NAME`: a script for another tracer, or its markers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from bridge.cli.front import EXIT_ERROR

if TYPE_CHECKING:
    import argparse

CONSUMERS = ("bpftrace", "ftrace", "gdb", "lttng", "perf", "systemtap")
"""The modules of `bridge.export` that take a script."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    from bridge.cli.script import configure_script

    configure_script(parser)
    parser.add_argument(
        "--to", required=True, choices=CONSUMERS, dest="consumer", help="who takes the result"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what the consumer takes; 1 if it cannot take the script."""
    from bridge.cli.script import compile_arguments, live_targets
    from bridge.cli.terminal import say_diagnostics
    from bridge.export.model import Exported
    from bridge.world import LiveWorld

    compiled = compile_arguments(arguments, live_targets(arguments))
    if compiled is None:
        return EXIT_ERROR
    exported = Exported(
        compiled.placed, LiveWorld(), arguments.consumer, compiled.typed, compiled.sources
    )
    text = import_module(f"bridge.export.{arguments.consumer}").export(exported)
    say_diagnostics((*compiled.warnings, *exported.problems), compiled.sources)
    if exported.failed:
        return EXIT_ERROR
    print(text, end="")
    return 0
