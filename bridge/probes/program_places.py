"""`process(..)` and `library(..)` of a point -> the files that are meant, and what is in them.

What a family finds in one file is for it to say (`InFile`); the rule: of several files that a
pattern matches, those that are no programs do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.markers import NoMatch
from bridge.probes import errors, programs
from bridge.probes.points import is_wild
from bridge.suggest import among, similar

if TYPE_CHECKING:
    from bridge.diagnostics import Diagnostic
    from bridge.markers import Expansion, PointPart
    from bridge.probes.elf import ElfFile
    from bridge.probes.families import Places
    from bridge.probes.machine import Machine

Names = Callable[[], Iterable[str]]
"""Names to suggest: a missing function may be optional, and nobody asks for them."""

NO_TARGET = "unspecified process probe is invalid without a -c COMMAND or -x PID"


@dataclass(frozen=True, slots=True)
class ProbedProgram:
    """A file to look into, and how its attachments are named and restricted."""

    path: str
    prefix: str
    pid: int = 0
    follow_target: bool = False


@dataclass(slots=True)
class SearchNotes:
    """What came up while files were looked through: what is wrong, and names to suggest."""

    reasons: list[Diagnostic] = field(default_factory=list)
    near: list[Names] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)
    """What is to be said of places that are found."""


InFile = Callable[
    [ProbedProgram, "ElfFile", Sequence["PointPart"], "Machine", SearchNotes], list["Expansion"]
]
"""The places in one file that the rest of a point names."""


def in_programs(parts: Sequence[PointPart], machine: Machine, in_file: InFile) -> Places:
    """The places of a point in all files that it means."""
    found = SearchNotes()
    chosen = _programs(parts[0], machine, found)
    if isinstance(chosen, NoMatch):
        return chosen
    rest = parts[1:]
    if rest[0].name == "library":
        chosen = _libraries(chosen, str(rest[0].argument), machine, found)
        rest = rest[1:]
    places: list[Expansion] = []
    for program in chosen:
        elf, faults = machine.open(program.path)
        found.reasons += () if len(chosen) > 1 and elf is None else faults
        if elf is not None:
            places += in_file(program, elf, rest, machine, found)
    if places:
        places[0] = replace(places[0], notes=(*places[0].notes, *found.notes))
    return tuple(places) or _none_found(rest, found)


def _programs(
    part: PointPart, machine: Machine, found: SearchNotes
) -> list[ProbedProgram] | NoMatch:
    match part.argument:
        case None:
            return _target(machine)
        case int(pid):
            path = programs.process_path(pid, machine.world)
            if path is None:
                return programs.no_process(pid)
            return [ProbedProgram(path, f"process({pid})", pid=pid)]
        case name:
            return _named(name, machine, found)


def _named(name: str, machine: Machine, found: SearchNotes) -> list[ProbedProgram] | NoMatch:
    paths = programs.program_paths(name, machine.world)
    nothing = all(machine.open(path)[0] is None for path in paths)
    if nothing and not machine.options.strict_names:
        other = programs.multiarch_paths(name, machine.world)
        paths = other or paths
        found.notes += (errors.in_multiarch(name, path) for path in other[:1])
    if paths:
        return [ProbedProgram(path, f'process("{path}")') for path in paths]
    if is_wild(name):
        return NoMatch(0)
    if "/" not in name:
        return NoMatch(0, f"cannot find executable '{name}'", code="no-such-program")
    return NoMatch(0, reasons=(errors.unreadable(name, FileNotFoundError()),))


def _target(machine: Machine) -> list[ProbedProgram] | NoMatch:
    pid, command = machine.options.pid, machine.options.command
    if pid:
        path = programs.process_path(pid, machine.world)
        if path is None:
            return programs.no_process(pid)
    elif command:
        name = programs.command_program(command)
        paths = programs.program_paths(name, machine.world) if name else []
        if not paths:
            return NoMatch(0, f"cannot find executable '{name}'", code="no-such-program")
        path = paths[0]
    else:
        return NoMatch(0, NO_TARGET, code="no-target")
    return [ProbedProgram(path, f'process("{path}")', follow_target=True)]


def _libraries(
    chosen: Sequence[ProbedProgram], pattern: str, machine: Machine, found: SearchNotes
) -> list[ProbedProgram]:
    libraries = []
    for program in chosen:
        elf, faults = machine.open(program.path)
        found.reasons += faults
        if elf is None:
            continue
        for path in programs.library_paths(pattern, elf, machine.world):
            prefix = f'{program.prefix}.library("{path}")'
            libraries.append(ProbedProgram(path, prefix, program.pid, program.follow_target))
    return libraries


def _none_found(rest: Sequence[PointPart], found: SearchNotes) -> NoMatch:
    named = rest[0] if rest[0].name in ("function", "statement") else rest[-1]
    wanted = str(named.argument).partition("@")[0]
    reasons = tuple(found.reasons)
    if rest[0].name == "provider" or is_wild(wanted):
        return NoMatch(0, "no match", reasons=reasons)

    def suggested() -> str:
        names = {name for names in found.near for name in names()}
        return among(similar(wanted, names) if names else (), f"similar {rest[0].name}s")

    return NoMatch(0, "no match", near=suggested, reasons=reasons)
