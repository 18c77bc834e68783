"""`markbridge doctor`: what this machine has of what markbridge uses, on one screen.

Each line is a thing, how it stands, and what was found; below what is not as it could be stands
what that costs and what to do. The exit code is 3 if no live session is possible.
"""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

from bridge.cli.front import EXIT_HOST
from bridge.progress import doing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from bridge.engine.kernel.health import Finding

WIDTH = 96
_INDENT = " " * 4


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="for people, or for tools"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; 3 if something is missing without which nothing is traced."""
    from bridge.engine.kernel.health import Health, examine

    with doing("looking at this machine"):
        findings = list(examine())
    print(as_json(findings) if arguments.format == "json" else as_text(findings))
    missing = any(f.needed and f.state is Health.MISSING for f in findings)
    return EXIT_HOST if missing else 0


def as_json(findings: Iterable[Finding]) -> str:
    """A list of objects with the members of `Finding`."""
    import json

    shown = [asdict(finding) | {"state": finding.state.value} for finding in findings]
    return json.dumps(shown, indent=2)


def as_text(findings: Iterable[Finding]) -> str:
    """One line for each, and more for those that lack something."""
    shown = list(findings)
    width = max(len(finding.name) for finding in shown)
    return "\n".join(line for finding in shown for line in _lines(finding, width))


def _lines(finding: Finding, width: int) -> list[str]:
    lines = [f"{finding.name:{width}}  {finding.state.value:7}  {finding.found}"]
    if finding.state.value != "ok":
        lines += _wrapped("costs", finding.costs) + _wrapped("remedy", finding.remedy)
    return lines


def _wrapped(what: str, text: str) -> list[str]:
    return textwrap.wrap(
        f"{what}: {text}", WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT * 2
    )
