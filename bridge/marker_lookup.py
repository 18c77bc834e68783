"""A file, a process or a probe point -> the markers there are; what there is not, is an error.

The rule: an empty answer is none. Who asks for markers is told why there are none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.diagnostics import Sink
from bridge.errors import BridgeError, CompileError, ProgramError
from bridge.markers import MarkerAttachment
from bridge.probes import markers_of as read_markers
from bridge.probes.live import LiveTargets
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from bridge.world import LiveWorld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.markers import Marker, Targets
    from bridge.script.analysis.derive import Derived
    from bridge.world import World


def markers(
    *, path: Path | str | None = None, pid: int | None = None, pattern: str | None = None
) -> tuple[Marker, ...]:
    """The markers of a file, of a process with its libraries, or at a probe point.

    One of the three: `path` (USDT markers of an ELF file), `pid` (those of all files that the
    process has mapped), `pattern` (a probe point as in a script, with wildcards:
    `kernel.trace("sched:*")`). ProgramError, if the file or the process is not there or has no
    markers; CompileError, if nothing is at the probe point: each with the reason.
    """
    given = [value for value in (path, pid, pattern) if value is not None]
    if len(given) != 1:
        raise BridgeError("markers() takes one of path, pid and pattern")
    world = LiveWorld()
    if path is not None:
        return _or_none_there(markers_of_file(str(path), world), str(path))
    if pid is not None:
        found = [m for file in mapped_files(pid, world) for m in read_markers(file, world)]
        return _or_none_there(tuple(found), f"process {pid} (with its libraries)")
    return _at_point(pattern or "", world)


def _or_none_there(found: tuple[Marker, ...], where: str) -> tuple[Marker, ...]:
    if not found:
        raise ProgramError(f"{where} has no markers: no notes of type stapsdt")
    return found


def markers_of_file(path: str, world: World) -> tuple[Marker, ...]:
    """The USDT markers of an ELF file; ProgramError, if it cannot be read as one."""
    from bridge.probes.elf import open_elf

    sink = Sink()
    if open_elf(path, world, sink) is None:
        raise ProgramError("; ".join(error.message for error in sink.errors))
    return read_markers(path, world)


def mapped_files(pid: int, world: World) -> tuple[str, ...]:
    """The program of a process and the libraries that it has mapped; ProgramError: no such."""
    from bridge.probes.programs import process_path
    from bridge.proc_paths import resolve

    program = process_path(pid, world)
    if program is None:
        raise ProgramError(f"there is no process {pid}")
    try:
        lines = world.read_file(f"/proc/{pid}/maps").decode(errors="surrogateescape")
    except OSError as error:
        raise ProgramError(f"/proc/{pid}/maps: {error.strerror}") from error
    names = [line.split(maxsplit=5)[5] for line in lines.splitlines() if " r-xp " in line]
    libraries = [resolve(f"/proc/{pid}/root{name}") for name in names if name[:1] == "/"]
    return tuple(dict.fromkeys((program, *filter(world.exists, libraries))))


# --- probe points -----------------------------------------------------------------------------


def derived_of(
    pattern: str, targets: Targets, sources: SourceMap, sink: Sink, include: tuple[Path, ...]
) -> Iterator[Derived]:
    """The probes at a pattern, as the front end derives those of a script."""
    from bridge.script.analysis.derive import Deriver
    from bridge.script.library import Library
    from bridge.script.syntax import ast
    from bridge.script.syntax.parse import parse

    text = f"probe {pattern} {{ }}"
    source = sources.add("<pattern>", text.encode("utf-8", "surrogateescape"))
    script = parse(source, sources, sink)
    if script is None:
        return
    options = AnalyseOptions(include=include)
    deriver = Deriver([script], Library(sources, sink, options), targets, sink)
    for definition in script.definitions:
        if isinstance(definition, ast.Probe):
            for point in definition.points:
                yield from deriver.probe(script, replace(definition, points=(point,)))


def _at_point(pattern: str, world: World) -> tuple[Marker, ...]:
    sources, sink = SourceMap(), Sink()
    targets = LiveTargets(world)
    attachments = [
        derived.expansion.attachment
        for derived in derived_of(pattern, targets, sources, sink, ())
    ]
    if sink.failed:
        raise CompileError(sink.errors, "script", sources)
    found = [a.marker for a in attachments if isinstance(a, MarkerAttachment)]
    if not found:
        raise ProgramError(f"{pattern}: no markers there")
    return tuple(dict.fromkeys(found))
