"""The rest of a probe point behind `process(...)` -> probes, by debug information."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from bridge.probes import errors
from bridge.probes.dwarf import probe_addresses as places
from bridge.probes.dwarf.called import Called, called_from
from bridge.probes.dwarf.die import FAULTS
from bridge.probes.dwarf.probe_addresses import ProbeAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bridge.diagnostics import Diagnostic
    from bridge.markers import Callers, Marker, PointPart, Scope
    from bridge.probes.dwarf.image import DebugImage


@dataclass(frozen=True)
class FunctionProbe:
    """A marker with what can be named there; `point` is the point behind `process(...)`.

    For a return, `entry` is the probe on the same function where it is entered.
    """

    marker: Marker
    scope: Scope
    point: str
    entry: FunctionProbe | None = None
    callers: Callers = ()
    own_point: str = ""
    """For a callee: what pp() calls it, which says nothing of its caller."""


class MarkPlace(Protocol):
    """What makes markers of places."""

    def __call__(
        self, image: DebugImage, place: ProbeAddress, *, returns: bool
    ) -> tuple[Marker, Scope] | None:
        """The marker of a place and what can be named there."""
        ...


@dataclass
class Query:
    """One question: what do these components of a probe point stand for?"""

    image: DebugImage
    rest: Sequence[PointPart]
    mark: MarkPlace
    """What makes the marker of a place, of its return if `returns`; None: there is none."""
    entries: frozenset[int] = frozenset()
    """Addresses of the functions that were found."""

    @cached_property
    def _suffix(self) -> str:
        if len(self.rest) > 1 and self._is_callee:
            return self.rest[2].name if len(self.rest) > 2 else ""
        return self.rest[1].name if len(self.rest) > 1 else ""

    @property
    def _is_callee(self) -> bool:
        return len(self.rest) > 1 and self.rest[1].name in ("callee", "callees")

    def probes(
        self, reasons: list[Diagnostic], near: list[Callable[[], Iterable[str]]]
    ) -> list[FunctionProbe]:
        """All there are; what is wrong, and names to suggest, are added to the lists."""
        path = self.image.elf.path
        try:
            found = list(self._places(reasons))
            self.entries = frozenset(place.function.entry for place in found)
            if not found:
                near.append(self.image.function_names)
            return [probe for place in found if (probe := self._probe(place)) is not None]
        except FAULTS as error:
            reasons.append(errors.bad_debug_information(path, str(error)))
            return []

    def _own_point(self, place: ProbeAddress) -> str:
        if not self._is_callee:
            return ""
        end = f".{self._suffix}" if self._suffix else ""
        return f'{self.rest[0].name}("{place.text}"){end}'

    def _probe(self, place: ProbeAddress) -> FunctionProbe | None:
        returns = self._suffix == "return"
        found = self.mark(self.image, place, returns=returns)
        start = ProbeAddress(place.function, place.function.start, place.text)
        called = self._called(start if returns else place, place)
        if found is None or called is None:
            return None
        point, own = self._point(place), self._own_point(place)
        if not returns:
            return FunctionProbe(
                found[0], called.within(found[1]), point, None, called.callers, own
            )
        entered = self.mark(self.image, start, returns=False)
        if entered is None:
            return FunctionProbe(*found, point, own_point=own)
        entry_point = point.removesuffix(".return") + ".call"
        entry = FunctionProbe(entered[0], called.within(entered[1]), entry_point)
        return FunctionProbe(*found, point, entry, called.callers, own)

    def _called(self, where: ProbeAddress, place: ProbeAddress) -> Called | None:
        """Which calls of a callee count; all where it is none."""
        if not place.chains:
            return Called({}, ())
        return called_from(self.image, place.function, where.address, place.chains)

    def _point(self, place: ProbeAddress) -> str:
        name, argument = self.rest[0].name, self.rest[0].argument
        shown = f"{argument:#x}" if isinstance(argument, int) else f'"{place.text}"'
        point = f"{name}({shown})"
        if self._is_callee:
            end = f".{self._suffix}" if self._suffix else ""
            return f'{name}("{place.caller}").callee({shown}){end}'
        if self._suffix == "label":
            return f'{point}.label("{place.label}")'
        return f"{point}.{self._suffix}" if self._suffix else point

    # --- places ---

    def _places(self, reasons: list[Diagnostic]) -> Iterator[ProbeAddress]:
        argument = self.rest[0].argument
        if isinstance(argument, int):
            yield from self._address(argument, reasons)
            return
        spec = places.parse_spec(str(argument))
        if spec is None:
            reasons.append(errors.bad_specification(self.image.elf.path, str(argument)))
        elif self.rest[0].name == "statement":
            nearest = self._suffix == "nearest"
            found = places.statement_places(self.image, spec, nearest=nearest)
            if not found and spec.lines and not self.image.split:
                where = f"{spec.file}{spec.lines}"
                reasons.append(errors.no_line(self.image.elf.path, where))
            yield from found
        elif self._is_callee:
            yield from places.callee_places(self.image, spec, self.rest[1], self._suffix)
        elif self._suffix == "label":
            yield from self._labels(spec)
        else:
            yield from places.function_places(self.image, spec, self._suffix)

    def _labels(self, spec: places.Spec) -> Iterator[ProbeAddress]:
        pattern = str(self.rest[1].argument)
        for function in places.matching(self.image, spec):
            for name, address, line in places.labels(function, pattern):
                text = places.function_text(function, line)
                yield ProbeAddress(function, address, text, label=name)

    def _address(self, address: int, reasons: list[Diagnostic]) -> Iterator[ProbeAddress]:
        function = places.function_at(self.image, address)
        if function is None:
            return
        begins, before = places.statement_at(function, address)
        if not begins:
            path = self.image.elf.path
            reasons.append(errors.not_a_statement(path, address, before))
            return
        if self.rest[0].name == "function":
            address = function.entry if self._suffix == "return" else function.start
        yield ProbeAddress(function, address, places.function_text(function))
