"""Traces of the first LTTV (2003 - 2005) -> `LttReader`.

There is no block header: `info/system.xml` says sizes and byte order, blocks begin and end with
events. An event id is the base of its facility plus the position in the description. The rule:
core is described by its own file with base 0, the others are announced in control/facilities.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge._native import lib
from bridge.diagnostics import Diagnostic, FileOffset, Severity
from bridge.errors import TraceError
from bridge.facility import parse
from bridge.formats import ltt
from bridge.trace import model
from bridge.trace.ltt import facility_payload, files, payload
from bridge.trace.ltt.cursor import ClassEntry, StreamFile, Tables
from bridge.trace.ltt.reader import LttReader

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.facility import model as fac

# Early converters wrote the last three attributes without quotes.
_ATTRIBUTE = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s>]+))')
_WORDS = {"LP32": (2, 4), "ILP32": (4, 4), "LP64": (4, 8), "ILP64": (8, 8)}
_MOST_USEC = 1_000_000
_LEAST_BLOCK = 64


def is_x(folder: Path) -> bool:
    """Whether the folder looks like such a trace."""
    return (folder / "info" / "system.xml").is_file() and (folder / "cpu").is_dir()


def system(folder: Path) -> dict[str, str]:
    """The attributes of info/system.xml."""
    text = (folder / "info" / "system.xml").read_bytes().decode("latin-1")
    return {name: quoted or bare for name, quoted, bare in _ATTRIBUTE.findall(text)}


def _facilities(folder: Path, diagnostics: list[Diagnostic]) -> dict[str, fac.Facility]:
    found: dict[str, fac.Facility] = {}
    eventdefs = folder / "eventdefs"
    for path in sorted(eventdefs.glob("*.xml")) if eventdefs.is_dir() else []:
        try:
            documents = parse.parse(path.read_bytes().decode("latin-1"), path.name)
        except parse.FacilityError as error:
            diagnostics.append(_warning("ltt-bad-description", str(error), path))
            continue
        for document in documents:
            found.setdefault(document.name, document)
    return found


def _warning(code: str, message: str, path: Path) -> Diagnostic:
    return Diagnostic(
        code, message, severity=Severity.WARNING, phase="trace", file=FileOffset(str(path), 0)
    )


def _entries(
    facility: fac.Facility, base: int, sizes: facility_payload.FacilitySizes
) -> list[ClassEntry]:
    found = []
    for position, event in enumerate(facility.events):
        kind = facility_payload.event_payload(facility, event, sizes)
        found.append(
            ClassEntry(
                model.EventClass(f"{facility.name}.{event.name}", base + position, kind),
                payload.compile_payload(kind, 1, sizes.big),
            )
        )
    return found


def _unit(paths: list[Path], big: bool) -> int:
    """Nanoseconds of one unit of "nanoseconds": old converters stored microseconds."""
    parts = []
    layout = ltt.x_block_event(big)
    for path in paths:
        with path.open("rb") as file:
            header = files.parse_header(layout, file.read(layout.sizeof()))
        if header:
            parts.append(header["nanoseconds"])
    return 1000 if parts and max(parts) < _MOST_USEC else 1


def _streams(folder: Path, layout: dict[str, int | float]) -> list[StreamFile]:
    streams = []
    control = folder / "control"
    paths = sorted(control.iterdir()) if control.is_dir() else []
    for path in [
        *paths,
        *sorted((folder / "cpu").iterdir(), key=lambda p: (len(p.name), p.name)),
    ]:
        if not path.is_file() or not path.stat().st_size:
            continue
        name = f"/{path.relative_to(folder).as_posix()}"
        is_cpu = path.parent.name == "cpu" and path.name.isdigit()
        channel, cpu = ("/cpu", int(path.name)) if is_cpu else (name, -1)
        streams.append(StreamFile(path, name, channel, cpu, dict(layout)))
    return streams


def _bases(streams: list[StreamFile], core: list[ClassEntry]) -> dict[str, int]:
    """The base ids that facility_load events in control/facilities announce."""
    bases = {}
    ids = {entry.event_class.id: at for at, entry in enumerate(core)}
    for stream in streams:
        if stream.channel != "/control/facilities":
            continue
        alone = StreamFile(stream.path, stream.name, stream.channel, -1, stream.layout, ids)
        for event in LttReader("", Tables([alone], core), {}, []):
            if event.event_class.name == "core.facility_load":
                base = event.fields.get("base_code")
                bases[str(event.fields.get("name"))] = base if isinstance(base, int) else 0
    return bases


def open_x(folder: Path) -> LttReader:
    """Open a trace of the first LTTV."""
    about = system(folder)
    big = about.get("endian", "LITTLE_ENDIAN") == "BIG_ENDIAN"
    size = about.get("ltt_block_size", "")
    if not size.isdigit() or not _LEAST_BLOCK <= int(size) < 1 << 32:
        raise TraceError(f"{folder}/info/system.xml: no possible ltt_block_size")
    number, word = _WORDS.get(about.get("arch_size", ""), (4, 4))
    sizes = facility_payload.FacilitySizes(number, word, word, word, 0, big, old=True)
    diagnostics: list[Diagnostic] = []
    described = _facilities(folder, diagnostics)
    if "core" not in described:
        raise TraceError(f"{folder}: the facility core is not described in eventdefs")
    cpus = [p for p in sorted((folder / "cpu").iterdir()) if p.is_file()]
    streams = _streams(
        folder,
        {
            "kind": lib.MB_LTT_X,
            "big": int(big),
            "block_bytes": int(size),
            "time_mode": lib.MB_LTT_TIME_INTERPOLATE,
            "time_bytes": _unit(cpus, big),
            "use_tsc": 1,
        },
    )
    entries = _entries(described["core"], 0, sizes)
    for name, base in _bases(streams, entries).items():
        if name in described and name != "core" and 0 < base < 1 << 16:
            entries += _entries(described[name], base, sizes)
    ids = {entry.event_class.id: at for at, entry in enumerate(entries)}
    for stream in streams:
        stream.ids = ids
    return LttReader("ltt-x", Tables(streams, entries), about, diagnostics)
