"""Spans of a trace, read back with OpenTelemetry's own messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import bridge
from bridge.export.otel import document

if TYPE_CHECKING:
    from pathlib import Path

INT, TEXT = bridge.Integer(32, signed=True), bridge.Text()
START = 1_700_000_000_000_000_000
CLASSES = {
    name: bridge.EventClass(name, number, bridge.Struct((bridge.Field("id", INT),)))
    for number, name in enumerate(
        ("db:query_start", "db:query_done", "db:read__entry", "db:read__return", "db:tick")
    )
}


def _event(name: str, time_ns: int, tid: int, number: int) -> bridge.Event:
    context = {"tid": tid, "procname": "server"}
    return bridge.Event(
        CLASSES[name], START + time_ns, 0, 0, "channel", {"id": number}, context
    )


EVENTS = [
    _event("db:query_start", 10, 7, 1),
    _event("db:query_start", 20, 8, 2),
    _event("db:read__entry", 30, 7, 3),
    _event("db:tick", 35, 7, 0),
    _event("db:read__return", 40, 7, 3),
    _event("db:query_done", 50, 8, 2),
    _event("db:query_done", 60, 7, 1),
    _event("db:query_done", 70, 9, 5),
    _event("db:read__entry", 80, 8, 6),
]


def _spans(found: dict[str, object]) -> list[object]:
    request = ParseDict(found, ExportTraceServiceRequest())
    (resource,) = request.resource_spans
    (scope,) = resource.scope_spans
    return list(scope.spans)


def test_pairs_of_a_thread_are_spans() -> None:
    found, made = document(EVENTS, {"host.name": "here"})

    spans = _spans(found)
    times = [
        (s.name, s.start_time_unix_nano - START, s.end_time_unix_nano - START) for s in spans
    ]
    assert times == [("db:read", 30, 40), ("db:query", 20, 50), ("db:query", 10, 60)]
    assert made.unpaired == {"db:query_done": 1, "db:read__entry": 1}


def test_what_begins_inside_is_a_child() -> None:
    inner, other, outer = _spans(document(EVENTS, {})[0])

    assert inner.parent_span_id == outer.span_id
    assert inner.trace_id == outer.trace_id != other.trace_id
    assert not outer.parent_span_id
    assert not other.parent_span_id


def test_fields_are_attributes() -> None:
    (inner, *_) = _spans(document(EVENTS, {})[0])
    values = {attribute.key: attribute.value for attribute in inner.attributes}

    assert values["id"].int_value == values["end.id"].int_value == 3
    assert values["tid"].int_value == 7
    assert values["procname"].string_value == "server"


def test_identities_are_hexadecimal() -> None:
    found, _ = document(EVENTS, {})
    text = json.dumps(found)

    for span in json.loads(text)["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        assert (len(bytes.fromhex(span["traceId"])), len(bytes.fromhex(span["spanId"]))) == (
            16,
            8,
        )


def test_the_command_exports_a_trace(tmp_path: Path, capsys) -> None:
    from bridge.cli.front import dispatch

    with bridge.CtfWriter(tmp_path / "trace") as writer:
        writer.write(EVENTS)

    assert dispatch(["export", "--to", "otel", str(tmp_path / "trace")]) == 0
    shown = capsys.readouterr()
    names = [span.name for span in _spans(json.loads(shown.out))]
    assert names == ["db:read", "db:query", "db:query"]
    assert "1 events `db:read__entry` have no partner" in shown.err
