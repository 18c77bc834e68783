"""`process(..).function(..)`, `.statement(..)`: places in the code of a program.

They are found by debug information where it is there, else by symbol.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

from bridge.diagnostics import Severity
from bridge.markers import OWN_NAME, Expansion, Kind, MarkerAttachment
from bridge.probes import errors
from bridge.probes.families import Family, program_and_name
from bridge.probes.families.process import PROCESSES
from bridge.probes.functions import function_marker
from bridge.probes.points import is_wild, matching_name
from bridge.probes.program_places import in_programs
from bridge.probes.symbols import ElfFunction, function_names, functions_like, has_functions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.diagnostics import Diagnostic
    from bridge.markers import Marker, PointPart
    from bridge.probes.dwarf.image import DebugImage
    from bridge.probes.dwarf.probes import FunctionProbe
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
    """Functions and statements: by debug information where it is there, else by symbol."""
    image = machine.image(elf, found.reasons)
    places: list[Expansion] = []
    if image is not None:
        from bridge.probes.dwarf.markers import place_marker
        from bridge.probes.dwarf.probes import Query

        query = Query(image, rest, partial(place_marker, machine.site_policy))
        probes = query.probes(found.reasons, found.near)
        places += [_described(program, probe) for probe in probes]
        taken = query.entries
    else:
        taken = frozenset()
    if image is not None and image.split and not taken:
        found.reasons.append(_split_off(program, image, machine))
    if rest[0].name == "function" and isinstance(rest[0].argument, str):
        places += _by_symbol(program, elf, rest, machine, found, taken)
    elif image is None:
        found.reasons.append(errors.no_debug_information(program.path, rest[0].name))
    return places


def _split_off(program: ProbedProgram, image: DebugImage, machine: Machine) -> Diagnostic:
    """Where the debug information is: in a package beside the program, or a file per unit."""
    package = f"{program.path}.dwp"
    file = package if machine.world.exists(package) else image.split
    return errors.split_debug_information(program.path, file)


def _by_symbol(
    program: ProbedProgram,
    elf: ElfFile,
    rest: Sequence[PointPart],
    machine: Machine,
    found: SearchNotes,
    taken: frozenset[int],
) -> list[Expansion]:
    """Functions by symbol; `taken` are the addresses of those that are known already."""
    pattern = str(rest[0].argument)
    suffix = rest[1].name if len(rest) > 1 else ""
    image = machine.image(elf, [])
    separate = machine.separate(elf) if image is None else image.separate
    if not taken and not has_functions(elf, separate):
        found.reasons.append(errors.no_symbols(program.path))
    if "@" in pattern or suffix in ("inline", "label", "callee", "callees"):
        if image is None:
            found.reasons.append(errors.by_source_file(program.path, pattern))
        return []
    found.near.append(partial(function_names, elf, separate))
    chosen: dict[str, list[ElfFunction]] = {}
    for function in functions_like(elf, separate, pattern):
        name = matching_name(function.names, pattern)
        if name is not None and function.address not in taken:
            chosen.setdefault(name, []).append(function)
    places = [_named(program, elf, name, them, suffix) for name, them in chosen.items()]
    if image is None or not image.split:
        return places
    hidden = _split_off(program, image, machine)
    places = [replace(place, reasons=(hidden,)) for place in places]
    if places and is_wild(pattern) and not suffix:  # inlined copies are left out
        note = replace(hidden, severity=Severity.WARNING)
        places[0] = replace(places[0], notes=(note,))
    return places


def _described(program: ProbedProgram, probe: FunctionProbe) -> Expansion:
    """A place by debug information."""
    strings = {"name": probe.marker.name}
    if probe.own_point:
        strings[OWN_NAME] = f"{program.prefix}.{probe.own_point}"
    return Expansion(
        MarkerAttachment(probe.marker, program.pid, program.follow_target),
        f"{program.prefix}.{probe.point}",
        strings,
        probe.scope,
        scope=probe.scope,
        entry=_described(program, probe.entry) if probe.entry is not None else None,
        callers=probe.callers,
        newest_first=True,
    )


def _named(
    program: ProbedProgram, elf: ElfFile, name: str, places: list[ElfFunction], suffix: str
) -> Expansion:
    """A function by symbol; its return knows where it is entered."""
    entered = function_marker(elf, name, places, returns=False)
    if suffix != "return":
        return _place(program, entered, suffix)
    returned = function_marker(elf, name, places, returns=True)
    return replace(_place(program, returned, suffix), entry=_place(program, entered, "call"))


def _place(program: ProbedProgram, marker: Marker, suffix: str) -> Expansion:
    return Expansion(
        MarkerAttachment(marker, program.pid, program.follow_target),
        f'{program.prefix}.function("{marker.name}")' + (f".{suffix}" if suffix else ""),
        {"name": marker.name},
        newest_first=True,
    )


# --- in a trace -------------------------------------------------------------------------------


def _recorded(parts: Sequence[PointPart], trace: RecordedTargets) -> Places:
    file, rest = trace.file_and_rest(parts)
    if rest[0].name != "function":
        return trace.none("statements", str(rest[0].argument), ())
    suffix = rest[1].name if len(rest) > 1 else ""
    kind = Kind.FUNCTION_RETURN if suffix == "return" else Kind.FUNCTION
    wanted = str(rest[0].argument)
    known = [c for c in trace.of_kinds(kind) if trace.is_file(c, file)]
    chosen = [c for c in known if fnmatchcase(c.name, wanted)]
    place = partial(_of_class, suffix=f".{suffix}" if suffix else "")
    return trace.best(parts[0], chosen, place) or trace.none("functions", wanted, known)


def _of_class(found: RecordedClass, pid: int, *, suffix: str) -> Expansion:
    return Expansion(
        found.attachment(pid),
        f'{found.program(pid)}.function("{found.name}"){suffix}',
        found.strings or {"name": found.name, "provider": found.provider},
        found.parts,
        newest_first=True,
    )


def _event_class(marker: Marker) -> str:
    returns = marker.kind is Kind.FUNCTION_RETURN
    return program_and_name(marker) + ("__return" if returns else "")


CALLEES = ("callee S", "callee S/call", "callee S/return", "callees", "callees N")
_PLACES = (
    *(
        f"function {argument}{suffix}"
        for argument in "SN"
        for suffix in ("", "/call", "/exported", "/inline", "/return")
    ),
    "function S/label S",
    *(f"function S/{callee}" for callee in CALLEES),
    "statement N",
    "statement S",
    "statement S/nearest",
)

FAMILY = Family(
    frozenset(
        f"{process}/{library}{place}"
        for process in PROCESSES
        for library in ("", "library S/")
        for place in _PLACES
    ),
    _expand,
    _recorded,
    stops=True,
    slices=True,
    event_class=_event_class,
    of_program=True,
    refused={
        "data": "hardware breakpoints are not set; probe the functions that write there",
    },
)
