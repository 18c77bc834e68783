"""Columns -> tables of pyarrow, pandas and polars, each loaded when it is asked for.

The rule: no value changes. Text that is no UTF-8 makes its column one of bytes, and columns
whose values have no common type are text in JSON.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bridge.errors import TraceError
from bridge.json_text import dumps

if TYPE_CHECKING:
    from types import ModuleType

    from bridge.trace.arrays import Array, Columns

OWN = ("timestamp_ns", "tsc", "cpu")
"""Columns that every table has; fields of these names get a prefix."""


def table_of(columns: Columns) -> dict[str, Array]:
    """The columns by name: time, clock, CPU, fields, and the context as `context.NAME`."""
    table = {"timestamp_ns": columns.timestamp_ns, "tsc": columns.tsc, "cpu": columns.cpu}
    for name, array in columns.fields.items():
        table[f"fields.{name}" if name in OWN else name] = array
    for name, array in columns.context.items():
        table[f"context.{name}"] = array
    return table


def _loaded(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise TraceError(f"{name} is not installed (pip install {name})") from error


def _is_utf8(text: object) -> bool:
    try:
        return not isinstance(text, str) or bool(text.encode() or True)
    except UnicodeEncodeError:
        return False


def _plain(array: Array) -> list[object] | None:
    """Objects as every library takes them; None if the array is of numbers."""
    if array.dtype.kind != "O":
        return None
    values: list[object] = array.tolist()
    if all(isinstance(v, str | None) for v in values):
        if all(map(_is_utf8, values)):
            return values
        encoded = (
            v.encode("utf-8", "surrogateescape") if isinstance(v, str) else v for v in values
        )
        return list(encoded)
    return values


def to_arrow(columns: Columns) -> Any:  # noqa: ANN401 - a pyarrow.Table
    """The columns as a `pyarrow.Table`."""
    arrow = _loaded("pyarrow")

    def column(array: Array) -> Any:  # noqa: ANN401
        values = _plain(array)
        if values is None:
            return arrow.array(array)
        try:
            return arrow.array(values)
        except (arrow.ArrowException, TypeError, UnicodeEncodeError, OverflowError):
            return arrow.array([None if v is None else dumps(v) for v in values])

    return arrow.table({name: column(array) for name, array in table_of(columns).items()})


def to_pandas(columns: Columns) -> Any:  # noqa: ANN401 - a pandas.DataFrame
    """The columns as a `pandas.DataFrame`."""
    pandas = _loaded("pandas")

    def column(array: Array) -> Any:  # noqa: ANN401
        values = _plain(array)
        return array if values is None else pandas.Series(values)

    return pandas.DataFrame({name: column(a) for name, a in table_of(columns).items()})


def to_polars(columns: Columns) -> Any:  # noqa: ANN401 - a polars.DataFrame
    """The columns as a `polars.DataFrame`."""
    polars = _loaded("polars")

    def column(name: str, array: Array) -> Any:  # noqa: ANN401
        values = _plain(array)
        if values is None:
            return polars.Series(name, array)
        try:
            return polars.Series(name, values)
        except (polars.exceptions.PolarsError, TypeError, UnicodeEncodeError, OverflowError):
            return polars.Series(name, [None if v is None else dumps(v) for v in values])

    return polars.DataFrame([column(n, a) for n, a in table_of(columns).items()])
