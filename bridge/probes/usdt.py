"""`ElfFile` -> its USDT markers: notes of one name and arity are the sites of one marker."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from bridge.diagnostics import Sink
from bridge.markers import Kind, Marker, Memory, Operand, Register, Site, ValueType, Variable
from bridge.probes import errors, operands, symbols
from bridge.probes.elf import open_elf
from bridge.probes.safety import SitePolicy, site_fault
from bridge.probes.sdt import read_argument_names, read_notes
from bridge.probes.semaphores import semaphore
from bridge.probes.separate import separate_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.probes.elf import ElfFile
    from bridge.probes.sdt import ArgumentNames, Note
    from bridge.world import World

_ARGUMENT = re.compile(r"arg[0-9]+")
_C_TYPES = {1: "char", 2: "short", 4: "int", 8: "long"}


@dataclass(frozen=True, slots=True)
class _Placed:
    """A note with its site and operands."""

    note: Note
    site: Site
    operands: tuple[Operand | operands.UnreadableOperand, ...]


def _no_file() -> None:
    return None


def markers_of(path: str, world: World) -> tuple[Marker, ...]:
    """The USDT markers of a file; none if it is no ELF file or has none."""
    sink = Sink()
    elf = open_elf(world.real_path(path), world, sink)
    if elf is None or not elf.machine:
        return ()
    policy = SitePolicy(world.release)
    symbols = partial(separate_file, elf, world)
    notes, named = read_notes(elf, sink), read_argument_names(elf, sink)
    return tuple(read_markers(elf, notes, policy, sink, symbols, named))


def read_markers(
    elf: ElfFile,
    notes: Sequence[Note],
    policy: SitePolicy,
    sink: Sink,
    separate: Callable[[], ElfFile | None] = _no_file,
    named: ArgumentNames | None = None,
) -> list[Marker]:
    """The markers of some notes, in the order of their first notes.

    `separate` gives the file with the symbols of a stripped one, for operands that name any;
    `named` what the file says about the names of arguments.
    """
    address_of = partial(_address_of, elf, separate)
    groups: dict[tuple[str, str, int], list[_Placed]] = {}
    for note in notes:
        placed = _place(elf, note, policy, address_of, sink)
        if placed is not None:
            key = (note.provider, note.name, len(placed.operands))
            groups.setdefault(key, []).append(placed)
    return [
        _named(_marker(elf, provider, name, places), (named or {}).get((provider, name), ()))
        for (provider, name, _), places in groups.items()
    ]


def _named(marker: Marker, names: Sequence[tuple[str, str]]) -> Marker:
    """The marker with a second variable for each argument whose name the file gives.

    Names that do not fit the marker, or that another variable has, are left out.
    """
    arguments = {variable.name: variable for variable in marker.variables}
    if len(names) != len(arguments) + len(marker.unreadable):
        return marker
    second: dict[str, Variable] = {}
    for number, (name, ctype) in enumerate(names, 1):
        variable = arguments.get(f"arg{number}")
        taken = name in second or _ARGUMENT.fullmatch(name)
        if variable is not None and name and not taken:
            second[name] = replace(variable, name=name, ctype=ctype, alias=True)
    return replace(marker, variables=(*marker.variables, *second.values()))


def _address_of(elf: ElfFile, separate: Callable[[], ElfFile | None], name: str) -> int | None:
    found = symbols.address_of(elf, name)
    other = separate() if found is None else None
    return found if other is None else symbols.address_of(other, name)


def _place(
    elf: ElfFile,
    note: Note,
    policy: SitePolicy,
    address_of: Callable[[str], int | None],
    sink: Sink,
) -> _Placed | None:
    offset = elf.file_offset(note.address)
    what = f"the marker {note.provider}:{note.name}"
    if offset is None:
        sink.report(errors.unmapped(elf.path, what, note.address, note.at))
        return None
    counter = elf.semaphore_offset(note.semaphore) if note.semaphore else 0
    if counter is None:
        what = f"the semaphore of {note.provider}:{note.name}"
        sink.report(errors.unmapped(elf.path, what, note.semaphore, note.at))
        return None
    counted, problem = semaphore(elf, note.semaphore) if note.semaphore else (None, "")
    fault = site_fault(elf, note.address, policy) or problem
    site = Site(elf.path, offset, note.address, counter, fault, counted)
    image = operands.OperandContext(address_of, note.address, fixed=elf.is_fixed)
    found = [operands.operand(t, elf.machine, image) for t in operands.split(note.arguments)]
    return _Placed(note, site, tuple(found))


def _marker(elf: ElfFile, provider: str, name: str, places: Sequence[_Placed]) -> Marker:
    variables: list[Variable] = []
    unreadable: list[tuple[str, str]] = []
    for number in range(len(places[0].operands)):
        argument = f"arg{number + 1}"
        column = [place.operands[number] for place in places]
        known = tuple(o for o in column if not isinstance(o, operands.UnreadableOperand))
        if len(known) < len(column):
            reason = next(o.reason for o in column if isinstance(o, operands.UnreadableOperand))
            unreadable.append((argument, reason))
            continue
        everywhere = known[:1] if len(set(known)) == 1 else known
        variables.append(Variable(argument, ValueType.LONG, everywhere, _ctype(known)))
    return Marker(
        Kind.USDT,
        provider,
        name,
        tuple(place.site for place in places),
        tuple(variables),
        elf.machine,
        unreadable=tuple(unreadable),
    )


def _ctype(column: Sequence[Operand]) -> str:
    """A C type of the size and sign that the sites agree on; "" where they do not."""
    kinds = {(o.size, o.signed) for o in column if isinstance(o, Register | Memory)}
    if len(kinds) != 1:
        return ""
    size, signed = kinds.pop()
    return _C_TYPES[size] if signed else f"unsigned {_C_TYPES[size]}"
