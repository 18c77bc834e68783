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
    from bridge.diagnostics import Diagnostic, FileOffset, Severity, render
    from bridge.engine.base import RunResult
    from bridge.engine.hits import Batch, Hit
    from bridge.engine.snapshot import Bucket, Statistic
    from bridge.errors import BridgeError, CompileError, HostError, ProgramError, TraceError
    from bridge.marker_lookup import markers
    from bridge.markers import (
        Constant,
        KernelPlace,
        Kind,
        LoadBias,
        Marker,
        Memory,
        RawArgument,
        RecordedField,
        Register,
        Sampling,
        SavedRegister,
        Semaphore,
        Site,
        ValueType,
        Variable,
    )
    from bridge.script.options import AnalyseOptions
    from bridge.session import Line, Lost, Session
    from bridge.source import SourceMap
    from bridge.trace.arrays import Columns
    from bridge.trace.columns import columns
    from bridge.trace.ctf.writer import CtfWriter
    from bridge.trace.ltt.writer import LttWriter
    from bridge.trace.model import Event, EventClass, Reader, StreamStatistics, Writer
    from bridge.trace.open import open_trace

__version__ = "0.1.0"

__all__ = [
    "AnalyseOptions",
    "AttachedArgument",
    "AttachedGlobal",
    "AttachedHandler",
    "Attachment",
    "Batch",
    "BridgeError",
    "Bucket",
    "Columns",
    "CompileError",
    "Constant",
    "CtfWriter",
    "Diagnostic",
    "Event",
    "EventClass",
    "FileOffset",
    "Hit",
    "HostError",
    "KernelPlace",
    "Kind",
    "Line",
    "LoadBias",
    "Lost",
    "LttWriter",
    "Marker",
    "Memory",
    "Place",
    "Program",
    "ProgramError",
    "RawArgument",
    "Read",
    "Reader",
    "RecordedField",
    "Register",
    "Replayed",
    "RunResult",
    "Sampling",
    "SavedRegister",
    "Semaphore",
    "Session",
    "Severity",
    "Site",
    "SourceMap",
    "Statistic",
    "StreamStatistics",
    "TraceError",
    "ValueType",
    "Variable",
    "Writer",
    "columns",
    "compile",
    "markers",
    "markers_of",
    "open_trace",
    "render",
]

_HOMES = {
    "bridge.api": (
        "Program",
        "Replayed",
        "compile",
        "markers_of",
    ),
    "bridge.attachments": (
        "AttachedArgument",
        "AttachedGlobal",
        "AttachedHandler",
        "Attachment",
        "Place",
        "Read",
    ),
    "bridge.diagnostics": (
        "Diagnostic",
        "FileOffset",
        "Severity",
        "render",
    ),
    "bridge.engine.base": ("RunResult",),
    "bridge.engine.hits": (
        "Batch",
        "Hit",
    ),
    "bridge.engine.snapshot": (
        "Bucket",
        "Statistic",
    ),
    "bridge.errors": (
        "BridgeError",
        "CompileError",
        "HostError",
        "ProgramError",
        "TraceError",
    ),
    "bridge.marker_lookup": ("markers",),
    "bridge.markers": (
        "Constant",
        "KernelPlace",
        "Kind",
        "LoadBias",
        "Marker",
        "Memory",
        "RawArgument",
        "RecordedField",
        "Register",
        "Sampling",
        "SavedRegister",
        "Semaphore",
        "Site",
        "ValueType",
        "Variable",
    ),
    "bridge.script.options": ("AnalyseOptions",),
    "bridge.session": (
        "Line",
        "Lost",
        "Session",
    ),
    "bridge.source": ("SourceMap",),
    "bridge.trace.arrays": ("Columns",),
    "bridge.trace.columns": ("columns",),
    "bridge.trace.ctf.writer": ("CtfWriter",),
    "bridge.trace.ltt.writer": ("LttWriter",),
    "bridge.trace.model": (
        "Event",
        "EventClass",
        "Reader",
        "StreamStatistics",
        "Writer",
    ),
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
