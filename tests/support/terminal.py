"""A command whose messages go to a terminal, and what one would see there."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.command import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

START = """
import sys
from bridge import progress
progress.WAIT_SECONDS = progress.EACH_SECONDS = float(sys.argv.pop(1))
from bridge.cli.front import dispatch
sys.exit(dispatch())
"""
AT_ONCE, NEVER = 0.0, 1e6


@dataclass(frozen=True)
class Shown:
    """Exit code, all bytes that the terminal got, and standard output if that is a file."""

    code: int
    terminal: str
    out: str

    @property
    def screen(self) -> str:
        """What is to be read there in the end."""
        return "\n".join(map(_line, self.terminal.replace("\r\n", "\n").split("\n")))


def _line(text: str) -> str:
    shown = ""
    for part in text.split("\r"):
        shown = part + shown[len(part) :]
    return shown.rstrip()


def on_terminal(
    folder: Path,
    *arguments: object,
    after: float = AT_ONCE,
    all_of_it: bool = False,
    columns: int = 200,
) -> Shown:
    """Run `markbridge` with standard error on a terminal, and with `all_of_it` output, too.

    Work is told of `after` so many seconds.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (25, columns))
    out = folder / "standard-output"
    command = [sys.executable, "-c", START, str(after), *map(str, arguments)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "NO_COLOR": "1"}
    with out.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=theirs if all_of_it else file,
            stderr=theirs,
            env=environment,
        )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # EIO, when nobody has the other end
        while data := os.read(ours, 1 << 16):
            shown += data
    os.close(ours)
    code = process.wait(PATIENCE)
    return Shown(code, shown.decode("utf-8", "surrogateescape"), out.read_text())
