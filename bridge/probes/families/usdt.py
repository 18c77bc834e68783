"""`process(..).mark("NAME")`, `.provider("P").mark("NAME")`: the USDT notes of a program.

The events of other tracers of programs (LTTng-UST) are marks in their traces, too.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

from bridge.diagnostics import Sink
from bridge.markers import OWN_NAME, Expansion, Kind, MarkerAttachment
from bridge.probes import errors
from bridge.probes.families import Family
from bridge.probes.families.process import PROCESSES
from bridge.probes.program_places import in_programs
from bridge.probes.sdt import read_argument_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.markers import Marker, PointPart
    from bridge.probes.elf import ElfFile
    from bridge.probes.families import Places
    from bridge.probes.machine import Machine
    from bridge.probes.program_places import ProbedProgram, SearchNotes
    from bridge.probes.recorded import RecordedClass, RecordedTargets


def _expand(parts: Sequence[PointPart], machine: Machine) -> Places:
    return in_programs(parts, machine, _in_file)


def _in_file(
    program: ProbedProgram,
    elf: ElfFile,
    rest: Sequence[PointPart],
    machine: Machine,
    found: SearchNotes,
) -> list[Expansion]:
    from bridge.probes.usdt import read_markers

    sink = Sink()
    notes = machine.notes(elf, sink)
    by_provider = rest[0].name == "provider"
    provider, name = (str(rest[0].argument) if by_provider else "*"), str(rest[-1].argument)
    chosen = [
        note
        for note in notes
        if fnmatchcase(note.name, name) and fnmatchcase(note.provider, provider)
    ]
    symbols = partial(machine.separate, elf)
    named = read_argument_names(elf, sink) if chosen else {}
    markers = read_markers(elf, chosen, machine.site_policy, sink, symbols, named)
    if not notes:
        sink.report(errors.no_markers(program.path))
    found.reasons += sink.items
    found.near.append(lambda: {note.name for note in notes})
    return [_place(program, marker, by_provider=by_provider) for marker in markers]


def _place(program: ProbedProgram, marker: Marker, *, by_provider: bool) -> Expansion:
    provider = f'.provider("{marker.provider}")' if by_provider else ""
    strings = {"name": marker.name, "provider": marker.provider}
    if len(marker.sites) == 1:
        strings[OWN_NAME] = f"{program.prefix}.statement({marker.sites[0].address:#x})"
    return Expansion(
        MarkerAttachment(marker, program.pid, program.follow_target),
        f'{program.prefix}{provider}.mark("{marker.name}")',
        strings,
        newest_first=True,
        dollars=True,
    )


# --- in a trace -------------------------------------------------------------------------------


def _recorded(parts: Sequence[PointPart], trace: RecordedTargets) -> Places:
    file, rest = trace.file_and_rest(parts)
    by_provider = rest[0].name == "provider"
    provider, name = (str(rest[0].argument) if by_provider else "*"), str(rest[-1].argument)
    known = [c for c in trace.of_kinds(Kind.USDT, None) if trace.is_file(c, file)]
    chosen = [
        c
        for c in known
        if fnmatchcase(c.name, name)
        and fnmatchcase(c.provider, provider)
        # without a provider it is an event of a kernel tracer
        and (c.kind is not None or c.provider)
    ]
    place = partial(_of_class, by_provider=by_provider)
    return trace.best(parts[0], chosen, place) or trace.none("marks", name, known)


def _of_class(found: RecordedClass, pid: int, *, by_provider: bool) -> Expansion:
    provider = f'.provider("{found.provider}")' if by_provider else ""
    return Expansion(
        found.attachment(pid),
        f'{found.program(pid)}{provider}.mark("{found.name}")',
        found.strings or {"name": found.name, "provider": found.provider},
        found.parts,
        newest_first=True,
        dollars=True,
    )


FAMILY = Family(
    frozenset(
        f"{process}/{library}{mark}"
        for process in PROCESSES
        for library in ("", "library S/")
        for mark in ("mark S", "provider S/mark S")
    ),
    _expand,
    _recorded,
    stops=True,
    slices=True,
    of_program=True,
)
