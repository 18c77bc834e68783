"""Functions of the kernel that are called otherwise by now, or are served by tracepoints.

Comes in: a point on a function of the kernel. Goes out: its places, or None where nothing is to
be done about it. One rule: what is used instead is told in one note, and never taken where the
function itself is there and can be probed.
Source: tapset/moved.toml, tapset/tracepoints.toml.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bridge.diagnostics import Diagnostic, Severity
from bridge.markers import NoMatch, PointPart
from bridge.probes.kernel import names
from bridge.probes.kernel.symbols import module_name
from bridge.probes.points import is_wild

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.markers import Expansion
    from bridge.probes.kernel.functions import KernelFunctions
    from bridge.probes.kernel.names import TracepointPlace

    Trace = Callable[[str], tuple[Expansion, ...] | NoMatch]
    """What a tracepoint's name stands for."""
    _Found = tuple[Expansion, ...] | NoMatch | None

_PLAIN = frozenset({"call", "exported", "maxactive", "return"})
"""Suffixes that mean as much at a tracepoint as at a function."""
_CALL = re.compile(r"(?:(?:__)?(?:x64|arm64|ia32|se|do)_sys|ksys|SyS|sys)_(?P<call>\w+)$")
"""`sys_open` and what the kernel called it later."""


@dataclass
class Elsewhere:
    """Where functions are found on one machine; `reached`: whether any can be probed."""

    functions: KernelFunctions
    trace: Trace
    reached: Callable[[], bool]
    strict: bool
    _told: set[str] = field(default_factory=set)

    def expand(self, parts: Sequence[PointPart]) -> _Found:
        """The places of a point on a function."""
        name = _function(parts)
        symbols = self.functions.symbols
        if not name or not symbols.known:
            return None
        module = _module(parts)
        if module is not None:
            if self.strict or self._in_modules(name, module):
                return None
            return self._moved_of_module(name, module, parts)
        if symbols.named(name, ""):
            return None if self.reached() else self._at_tracepoints(name, parts)
        return None if self.strict else self._moved(name, parts)

    def of_file(self, parts: Sequence[PointPart]) -> _Found:
        """The places of functions of a source file that there is no more, or in a module."""
        after = _from_function(parts)
        name, at, file = str(after[0].argument).partition("@") if after else ("", "", "")
        if not at or ":" in file or self.strict:
            return None
        for other in names.files(file):
            part = replace(after[0], argument=f"{name}@{other}")
            found = self.functions.expand([part if one is after[0] else one for one in parts])
            if not isinstance(found, NoMatch):
                note = f"the source file {file} is {other} in this kernel"
                return self._with_note(list(found), Diagnostic("moved-name", note))
        owner = self._built_from(file) if len(after) == len(parts) - 1 else ""
        if not owner or parts[0].name != "kernel":
            return None
        head = PointPart("module", owner, parts[0].token)
        return self._noted((head, *after), f"{file} is of the module {owner} in this kernel")

    def _built_from(self, file: str) -> str:
        """The loaded module that has the name of a source file."""
        stem = file.rpartition("/")[2].removesuffix(".c").replace("-", "_")
        return stem if stem in self.functions.symbols.modules() else ""

    # --- tracepoints ---

    def _at_tracepoints(
        self, name: str, parts: Sequence[PointPart]
    ) -> tuple[Expansion, ...] | None:
        place = names.places().get(name) or _system_call(name)
        if place is None or parts[0].name == "kprobe":  # whoever says kprobe reads registers
            return None
        events = place.returned if _returns(parts) else place.entered
        found = [
            _stand_in(expansion, name, parts, place)
            for event in events
            if not isinstance(expansions := self.trace(event), NoMatch)
            for expansion in expansions
        ]
        if not found:
            return None
        used = " and ".join(f'kernel.trace("{_event(one)}")' for one in found)
        but = f"; {place.but}" if place.but else ""
        what = f'kernel.function("{name}"){".return" if _returns(parts) else ""}'
        note = Diagnostic("used-instead", f"{what} is served by {used}{but}")
        return self._with_note(found, note)

    def _moved(self, name: str, parts: Sequence[PointPart]) -> _Found:
        """A function that the kernel does not have under this name."""
        call = _system_call(name)
        if call is not None:
            return self._at_tracepoints(name, parts)
        for other in (name, *names.functions(name)):
            if self.functions.symbols.named(other, ""):
                return self._called(name, other, parts)
            owner = self._owner(other)
            if owner:
                return self._of_module(name, other, owner, parts)
        if name in names.places():
            return self._at_tracepoints(name, parts)
        instead = names.gone(name)
        if instead:
            message = f"the kernel has no function {name} any more: {instead}"
            return NoMatch(1, message, code="gone-function")
        return None

    # --- modules ---

    def _in_modules(self, name: str, module: str) -> bool:
        found = self.functions.symbols.named(name)
        return any(fnmatchcase(one.module, module_name(module)) for one in found if one.module)

    def _loaded(self, module: str) -> list[str]:
        pattern = module_name(module)
        return [m for m in self.functions.symbols.modules() if fnmatchcase(m, pattern)]

    def _owner(self, name: str) -> str:
        """The one loaded module that has a function."""
        symbols = self.functions.symbols
        owners = {symbol.module for symbol in symbols.named(name) if symbol.module}
        return owners.pop() if len(owners) == 1 else ""

    def _moved_of_module(self, name: str, module: str, parts: Sequence[PointPart]) -> _Found:
        """A function that a module does not have: renamed there, or built into the kernel."""
        loaded = self._loaded(module)
        for other in names.functions(name):
            if self._in_modules(other, module):
                part = replace(_function_part(parts), argument=other)
                moved = tuple(part if p.name == "function" else p for p in parts)
                return self._noted(moved, f"the function {name} of {module} is {other} now")
        if loaded or is_wild(module) or not self.functions.symbols.named(name, ""):
            return None
        built_in = (PointPart("kernel", None, parts[0].token), *_from_function(parts))
        return self._noted(built_in, f"the module {module} is built into this kernel")

    def _of_module(
        self, name: str, other: str, owner: str, parts: Sequence[PointPart]
    ) -> _Found:
        """A function of the kernel that is one of a module here."""
        if parts[0].name == "kprobe":
            head: tuple[PointPart, ...] = (parts[0], PointPart("module", owner, parts[0].token))
        else:
            head = (PointPart("module", owner, parts[0].token),)
        part = replace(_function_part(parts), argument=other)
        called = f" {other}" if other != name else ""
        note = f"the function {name} is{called} of the module {owner} in this kernel"
        return self._noted((*head, part, *_from_function(parts)[1:]), note)

    def _noted(self, parts: Sequence[PointPart], text: str) -> _Found:
        places = self.functions.expand(parts)
        if isinstance(places, NoMatch):
            return places
        return self._with_note(list(places), Diagnostic("moved-name", text))

    # --- parameters ---

    def with_parameters(self, place: Expansion) -> Expansion:
        """A function with its former parameters, which ways from those of today lead to."""
        function = place.strings["name"]
        ways, gone = names.parameters(function), names.gone_parameters(function)
        if (not ways and not gone) or place.scope is None or self.strict:
            return place
        known = {one.name for one in place.scope.listed() if one.parameter}
        there = {
            name: way
            for name, way in ways.items()
            if name not in known and way.partition("->")[0] in known
        }
        lost = {
            name: f"this kernel's {function} has it no more: {instead}"
            for name, instead in gone.items()
            if name not in known
        }
        return replace(
            place,
            renamed={**place.renamed, **there},
            absent={**place.absent, **lost},
            entry=None if place.entry is None else self.with_parameters(place.entry),
        )

    def _called(self, name: str, other: str, parts: Sequence[PointPart]) -> _Found:
        part = replace(parts[1], argument=other)
        moved = (parts[0], part, *parts[2:])
        if not self.reached():
            found = self._at_tracepoints(name, parts) or self._at_tracepoints(other, moved)
            if found is not None:
                return found
        places = self.functions.expand(moved)
        if isinstance(places, NoMatch):
            return places
        note = Diagnostic("moved-name", f"the function {name} is {other} in this kernel")
        return self._with_note(list(places), note)

    # --- tracepoints of other names, and their arguments ---

    def tracepoint(self, pattern: str) -> tuple[Expansion, ...] | None:
        """A tracepoint that is called otherwise by now."""
        event = pattern.rpartition(":")[2]
        other = "" if self.strict else names.tracepoint(event)
        if not other:
            return None
        found = self.trace(other)
        if isinstance(found, NoMatch):
            return None
        what = f"the tracepoint {event} is {_event(found[0])} in this kernel"
        return self._with_note(list(found), Diagnostic("moved-name", what))

    def with_arguments(self, place: Expansion) -> Expansion:
        """A tracepoint with its former arguments, which ways from those of today lead to."""
        event = _event(place).rpartition(":")[2]
        known = {variable.name for variable in place.variables}
        ways = {
            name: way
            for name, way in names.arguments(event).items()
            if name not in known and way.partition("->")[0] in known
        }
        gone = {
            name: f"this kernel's tracepoint has it no more: {instead}"
            for name, instead in names.gone_arguments(event).items()
            if name not in known
        }
        if not ways and not gone:
            return place
        return replace(
            place, renamed={**place.renamed, **ways}, absent={**place.absent, **gone}
        )

    # --- notes ---

    def _with_note(self, found: list[Expansion], note: Diagnostic) -> tuple[Expansion, ...]:
        """The places, the first of them with what is to be told, unless that has been."""
        if note.message not in self._told:
            self._told.add(note.message)
            warning = replace(note, severity=Severity.WARNING)
            found[0] = replace(found[0], notes=(*found[0].notes, warning))
        return tuple(found)


def _function(parts: Sequence[PointPart]) -> str:
    """The one function that a point is about; "" if it is about anything else."""
    after = _from_function(parts)
    if not after or any(part.name not in _PLAIN for part in after[1:]):
        return ""
    name = after[0].argument
    if not isinstance(name, str) or is_wild(name):
        return ""
    return name.partition("@")[0]


def _from_function(parts: Sequence[PointPart]) -> Sequence[PointPart]:
    """The part that names the function, and what follows it."""
    start = 2 if len(parts) > 1 and parts[1].name == "module" else 1
    rest = parts[start:]
    return rest if rest and rest[0].name == "function" else ()


def _function_part(parts: Sequence[PointPart]) -> PointPart:
    return _from_function(parts)[0]


def _module(parts: Sequence[PointPart]) -> str | None:
    """The module that a point is in; None for the kernel itself."""
    named = next((part for part in parts[:2] if part.name == "module"), None)
    return None if named is None else str(named.argument)


def _returns(parts: Sequence[PointPart]) -> bool:
    return any(part.name == "return" for part in parts[2:])


def _event(place: Expansion) -> str:
    """The tracepoint of a place."""
    return (
        f"{place.strings.get('system', '')}:{place.strings.get('event', place.strings['name'])}"
    )


def _system_call(name: str) -> TracepointPlace | None:
    """The events of the system call that a function is for."""
    found = _CALL.match(name)
    if found is None:
        return None
    call = found["call"]
    return names.TracepointPlace(
        (name,), (f"syscalls:sys_enter_{call}",), (f"syscalls:sys_exit_{call}",)
    )


def _stand_in(
    event: Expansion, name: str, parts: Sequence[PointPart], place: TracepointPlace
) -> Expansion:
    """A tracepoint as the place of a function."""
    suffix = ".return" if _returns(parts) else ""
    ways = _ways(event, place.variables)
    absent = f'kernel.trace("{_event(event)}"), which serves {name} here, does not have it'
    entry = event.entry
    if suffix:  # what has no entry of its own saves there what it knows at the return
        entry = _stand_in(entry or event, name, parts[:2], place)
    strings = {**event.strings, "event": event.strings["name"], "name": name}
    return replace(
        event,
        point=f'kernel.function("{name}"){suffix}',
        strings=strings,
        renamed={**event.renamed, **ways},
        absent={**event.absent, "*": absent},
        entry=entry,
        only=place.only,
    )


def _ways(event: Expansion, variables: Mapping[str, str]) -> dict[str, str]:
    """The parameters that have another name at the tracepoint, as far as that has them."""
    known = {variable.name for variable in event.variables}
    return {
        name: way
        for name, way in variables.items()
        if name not in known and way.partition("->")[0] in known
    }
