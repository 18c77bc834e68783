"""markbridge: the bridge between SystemTap and LTT, as a library.

Public names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.api import Program, Replayed, compile, markers_of
    from bridge.attachments import (
        AttachedArgument,
        AttachedGlobal,
        AttachedHandler,
        Attachment,
        Place,
        Read,
    )
    from bridge.diagnostics import Diagnostic
    from bridge.engine.base import RunResult
    from bridge.engine.hits import Batch, Hit
    from bridge.engine.snapshot import Bucket, Statistic
    from bridge.errors import BridgeError, CompileError, HostError, ProgramError, TraceError
    from bridge.marker_lookup import markers
    from bridge.markers import Marker
    from bridge.session import Line, Lost, Session
    from bridge.trace.ctf.writer import CtfWriter
    from bridge.trace.open import open_trace

__version__ = "0.1.0"

__all__ = [
    "AttachedArgument",
    "AttachedGlobal",
    "AttachedHandler",
    "Attachment",
    "Batch",
    "BridgeError",
    "Bucket",
    "CompileError",
    "CtfWriter",
    "Diagnostic",
    "Hit",
    "HostError",
    "Line",
    "Lost",
    "Marker",
    "Place",
    "Program",
    "ProgramError",
    "Read",
    "Replayed",
    "RunResult",
    "Session",
    "Statistic",
    "TraceError",
    "compile",
    "markers",
    "markers_of",
    "open_trace",
]

_HOMES = {
    "bridge.api": ("Program", "Replayed", "compile", "markers_of"),
    "bridge.attachments": (
        "AttachedArgument",
        "AttachedGlobal",
        "AttachedHandler",
        "Attachment",
        "Place",
        "Read",
    ),
    "bridge.diagnostics": ("Diagnostic",),
    "bridge.engine.base": ("RunResult",),
    "bridge.engine.hits": ("Batch", "Hit"),
    "bridge.engine.snapshot": ("Bucket", "Statistic"),
    "bridge.errors": ("BridgeError", "CompileError", "HostError", "ProgramError", "TraceError"),
    "bridge.marker_lookup": ("markers",),
    "bridge.markers": ("Marker",),
    "bridge.session": ("Line", "Lost", "Session"),
    "bridge.trace.ctf.writer": ("CtfWriter",),
    "bridge.trace.open": ("open_trace",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'bridge' has no attribute '{name}'")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
