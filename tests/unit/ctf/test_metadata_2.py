"""CTF 2 metadata: what is refused, where a path may lead, and that small texts stay small."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.describe import ctf2
from bridge.errors import TraceError
from bridge.facility.parse import parse
from bridge.trace.ctf.cursor import plan
from bridge.trace.ctf.metadata import described
from bridge.trace.ctf.parse import MetadataError

Json = dict[str, Any]
PREAMBLE: Json = {"type": "preamble", "version": 2}
STREAM: Json = {"type": "data-stream-class"}
BYTE: Json = {
    "type": "fixed-length-unsigned-integer",
    "length": 8,
    "byte-order": "little-endian",
}
BOOL: Json = {**BYTE, "type": "fixed-length-boolean"}


def _struct(*members: tuple[str, Any]) -> Json:
    rows = [{"name": name, "field-class": kind} for name, kind in members]
    return {"type": "structure", "member-classes": rows}


def _event(*members: tuple[str, Any]) -> Json:
    return {"type": "event-record-class", "payload-field-class": _struct(*members)}


def _raw(*fragments: Json) -> bytes:
    return b"".join(b"\x1e" + json.dumps(fragment).encode() for fragment in fragments)


def _plan(*fragments: Json) -> None:
    plan(described(_raw(PREAMBLE, *fragments), "m"), "m")


def _text_of(length: Json, *before: tuple[str, Any]) -> tuple[Json, Json]:
    counted = {"type": "dynamic-length-string", "length-field-location": length}
    return STREAM, _event(*before, ("s", counted))


@pytest.mark.parametrize(
    ("fragments", "message"),
    [
        ((), "no data stream class"),
        (({"type": "trace-class"}, {"type": "trace-class"}), "two trace classes"),
        ((PREAMBLE,), "the preamble, and only that, comes first"),
        ((STREAM, STREAM), "data stream class 0 is there twice"),
        ((STREAM, _event(), _event()), "class 0 of stream 0 is there twice"),
        ((_event(),), "unknown data stream class 0"),
        (({**STREAM, "clock": "c"},), "`clock` is no property"),
        (({**STREAM, "extensions": {"a": {}}},), "extensions"),
        (({**STREAM, "default-clock-class-id": "c"},), "unknown clock `c`"),
        ((STREAM, _event(("a", "u8"))), "unknown field class `u8`"),
        ((STREAM, _event(("a", BYTE), ("a", BYTE))), "two members have the same name"),
        ((STREAM, _event(("a", {**BYTE, "length": 65}))), "1 to 64 bits"),
        ((STREAM, _event(("a", {**BYTE, "length": True}))), "no integer of 64 bits"),
        ((STREAM, _event(("a", {**BYTE, "alignment": 3}))), "no power of two"),
        (
            (STREAM, _event(("a", {**BYTE, "roles": ["data-stream-id"]}))),
            "cannot have the role",
        ),
        ((STREAM, _event(("a", {**BYTE, "mappings": {"x": [[2, 1]]}}))), "is empty"),
        (({"type": "clock-class", "id": "c", "frequency": 0},), "does not tick"),
    ],
)
def test_refused(fragments: tuple[Json, ...], message: str) -> None:
    with pytest.raises(MetadataError, match=message):
        described(_raw(PREAMBLE, *fragments), "m")


def test_a_clock_may_start_within_292_years() -> None:
    clock = {"type": "clock-class", "id": "c", "frequency": 10}
    described(
        _raw(PREAMBLE, {**clock, "offset-from-origin": {"seconds": 9 * 10**9}}, STREAM), "m"
    )

    with pytest.raises(MetadataError, match="beyond 292 years"):
        described(_raw(PREAMBLE, {**clock, "offset-from-origin": {"seconds": 10**10}}), "m")


def test_lengths_are_found_within_reach() -> None:
    _plan(*_text_of({"path": ["n"]}, ("n", BYTE)))
    _plan(*_text_of({"path": ["a", None, "n"]}, ("n", BYTE)))
    _plan(
        *_text_of(
            {"origin": "event-record-payload", "path": ["a", "n"]}, ("a", _struct(("n", BYTE)))
        )
    )

    array = {
        "type": "static-length-array",
        "length": 2,
        "element-field-class": _struct(("n", BYTE)),
    }
    for length, before in (
        ({"path": ["n"]}, ("m", BYTE)),
        ({"path": ["n"]}, ("n", BOOL | {"type": "fixed-length-signed-integer"})),
        ({"path": ["a", "n"]}, ("a", array)),
        ({"path": ["n"]}, ("n", {"type": "null-terminated-string"})),
    ):
        with pytest.raises(TraceError, match=r"field `s`"):
            _plan(*_text_of(length, before))


def test_optional_fields_ask_a_truth_value_or_a_number() -> None:
    where = {
        "type": "optional",
        "selector-field-location": {"path": ["x"]},
        "field-class": BYTE,
    }
    ranges = {"selector-field-ranges": [[1, 2]]}
    _plan(STREAM, _event(("x", BOOL), ("o", where)))
    _plan(STREAM, _event(("x", BYTE), ("o", where | ranges)))

    with pytest.raises(TraceError, match="`x` is not a truth value"):
        _plan(STREAM, _event(("x", BYTE), ("o", where)))
    with pytest.raises(TraceError, match="`x` is not an integer"):
        _plan(STREAM, _event(("x", BOOL), ("o", where | ranges)))


def test_a_length_in_each_option_is_one_length() -> None:
    def variant(*names: str) -> Json:
        options = [
            {"selector-field-ranges": [[i, i]], "field-class": _struct((name, BYTE))}
            for i, name in enumerate(names)
        ]
        return {
            "type": "variant",
            "selector-field-location": {"path": ["tag"]},
            "options": options,
        }

    _plan(*_text_of({"path": ["v", "n"]}, ("tag", BYTE), ("v", variant("n", "n"))))
    with pytest.raises(TraceError, match="no number"):
        _plan(*_text_of({"path": ["v", "n"]}, ("tag", BYTE), ("v", variant("n", "m"))))


@pytest.mark.parametrize("levels", [100, 100_000])
def test_nesting_ends(levels: int) -> None:
    inner = '{"type":"structure","member-classes":[{"name":"a","field-class":'
    text = inner * levels + "{}" + "}]}" * levels
    raw = _raw(PREAMBLE, STREAM)
    raw += b'\x1e{"type":"event-record-class","payload-field-class":' + text.encode() + b"}"

    with pytest.raises(MetadataError, match=r"nested (more than 64 deep|too deeply)"):
        described(raw, "m")


def test_shared_classes_count_each_time() -> None:
    def alias(number: int) -> Json:
        kind = _struct(("a", f"s{number - 1}"), ("b", f"s{number - 1}")) if number else BYTE
        return {"type": "field-class-alias", "name": f"s{number}", "field-class": kind}

    with pytest.raises(MetadataError, match="131071 fields; 65536 can be read"):
        described(_raw(PREAMBLE, *map(alias, range(40))), "m")
    many = [{"id": i, **_event(("x", "s14"))} for i in range(100)]
    with pytest.raises(MetadataError, match="more than 1048576 fields with all others"):
        described(_raw(PREAMBLE, *map(alias, range(15)), STREAM, *many), "m")


def test_what_describe_writes_is_read() -> None:
    text = (
        '<facility name="shop"><event name="sale"><field name="n"><uint size="4"/></field>'
        '<field name="s"><string/></field><field name="q"><sequence><uint size="2"/>'
        '<int size="8"/></sequence></field></event></facility>'
    )
    (facility,) = parse(text)

    description = described(ctf2.write(facility).encode(), "m")

    (event,) = description.events
    assert event.event.name == "shop:sale"
    assert [f.name for f in event.event.payload.fields] == ["n", "s", "q_length", "q"]
    plan(description, "m")
