"""`run -j` and `run --cluster`: a script over several traces at a time."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from bridge.cli.front import EXIT_ERROR
from bridge.cli.run import Interruption, open_output
from bridge.cli.script import analyse_options, read_script
from bridge.cli.terminal import say_diagnostics
from bridge.engine.base import SessionOptions
from bridge.errors import CompileError
from bridge.pieces import run_pieces, traces_of
from bridge.pieces.pools import pool_of
from bridge.pieces.worker import ScriptText
from bridge.source import SourceMap

if TYPE_CHECKING:
    import argparse


def run_in_pieces(arguments: argparse.Namespace) -> int:
    """Run the script over the traces, and give the exit code."""
    sources = SourceMap()
    main = read_script(arguments, sources)
    script = ScriptText(main.name, main.text.encode("latin-1"), analyse_options(arguments))
    if arguments.output is not None:
        arguments.output = time.strftime(arguments.output)
    output = open_output(arguments.output)
    options = SessionOptions(
        output=output,
        target=arguments.pid,
        quiet=arguments.quiet,
        repeat_warnings=arguments.verbose > 0,
        suppress_errors=arguments.suppress_handler_errors,
    )
    try:
        with (
            pool_of(arguments.jobs or 1, arguments.cluster or "") as pool,
            Interruption() as interruption,
        ):
            return run_pieces(
                script,
                traces_of(arguments.replay),
                options,
                pool,
                whole=arguments.end == "each",
                stopped=interruption,
            ).exit_code
    except CompileError as error:
        say_diagnostics(error.diagnostics, error.sources or sources)
        return EXIT_ERROR
    finally:
        if output != 1:
            os.close(output)
