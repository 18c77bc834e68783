"""`markbridge import bpftrace FILE.bt`: a script that does what a program of bpftrace does."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import BridgeError
from bridge.progress import doing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("tracer", choices=["bpftrace"], help="whose program it is")
    parser.add_argument("file", help="the program (-: standard input)")


def run(arguments: argparse.Namespace) -> int:
    """Print the script; warn of what is left out of it."""
    import sys

    from bridge.cli.terminal import say
    from bridge.imports.bpftrace import translate

    name = arguments.file
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(errors="replace")
    except OSError as error:
        raise BridgeError(f"{name}: {error.strerror}") from error
    with doing(f"translating {name}"):
        imported = translate(text, name, fields_of)
    print(imported.text, end="")
    for line, why in imported.left_out:
        say(f"warning: {name}:{line}: not translated: {why}")
    return 0


@cache
def fields_of(group: str, name: str) -> Mapping[str, str] | None:
    """The fields of a tracepoint of this machine with their types; `#N`: its arguments' names.

    None, if it has no such tracepoint.
    """
    from bridge.marker_lookup import markers
    from bridge.markers import ValueType

    point = f'kernel.trace("{group}:{name}")' if group else f'kernel.trace("{name}")'
    try:
        found = markers(pattern=point)
    except BridgeError:
        return None
    fields = {}
    for variable in found[0].variables:
        fields[variable.name] = "string" if variable.type is ValueType.STRING else "long"
        if variable.raw is not None or hasattr(variable.operands[0], "index"):
            number = getattr(variable.raw or variable.operands[0], "index", -1)
            fields[f"#{number}"] = variable.name
    return fields
