"""Events as text: the one-line form of LTTV's library, and fields as LTTV prints them.

The rule: text is bytes (Latin-1 after decoding), never interpreted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from bridge.trace import model
from bridge.trace.ltt import files

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.trace.ltt.reader import EventLocation


def quoted(text: str) -> str:
    """A string in double quotes; bytes that are no printable ASCII in hexadecimal."""
    data = text.encode("utf8", "surrogateescape")
    return '"' + "".join(chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in data) + '"'


def _label(kind: model.Enumeration, number: object) -> str:
    for label, low, high in kind.labels:
        if isinstance(number, int) and low <= number <= high:
            return f"({label})"
    return ""


def value(kind: model.FieldType, content: model.Value) -> str:
    """One value."""
    match kind:
        case model.Integer(base=16) if isinstance(content, int):
            return f"{content:#x}"
        case model.Integer():
            return f"{content!s}"
        case model.Enumeration():
            return f"{content!s}{_label(kind, content)}"
        case model.Float():
            return f"{content:.17g}" if isinstance(content, float) else f"{content!s}"
        case model.Text():
            return quoted(str(content))
        case model.FixedArray() | model.Sequence():
            elements = content if isinstance(content, list) else []
            return "[" + ", ".join(value(kind.element, e) for e in elements) + "]"
        case model.Struct():
            return fields(kind, content if isinstance(content, dict) else {})
        case model.Variant() | model.Optional():
            return str(content)
    assert_never(kind)


def fields(kind: model.Struct, content: dict[str, model.Value]) -> str:
    """All fields in braces."""
    parts = [f"{f.name} = {value(f.type, content[f.name])}" for f in kind.fields]
    return "{ " + ", ".join(parts) + " }" if parts else "{ }"


def seconds(time_ns: int) -> str:
    """Seconds and nanoseconds with a point."""
    return f"{time_ns // 1_000_000_000}.{time_ns % 1_000_000_000:09d}"


def library_line(event: model.Event, place: EventLocation) -> str:
    """A line of a dump by LTTV's library for a marker trace."""
    return (
        f"{event.event_class.name} {seconds(event.timestamp_ns)} {event.cpu} {event.tsc} "
        f"{place.block}:{place.offset} {place.id} {len(place.payload)} "
        f"{fields(event.event_class.payload, event.fields)} {place.payload.hex()}"
    )


def facility_line(event: model.Event, place: EventLocation) -> str:
    """A line of a dump by LTTV's library for a facility trace."""
    context = event.context
    head, slash, last = files.numbered(event.stream)[0].rpartition("/")
    channel = head + slash + last.removeprefix("flight-")
    return (
        f"{event.event_class.name} {seconds(event.timestamp_ns)} {channel} {max(event.cpu, 0)} "
        f"{context.get('tid', 0)!s} {context.get('pgid', 0)!s} {context.get('creation', 0)!s} "
        f"{event.tsc} {place.block}:{place.offset} {place.id >> 8}.{place.id & 255} "
        f"{len(place.payload)} {fields(event.event_class.payload, event.fields)} "
        f"{place.payload.hex()}"
    )


def lttv_line(form: str) -> Callable[[model.Event, EventLocation], str]:
    """The form of lines for a trace of this format (`LttReader.format`)."""
    is_facility = form.startswith("ltt-0.")
    return facility_line if is_facility else library_line
