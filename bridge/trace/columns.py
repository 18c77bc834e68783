"""A trace by column: for each event class one numpy array per field.

Integers keep their width and sign, floats are doubles, text and nested values are objects.
LTT and CTF go from C buffers to arrays; what any other reader gives is taken event by event.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.trace.arrays import Columns, Pieces, assemble, dtype, merge, numpy, objects
from bridge.trace.ctf.reader import CtfReader
from bridge.trace.ltt.reader import LttReader
from bridge.trace.merge import MergedReader
from bridge.trace.select import matching
from bridge.trace.selection import EVERYTHING, Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridge.trace.arrays import Array
    from bridge.trace.model import Event, FieldType, Reader, Value

__all__ = ["Columns", "columns"]


def columns(
    reader: Reader, names: Iterable[str] | str | None = None, selection: Selection = EVERYTHING
) -> dict[str, Columns]:
    """The events of a trace by class name; only the classes `names` (wildcards) if given.

    TraceError, if numpy is not installed, or the trace is closed.
    """
    numpy()
    if names is not None:
        wanted = [names] if isinstance(names, str) else names
        selection = replace(selection, names=frozenset(wanted))
    if isinstance(reader, MergedReader):
        return _merged([columns(one, None, selection) for _, one in reader.readers])
    by_name: dict[str, list[Pieces]] = defaultdict(list)
    for piece in _collect(reader, selection):
        by_name[piece.event_class.name].append(piece)
    return {name: assemble(pieces) for name, pieces in by_name.items()}


def _collect(reader: Reader, selection: Selection) -> list[Pieces]:
    match reader:
        case LttReader():
            from bridge.trace.ltt.columns import collect as collect_ltt

            return collect_ltt(reader, selection)
        case CtfReader():
            from bridge.trace.ctf.columns import collect as collect_ctf

            return collect_ctf(reader, selection)
        case _:
            return _collect_events(matching(reader, selection))


def _merged(parts: list[dict[str, Columns]]) -> dict[str, Columns]:
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: merge([part[name] for part in parts if name in part]) for name in names}


# --- event by event ---------------------------------------------------------------------------


def _collect_events(events: Iterable[Event]) -> list[Pieces]:
    by_class: dict[int, list[tuple[int, Event]]] = defaultdict(list)
    for number, event in enumerate(events):
        by_class[id(event.event_class)].append((number, event))
    return [_pieces(rows) for rows in by_class.values()]


def _pieces(rows: list[tuple[int, Event]]) -> Pieces:
    np, events = numpy(), [event for _, event in rows]
    event_class = events[0].event_class
    types = {f.name: f.type for f in event_class.payload.fields}
    pieces = Pieces(
        event_class,
        [np.array([number for number, _ in rows])],
        [np.array([event.timestamp_ns for event in events], dtype="i8")],
        [np.array([event.tsc & (1 << 64) - 1 for event in events], dtype="u8")],
        [np.array([event.cpu for event in events], dtype="i4")],
    )
    for name in dict.fromkeys(name for event in events for name in event.fields):
        pieces.fields[name].append(_column([e.fields for e in events], name, types.get(name)))
    for name in dict.fromkeys(name for event in events for name in event.context):
        pieces.context[name].append(_column([e.context for e in events], name, None))
    return pieces


def _column(rows: list[Mapping[str, Value]], name: str, kind: FieldType | None) -> Array:
    values = [row.get(name) for row in rows]
    wanted = dtype(kind) if kind is not None else None
    if wanted is None or None in values:
        return objects(values)
    return numpy().array(values, dtype=wanted)
