"""A script's markers as commands of lttng(1): user-space probes, tracepoints and kprobes.

A shell script to be run in a session of LTTng. Source: lttng-enable-event(1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.export.model import event_names, identifier, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.attachments import Attachment
    from bridge.export.model import Exported
    from bridge.source import Span

_HEAD = """#!/bin/sh
# Events of LTTng for the markers of a script: lttng create; sh FILE; lttng start
set -e
"""


def export(exported: Exported) -> str:
    """The shell script."""
    lines: list[str] = []
    taken: set[str] = set()
    for attachment, span in exported.hooks():
        lines += _events(attachment, span, exported, taken)
    return _HEAD + "\n".join((*lines, ""))


def _events(
    attachment: Attachment, span: Span, exported: Exported, taken: set[str]
) -> Iterator[str]:
    enable = "lttng enable-event --kernel"
    match attachment.kind:
        case "tracepoint":
            yield f"{enable} {quoted(attachment.name)}"
        case "usdt":
            if any(place.ref_ctr_offset for place in attachment.places):
                what = f"{attachment.name}, which has a semaphore"
                exported.refuse(what, span, "export to ftrace, which counts it up")
                return
            for argument in attachment.arguments:
                if argument.used:
                    exported.refuse(
                        f"${argument.name}: its user-space probes have no fields", span
                    )
                    return
            where = f"{attachment.provider}:{attachment.name}"
            path, name = attachment.places[0].path, identifier(attachment.name)
            yield f"{enable} --userspace-probe={quoted(f'sdt:{path}:{where}')} {name}"
        case "function" if attachment.name.isidentifier():
            path = attachment.places[0].path
            probe = quoted(f"elf:{path}:{attachment.name}")
            yield f"{enable} --userspace-probe={probe} {identifier(attachment.name)}"
        case "kernel-function" | "kernel-function-return":
            word = "function" if attachment.kind.endswith("return") else "probe"
            for place, name in zip(
                attachment.places, event_names(attachment, taken), strict=True
            ):
                yield f"{enable} --{word}={quoted(f'{place.symbol}+{place.offset}')} {name}"
        case _:
            exported.refuse(f"{attachment.kind} probes", span)
