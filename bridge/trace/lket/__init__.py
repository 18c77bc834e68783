"""LKET, SystemTap's own binary trace of 2006 - 2008: files `stpd_cpuN`, reader and writer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.trace.lket.reader import LketReader


def is_lket(path: str | Path) -> bool:
    """Whether one of the files starts with LKET's header."""
    from bridge.trace.lket.reader import find_header

    return find_header(Path(path)) is not None


def open_lket(path: str | Path) -> LketReader:
    """Open a folder of `stpd_cpuN` files."""
    from bridge.trace.lket.reader import LketReader

    return LketReader(Path(path))
