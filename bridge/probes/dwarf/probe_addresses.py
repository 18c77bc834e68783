"""`function("f@file.c")`, `statement("f@file.c:17")` -> instructions, by debug information.

Comes in: what is written in a probe point. Goes out: a `ProbeAddress` for each instruction, by
address, with the function that it is in. Source: stapprobes(3stap), "DWARF"; the choice of
addresses is SystemTap's: functions behind their prologue, statements at the lowest address of
their line in each function, and inlined copies beside the functions that they are in.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bridge.probes.dwarf import die as entries
from bridge.probes.dwarf.callees import callees
from bridge.probes.dwarf.units import is_in
from bridge.probes.points import is_wild

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from bridge.markers import PointPart
    from bridge.probes.dwarf.callees import Callee
    from bridge.probes.dwarf.image import DebugImage
    from bridge.probes.dwarf.units import DebugFunction, Unit

_SPEC = re.compile(r"(?P<name>[^@]*)(?:@(?P<file>[^:+]*)(?P<lines>[:+].*)?)?\Z")
_LINES = re.compile(r":(?:\*|\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)|\+\d+")


@dataclass(frozen=True, slots=True)
class Spec:
    """`name@file:lines`; `lines` is "" or as it is written, with its `:` or `+`."""

    name: str
    file: str = ""
    lines: str = ""


@dataclass(frozen=True, slots=True)
class ProbeAddress:
    """An instruction, the function that it is in, and how a probe point there is written."""

    function: DebugFunction
    address: int
    text: str
    caller: str = ""
    """For a callee: how the function that calls it is written."""
    chains: tuple[tuple[int, ...], ...] = ()
    """For a callee: the return addresses of the calls that count, from it outwards."""
    label: str = ""


def parse_spec(text: str) -> Spec | None:
    """The parts of a specification; None if it is none."""
    match = _SPEC.match(text)
    if match is None or not match["name"]:
        return None
    lines = match["lines"] or ""
    if lines and not _LINES.fullmatch(lines):
        return None
    return Spec(match["name"], match["file"] or "", lines)


def matching(
    image: DebugImage, spec: Spec, units: Container[int] | None = None
) -> Iterator[DebugFunction]:
    """The functions that a specification names, inlined copies as well; of some units only."""
    last = spec.name.rpartition("::")[2]
    for function in image.functions(last, spec.file, units):
        if _is_named(function, spec.name):
            yield function
    if "::" not in spec.name:
        for function in image.aliased(spec.name):
            if is_in(function.file, spec.file):
                yield function


def _is_named(function: DebugFunction, pattern: str) -> bool:
    return "::" not in pattern or fnmatchcase(function.full_name, pattern.removeprefix("::"))


def function_places(image: DebugImage, spec: Spec, suffix: str) -> list[ProbeAddress]:
    """Where functions start (or, for `return`, what returns)."""
    found = []
    for function in matching(image, spec):
        if _is_wanted(function, suffix):
            address = function.entry if suffix == "return" else function.start
            found.append(ProbeAddress(function, address, function_text(function)))
    return _ordered(found)


def _is_wanted(function: DebugFunction, suffix: str) -> bool:
    if suffix == "exported":
        return not function.inlined and function.is_external
    if suffix in ("call", "return"):
        return not function.inlined
    return function.inlined or suffix != "inline"


def callee_places(
    image: DebugImage, spec: Spec, callee: PointPart, suffix: str
) -> Iterator[ProbeAddress]:
    """Where functions start that some functions call (or, for `return`, what returns)."""
    pattern, depth = "*", 1
    if callee.name == "callee":
        pattern = str(callee.argument)
    elif isinstance(callee.argument, int):
        depth = callee.argument
    chains: dict[tuple[int, int], set[tuple[int, ...]]] = {}
    found: dict[tuple[int, int], Callee] = {}
    for function in matching(image, spec):
        for one in callees(function, pattern, depth):
            key = one.caller.record.ref, one.function.record.ref
            if _is_wanted(one.function, suffix):
                chains.setdefault(key, set()).add(one.chain)
                found.setdefault(key, one)
    for key, one in found.items():
        address = one.function.entry if suffix == "return" else one.function.start
        kept = () if () in chains[key] else tuple(sorted(chains[key]))
        text = function_text(one.function)
        yield ProbeAddress(one.function, address, text, function_text(one.caller), kept)


def function_text(function: DebugFunction, line: int = 0) -> str:
    """How SystemTap names a function in a probe point, or a line of it that has a label."""
    if not function.file:
        return function.name
    return f"{function.name}@{function.file}:{line or function.line}"


def _ordered(places: Iterable[ProbeAddress]) -> list[ProbeAddress]:
    found = {(place.address, place.text): place for place in places}
    return [found[key] for key in sorted(found)]


# --- statements ---


def statement_places(
    image: DebugImage, spec: Spec, *, nearest: bool = False
) -> list[ProbeAddress]:
    """The statements that a specification names."""
    if not spec.lines:
        return _ordered(
            ProbeAddress(f, f.entry, function_text(f)) for f in matching(image, spec)
        )
    found = []
    for function in _near(image, spec, nearest=nearest):
        for line, address, file in _lines(function, spec, nearest=nearest):
            found.append(ProbeAddress(function, address, f"{function.name}@{file}:{line}"))
    return _ordered(found)


def _near(image: DebugImage, spec: Spec, *, nearest: bool) -> Iterator[DebugFunction]:
    """The functions by name, less those in whose code no row can be meant."""
    beginning: dict[int, list[int]] = {}
    for function in matching(image, Spec(spec.name), image.units_of_file(spec.file)):
        unit = function.unit
        if unit.number not in beginning:
            wanted = None if nearest else _fixed_lines(spec.lines)
            beginning[unit.number] = _beginning(unit, spec.file, wanted)
        addresses = beginning[unit.number]
        if any(
            bisect_left(addresses, low) < bisect_left(addresses, high)
            for low, high in function.ranges
        ):
            yield function


def _beginning(unit: Unit, file: str, wanted: list[tuple[int, int]] | None) -> list[int]:
    """The addresses of a unit's rows that are of a file and (not None) of some lines."""
    files = unit.files_like(file)
    if not files:
        return []
    return [
        row.address
        for row in unit.rows
        if row.file in files
        and (wanted is None or any(low <= row.line <= high for low, high in wanted))
    ]


def _fixed_lines(lines: str) -> list[tuple[int, int]] | None:
    """Ranges of lines; None where they are all, or count from the function."""
    return None if lines.startswith("+") else _wanted(lines, 0)


def _lines(
    function: DebugFunction, spec: Spec, *, nearest: bool
) -> Iterator[tuple[int, int, str]]:
    """The lines of a function that are meant, with their first addresses."""
    unit = function.unit
    files = unit.files_like(spec.file)
    first: dict[tuple[int, str], int] = {}
    for row in function.rows:
        if not row.end and row.line and row.file in files:
            first.setdefault((row.line, unit.names[row.file]), row.address)
    wanted = _wanted(spec.lines, function.line)
    if wanted is None:
        above = function.line if not is_wild(spec.name) else 0
        yield from _all_lines(function.file, above, first)
        return
    several, taken = any(low < high for low, high in wanted), set()
    for (line, file), address in sorted(first.items()):
        if any(low <= line <= high for low, high in wanted) and address not in taken:
            yield line, address, file
            taken |= {address} if several else set()
    if nearest and wanted is not None:
        lines = {line for line, _ in first}
        for low, _ in wanted:
            if lines and low not in lines:
                line = min(lines, key=lambda one: (abs(one - low), one))
                key = next(key for key in first if key[0] == line)
                yield line, first[key], key[1]


def _all_lines(
    own: str, above: int, first: Mapping[tuple[int, str], int]
) -> Iterator[tuple[int, int, str]]:
    """The first line at each address, but for those of inlined code above a line of a file."""
    at: dict[int, tuple[int, str]] = {}
    for (line, file), address in first.items():
        if file != own or line >= above:
            at.setdefault(address, (line, file))
    for address, (line, file) in sorted(at.items(), key=lambda one: one[1]):
        yield line, address, file


def _wanted(lines: str, start: int) -> list[tuple[int, int]] | None:
    """Ranges of lines; None for all."""
    if lines == ":*":
        return None
    if lines.startswith("+"):
        line = start + int(lines[1:])
        return [(line, line)]
    found = []
    for piece in lines[1:].split(","):
        low, _, high = piece.partition("-")
        found.append((int(low), int(high or low)))
    return found


# --- addresses ---


def function_at(image: DebugImage, address: int) -> DebugFunction | None:
    """The innermost function around an address."""
    around = map(image.function, image.index.holding(address))
    return min(around, key=_extent, default=None)


def _extent(function: DebugFunction) -> tuple[int, bool]:
    return sum(high - low for low, high in function.ranges), not function.inlined


def statement_at(function: DebugFunction, address: int) -> tuple[bool, int]:
    """Whether an address begins a statement; and where the one that holds it begins."""
    begins = [row.address for row in function.rows]
    before = max((b for b in begins if b <= address), default=0)
    return address in begins, before


def labels(function: DebugFunction, pattern: str) -> Sequence[tuple[str, int, int]]:
    """The labels of a function that have code: their names, addresses and lines."""
    found = []
    pending = list(function.die.iter_children())
    while pending:
        die = pending.pop(0)
        if die.tag == "DW_TAG_lexical_block":
            pending += die.iter_children()
        address = entries.own(die, "DW_AT_low_pc")
        name = entries.name_of(die)
        if die.tag == "DW_TAG_label" and address is not None and fnmatchcase(name, pattern):
            found.append((name, address.value, entries.number(die, "DW_AT_decl_line") or 0))
    return found
