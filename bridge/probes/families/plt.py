"""`process(..).plt`, `.plt("NAME")`, `.return`: calls of a program into other files.

They are probed in the program, at the entry of its table that jumps there, so calls of others
to the same function do not hit.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

from bridge.markers import Expansion, Kind, MarkerAttachment
from bridge.probes import errors
from bridge.probes.families import Family, program_and_name
from bridge.probes.families.process import PROCESSES
from bridge.probes.functions import function_marker
from bridge.probes.plt import MACHINE, read_plt
from bridge.probes.program_places import in_programs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.markers import PointPart
    from bridge.probes.elf import ElfFile
    from bridge.probes.families import Places
    from bridge.probes.machine import Machine
    from bridge.probes.program_places import ProbedProgram, SearchNotes
    from bridge.probes.recorded import RecordedClass, RecordedTargets
    from bridge.probes.symbols import ElfFunction


def _expand(parts: Sequence[PointPart], machine: Machine) -> Places:
    return in_programs(parts, machine, _in_file)


def _in_file(
    program: ProbedProgram,
    elf: ElfFile,
    rest: Sequence[PointPart],
    _machine: Machine,
    found: SearchNotes,
) -> list[Expansion]:
    if elf.machine != MACHINE:
        found.reasons.append(errors.no_plt_of(program.path, elf.machine))
    entries = read_plt(elf)
    pattern = _pattern(rest[0])
    found.near.append(lambda: {entry.names[0] for entry in entries})
    chosen = [entry for entry in entries if fnmatchcase(entry.names[0], pattern)]
    returns = rest[-1].name == "return"
    return [_place(program, elf, entry, returns=returns) for entry in chosen]


def _pattern(part: PointPart) -> str:
    return "*" if part.argument is None else str(part.argument)


def _place(
    program: ProbedProgram, elf: ElfFile, entry: ElfFunction, *, returns: bool
) -> Expansion:
    name = entry.names[0]
    marker = function_marker(elf, name, (entry,), returns=returns)
    place = Expansion(
        MarkerAttachment(marker, program.pid, program.follow_target),
        f'{program.prefix}.plt("{name}")' + (".return" if returns else ""),
        {"name": name},
        newest_first=True,
    )
    if not returns:
        return place
    return replace(place, entry=_place(program, elf, entry, returns=False))


# --- in a trace -------------------------------------------------------------------------------


def _recorded(parts: Sequence[PointPart], trace: RecordedTargets) -> Places:
    file, rest = trace.file_and_rest(parts)
    returns = rest[-1].name == "return"
    kind = Kind.FUNCTION_RETURN if returns else Kind.FUNCTION
    wanted = _pattern(rest[0])
    known = [c for c in trace.of_kinds(kind) if trace.is_file(c, file)]
    chosen = [c for c in known if fnmatchcase(c.name, wanted)]
    place = partial(_of_class, suffix=".return" if returns else "")
    return trace.best(parts[0], chosen, place) or trace.none("functions", wanted, known)


def _of_class(found: RecordedClass, pid: int, *, suffix: str) -> Expansion:
    return Expansion(
        found.attachment(pid),
        f'{found.program(pid)}.plt("{found.name}"){suffix}',
        found.strings or {"name": found.name, "provider": found.provider},
        found.parts,
        newest_first=True,
    )


FAMILY = Family(
    frozenset(
        f"{process}/{library}plt{name}{suffix}"
        for process in PROCESSES
        for library in ("", "library S/")
        for name in ("", " S")
        for suffix in ("", "/return")
    ),
    _expand,
    _recorded,
    stops=True,
    slices=True,
    event_class=program_and_name,
    of_program=True,
)
