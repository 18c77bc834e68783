"""`convert --to parquet`: every class, with the values of the events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import bridge
from bridge.trace import convert
from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

parquet = pytest.importorskip("pyarrow.parquet")


def test_every_class_has_a_file(tmp_path: Path) -> None:
    with bridge.open_trace(ROOT / "examples" / "orders.trace") as trace:
        done = convert.to_parquet(trace, tmp_path / "out")
        events = list(trace)

    files = {path.name: parquet.read_table(path) for path in (tmp_path / "out").iterdir()}
    assert done.events == len(events) == sum(map(len, files.values()))
    refused = [e for e in events if e.event_class.name == "shop:refused"]
    table = files["shop:refused.parquet"]
    assert table["arg2"].to_pylist() == [e.fields["arg2"] for e in refused]
    assert table["timestamp_ns"].to_pylist() == [e.timestamp_ns for e in refused]


def test_names_that_are_no_names_of_files(tmp_path: Path) -> None:
    with bridge.CtfWriter(tmp_path / "trace") as writer:
        for name in ("a/b", "a b"):
            writer.event_class(name, n="u8").at(1, {"n": 7})
    with bridge.open_trace(tmp_path / "trace") as trace:
        convert.to_parquet(trace, tmp_path / "out")

    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "a_b.parquet",
        "a_b_.parquet",
    }
