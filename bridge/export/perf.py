"""A script's markers for perf(1): a shell script that defines events and records a command.

`sh FILE COMMAND ...` adds probes with `perf probe`, records the command, and takes them away;
`perf script` shows the hits. Source: perf-probe(1), perf-record(1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.export.fetch import fetch_arguments
from bridge.export.model import GROUP, event_names, quoted

if TYPE_CHECKING:
    from bridge.attachments import Attachment, Place
    from bridge.export.model import Exported
    from bridge.source import Span

_HEAD = """#!/bin/sh
# Records the markers of a script with perf: sh FILE COMMAND ..., then perf script.
set -e
"""


def export(exported: Exported) -> str:
    """The shell script."""
    define: list[str] = []
    events: list[str] = []
    taken: set[str] = set()
    for attachment, span in exported.hooks():
        if attachment.kind == "tracepoint":
            events.append(f"{attachment.provider}:{attachment.name}")
        else:
            events += _define(attachment, span, exported, taken, define)
    wanted = " ".join(f"-e {quoted(event)}" for event in events)
    remove = f"trap \"perf probe -q -d '{GROUP}:*'\" EXIT" if define else ":"
    record = f'perf record -q -o "${{PERF_DATA:-perf.data}}" {wanted} -- "$@"'
    return _HEAD + "\n".join((*define, remove, record, ""))


def _define(
    attachment: Attachment,
    span: Span,
    exported: Exported,
    taken: set[str],
    define: list[str],
) -> list[str]:
    if not attachment.places:
        exported.refuse(f"{attachment.kind} probes", span, "export to ftrace instead")
        return []
    events = []
    names = event_names(attachment, taken)
    for number, (place, name) in enumerate(zip(attachment.places, names, strict=True)):
        if place.unsafe:
            exported.refuse(f"the place at {place.address:#x}: {place.unsafe}", span)
            continue
        if place.ref_ctr_offset:
            what = f"{attachment.name}, which has a semaphore"
            exported.refuse(what, span, "export to ftrace, which counts it up")
            continue
        fetch = fetch_arguments(attachment, number, span, exported)
        words = quoted(" ".join((f"{GROUP}:{name}={_where(place, attachment)}", *fetch)))
        file = f"-x {quoted(place.path)} " if place.path else ""
        define.append(f"perf probe -q {file}--add {words}")
        # perf gives the events of returns names of its own
        events.append(
            f"{GROUP}:{name}{'__return' if attachment.kind.endswith('-return') else ''}"
        )
    return events


def _where(place: Place, attachment: Attachment) -> str:
    """An address; where functions return, the name, as perf takes nothing else there."""
    if attachment.kind.endswith("-return"):
        return f"{place.symbol or attachment.name}%return"
    return f"{place.address:#x}" if place.path else f"{place.symbol}+{place.offset}"
