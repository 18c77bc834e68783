"""LTT traces written through the public class, as our reader has them."""

from __future__ import annotations

from pathlib import Path

import pytest

import bridge
from bridge.trace.model import Field, Integer, Struct, Text

INT = Integer(32, signed=True)
ORDER = bridge.EventClass("shop.order", 0, Struct((Field("what", INT), Field("name", Text()))))
STOCK = bridge.EventClass("shop.stock", 1, Struct((Field("what", INT),)))
START = 1_700_000_000
EVENTS = [
    (ORDER, 123_456_789, 0, {"what": 1, "name": "pear"}),
    (STOCK, 123_456_794, 0, {"what": -2}),
    (STOCK, 123_456_796, 1, {"what": 3}),
]


def _event(row: tuple[bridge.EventClass, int, int, dict[str, object]]) -> bridge.Event:
    event_class, time_ns, cpu, fields = row
    return bridge.Event(event_class, START * 10**9 + time_ns, 0, cpu, f"x_{cpu}", fields)


@pytest.mark.parametrize("version", ["2.6", "0.8", "0.7"])
def test_what_is_written_is_read(version: str, tmp_path: Path) -> None:
    """Classes that are found while writing keep their names and stay in one facility."""
    with bridge.LttWriter(tmp_path / "trace", version) as writer:
        writer.write(map(_event, EVENTS))

    with bridge.open_trace(tmp_path / "trace") as reader:
        found = [e for e in reader if e.event_class.name.startswith("shop")]
        start = reader.attributes["start_time"]
    assert [(e.event_class.name, e.timestamp_ns, e.cpu, e.fields) for e in found] == [
        (event_class.name, time_ns, cpu, fields) for event_class, time_ns, cpu, fields in EVENTS
    ]
    assert int(float(start)) == START


@pytest.mark.parametrize("version", ["2.6", "0.8", "0.7"])
def test_a_missing_field_is_named_as_what_it_is(version: str, tmp_path: Path) -> None:
    missing = pytest.raises(
        bridge.TraceError, match=r"shop\.order at \d+: no value for .*`what`"
    )
    with bridge.LttWriter(tmp_path / "trace", version) as writer, missing:
        writer.write(_event((ORDER, 1, 0, {"name": "x"})))


def test_other_versions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(bridge.TraceError, match=r"LTT 1\.0 cannot be written"):
        bridge.LttWriter(tmp_path / "trace", "1.0")


def test_the_text_of_a_compile_error_says_what_is_wrong() -> None:
    with pytest.raises(bridge.CompileError) as refused:
        bridge.compile("probe begin { x")

    assert str(refused.value) == "<input>:1:16: expected statement: end ''"
