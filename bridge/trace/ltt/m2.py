"""Marker traces 2.0 - 2.6 -> `LttReader`.

Ids and formats of markers come from the metadata channel, which describes itself only after it
was used; so its two events are known here. The rule: trace-wide values are those of the first
block of metadata_0, but what most files agree on wins over a single damaged header.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge._native import lib
from bridge.diagnostics import Diagnostic, FileOffset, Severity
from bridge.errors import TraceError
from bridge.formats import ltt
from bridge.trace import model
from bridge.trace.ltt import files, marker_format, payload
from bridge.trace.ltt.cursor import ClassEntry, Cursor, StreamFile, Tables
from bridge.trace.ltt.options import OpenOptions
from bridge.trace.ltt.reader import LttReader

if TYPE_CHECKING:
    from pathlib import Path

CORE_IDS = 8
_HEADER_VALUES = (
    "major",
    "minor",
    "arch_size",
    "alignment",
    "start_sec",
    "start_usec",
    "start_freq",
    "freq_scale",
    "begin",
)
_PLAUSIBLE_HZ = (1_000_000, 100_000_000_000)


@dataclass(frozen=True, slots=True)
class _Common:
    """The values that hold for the whole trace."""

    minor: int
    arch_size: int
    alignment: int
    start_sec: int
    start_usec: int
    freq: int
    scale: int
    start_tsc: int
    capped: bool

    @property
    def flat(self) -> bool:
        """Whether ids are per channel (since 2.3)."""
        return self.minor >= 3

    def pad(self, size: int) -> int:
        """The alignment of something of `size` bytes."""
        if not self.alignment:
            return 1
        return min(size, self.alignment) if self.capped else size


def _channel(relative: str, flat: bool) -> tuple[str, str, int]:
    """Stream name, channel and CPU. LTTV kept the leading slash of names until 2.2."""
    name = relative if flat else f"/{relative}"
    channel, cpu = files.numbered(name)
    head, slash, last = channel.rpartition("/")
    return name, head + slash + last.removeprefix("flight-"), cpu


def _header(found: files.Found) -> files.Header | None:
    head = found.head
    layout = ltt.m2_header(head[0x15], head[0x16], found.big)
    return files.parse_header(layout, head)


def time_mode(minor: int, freq: int, scale: int, choice: str) -> int:
    """Which formula makes nanoseconds of clock values."""
    chosen = {
        "multiply": lib.MB_LTT_TIME_MULTIPLY,
        "relative": lib.MB_LTT_TIME_DIVIDE,
        "absolute": lib.MB_LTT_TIME_ABSOLUTE,
    }
    if choice in chosen:
        return int(chosen[choice])
    low, high = _PLAUSIBLE_HZ
    # The meaning of the scale was inverted inside 2.2: what gives a possible frequency holds.
    if minor < 2 or (minor == 2 and scale > 1 and low <= freq * scale <= high):
        return int(lib.MB_LTT_TIME_MULTIPLY)
    return int(lib.MB_LTT_TIME_ABSOLUTE if minor >= 5 else lib.MB_LTT_TIME_DIVIDE)


# --- metadata ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Marker:
    name: str
    sizes: marker_format.Sizes


@dataclass(slots=True)
class _Descriptions:
    """What the metadata channel said: by channel ("" before 2.3)."""

    ids: dict[str, dict[int, _Marker]] = field(default_factory=dict)
    formats: dict[tuple[str, str], str] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)


def _u(bits: int, align: int, big: bool) -> model.Integer:
    return model.Integer(bits, signed=False, align_bits=8 * align, big_endian=big)


def core_payloads(flat: bool, align: int, big: bool) -> tuple[model.Struct, model.Struct]:
    """core_marker_id and core_marker_format."""
    text = model.Text()
    channel = (model.Field("channel", text),) if flat else ()
    first = (*channel, model.Field("name", text))
    number = model.Field("event_id", _u(16, align, big))
    sizes = tuple(
        model.Field(name, _u(8, 1, big))
        for name in ("int", "long", "pointer", "size_t", "alignment")
    )
    return (
        model.Struct((*first, number, *sizes)),
        model.Struct((*first, model.Field("format", text))),
    )


def _core_entries(channel: str, common: _Common, big: bool) -> list[ClassEntry]:
    align = common.pad(2)
    payloads = core_payloads(common.flat, align, big)
    names = ("core_marker_id", "core_marker_format")
    return [
        ClassEntry(
            model.EventClass(f"{channel}.{name}", number, kind),
            payload.compile_payload(kind, 1, big),
            align if number == 0 else 1,
        )
        for number, (name, kind) in enumerate(zip(names, payloads, strict=True))
    ]


def _learn(event: model.Event, known: _Descriptions) -> None:
    fields = event.fields
    channel, name = str(fields.get("channel", "")), str(fields["name"])
    if event.event_class.id == 0:
        numbers = {key: int(str(value)) for key, value in fields.items() if key not in ("channel", "name")}
        sizes = marker_format.Sizes(
            numbers["int"],
            numbers["long"],
            numbers["pointer"],
            numbers["size_t"],
            numbers["alignment"],
        )
        known.ids.setdefault(channel, {})[numbers["event_id"]] = _Marker(name, sizes)
        return
    text = str(fields["format"])
    old = known.formats.setdefault((channel, name), text)
    if old != text:
        known.diagnostics.append(
            Diagnostic(
                "ltt-format-conflict",
                f"marker {channel}.{name} has two formats: {old!r} and {text!r}",
                severity=Severity.WARNING,
                phase="trace",
                file=FileOffset(event.stream, 0),
            )
        )


def _read_metadata(streams: list[StreamFile], common: _Common) -> _Descriptions:
    """All metadata files, each completely, in order of CPU."""
    known = _Descriptions()
    for stream in sorted(streams, key=lambda s: s.cpu):
        entries = _core_entries(stream.channel, common, bool(stream.layout["big"]))
        alone = StreamFile(
            stream.path, stream.name, stream.channel, stream.cpu, stream.layout, {0: 0, 1: 1}
        )
        reader = LttReader("", Tables([alone], entries), {}, [])
        for event in reader:
            if event.event_class.id < len(entries):
                _learn(event, known)
    return known


# --- classes ----------------------------------------------------------------------------------

_VALID_SIZES = (1, 2, 4, 8)


def _sane(sizes: marker_format.Sizes) -> bool:
    parts = (sizes.int, sizes.long, sizes.pointer, sizes.size_t)
    return all(size in _VALID_SIZES for size in parts) and sizes.alignment in (0, 1, 2, 4, 8)


def _entry(name: str, number: int, text: str, marker: _Marker, context: tuple[bool, bool]) -> ClassEntry:
    big, capped = context
    kind = marker_format.payload(text, marker.sizes, big, capped)
    largest = payload.alignment(kind)
    return ClassEntry(
        model.EventClass(name, number, kind, attributes={"format": text}),
        payload.compile_payload(kind, 1, big),
        largest,
    )


def _classes(streams: list[StreamFile], known: _Descriptions, common: _Common) -> list[ClassEntry]:
    """Classes of every channel; fills the id tables of the streams."""
    classes: list[ClassEntry] = []
    tables: dict[tuple[str, bool], dict[int, int]] = {}
    for stream in streams:
        big = bool(stream.layout["big"])
        key = (stream.channel, big)
        if key not in tables:
            tables[key] = _channel_classes(stream.channel, big, known, common, classes)
        stream.ids = tables[key]
    return classes


def _channel_classes(
    channel: str, big: bool, known: _Descriptions, common: _Common, classes: list[ClassEntry]
) -> dict[int, int]:
    table: dict[int, int] = {}
    if is_metadata(channel):
        for entry in _core_entries(channel, common, big):
            table[entry.event_class.id] = len(classes)
            classes.append(entry)
        if common.flat:
            return table
    scope = channel if common.flat else ""
    for number, marker in sorted(known.ids.get(scope, {}).items()):
        text = known.formats.get((scope, marker.name))
        if text is None or not _sane(marker.sizes) or number in table:
            continue
        table[number] = len(classes)
        name = f"{channel}.{marker.name}"
        classes.append(_entry(name, number, text, marker, (big, common.capped)))
    return table


def is_metadata(channel: str) -> bool:
    """Whether this is the channel that describes the others."""
    return channel in ("metadata", "/control/metadata")


# --- opening ----------------------------------------------------------------------------------


def _layout(found: files.Found, common: _Common, mode: int) -> dict[str, int | float]:
    at = files.places(ltt.m2_header(common.minor, common.arch_size, found.big))
    variable = common.minor >= 5
    header = _header(found) or {}
    layout: dict[str, int | float] = {
        "kind": lib.MB_LTT_M2,
        "big": int(found.big),
        "header_bytes": at["bytes"],
        "magic_at": at["magic"],
        "magic": ltt.MAGIC,
        "begin_at": at["begin"],
        "end_at": at["end"],
        "size_at": at["size"],
        "used_at": at["used"],
        "used_is_lost": int(not variable),
        "head_align": common.pad(4),
        "tsc_align": common.pad(8),
        "first_at": 0,
        "time_mode": mode,
        "start_tsc": common.start_tsc,
        "freq": float(common.freq or 1_000_000_000),
        "scale": float(common.scale or 1),
    }
    if "events_lost" in at:
        layout |= {"lost_at": at["events_lost"], "corrupt_at": at["subbuf_corrupt"]}
    if not variable:
        magic = ltt.MAGIC.to_bytes(4, "big" if found.big else "little")
        layout["block_bytes"] = files.block_size(
            found.path, found.first, header.get("size", 0), at["magic"], magic, at["bytes"]
        )
    return layout


def _common(found: list[files.Found], capped: bool) -> _Common:
    headers, chief = [], None
    for item in sorted(found, key=lambda f: f.relative):
        header = _header(item)
        if header is None:
            continue
        headers.append(header)
        name = item.relative.rpartition("/")[2]
        if name == "metadata_0" and item.first == 0:
            chief = header
    if not headers:
        raise TraceError("no sub-buffer header can be read")
    values = {name: files.vote(headers, name, chief) for name in _HEADER_VALUES}
    # The clock starts where metadata_0 starts, even if no other file does.
    start = chief["begin"] if chief and chief["begin"] <= chief["end"] else values["begin"]
    return _Common(
        values["minor"],
        values["arch_size"],
        values["alignment"],
        values["start_sec"],
        values["start_usec"],
        values["start_freq"],
        values["freq_scale"],
        start,
        capped,
    )


def _check(common: _Common, folder: Path) -> list[Diagnostic]:
    if not 0 <= common.minor <= 6:
        raise TraceError(f"{folder}: LTT version 2.{common.minor} is not known")
    if common.arch_size not in (4, 8) or common.alignment not in (0, 1, 2, 4, 8):
        raise TraceError(
            f"{folder}: word size {common.arch_size}, alignment {common.alignment} is not possible"
        )
    if common.freq:
        return []
    return [
        Diagnostic(
            "ltt-no-frequency",
            "the trace does not know its clock; clock values are taken as nanoseconds",
            severity=Severity.WARNING,
            phase="trace",
            file=FileOffset(str(folder), 0x28),
        )
    ]


def _streams(found: list[files.Found], common: _Common, mode: int) -> list[StreamFile]:
    streams = []
    for item in found:
        name, channel, cpu = _channel(item.relative, common.flat)
        if cpu >= 0:
            streams.append(StreamFile(item.path, name, channel, cpu, _layout(item, common, mode)))
    return sorted(streams, key=lambda s: (s.channel, s.cpu, s.name))


def _attributes(common: _Common) -> dict[str, str]:
    return {
        "version": f"2.{common.minor}",
        "word_size": str(common.arch_size),
        "alignment": str(common.alignment),
        "alignment_rule": "capped" if common.capped else "uncapped",
        "start_time": f"{common.start_sec}.{common.start_usec:06d}000",
        "start_tsc": str(common.start_tsc),
        "frequency": str(common.freq),
        "frequency_scale": str(common.scale),
    }


def _open(folder: Path, found: list[files.Found], options: OpenOptions, capped: bool) -> LttReader:
    common = _common(found, capped)
    diagnostics = _check(common, folder)
    mode = time_mode(common.minor, common.freq, common.scale, options.time)
    streams = _streams(found, common, mode)
    metadata = [s for s in streams if is_metadata(s.channel)]
    known = _read_metadata(metadata, common)
    diagnostics += known.diagnostics
    if not known.formats:
        diagnostics.append(
            Diagnostic(
                "ltt-no-metadata",
                "no marker is described, so no event can be named",
                severity=Severity.WARNING,
                phase="trace",
                file=FileOffset(str(folder), 0),
            )
        )
    tables = Tables(streams, _classes(streams, known, common))
    return LttReader(f"ltt-2.{common.minor}", tables, _attributes(common), diagnostics)


def _damage_seen(reader: LttReader) -> int:
    """How many blocks near the start cannot be read."""
    cursor = Cursor(reader.tables)
    for number, _ in enumerate(cursor.batches(0)):
        if number >= 8:
            break
    return len(cursor.found)


def open_m2(folder: Path, found: list[files.Found], options: OpenOptions) -> LttReader:
    """Open a marker trace. Both alignment rules of 2.4 and 2.5 are tried unless one is chosen."""
    reader = _open(folder, found, options, options.alignment != "uncapped")
    ambiguous = (
        options.alignment == "auto"
        and reader.format in ("ltt-2.4", "ltt-2.5")
        and reader.attributes["word_size"] == "4"
        and reader.attributes["alignment"] != "0"
    )
    if ambiguous and (damage := _damage_seen(reader)):
        other = _open(folder, found, options, capped=False)
        if _damage_seen(other) < damage:
            return other
    return reader
