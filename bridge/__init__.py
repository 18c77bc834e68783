"""markbridge: the bridge between SystemTap and LTT, as a library.

Public names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.api import (
        Program,
        Replayed,
        StoredProgram,
        compile,
        load_program,
        markers_of,
    )
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
    from bridge.engine.hits import Argument, Batch, Hit
    from bridge.engine.snapshot import Bucket, GlobalValue, Statistic
    from bridge.errors import BridgeError, CompileError, HostError, ProgramError, TraceError
    from bridge.figures import Figure, show
    from bridge.marker_lookup import markers
    from bridge.markers import (
        Constant,
        KernelPlace,
        Kind,
        LoadBias,
        Marker,
        Memory,
        Operand,
        RawArgument,
        RecordedField,
        Register,
        Sampling,
        SavedRegister,
        Semaphore,
        Site,
        TracepointField,
        ValueType,
        Variable,
    )
    from bridge.python_marker import PythonMarker, marker
    from bridge.script.options import AnalyseOptions
    from bridge.session import Line, Lost, Session
    from bridge.source import Source, SourceLocation, SourceMap, Span
    from bridge.trace.arrays import Columns
    from bridge.trace.columns import columns
    from bridge.trace.ctf.description import Clock
    from bridge.trace.ctf.event_types import Spec
    from bridge.trace.ctf.writer import CtfWriter, EventWriter, Kept
    from bridge.trace.ltt.writer import LttWriter
    from bridge.trace.model import (
        Enumeration,
        Event,
        EventClass,
        Field,
        FieldType,
        FixedArray,
        Float,
        Integer,
        Optional,
        Ranges,
        Reader,
        Sequence,
        StreamStatistics,
        Struct,
        Text,
        Value,
        Variant,
        Writer,
    )
    from bridge.trace.open import open_trace
    from bridge.trace.selection import Selection

__version__ = "0.1.0"

__all__ = [
    "AnalyseOptions",
    "Argument",
    "AttachedArgument",
    "AttachedGlobal",
    "AttachedHandler",
    "Attachment",
    "Batch",
    "BridgeError",
    "Bucket",
    "Clock",
    "Columns",
    "CompileError",
    "Constant",
    "CtfWriter",
    "Diagnostic",
    "Enumeration",
    "Event",
    "EventClass",
    "EventWriter",
    "Field",
    "FieldType",
    "Figure",
    "FileOffset",
    "FixedArray",
    "Float",
    "GlobalValue",
    "Hit",
    "HostError",
    "Integer",
    "Kept",
    "KernelPlace",
    "Kind",
    "Line",
    "LoadBias",
    "Lost",
    "LttWriter",
    "Marker",
    "Memory",
    "Operand",
    "Optional",
    "Place",
    "Program",
    "ProgramError",
    "PythonMarker",
    "Ranges",
    "RawArgument",
    "Read",
    "Reader",
    "RecordedField",
    "Register",
    "Replayed",
    "RunResult",
    "Sampling",
    "SavedRegister",
    "Selection",
    "Semaphore",
    "Sequence",
    "Session",
    "Severity",
    "Site",
    "Source",
    "SourceLocation",
    "SourceMap",
    "Span",
    "Spec",
    "Statistic",
    "StoredProgram",
    "StreamStatistics",
    "Struct",
    "Text",
    "TraceError",
    "TracepointField",
    "Value",
    "ValueType",
    "Variable",
    "Variant",
    "Writer",
    "columns",
    "compile",
    "load_program",
    "marker",
    "markers",
    "markers_of",
    "open_trace",
    "render",
    "show",
]

_HOMES = {
    "bridge.api": (
        "Program",
        "Replayed",
        "StoredProgram",
        "compile",
        "load_program",
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
        "Argument",
        "Batch",
        "Hit",
    ),
    "bridge.engine.snapshot": (
        "Bucket",
        "GlobalValue",
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
        "Operand",
        "RawArgument",
        "RecordedField",
        "Register",
        "Sampling",
        "SavedRegister",
        "Semaphore",
        "Site",
        "TracepointField",
        "ValueType",
        "Variable",
    ),
    "bridge.python_marker": (
        "PythonMarker",
        "marker",
    ),
    "bridge.script.options": ("AnalyseOptions",),
    "bridge.session": (
        "Line",
        "Lost",
        "Session",
    ),
    "bridge.source": (
        "Source",
        "SourceLocation",
        "SourceMap",
        "Span",
    ),
    "bridge.trace.arrays": ("Columns",),
    "bridge.figures": ("Figure", "show"),
    "bridge.trace.columns": ("columns",),
    "bridge.trace.ctf.event_types": ("Spec",),
    "bridge.trace.ctf.description": ("Clock",),
    "bridge.trace.ctf.writer": (
        "CtfWriter",
        "EventWriter",
        "Kept",
    ),
    "bridge.trace.ltt.writer": ("LttWriter",),
    "bridge.trace.model": (
        "Enumeration",
        "Event",
        "EventClass",
        "Field",
        "FieldType",
        "FixedArray",
        "Float",
        "Integer",
        "Optional",
        "Ranges",
        "Reader",
        "Sequence",
        "StreamStatistics",
        "Struct",
        "Text",
        "Value",
        "Variant",
        "Writer",
    ),
    "bridge.trace.open": ("open_trace",),
    "bridge.trace.selection": ("Selection",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'bridge' has no attribute '{name}'")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
