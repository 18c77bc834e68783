"""The command `markbridge`:

an argparse front; each command is a module of this package, loaded on demand.
"""

from __future__ import annotations

import gc
import signal

FEWER = 20_000
"""Objects more until Python looks for cycles: a start makes many, and they stay."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command with `arguments` (default: of the process) and return its exit code."""
    # Until a command takes the signal over, Ctrl-C ends the process, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.set_threshold(FEWER)
    from bridge.cli.front import dispatch

    return dispatch(arguments)
