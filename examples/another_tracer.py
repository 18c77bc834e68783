"""Another tracer: takes a script's attachments from markbridge, and attaches them with ftrace.

    python another_tracer.py SCRIPT COMMAND ...

It prints each hit as `name argument=value ...`. Root is needed; nothing of markbridge runs
while the command does.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import bridge

TRACEFS = Path("/sys/kernel/tracing")


def define(text: str) -> None:
    """One line for the kernel, added to what is defined."""
    with (TRACEFS / "uprobe_events").open("r+") as file:
        file.write(text)


def definitions(attachments: tuple[bridge.Attachment, ...]) -> dict[str, str]:
    """An event for each place of each marker."""
    found = {}
    for attachment in attachments:
        for number, place in enumerate(attachment.places):
            name = f"{attachment.provider}_{attachment.name}_{number}"
            fetched = ((a.name, a.event_words(number)) for a in attachment.arguments)
            words = [place.event_words(), *(f"{a}={where}" for a, where in fetched if where)]
            found[name] = f"p:another/{name} {' '.join(words)}\n"
    return found


def main(script: str, command: list[str]) -> None:
    """Attach, run the command, print the hits, detach."""
    events = definitions(bridge.compile(Path(script)).attachments())
    for name, definition in events.items():
        define(definition)
        (TRACEFS / f"events/another/{name}/enable").write_text("1")
    (TRACEFS / "trace").write_text("")
    try:
        subprocess.run(command, check=True)
        hits = [
            line for line in (TRACEFS / "trace").read_text().splitlines() if ": (0x" in line
        ]
    finally:
        for name in events:
            (TRACEFS / f"events/another/{name}/enable").write_text("0")
            define(f"-:another/{name}\n")
    for hit in hits:
        head, _, values = hit.partition(": (0x")
        print(head.rsplit(" ", 1)[1].rpartition("_")[0], values.partition(") ")[2])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
