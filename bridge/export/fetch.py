"""Where an argument lies -> a fetch argument of the kernel's uprobe and kprobe events.

Source: Documentation/trace/uprobetracer.rst and kprobetrace.rst, "Synopsis".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.export.model import identifier
from bridge.tracefs_words import fetched, number_type

if TYPE_CHECKING:
    from bridge.attachments import Attachment, Read
    from bridge.export.model import Exported
    from bridge.source import Span


def _followed(start: str, read: Read) -> str:
    """A text or a number behind a pointer."""
    for offset in read.offsets:
        start = f"{offset:+}({start})"
    kind = "string" if read.type == "string" else number_type(read.size, signed=read.signed)
    return f"{start}:{kind}"


def fetch_arguments(
    attachment: Attachment, place: int, span: Span, exported: Exported
) -> list[str]:
    """`name=fetch:type` of all arguments at a place, and of what handlers read behind them.

    Only those that a handler reads are refused where they cannot be fetched.
    """
    found, starts = [], {}
    for argument in attachment.arguments:
        words = fetched(argument.operand(place))
        if words is None or argument.type != "long":
            if argument.used:
                exported.refuse(f"${argument.name}: no fetch argument says where it is", span)
            continue
        starts[argument.name] = words[0]
        found.append(f"{identifier(argument.name)}={words[0]}:{words[1]}")
    reads = {read.text: read for handler in attachment.handlers for read in handler.reads}
    for read in reads.values():
        if read.context or (read.variable and not read.offsets):
            continue
        if read.variable not in starts:
            exported.refuse(f"{read.text}: no fetch argument says where it is", span)
        elif starts[read.variable].startswith("\\"):
            exported.refuse(f"{read.text}: its address is a constant", span)
        else:
            name = f"{identifier(read.variable)}_{identifier(read.text.partition('(')[0])}"
            found.append(f"{name}={_followed(starts[read.variable], read)}")
    return found
