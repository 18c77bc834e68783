"""Events that are packed have the bytes of those that are encoded, and the same are refused."""

from __future__ import annotations

import threading
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import bridge
from bridge.trace.ctf import packers, writer

if TYPE_CHECKING:
    from pathlib import Path

SLOW = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
VALUES: dict[str, Any] = {
    **{f"u{bits}": st.integers(-1, 2**bits) for bits in (8, 16, 32, 64)},
    **{
        f"i{bits}": st.integers(-(2 ** (bits - 1)) - 1, 2 ** (bits - 1)) for bits in (8, 16, 64)
    },
    "f32": st.floats() | st.integers(-5, 5) | st.just("x"),
    "f64": st.floats(),
    "bool": st.booleans() | st.integers(0, 256),
    "string": st.text() | st.binary(max_size=4) | st.sampled_from(["\udc80", "\ud800", "a\0"]),
    "bytes": st.binary(max_size=9) | st.just("text"),
}


@st.composite
def _classes(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Types by the names of fields, and events whose values mostly fit."""
    types: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for number in range(draw(st.integers(0, 5))):
        name = f"x{number}"
        kind = draw(st.sampled_from(list(VALUES)))
        form = draw(st.sampled_from(["one", "one", "list", "three"]))
        types[name], values[name] = kind, VALUES[kind]
        if form != "one":
            length = {"max_size": 70} if form == "list" else {"min_size": 2, "max_size": 3}
            types[name] = [kind] if form == "list" else [kind, 3]
            values[name] = st.lists(VALUES[kind], **length) | st.just((1,))
    event = st.fixed_dictionaries(values) if values else st.just({})
    return types, draw(st.lists(event, min_size=1, max_size=6))


def _written(folder: Path, version: int, types: dict[str, Any], events: list[Any]) -> Any:
    """The bytes of the stream, and what was refused."""
    times = count(1_000_000_000_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packers, "time_ns", lambda: next(times))
        patch.setattr(writer.time, "time_ns", lambda: next(times))
        refused = []
        with bridge.CtfWriter(folder, version=version) as out:
            event_class = out.event_class("e", **types)
            for event in events:
                try:
                    event_class(**event)
                except bridge.TraceError as error:
                    refused.append(str(error).partition(": ")[2])
        names = sorted(path.name for path in folder.iterdir())
        streams = [(folder / n).read_bytes()[24:] for n in names if n != "metadata"]
        with bridge.open_trace(folder) as trace:
            return [e.fields for e in trace], refused, [len(s) for s in streams]


@pytest.mark.parametrize("version", [1, 2])
@SLOW
@given(made=_classes())
@example(
    made=({"a": "u32", "s": "string", "n": ["i16"]}, [{"a": 1, "s": "y", "n": [1, 2]}] * 3)
)
@example(made=({"b": ["bool"], "u": ["u64"]}, [{"b": [True], "u": [2**64 - 1, 3]}] * 3))
@example(made=({"a": "u8"}, [{"a": 1}, {}, {"a": 256}, {"a": 2, "b": 1}, {"a": 3}]))
def test_any_events(
    version: int,
    made: tuple[dict[str, Any], list[Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    types, events = made
    folder = tmp_path_factory.mktemp("packed")
    packed = _written(folder / "a", version, types, events)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "packer", lambda *_: None)
        encoded = _written(folder / "b", version, types, events)
    assert repr(packed) == repr(encoded)


@pytest.mark.parametrize(
    ("types", "values", "packed"),
    [
        ({"a": "u8"}, {"a": 1}, True),
        ({"s": "string", "x": ["f32", 2]}, {"s": "y", "x": [1.5, 2]}, True),
        ({}, {}, True),
        ({"class": "u8"}, {"class": 1}, False),
        ({"_w": "u8"}, {"_w": 1}, False),
        ({"p": {"q": "u8"}}, {"p": {"q": 1}}, False),
    ],
)
def test_what_is_packed(
    types: dict[str, Any], values: dict[str, Any], packed: bool, tmp_path: Path
) -> None:
    with bridge.CtfWriter(tmp_path / "t") as out:
        event_class = out.event_class("e", **types)
        for _ in range(3):
            event_class(**values)
        assert ("__call__" in vars(type(event_class))) is packed
    with bridge.open_trace(tmp_path / "t") as trace:
        assert [dict(e.fields) for e in trace] == [values] * 3


def test_order_with_others_and_the_end(tmp_path: Path) -> None:
    with bridge.CtfWriter(tmp_path / "t") as out:
        tick, tock = out.event_class("tick", n="u32"), out.event_class("tock", s=["u8"])
        for n in range(3000):
            tick(n=n)
            tock(s=[n & 255])
            if n % 1000 == 7:
                tick.at(packers.time_ns(), {"n": n})
        tick.stream = "other"
        tick(n=1)
        tick(n=2)
    with pytest.raises(bridge.TraceError, match="closed"):
        tick(n=1)
    with bridge.open_trace(tmp_path / "t") as trace:
        found = [(e.event_class.name, e.stream) for e in trace]
    assert [row for row in found if row[1] == "other"] == [("tick", "other")] * 2
    assert [name for name, stream in found if stream != "other"][:4] == ["tick", "tock"] * 2
    assert len(found) == 6005


def test_threads(tmp_path: Path) -> None:
    with bridge.CtfWriter(tmp_path / "t") as out:
        tick = out.event_class("tick", n="u32", s="string")

        def some(first: int) -> None:
            for n in range(first, first + 5000):
                tick(n=n, s="x" * (n % 7))

        threads = [threading.Thread(target=some, args=(5000 * k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with bridge.open_trace(tmp_path / "t") as trace:
        found = [(e.fields["n"], len(e.fields["s"])) for e in trace]
        assert not trace.diagnostics
    assert sorted(found) == [(n, n % 7) for n in range(20_000)]


@pytest.mark.parametrize("version", [1, 2])
def test_columns(version: int, tmp_path: Path) -> None:
    times = np.arange(200_000) * 3 + 10
    columns = {
        "a": np.arange(200_000, dtype=np.int64),
        "b": np.linspace(-1, 1, 200_000),
        "c": np.arange(400_000, dtype=np.uint8).reshape(-1, 2),
    }
    with bridge.CtfWriter(tmp_path / "t", version=version) as out:
        e = out.event_class("e", a="u32", b="f32", c=["u8", 2])
        e.columns(times, **columns)
        refused = (
            ({"a": columns["a"] - 1}, "`a`: -1 does not fit uint32"),
            ({"b": columns["b"] * 1e300}, "`b`: a value does not fit a 32-bit number"),
            ({"a": columns["a"].astype(float)}, "`a`: float64 .* is no column"),
            ({"c": columns["c"][:, :1]}, "`c`: uint8"),
            ({"a": columns["a"][1:]}, "`a`: 199999 values for 200000 times"),
            ({"d": columns["a"]}, "no field `d`"),
        )
        for change, message in refused:
            with pytest.raises(bridge.TraceError, match=f"event e: {message}"):
                e.columns(times + 10**6, **{**columns, **change})
        with pytest.raises(bridge.TraceError, match="no values for `b`"):
            e.columns(times + 10**6, a=columns["a"], c=columns["c"])
        with pytest.raises(bridge.TraceError, match="before that of the last"):
            e.columns(times, **columns)
        with pytest.raises(bridge.TraceError, match="the times go back"):
            e.columns(times[::-1] + 10**7, **columns)
        with pytest.raises(bridge.TraceError, match="`s` has no numbers of one size"):
            out.event_class("f", s="string").columns([1], s=["x"])
    with bridge.open_trace(tmp_path / "t") as trace:
        found = [(e.timestamp_ns, e.fields["a"], e.fields["b"], e.fields["c"]) for e in trace]
    assert [row[:2] for row in found] == list(zip(times.tolist(), range(200_000), strict=True))
    assert [row[2] for row in found] == columns["b"].astype("f4").tolist()
    assert [row[3] for row in found] == columns["c"].tolist()


def test_a_slow_thread_writes_at_the_time_of_the_last(tmp_path: Path) -> None:
    """Its time was taken before that of another thread's event, which is written already."""
    with bridge.CtfWriter(tmp_path / "t") as out:
        tick = out.event_class("tick", n="u32")
        tick(n=1)
        tick.at(time.time_ns() + 10**9, {"n": 2})
        for n in (3, 1 << 31, 5):
            tick(n=n)
    with bridge.open_trace(tmp_path / "t") as trace:
        found = [(e.fields["n"], e.timestamp_ns) for e in trace]
    assert [n for n, _ in found] == [1, 2, 3, 1 << 31, 5]
    assert [t for _, t in found] == sorted(t for _, t in found)


def test_a_handler_of_signals_writes_while_rows_are_written(tmp_path: Path) -> None:
    """Nothing twice, and nothing lost."""
    with bridge.CtfWriter(tmp_path / "t") as out:
        tick = out.event_class("tick", n="u32")
        pending = out.inside.pending
        write = pending._write

        def interrupted(rows: bytes) -> None:
            tick(n=1_000_000)
            pending.flush()
            write(rows)

        pending._write = interrupted  # type: ignore[method-assign]
        for n in range(5000):
            tick(n=n)
        pending._write = write  # type: ignore[method-assign]
    with bridge.open_trace(tmp_path / "t") as trace:
        found = [e.fields["n"] for e in trace]
    assert [n for n in found if n < 5000] == list(range(5000))
    assert found.count(1_000_000) == len(found) - 5000 > 0
