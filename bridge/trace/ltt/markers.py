"""Metadata events -> descriptions of markers -> event classes (2.0 - 2.6 and 1.0).

An id record gives a marker a number and says the sizes of C types, a format record its fields;
either may come first, and both repeat. The rule: a marker of which one record was lost is not
described, and its events are known only where they say their size.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge._native import lib
from bridge.diagnostics import Diagnostic, FileOffset, Severity
from bridge.trace import model
from bridge.trace.ltt import marker_format, payload
from bridge.trace.ltt.cursor import ClassEntry, StreamFile, Tables
from bridge.trace.ltt.reader import LttReader

_VALID_SIZES = (1, 2, 4, 8)
_CORE_NAMES = ("core_marker_id", "core_marker_format")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the version decides: ids per channel, alignment of a u16, cap on alignments."""

    flat: bool
    align: int
    capped: bool = True


@dataclass(frozen=True, slots=True)
class LttMarker:
    """A number's marker and the sizes of its types."""

    name: str
    sizes: marker_format.MarkerSizes


@dataclass(slots=True)
class Descriptions:
    """What the metadata said, by channel ("" where ids are global)."""

    ids: dict[str, dict[int, LttMarker]] = field(default_factory=dict)
    formats: dict[tuple[str, str], str] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)


def is_metadata(channel: str) -> bool:
    """Whether this is the channel that describes the others."""
    return channel in ("metadata", "/control/metadata", "/control/facilities")


def _warning(code: str, message: str, path: str) -> Diagnostic:
    return Diagnostic(
        code, message, severity=Severity.WARNING, phase="trace", file=FileOffset(path, 0)
    )


def no_metadata(path: str) -> Diagnostic:
    """The warning for a trace without any description."""
    return _warning("ltt-no-metadata", "no marker is described, so no event can be named", path)


# --- the two events that describe -------------------------------------------------------------


def _unsigned(size: int, align: int, big: bool) -> model.Integer:
    return model.Integer(8 * size, signed=False, align_bits=8 * align, big_endian=big)


def core_payloads(rules: Rules, big: bool) -> tuple[model.Struct, model.Struct]:
    """core_marker_id and core_marker_format."""
    text = model.Text()
    channel = (model.Field("channel", text),) if rules.flat else ()
    first = (*channel, model.Field("name", text))
    number = model.Field("event_id", _unsigned(2, rules.align, big))
    sizes = tuple(
        model.Field(name, _unsigned(1, 1, big))
        for name in ("int", "long", "pointer", "size_t", "alignment")
    )
    return (
        model.Struct((*first, number, *sizes)),
        model.Struct((*first, model.Field("format", text))),
    )


def core_entries(channel: str, rules: Rules, big: bool) -> list[ClassEntry]:
    """The classes of the two, with ids 0 and 1."""
    return [
        ClassEntry(
            model.EventClass(f"{channel}.{_CORE_NAMES[number]}", number, kind),
            payload.compile_payload(kind, 1, big),
            rules.align if number == 0 else 1,
        )
        for number, kind in enumerate(core_payloads(rules, big))
    ]


def heartbeat_entries(channel: str, big: bool) -> list[ClassEntry]:
    """1.0: core events 2 (empty) and 3 (the whole clock)."""
    full = model.Struct((model.Field("tsc", _unsigned(8, 1, big)),))
    return [
        ClassEntry(
            model.EventClass(f"{channel}.heartbeat32", 2, model.Struct(())),
            payload.compile_payload(model.Struct(()), 1, big),
        ),
        ClassEntry(
            model.EventClass(f"{channel}.heartbeat64", 3, full),
            payload.compile_payload(full, 1, big),
            flags=lib.MB_LTT_SETS_TSC,
        ),
    ]


def _number(value: model.Value) -> int:
    return value if isinstance(value, int) else 0


def _learn(event: model.Event, known: Descriptions, path: str) -> None:
    fields = event.fields
    channel, name = str(fields.get("channel", "")), str(fields["name"])
    if event.event_class.id == 0:
        sizes = marker_format.MarkerSizes(
            *(_number(fields[n]) for n in ("int", "long", "pointer", "size_t", "alignment"))
        )
        number = _number(fields["event_id"])
        known.ids.setdefault(channel, {})[number] = LttMarker(name, sizes)
        return
    text = str(fields["format"])
    old = known.formats.setdefault((channel, name), text)
    if old != text:
        message = f"marker {channel}.{name} has two formats: {old!r} and {text!r}"
        known.diagnostics.append(_warning("ltt-format-conflict", message, path))


def read_metadata(streams: list[StreamFile], rules: Rules) -> Descriptions:
    """All metadata files, each completely, in order of CPU."""
    known = Descriptions()
    for stream in sorted(streams, key=lambda s: s.cpu):
        big = bool(stream.layout["big"])
        entries = core_entries(stream.channel, rules, big)
        if stream.layout["kind"] != lib.MB_LTT_M2:
            entries += heartbeat_entries(stream.channel, big)
        ids = {entry.event_class.id: at for at, entry in enumerate(entries)}
        alone = StreamFile(
            stream.path, stream.name, stream.channel, stream.cpu, stream.layout, ids
        )
        for event in LttReader("", Tables([alone], entries), {}, []):
            if event.event_class.id < len(_CORE_NAMES):
                _learn(event, known, str(stream.path))
    return known


# --- classes ----------------------------------------------------------------------------------


def _sane(sizes: marker_format.MarkerSizes) -> bool:
    parts = (sizes.c_int, sizes.long, sizes.pointer, sizes.size_t)
    return all(size in _VALID_SIZES for size in parts) and sizes.alignment in (0, 1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class _Channel:
    name: str
    big: bool
    compact: bool
    first_generation: bool
    """1.0: core events are everywhere."""


def _entry(
    channel: _Channel, number: int, text: str, marker: LttMarker, capped: bool
) -> ClassEntry:
    conversions = marker_format.parse(text)
    kind = marker_format.payload(text, marker.sizes, channel.big, capped)
    stored, flags = kind, 0
    if channel.compact and conversions and "b" in conversions[0].trace_attributes:
        stored, flags = model.Struct(kind.fields[1:]), lib.MB_LTT_FIRST_IN_HEADER
    own = marker.sizes
    attributes = {
        "format": text,
        "sizes": f"{own.c_int} {own.long} {own.pointer} {own.size_t}",
    }
    return ClassEntry(
        model.EventClass(f"{channel.name}.{marker.name}", number, kind, None, attributes),
        payload.compile_payload(stored, 1, channel.big),
        payload.alignment(kind),
        flags,
    )


def _channel_classes(
    channel: _Channel, known: Descriptions, rules: Rules, classes: list[ClassEntry]
) -> dict[int, int]:
    table: dict[int, int] = {}
    core: list[ClassEntry] = []
    if is_metadata(channel.name):
        core += core_entries(channel.name, rules, channel.big)
    if channel.first_generation:
        core += heartbeat_entries(channel.name, channel.big)
    for entry in core:
        table[entry.event_class.id] = len(classes)
        classes.append(entry)
    if is_metadata(channel.name) and rules.flat:
        return table
    scope = channel.name if rules.flat else ""
    for number, marker in sorted(known.ids.get(scope, {}).items()):
        text = known.formats.get((scope, marker.name))
        if text is None or not _sane(marker.sizes) or number in table:
            continue
        table[number] = len(classes)
        classes.append(_entry(channel, number, text, marker, rules.capped))
    return table


def classes(streams: list[StreamFile], known: Descriptions, rules: Rules) -> list[ClassEntry]:
    """The classes of every channel; fills the id tables of the streams."""
    found: list[ClassEntry] = []
    tables: dict[_Channel, dict[int, int]] = {}
    for stream in streams:
        kind = stream.layout["kind"]
        channel = _Channel(
            stream.channel,
            bool(stream.layout["big"]),
            kind == lib.MB_LTT_COMPACT_M1,
            kind != lib.MB_LTT_M2,
        )
        if channel not in tables:
            tables[channel] = _channel_classes(channel, known, rules, found)
        stream.ids = tables[channel]
    return found
