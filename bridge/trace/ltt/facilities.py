"""Facility traces 0.3 - 0.8 and marker traces 1.0 -> `LttReader`.

`control/facilities_<cpu>` says which facilities have which ids; `eventdefs/*.xml` describes
them, and a checksum ties the two together. The rule: trace-wide values are those of
control/facilities_0; user traces carry none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bridge._native import lib
from bridge.diagnostics import Diagnostic, FileOffset, Severity
from bridge.errors import TraceError
from bridge.facility import checksum, parse
from bridge.facility import model as fac
from bridge.formats import ltt
from bridge.trace import model
from bridge.trace.ltt import facility_payload, files, markers, payload
from bridge.trace.ltt.cursor import ClassEntry, StreamFile, Tables
from bridge.trace.ltt.reader import LttReader

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bridge.trace.ltt.options import OpenOptions

CONTROL = "/control/facilities"
_USER_PARTS = 3
_MOST_USEC = 1_000_000


@dataclass(frozen=True, slots=True)
class _File:
    """A tracefile with its header."""

    found: files.FoundFile
    header: files.Header
    places: dict[str, int]
    time: str

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor."""
        return self.header["major"], self.header["minor"]


@dataclass(frozen=True, slots=True)
class _Trace:
    """The values that hold for the whole trace."""

    version: tuple[int, int]
    header: files.Header
    arch_size: int
    freq: int
    scale: int
    big: bool


# --- headers ----------------------------------------------------------------------------------


def _time_kind(found: files.FoundFile, version: tuple[int, int]) -> str:
    """How times are kept before 0.7: it follows from where the magic number is."""
    minor = version[1]
    if version >= (0, 7):
        return ""
    if minor >= 5:
        return "u64"
    base = {0x28: 8, 0x38: 16}.get(found.magic_at, 16) if minor == 3 else 0
    if minor == 3:
        return "timeval32" if base == 8 else "timeval64"
    if found.magic_at == 0x48:
        return "timeval64"
    usec = int.from_bytes(found.head[4:8], "big" if found.big else "little")
    return "timeval32" if usec < _MOST_USEC else "ns"


def _version(head: bytes, magic_at: int) -> tuple[int, int] | None:
    """The version that a block says, if there is such a one."""
    if len(head) < magic_at + 24:
        return None
    version = head[magic_at + 17], head[magic_at + 18]
    known = version == (1, 0) or (version[0] == 0 and 3 <= version[1] <= 8)
    return version if known else None


def _file(found: files.FoundFile, chief: _File | None) -> _File | None:
    """A tracefile with what most of its first blocks say; `chief` decides a tie."""
    if found.magic_at < 0x28:
        return None
    order: Literal["big", "little"] = "big" if found.big else "little"
    said = int.from_bytes(found.head[found.magic_at - 4 : found.magic_at], order)
    sizes = [said] if files.PAGE <= said < 1 << 31 else []
    heads = [found.head, *files.further_heads(found, sizes)]
    versions = [v for head in heads if (v := _version(head, found.magic_at)) is not None]
    if not versions:
        return None
    most = max(versions, key=versions.count)
    if chief is not None and versions.count(chief.version) == versions.count(most):
        most = chief.version
    time = _time_kind(found, most)
    layout = ltt.f_header(*most, time, found.big)
    places = files.places(layout)
    if places["magic"] != found.magic_at:
        return None
    headers = [header for head in heads if (header := files.parse_header(layout, head))]
    if not headers:
        return None
    preferred = chief.header if chief else None
    header = {name: files.vote(headers, name, preferred) for name in headers[0]}
    header |= {"begin": headers[0]["begin"], "major": most[0], "minor": most[1]}
    return _File(found, header, places, time)


def _name(relative: str) -> tuple[str, str, int, dict[str, model.Value]]:
    """Stream name, channel, CPU and what a user trace's name says."""
    name = f"/{relative}"
    if "_" not in relative and relative.count("/") >= 1:
        tail = relative.rpartition("/")[2].partition("-")[2].split(".")
        if len(tail) == _USER_PARTS and all(part.isdigit() for part in tail):
            tid, pgid, creation = (int(part) for part in tail)
            return name, name, -1, {"tid": tid, "pgid": pgid, "creation": creation}
    channel, cpu = files.numbered(name)
    head, slash, last = channel.rpartition("/")
    return name, head + slash + last.removeprefix("flight-"), cpu, {}


def _time_values(trace: _Trace, file: _File) -> dict[str, int | float]:
    values: dict[str, int | float] = {
        "start_tsc": trace.header.get("start_tsc", 0),
        "freq": float(trace.freq or 1_000_000_000),
        "scale": float(trace.scale or 1),
        "use_tsc": 1,
    }
    if trace.version >= (0, 7):
        return values | {"time_mode": lib.MB_LTT_TIME_MULTIPLY}
    clock = bool(file.header.get("has_tsc", 1))
    if clock and trace.freq:
        return values | {"time_mode": lib.MB_LTT_TIME_KHZ}
    if file.time == "ns":
        raise TraceError(f"{file.found.path}: a trace of this week of 2005 needs a frequency")
    return values | {
        "time_mode": lib.MB_LTT_TIME_INTERPOLATE,
        "time_at": file.places["begin_sec"],
        "end_time_at": file.places["end_sec"],
        "time_bytes": 4 if file.time == "timeval32" else 8,
        "use_tsc": int(clock),
    }


def _kind(version: tuple[int, int], channel: str) -> int:
    compact = version >= (0, 8) and channel.rpartition("/")[2] == "compact"
    if version == (1, 0):
        return int(lib.MB_LTT_COMPACT_M1 if compact else lib.MB_LTT_M1)
    return int(lib.MB_LTT_COMPACT_F if compact else lib.MB_LTT_F)


def _layout(trace: _Trace, file: _File, channel: str) -> dict[str, int | float]:
    at, header, found = file.places, file.header, file.found
    alignment = header["has_alignment"]
    arch_align = min(trace.arch_size, alignment) if alignment else 1
    magic = ltt.MAGIC.to_bytes(4, "big" if found.big else "little")
    layout: dict[str, int | float] = files.block_layout(at, found.big) | {
        "kind": _kind(file.version, channel),
        "used_at": at["lost"],
        "used_is_lost": 1,
        "block_bytes": files.block_size(
            found.path, found.first, header["size"], at["magic"], magic, at["bytes"]
        ),
        "arch_align": arch_align,
        "head_align": min(4, alignment) if alignment else 1,
        "long_time": int(not header["has_heartbeat"]),
    }
    if "tscbits" in at:
        layout |= {"lsb": min(header["tsc_lsb_truncate"], 31), "tscbits": header["tscbits"]}
    if "compact_data_shift" in at:
        layout["eventbits"] = max(0, 32 - header["compact_data_shift"])
    if int(layout.get("tscbits", 0)) + int(layout.get("eventbits", 0)) > 32:
        layout["tscbits"] = max(0, 32 - int(layout.get("eventbits", 0)))
    return layout | _time_values(trace, file)


def _trace(items: list[_File], folder: Path) -> _Trace:
    chief = next((f for f in items if f.found.relative == "control/facilities_0"), None)
    headers = [f.header for f in items]
    preferred = chief.header if chief else None
    version = (
        files.vote(headers, "major", preferred),
        files.vote(headers, "minor", preferred),
    )
    kernel = [f.header for f in items if f.header.get("start_freq")]
    header = preferred or (kernel[0] if kernel else headers[0])
    if chief is None and not kernel and version >= (0, 4):
        raise TraceError(f"{folder}: no control/facilities_0, so no clock")
    arch_size = files.vote(headers, "arch_size", preferred)
    if arch_size not in (4, 8):
        raise TraceError(f"{folder}: word size {arch_size} is not possible")
    freq = header.get("begin_freq") if version < (0, 7) else 0
    return _Trace(
        version,
        header,
        arch_size,
        freq or header.get("start_freq", 0),
        header.get("freq_scale", 1),
        bool(chief and chief.found.big),
    )


def _streams(trace: _Trace, items: list[_File]) -> tuple[list[StreamFile], list[Diagnostic]]:
    streams, diagnostics = [], []
    for item in items:
        if item.version != trace.version and not {item.version, trace.version} <= {
            (0, 7),
            (0, 8),
        }:
            diagnostics.append(
                _warning(
                    "ltt-other-version",
                    f"a file of version {item.version[0]}.{item.version[1]} is skipped",
                    item.found.path,
                )
            )
            continue
        name, channel, cpu, context = _name(item.found.relative)
        if cpu < 0 and not context:
            continue
        layout = _layout(trace, item, channel)
        streams.append(StreamFile(item.found.path, name, channel, cpu, layout, {}, context))
    return sorted(streams, key=lambda s: (s.channel, s.cpu, s.name)), diagnostics


def _warning(code: str, message: str, path: Path) -> Diagnostic:
    return Diagnostic(
        code, message, severity=Severity.WARNING, phase="trace", file=FileOffset(str(path), 0)
    )


# --- facilities -------------------------------------------------------------------------------

_LOAD, _UNLOAD, _HEARTBEAT = 0, 1, 2


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A facility_load event."""

    number: int
    name: str
    checksum: int
    sizes: facility_payload.FacilitySizes


def core_facility(version: tuple[int, int]) -> fac.Facility:
    """What a reader must know of facility 0 before it is described."""
    names = [n for n in ltt.FACILITY_LOAD if version >= (0, 5) or n != "int_size"]
    # As in the stock descriptions of September 2006 and August 2007: same checksums.
    four = fac.Scalar("uint" if version < (0, 8) else "uint_fixed", "4")
    load = (
        fac.Member("name", fac.Scalar("string")),
        *(fac.Member("has_alignment" if n == "alignment" else n, four) for n in names),
    )
    full = (fac.Member("tsc", fac.Scalar("uint_fixed", "8")),)
    events = [
        fac.Event("facility_load", load),
        fac.Event("facility_unload", (fac.Member("id", four),)),
        fac.Event("time_heartbeat"),
        fac.Event("state_dump_facility_load", load),
    ]
    if version >= (0, 8):
        events.insert(3, fac.Event("time_heartbeat_full", full))
    return fac.Facility("core", tuple(events))


def _sizes_of_trace(trace: _Trace, alignment: int, big: bool) -> facility_payload.FacilitySizes:
    word = trace.arch_size
    return facility_payload.FacilitySizes(4, word, word, word, alignment, big)


def facility_entries(
    facility: fac.Facility,
    number: int,
    sizes: facility_payload.FacilitySizes,
    compact: bool = False,
) -> list[ClassEntry]:
    """The classes of a facility's events; `compact`: of the channel with 4-byte headers."""
    found = []
    for position, event in enumerate(facility.events):
        kind = facility_payload.event_payload(facility, event, sizes)
        stored, flags = kind, 0
        if compact and event.has("compact_data") and kind.fields:
            stored, flags = model.Struct(kind.fields[1:]), lib.MB_LTT_FIRST_IN_HEADER
        found.append(
            ClassEntry(
                model.EventClass(f"{facility.name}.{event.name}", number << 8 | position, kind),
                payload.compile_payload(stored, sizes.pad, sizes.big),
                flags=flags,
            )
        )
    return found


def _loaded(fields: dict[str, model.Value], trace: _Trace, big: bool) -> _Loaded:
    def number(name: str) -> int:
        value = fields.get(name, 4)
        return value if isinstance(value, int) else 0

    sizes = facility_payload.FacilitySizes(
        number("int_size"),
        number("long_size"),
        number("pointer_size"),
        number("size_t_size"),
        number("has_alignment"),
        big,
        old=trace.version < (0, 5),
    )
    return _Loaded(number("id"), str(fields["name"]), number("checksum"), sizes)


def _read_loads(streams: Iterable[StreamFile], trace: _Trace) -> dict[int, _Loaded]:
    """The facilities by id; the first load of an id wins."""
    found: dict[int, _Loaded] = {}
    for stream in sorted(streams, key=lambda s: s.cpu):
        big = bool(stream.layout["big"])
        core = core_facility(trace.version)
        sizes = _sizes_of_trace(trace, int(stream.layout["arch_align"]) % 16, big)
        entries = facility_entries(core, 0, sizes)
        ids = {entry.event_class.id: at for at, entry in enumerate(entries)}
        alone = StreamFile(
            stream.path, stream.name, stream.channel, stream.cpu, stream.layout, ids
        )
        for event in LttReader("", Tables([alone], entries), {}, []):
            if event.event_class.name.endswith("facility_load"):
                load = _loaded(event.fields, trace, big)
                found.setdefault(load.number, load)
    return found


def _described(folder: Path, load: _Loaded, arch: str) -> fac.Facility | str:
    """The description whose checksum is that of the load, or why there is none."""
    stem = f"{load.name}_{arch}" if load.name.endswith("_arch") else load.name
    paths = [folder / "eventdefs" / f"{stem}.xml"]
    paths.append(folder / "eventdefs" / f"{stem}_{load.checksum:X}.xml")
    reason = f"no eventdefs/{stem}.xml"
    for path in paths:
        if not path.is_file() or path.parent != folder / "eventdefs":
            continue
        try:
            documents = parse.parse(path.read_bytes().decode("latin-1"), path.name)
        except parse.FacilityError as error:
            reason = str(error)
            continue
        for document in documents:
            if load.checksum in checksum.variants(document):
                return document
        reason = f"{path.name} describes another version of it"
    return reason


def _valid(sizes: facility_payload.FacilitySizes) -> bool:
    widths = (sizes.c_int, sizes.long, sizes.pointer, sizes.size_t)
    return all(w in (1, 2, 4, 8) for w in widths) and sizes.alignment in (0, 1, 2, 4, 8)


class _Classes:
    """Builds the classes of all facilities, and of the compact channel."""

    def __init__(self, folder: Path, trace: _Trace, loads: dict[int, _Loaded]) -> None:
        self.entries: list[ClassEntry] = []
        self.ids: dict[int, int] = {}
        self.compact_ids: dict[int, int] = {}
        self.compact: tuple[int, int] = (0, 0)
        self.diagnostics: list[Diagnostic] = []
        arch = ltt.ARCHITECTURES.get(trace.header["arch_type"], "i386")
        for load in loads.values():
            self._add(folder, load, arch)
        if not any(number < 0x100 for number in self.ids):
            alignment = trace.header["has_alignment"]
            sizes = _sizes_of_trace(trace, alignment, trace.big)
            self._register(facility_entries(core_facility(trace.version), 0, sizes), self.ids)

    def _register(self, entries: list[ClassEntry], ids: dict[int, int]) -> None:
        for entry in entries:
            ids[entry.event_class.id] = len(self.entries)
            self.entries.append(entry)

    def _add(self, folder: Path, load: _Loaded, arch: str) -> None:
        facility = _described(folder, load, arch)
        if isinstance(facility, str) or not _valid(load.sizes) or load.number > 0xFF:
            reason = facility if isinstance(facility, str) else "impossible sizes of types"
            self.diagnostics.append(
                _warning(
                    "ltt-no-description",
                    f"facility {load.name} ({load.checksum:X}) is not described: {reason}",
                    folder,
                )
            )
            return
        self._register(facility_entries(facility, load.number, load.sizes), self.ids)
        if load.name in ("compact", "flight-compact"):
            entries = facility_entries(facility, load.number, load.sizes, compact=True)
            self._register(entries, self.compact_ids)
            self.compact = (load.number, max(0, len(facility.events).bit_length()))


def _facility_tables(
    folder: Path, trace: _Trace, streams: list[StreamFile]
) -> tuple[Tables, list[Diagnostic]]:
    loads = _read_loads([s for s in streams if s.channel == CONTROL], trace)
    classes = _Classes(folder, trace, loads)
    for stream in streams:
        stream.ids = classes.ids
        if stream.layout["kind"] == lib.MB_LTT_COMPACT_F:
            stream.ids = classes.compact_ids
            facility, bits = classes.compact
            bits = min(bits, 32 - int(stream.layout["tscbits"]))
            stream.layout |= {"facility": facility, "eventbits": max(0, bits)}
    return Tables(streams, classes.entries), classes.diagnostics


def _marker_tables(folder: Path, streams: list[StreamFile]) -> tuple[Tables, list[Diagnostic]]:
    control = [s for s in streams if s.channel == CONTROL]
    align = 2 if any(s.layout["arch_align"] != 1 for s in control) else 1
    rules = markers.Rules(flat=False, align=align)
    known = markers.read_metadata(control, rules)
    if not known.formats:
        known.diagnostics.append(markers.no_metadata(str(folder)))
    return Tables(streams, markers.classes(streams, known, rules)), known.diagnostics


def open_facilities(
    folder: Path, found: list[files.FoundFile], options: OpenOptions
) -> LttReader:
    """Open a trace of version 0.3 to 1.0."""
    del options  # the version decides everything here
    items, unread = [], []
    control = [f for f in found if f.relative == "control/facilities_0"]
    chief = _file(control[0], None) if control else None
    for each in found:
        item = _file(each, chief)
        if item is None:
            unread.append(_warning("ltt-bad-header", "no header of any version", each.path))
        else:
            items.append(item)
    if not items:
        raise TraceError(f"{folder}: no sub-buffer header can be read")
    trace = _trace(items, folder)
    streams, diagnostics = _streams(trace, items)
    diagnostics += unread
    if trace.version == (1, 0):
        tables, more = _marker_tables(folder, streams)
    else:
        tables, more = _facility_tables(folder, trace, streams)
    version = f"{trace.version[0]}.{trace.version[1]}"
    return LttReader(f"ltt-{version}", tables, _attributes(trace), diagnostics + more)


def _attributes(trace: _Trace) -> dict[str, str]:
    header = trace.header
    return {
        "version": f"{trace.version[0]}.{trace.version[1]}",
        "word_size": str(trace.arch_size),
        "alignment": str(header["has_alignment"]),
        "architecture": ltt.ARCHITECTURES.get(header["arch_type"], str(header["arch_type"])),
        "start_time": f"{header.get('start_sec', 0)}.{header.get('start_usec', 0):06d}000",
        "start_tsc": str(header.get("start_tsc", 0)),
        "frequency": str(trace.freq),
        "frequency_scale": str(trace.scale),
    }
