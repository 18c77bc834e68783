"""A recorded trace -> spans of OpenTelemetry, as OTLP/JSON.

Two events of one thread whose names differ in their last word (`query_start`, `query_done`) are
the begin and the end of a span `query`; spans that begin inside another one of their thread are
its children. The rule: what has no partner is counted, and nothing else is guessed.
Source: opentelemetry-proto, trace/v1/trace.proto; OTLP specification, "JSON Protobuf Encoding".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.trace.pairs import Part, part

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from bridge.trace.model import Event, Value

_INTERNAL = 1
"""SPAN_KIND_INTERNAL."""


@dataclass(slots=True)
class _Open:
    """A span that has begun."""

    part: Part
    event: Event
    number: int
    parent: _Open | None
    trace: str


@dataclass(slots=True)
class Spans:
    """The spans of a trace; `unpaired` counts, by name, the events that lack their partner.

    `known` has the names of the trace's event classes.
    """

    known: Container[str] = ()
    spans: list[dict[str, object]] = field(default_factory=list)
    unpaired: dict[str, int] = field(default_factory=dict)
    _open: dict[tuple[object, ...], list[_Open]] = field(default_factory=dict)
    _begun: int = 0

    def take(self, event: Event) -> None:
        """The next event."""
        found = part(event.event_class.name, self.known)
        if found is None:
            return
        stack = self._open.setdefault(_thread(event), [])
        if found.begins:
            self._begun += 1
            parent = stack[-1] if stack else None
            trace = parent.trace if parent else _identity(f"trace {self._begun}", 16)
            stack.append(_Open(found, event, self._begun, parent, trace))
        else:
            self._end(stack, found, event)

    def _end(self, stack: list[_Open], end: Part, event: Event) -> None:
        """The innermost span that this ends; those inside that never ended are unpaired."""
        for at in range(len(stack) - 1, -1, -1):
            if end.ends(stack[at].part):
                for lost in stack[at + 1 :]:
                    self._alone(lost.event)
                self.spans.append(_span(stack[at], event))
                del stack[at:]
                return
        self._alone(event)

    def _alone(self, event: Event) -> None:
        name = event.event_class.name
        self.unpaired[name] = self.unpaired.get(name, 0) + 1

    def finish(self) -> None:
        """What never ended is unpaired."""
        for stack in self._open.values():
            for begun in stack:
                self._alone(begun.event)
        self._open.clear()


def _thread(event: Event) -> tuple[object, ...]:
    """What a span begins and ends in: a thread, or the CPU if the trace knows no threads."""
    context = event.context
    thread = context.get("tid", context.get("vtid"))
    return ("thread", thread) if thread is not None else ("cpu", event.stream, event.cpu)


def _identity(text: str, size: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[: 2 * size]


def _span(begun: _Open, end: Event) -> dict[str, object]:
    ended = {f"end.{name}": value for name, value in end.fields.items()}
    values = {**begun.event.context, **begun.event.fields, **ended}
    span: dict[str, object] = {
        "traceId": begun.trace,
        "spanId": _identity(f"span {begun.number}", 8),
        "name": begun.part.base,
        "kind": _INTERNAL,
        "startTimeUnixNano": str(begun.event.timestamp_ns),
        "endTimeUnixNano": str(end.timestamp_ns),
        "attributes": _attributes(values),
    }
    if begun.parent is not None:
        span["parentSpanId"] = _identity(f"span {begun.parent.number}", 8)
    return span


def _attributes(values: Mapping[str, Value]) -> list[dict[str, object]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: Value) -> dict[str, object]:
    """An AnyValue; 64-bit integers are texts in OTLP/JSON."""
    match value:
        case bool() | int():
            return {"intValue": str(int(value))}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value(one) for one in value]}}
        case dict():
            return {"kvlistValue": {"values": _attributes(value)}}
        case bytes():
            return {"stringValue": value.hex()}
        case None:
            return {}
        case _:
            return {
                "stringValue": value.encode(errors="surrogateescape").decode(errors="replace")
            }


def document(
    events: Iterable[Event], resource: Mapping[str, str], known: Container[str] = ()
) -> tuple[dict[str, object], Spans]:
    """OTLP/JSON (an ExportTraceServiceRequest) of the events, and what it was made of.

    `known` has the names of all event classes, which tell begins that have no word for it.
    """
    found = Spans(known)
    for event in events:
        found.take(event)
    found.finish()
    about = _attributes({"service.name": "markbridge", **resource})
    scope = {"scope": {"name": "markbridge"}, "spans": found.spans}
    return {
        "resourceSpans": [{"resource": {"attributes": about}, "scopeSpans": [scope]}]
    }, found
