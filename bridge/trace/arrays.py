"""What columns are made of: numpy arrays of the values of one field, in pieces.

The one module that deals with numpy types. The rule: no value changes; what no number type
holds for all its values becomes objects.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridge.errors import TraceError
from bridge.trace import model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

Array = Any
"""A numpy array; numpy is optional, so its types are not named here."""


@dataclass(frozen=True, slots=True)
class Columns:
    """All events of one class, in order of time.

    `timestamp_ns` are int64, `tsc` (clock values) uint64, `cpu` int32 (-1: not known). `fields`
    is the payload, `context` what the tracer adds to each event (CTF: pid, procname ...).
    """

    event_class: model.EventClass
    timestamp_ns: Array
    tsc: Array
    cpu: Array
    fields: Mapping[str, Array]
    context: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tsc)

    def to_arrow(self) -> Any:  # noqa: ANN401 - a pyarrow.Table
        """All columns as a `pyarrow.Table`; those of the context are named `context.NAME`.

        Text that is no UTF-8 is bytes there; values without a common type are JSON text.
        """
        from bridge.trace.frames import to_arrow

        return to_arrow(self)

    def to_pandas(self) -> Any:  # noqa: ANN401 - a pandas.DataFrame
        """The same as a `pandas.DataFrame`."""
        from bridge.trace.frames import to_pandas

        return to_pandas(self)

    def to_polars(self) -> Any:  # noqa: ANN401 - a polars.DataFrame
        """The same as a `polars.DataFrame`."""
        from bridge.trace.frames import to_polars

        return to_polars(self)


@dataclass(slots=True)
class Pieces:
    """The parts of the columns of a class. `order` is the place of each event in the trace."""

    event_class: model.EventClass
    order: list[Array] = field(default_factory=list)
    time: list[Array] = field(default_factory=list)
    tsc: list[Array] = field(default_factory=list)
    cpu: list[Array] = field(default_factory=list)
    fields: dict[str, list[Array]] = field(default_factory=lambda: defaultdict(list))
    context: dict[str, list[Array]] = field(default_factory=lambda: defaultdict(list))


def numpy() -> ModuleType:
    """Numpy, or a TraceError that says how to get it."""
    try:
        import numpy as np
    except ImportError as error:
        raise TraceError("columns need numpy (pip install markbridge[numpy])") from error
    return np


def dtype(kind: model.FieldType) -> str | None:
    """The number type of a field; None if its values are objects."""
    match kind:
        case model.Enumeration():
            return dtype(kind.container)
        case model.Integer():
            size = next(size for size in (1, 2, 4, 8) if kind.bits <= 8 * size)
            return f"{'i' if kind.signed else 'u'}{size}"
        case model.Float():
            return "f8"
        case _:
            return None


def numbers(kind: model.FieldType, slots: Array) -> Array:
    """Slots as values of a number type; None if they are no numbers."""
    wanted = dtype(kind)
    if wanted is None:
        return None
    return slots.view("f8") if isinstance(kind, model.Float) else slots.astype(wanted)


def objects(values: Sequence[object]) -> Array:
    """An array of objects."""
    array = numpy().empty(len(values), dtype=object)
    array[:] = values
    return array


def _joined(parts: list[Array]) -> Array:
    """Parts in a row. Types that have no common integer type are kept as objects."""
    join = numpy().concatenate
    kinds = {part.dtype.kind for part in parts}
    if len(kinds) > 1:
        parts = [part.astype(object) for part in parts]
    return join(parts)


def _columns_of(pieces: list[Pieces], which: str) -> dict[str, Array]:
    """The columns of fields or context; what a piece does not have is None there."""
    found: dict[str, Array] = {}
    names = dict.fromkeys(name for piece in pieces for name in getattr(piece, which))
    for name in names:
        parts: list[Array] = []
        for piece in pieces:
            own = getattr(piece, which)
            lengths = [len(part) for part in piece.time]
            parts += own[name] if name in own else [objects([None] * n) for n in lengths]
        found[name] = _joined(parts)
    return found


def assemble(pieces: list[Pieces]) -> Columns:
    """The columns of a class, whose events may have come by several ids."""
    order = _joined([part for piece in pieces for part in piece.order]).argsort(kind="stable")

    def column(which: str) -> Array:
        return _joined([part for piece in pieces for part in getattr(piece, which)])[order]

    return Columns(
        pieces[0].event_class,
        column("time"),
        column("tsc"),
        column("cpu"),
        {name: array[order] for name, array in _columns_of(pieces, "fields").items()},
        {name: array[order] for name, array in _columns_of(pieces, "context").items()},
    )


def merge(parts: list[Columns]) -> Columns:
    """The columns of one class of several traces, in order of time."""
    return assemble(
        [
            Pieces(
                part.event_class,
                [part.timestamp_ns],
                [part.timestamp_ns],
                [part.tsc],
                [part.cpu],
                {name: [array] for name, array in part.fields.items()},
                {name: [array] for name, array in part.context.items()},
            )
            for part in parts
        ]
    )
