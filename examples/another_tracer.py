"""Another tracer: takes a script's attachments from markbridge, and attaches them with ftrace.

    python another_tracer.py SCRIPT COMMAND ...

It prints each hit as `name argument=value ...`. Root is needed; nothing of markbridge runs
while the command does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import bridge

TRACEFS = Path("/sys/kernel/tracing")
SHORT = {f"r{name}": name for name in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")}


def fetch(operand: object) -> str:
    """Where a value lies -> the words of uprobetracer.rst."""
    match operand:
        case bridge.Register(name=name, size=size, signed=signed):
            return f"%{SHORT.get(name, name)}:{'s' if signed else 'u'}{8 * size}"
        case bridge.Memory(base=str(base), index=None, displacement=offset, size=size) as there:
            sign = "s" if there.signed else "u"
            return f"{offset:+}(%{SHORT.get(base, base)}):{sign}{8 * size}"
        case bridge.Constant(value=value):
            return f"\\{value}:s64"
        case _:
            raise SystemExit(f"this tracer cannot read {operand}")


def define(text: str) -> None:
    """One line for the kernel, added to what is defined."""
    file = os.open(TRACEFS / "uprobe_events", os.O_WRONLY | os.O_APPEND)
    os.write(file, text.encode())
    os.close(file)


def definitions(attachments: tuple[bridge.Attachment, ...]) -> dict[str, str]:
    """An event for each place of each marker."""
    found = {}
    for attachment in attachments:
        for number, place in enumerate(attachment.places):
            name = f"{attachment.provider}_{attachment.name}_{number}"
            words = [f"{a.name}={fetch(a.operand(number))}" for a in attachment.arguments]
            counter = f"({place.ref_ctr_offset:#x})" if place.ref_ctr_offset else ""
            where = f"{place.path}:{place.offset:#x}{counter}"
            found[name] = f"p:another/{name} {where} {' '.join(words)}\n"
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
