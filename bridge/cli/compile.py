"""`markbridge compile SCRIPT -o FILE`: a script as a file that `run` takes, with its code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cli.front import EXIT_ERROR

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    from bridge.cli.script import configure_script

    configure_script(parser)
    parser.add_argument(
        "-o",
        dest="output",
        metavar="FILE",
        type=Path,
        required=True,
        help="the file to write; `markbridge run FILE` runs it",
    )
    parser.add_argument(
        "--record",
        action="store_true",
        help="compile for run --trace and run --format=json, which deliver every hit",
    )


def run(arguments: argparse.Namespace) -> int:
    """Compile and write; 1 if the script is refused."""
    from bridge.cli.script import compile_arguments, live_targets
    from bridge.cli.terminal import say_diagnostics
    from bridge.engine.live import RING_BYTES
    from bridge.engine.program_file import save

    compiled = compile_arguments(arguments, live_targets(arguments), record=arguments.record)
    if compiled is None:
        return EXIT_ERROR
    say_diagnostics(compiled.warnings, compiled.sources)
    save(compiled.placed, compiled.name, arguments.output, RING_BYTES)
    return 0
