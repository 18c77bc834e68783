"""Columns of traces of every format equal their events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import bridge
from bridge.trace import model
from bridge.trace.columns import columns
from bridge.trace.selection import Selection
from tests.conftest import ROOT
from tests.support.library_traces import FORMATS, SECOND, open_some, write_ctf

if TYPE_CHECKING:
    from pathlib import Path

np = pytest.importorskip("numpy")


def test_the_example() -> None:
    with bridge.open_trace(ROOT / "examples" / "orders.trace") as trace:
        found = columns(trace, ["shop:order"])
        events = [event for event in trace if event.event_class.name == "shop:order"]

    (orders,) = found.values()
    assert list(found) == ["shop:order"]
    assert len(orders) == len(events) > 0
    assert orders.timestamp_ns.tolist() == [event.timestamp_ns for event in events]
    for name in events[0].fields:
        assert orders.fields[name].tolist() == [event.fields[name] for event in events]
    assert orders.context["pid"].tolist() == [event.context["pid"] for event in events]


@pytest.mark.parametrize("form", FORMATS)
def test_columns_equal_events(form: str, tmp_path: Path) -> None:
    with open_some(form, tmp_path) as trace:
        found = columns(trace)
        events = list(trace)
        for name, own in found.items():
            same = [event for event in events if event.event_class.name == name]
            assert own.timestamp_ns.tolist() == [event.timestamp_ns for event in same]
            assert own.cpu.tolist() == [event.cpu for event in same]
            for field, column in own.fields.items():
                assert column.tolist() == [event.fields[field] for event in same]
        assert sum(map(len, found.values())) == len(events)


TYPES: dict[str, tuple[model.FieldType, list[model.Value], str]] = {
    "u64": (model.Integer(64, signed=False), [0, (1 << 64) - 1, 1 << 63], "u8"),
    "i64": (model.Integer(64, signed=True), [-(1 << 63), 5, (1 << 63) - 1], "i8"),
    "u27": (model.Integer(27, signed=False), [0, (1 << 27) - 1, 3], "u4"),
    "i3": (model.Integer(3, signed=True), [-4, 3, 0], "i1"),
    "double": (model.Float(64), [0.5, -1e300, float("inf")], "f8"),
    "single": (model.Float(32), [0.5, -2.0, 1024.0], "f8"),
    "text": (model.Text(), ["", "tea", "añadir \udcff"], "O"),
    "label": (
        model.Enumeration(model.Integer(16, signed=False), (("low", 0, 9), ("high", 10, 99))),
        [1, 50, 65535],
        "u2",
    ),
    "array": (
        model.FixedArray(model.Integer(8, signed=False), 2),
        [[1, 2], [3, 4], [5, 6]],
        "O",
    ),
    "list": (
        model.Sequence(model.Integer(16, signed=True), "", model.Integer(8, signed=False)),
        [[], [-1], [2, 3]],
        "O",
    ),
    "inner": (
        model.Struct((model.Field("x", model.Integer(8, signed=True)),)),
        [{"x": 1}, {"x": -1}, {"x": 0}],
        "O",
    ),
}


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("beside", ["u64", "list"])
def test_types(name: str, beside: str, tmp_path: Path) -> None:
    """Each type alone in a class with a flat field, and with one of varying size before it."""
    kind, values, dtype = TYPES[name]
    fields = model.Struct((model.Field("before", TYPES[beside][0]), model.Field("own", kind)))
    event_class = model.EventClass("a:b", 0, fields)
    events = [
        model.Event(event_class, n, n, 3, "s", {"before": before, "own": value}, {"pid": n})
        for n, (before, value) in enumerate(zip(TYPES[beside][1], values, strict=True))
    ]
    with bridge.open_trace(write_ctf(tmp_path / "t", events)) as trace:
        own = columns(trace)["a:b"]

    assert own.fields["own"].dtype == np.dtype(dtype)
    assert own.fields["own"].tolist() == values
    assert own.fields["before"].tolist() == TYPES[beside][1]
    assert own.context["pid"].tolist() == [0, 1, 2]
    assert (own.cpu.tolist(), own.tsc.tolist()) == ([3, 3, 3], [0, 1, 2])


def test_selection(tmp_path: Path) -> None:
    with open_some("ctf", tmp_path) as trace:
        chosen = Selection(begin_ns=SECOND + 10, end_ns=SECOND + 19, cpus=[0])
        assert columns(trace, ["shop.*"], chosen)["shop.order"].fields[
            "number"
        ].tolist() == list(range(10, 20))
        assert columns(trace, ["nosuch"]) == {}
        assert columns(trace, None, Selection(cpus=[7])) == {}
        assert len(columns(trace)["shop.order"]) == sum(1 for _ in trace)


def test_a_name_with_two_shapes(tmp_path: Path) -> None:
    """Classes of one name with other fields: what one lacks is None, widths do not mix."""
    wide = model.EventClass(
        "a:b", 0, model.Struct((model.Field("n", model.Integer(64, signed=False)),))
    )
    small = model.EventClass(
        "a:b",
        1,
        model.Struct(
            (
                model.Field("n", model.Integer(8, signed=True)),
                model.Field("t", model.Text()),
            )
        ),
    )
    events = [
        model.Event(wide, 1, 1, 0, "s", {"n": (1 << 64) - 1}),
        model.Event(small, 2, 2, 0, "s", {"n": -1, "t": "x"}),
        model.Event(wide, 3, 3, 0, "s", {"n": 7}),
    ]
    with bridge.open_trace(write_ctf(tmp_path / "t", events)) as trace:
        own = columns(trace)["a:b"]

    assert own.fields["n"].tolist() == [(1 << 64) - 1, -1, 7]
    assert own.fields["t"].tolist() == [None, "x", None]
