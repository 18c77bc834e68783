"""The command `markbridge`:

an argparse front; each command is a module of this package, loaded on demand.
"""

from __future__ import annotations

import signal


def main(arguments: list[str] | None = None) -> int:
    """Run the command with `arguments` (default: of the process) and return its exit code."""
    # Until a command takes the signal over, Ctrl-C ends the process, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from bridge.cli.front import dispatch

    return dispatch(arguments)
