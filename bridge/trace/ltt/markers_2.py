"""Marker traces 2.0 - 2.6 -> `LttReader`.

Ids and formats of markers come from the metadata channel, which describes itself only after it
was used; so its two events are known here. The rule: trace-wide values are those of the first
block of metadata_0, but what most files agree on wins over a single damaged header.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge._native import lib
from bridge.diagnostics import Diagnostic, FileOffset, Severity
from bridge.errors import TraceError
from bridge.formats import ltt
from bridge.trace.ltt import files, markers
from bridge.trace.ltt.cursor import LttCursor, StreamFile, Tables
from bridge.trace.ltt.markers import Rules, is_metadata
from bridge.trace.ltt.reader import LttReader

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.trace.ltt.options import OpenOptions

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
_VERSION_BYTES = 0x18
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


def _header(found: files.FoundFile) -> files.Header | None:
    head = found.head
    if len(head) < _VERSION_BYTES:
        return None
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


# --- opening ----------------------------------------------------------------------------------


def _layout(found: files.FoundFile, common: _Common, mode: int) -> dict[str, int | float]:
    at = files.places(ltt.m2_header(common.minor, common.arch_size, found.big))
    variable = common.minor >= 5
    header = _header(found) or {}
    layout: dict[str, int | float] = files.block_layout(at, found.big) | {
        "kind": lib.MB_LTT_M2,
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


def _common(found: list[files.FoundFile], capped: bool) -> _Common:
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
            f"{folder}: word size {common.arch_size} or alignment "
            f"{common.alignment} is not possible"
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


def _streams(found: list[files.FoundFile], common: _Common, mode: int) -> list[StreamFile]:
    streams = []
    for item in found:
        name, channel, cpu = _channel(item.relative, common.flat)
        if cpu >= 0:
            streams.append(
                StreamFile(item.path, name, channel, cpu, _layout(item, common, mode))
            )
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


def _open(
    folder: Path, found: list[files.FoundFile], options: OpenOptions, capped: bool
) -> LttReader:
    common = _common(found, capped)
    diagnostics = _check(common, folder)
    mode = time_mode(common.minor, common.freq, common.scale, options.time)
    streams = _streams(found, common, mode)
    for stream in streams:
        stream.layout["unknown_empty"] = int(options.unknown == "empty")
    rules = Rules(common.flat, common.pad(2), common.capped)
    metadata = [s for s in streams if is_metadata(s.channel)]
    known = markers.read_metadata(metadata, rules)
    diagnostics += known.diagnostics
    if not known.formats:
        diagnostics.append(markers.no_metadata(str(folder)))
    tables = Tables(streams, markers.classes(streams, known, rules))
    return LttReader(f"ltt-2.{common.minor}", tables, _attributes(common), diagnostics)


def _damage_seen(reader: LttReader) -> int:
    """How many blocks near the start cannot be read."""
    cursor = LttCursor(reader.tables)
    for number, _ in enumerate(cursor.batches(0)):
        if number >= 8:
            break
    return len(cursor.found)


def open_m2(folder: Path, found: list[files.FoundFile], options: OpenOptions) -> LttReader:
    """Open a marker trace; tries both alignment rules of 2.4 and 2.5 unless one is chosen."""
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
