"""A script's markers as ftrace's dynamic events: a shell script for tracefs.

`sh FILE start` defines and enables the events, `sh FILE stop` takes them away; hits are lines
of tracefs's `trace`. Source: Documentation/trace/uprobetracer.rst, kprobetrace.rst, events.rst.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.export.fetch import fetch_arguments
from bridge.export.model import GROUP, event_names, quoted

if TYPE_CHECKING:
    from bridge.attachments import Attachment
    from bridge.export.model import Exported
    from bridge.source import Span

_HEAD = """#!/bin/sh
# Events of ftrace for the markers of a script: `sh FILE start`, then `trace`; `sh FILE stop`.
set -e
cd "${TRACEFS:-/sys/kernel/tracing}"
"""


def export(exported: Exported) -> str:
    """The shell script."""
    start: list[str] = []
    stop: list[str] = []
    taken: set[str] = set()
    for attachment, span in exported.hooks():
        _add(attachment, span, exported, taken, (start, stop))
    body = (f"\t{line}" for line in start or [":"])
    ends = (f"\t{line}" for line in reversed(stop or [":"]))
    return "\n".join(
        (
            _HEAD + 'case "${1:-start}" in',
            "start)",
            *body,
            "\t;;",
            "stop)",
            *ends,
            "\t;;",
            "esac",
            "",
        )
    )


def _add(
    attachment: Attachment,
    span: Span,
    exported: Exported,
    taken: set[str],
    lines: tuple[list[str], list[str]],
) -> None:
    start, stop = lines
    if attachment.kind == "tracepoint":
        _enable(f"events/{attachment.provider}/{attachment.name}", attachment, start, stop)
        return
    if attachment.kind not in _KINDS:
        exported.refuse(f"{attachment.kind} probes", span, "use tracepoints and functions")
        return
    letter, file = _KINDS[attachment.kind]
    names = event_names(attachment, taken)
    for number, (place, name) in enumerate(zip(attachment.places, names, strict=True)):
        if place.unsafe:
            exported.refuse(f"the place at {place.address:#x}: {place.unsafe}", span)
            continue
        fetch = fetch_arguments(attachment, number, span, exported)
        words = " ".join((f"{letter}:{GROUP}/{name}", place.event_words(), *fetch))
        start.append(f"printf '%s\\n' {quoted(words)} >> {file}")
        stop.append(f"printf '%s\\n' {quoted(f'-:{GROUP}/{name}')} >> {file}")
        _enable(f"events/{GROUP}/{name}", attachment, start, stop)


_KINDS = {
    "usdt": ("p", "uprobe_events"),
    "function": ("p", "uprobe_events"),
    "function-return": ("r", "uprobe_events"),
    "kernel-function": ("p", "kprobe_events"),
    "kernel-function-return": ("r", "kprobe_events"),
}


def _enable(folder: str, attachment: Attachment, start: list[str], stop: list[str]) -> None:
    if attachment.pid:
        start.append(f"echo 'common_pid == {attachment.pid}' > {folder}/filter")
        stop.append(f"echo 0 > {folder}/filter")
    start.append(f"echo 1 > {folder}/enable")
    stop.append(f"echo 0 > {folder}/enable")
