"""Columns of a trace as tables of pyarrow, pandas and polars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bridge.errors import TraceError
from bridge.trace import frames
from bridge.trace.columns import columns
from bridge.trace.ctf.writer import CtfWriter
from bridge.trace.model import Event, EventClass, Field, Float, Integer, Sequence, Struct, Text
from bridge.trace.open import open_trace

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.trace.arrays import Columns

KIND = EventClass(
    "shop:sell",
    0,
    Struct(
        (
            Field("n", Integer(16, signed=False)),
            Field("price", Float(64)),
            Field("item", Text()),
            Field("raw", Text()),
            Field("cpu", Integer(8, signed=True)),
            Field("sizes", Sequence(Integer(16, signed=True), "", Integer(8, signed=False))),
        )
    ),
)
ROWS: list[dict[str, Any]] = [
    {"n": 1, "price": 0.5, "item": "é", "raw": "a", "cpu": -3, "sizes": [1, -2]},
    {"n": 65535, "price": -1e300, "item": "", "raw": "\udcff", "cpu": 7, "sizes": []},
]
EXPECTED = {
    "timestamp_ns": [10, 11],
    "cpu": [1, 0],
    "n": [1, 65535],
    "price": [0.5, -1e300],
    "item": ["é", ""],
    "raw": [b"a", b"\xff"],
    "fields.cpu": [-3, 7],
    "sizes": [[1, -2], []],
    "context.pid": [40, 41],
}


@pytest.fixture
def sold(tmp_path: Path) -> Columns:
    pytest.importorskip("numpy")
    with CtfWriter(tmp_path / "trace") as writer:
        for n, row in enumerate(ROWS):
            writer.write(Event(KIND, 10 + n, 0, 1 - n, f"s_{1 - n}", row, {"pid": 40 + n}))
    with open_trace(tmp_path / "trace") as reader:
        return columns(reader, "shop:sell")["shop:sell"]


def test_arrow(sold: Columns) -> None:
    pytest.importorskip("pyarrow")
    table = sold.to_arrow()

    assert {name: table[name].to_pylist() for name in EXPECTED} == EXPECTED
    assert str(table["n"].type) == "uint16"


def test_pandas(sold: Columns) -> None:
    pytest.importorskip("pandas")
    table = sold.to_pandas()

    assert {name: table[name].tolist() for name in EXPECTED} == EXPECTED
    assert str(table["n"].dtype) == "uint16"


def test_polars(sold: Columns) -> None:
    pytest.importorskip("polars")
    table = sold.to_polars()

    assert {name: table[name].to_list() for name in EXPECTED} == EXPECTED


@pytest.mark.parametrize("name", ["pyarrow", "pandas", "polars"])
def test_what_is_not_installed_is_named(
    name: str, sold: Columns, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(wanted: str) -> None:
        raise ImportError(wanted)

    monkeypatch.setattr(frames, "import_module", missing)
    make = {"pyarrow": sold.to_arrow, "pandas": sold.to_pandas, "polars": sold.to_polars}[name]
    with pytest.raises(TraceError, match=rf"{name} is not installed .*pip install {name}"):
        make()
