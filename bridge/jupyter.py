"""`%%stp` of IPython and Jupyter: `%load_ext bridge.jupyter`, then a cell that is a script.

    %%stp -c "./app 10" --seconds 5 --as counts
    global n probe process("app").mark("order") { n[$arg1]++ }

What the script prints comes as it is printed; the session stays in `stp`, or in the variable
that `--as` names, so `bridge.show(stp.globals["n"])` draws what it found.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import bridge

if TYPE_CHECKING:
    from collections.abc import Callable


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the line of a cell, and ends nothing."""

    def error(self, message: str) -> NoReturn:
        raise bridge.BridgeError(f"%%stp: {message}")


def _options() -> _Parser:
    parser = _Parser("%%stp", add_help=False)
    parser.add_argument("-c", dest="command", default="", help="run until this command ends")
    parser.add_argument("-x", dest="pid", type=int, default=0, help="run until this one ends")
    parser.add_argument("--seconds", type=float, help="run for so long")
    parser.add_argument("--trace", default="", help="replay this trace instead")
    parser.add_argument("--as", dest="name", default="stp", help="the variable for the session")
    parser.add_argument("arguments", nargs="*", help="of the script: $1 @1")
    return parser


def run_cell(line: str, cell: str, keep: Callable[[str, Any], object]) -> None:
    """Run a script; `keep` gets the name of the variable and the session."""
    given = _options().parse_args(shlex.split(line))
    options = bridge.AnalyseOptions(arguments=tuple(given.arguments))
    try:
        program = bridge.compile(cell, options)
        if given.trace:
            replayed = program.replay(given.trace)
            sys.stdout.write(replayed.text)
            keep(given.name, replayed)
            return
        session = program.attach(given.command, pid=given.pid, seconds=given.seconds)
        keep(given.name, session)
        with session:
            for found in session:
                sys.stdout.write(f"{found.text}\n")
                sys.stdout.flush()
    except bridge.CompileError as error:
        raise bridge.BridgeError(str(error)) from None
    if session.messages:
        sys.stderr.write(session.messages)


def load_ipython_extension(shell: Any) -> None:  # noqa: ANN401 - IPython has no types
    """Called by `%load_ext bridge.jupyter`."""

    def stp(line: str, cell: str) -> None:
        run_cell(line, cell, lambda name, value: shell.push({name: value}))

    stp.__doc__ = __doc__
    shell.register_magic_function(stp, magic_kind="cell")
