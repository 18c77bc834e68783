"""A trace as Parquet: a folder with a file for each class of events, as `Columns.to_arrow`."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

from bridge.errors import TraceError
from bridge.trace.columns import columns
from bridge.trace.output import whole_folder

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.trace.model import Reader

_UNSAFE = re.compile(r"[^\w.:-]")
"""What names of files do without."""


def write_parquet(source: Reader, path: Path) -> int:
    """Write the folder; how many events are in it. TraceError, if pyarrow is not installed."""
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError as error:
        raise TraceError("Parquet needs pyarrow (pip install pyarrow)") from error
    events = 0
    names: set[str] = set()
    with whole_folder(path) as folder:
        for name, table in columns(source).items():
            file = _UNSAFE.sub("_", name)
            while file in names:
                file += "_"
            names.add(file)
            try:
                parquet.write_table(table.to_arrow(), folder / f"{file}.parquet")
            except OSError as error:
                raise TraceError(f"{path}: {error.strerror or error}") from None
            events += len(table)
    return events
