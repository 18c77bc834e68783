"""`markbridge procfs`: the files that running sessions serve for `procfs` probes.

`cat` and `write` do what cat(1) and a shell's `>` do with the FIFOs, and say what is wrong
where those would wait: no session has the file, or several have.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from bridge.cli.front import UsageError
from bridge.errors import BridgeError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

CHUNK = 1 << 16


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("action", choices=("list", "cat", "write"), help="what to do; list prints their paths")
    add("name", metavar="[SESSION/]NAME", nargs="?", help="the file, as its probe names it")
    add("text", metavar="TEXT", nargs="?", help="for write; standard input without it")


def run(arguments: argparse.Namespace) -> int:
    """List, read or write."""
    from bridge.engine.served_files import living_sessions

    sessions = list(living_sessions())
    if arguments.action == "list":
        for folder in sessions:
            for path in sorted(folder.rglob("*")):
                if path.is_fifo() and not path.name.startswith("."):
                    print(path)
        return 0
    if arguments.name is None:
        raise UsageError(f"procfs {arguments.action} needs the name of a file")
    writes = arguments.action == "write"
    path = _found(arguments.name, sessions, writes=writes)
    if writes:
        _write(path, arguments.text)
    else:
        _cat(path)
    return 0


def _found(name: str, sessions: list[Path], *, writes: bool) -> Path:
    from bridge.engine.served_files import BOTH, sessions_folder

    found = []
    for folder in sessions:
        for own in {name, name.removeprefix(f"{folder.name}/")}:
            of_writers = folder / f"{own}{BOTH}"
            path = of_writers if writes and of_writers.is_fifo() else folder / own
            if path.is_fifo():
                found.append(path)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(path.relative_to(sessions_folder())) for path in found)
        raise BridgeError(f"{name}: several sessions have that file: {names}")
    raise BridgeError(f"{name}: no running session serves that file; `markbridge procfs list`")


def _cat(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        while text := file.read(CHUNK):
            sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


def _write(path: Path, text: str | None) -> None:
    given = sys.stdin.buffer.read() if text is None else os.fsencode(f"{text}\n")
    with path.open("wb", buffering=0) as file:
        file.write(given)
