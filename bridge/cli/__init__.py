"""The command `markbridge`:

an argparse front; each command is a module of this package, loaded on demand.
"""

from __future__ import annotations


def main(arguments: list[str] | None = None) -> int:
    """Run the command with `arguments` (default: of the process) and return its exit code."""
    from bridge.cli.front import dispatch

    return dispatch(arguments)
