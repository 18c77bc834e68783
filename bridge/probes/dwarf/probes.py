"""The rest of a probe point behind `process(...)` -> probes, by debug information."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bridge.probes import errors
from bridge.probes.dwarf import probe_addresses as places
from bridge.probes.dwarf.die import FAULTS
from bridge.probes.dwarf.markers import place_marker
from bridge.probes.dwarf.probe_addresses import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bridge.diagnostics import Diagnostic
    from bridge.markers import Marker, PointPart
    from bridge.probes.dwarf.image import Image
    from bridge.probes.dwarf.scope import FunctionScope
    from bridge.probes.safety import SitePolicy


@dataclass(frozen=True)
class Probe:
    """A marker with what can be named there; `point` is the point behind `process(...)`.

    For a return, `entry` is the probe on the same function where it is entered.
    """

    marker: Marker
    scope: FunctionScope
    point: str
    entry: Probe | None = None


@dataclass
class Query:
    """One question: what do these components of a probe point stand for?"""

    image: Image
    rest: Sequence[PointPart]
    policy: SitePolicy
    entries: frozenset[int] = frozenset()
    """Addresses of the functions that were found."""

    @cached_property
    def _suffix(self) -> str:
        return self.rest[1].name if len(self.rest) > 1 else ""

    def probes(
        self, reasons: list[Diagnostic], near: list[Callable[[], Iterable[str]]]
    ) -> list[Probe]:
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

    def _probe(self, place: Place) -> Probe | None:
        returns = self._suffix == "return"
        found = place_marker(self.image, place, self.policy, returns=returns)
        if found is None:
            return None
        point = self._point(place)
        if not returns:
            return Probe(*found, point)
        start = Place(place.function, place.function.start, place.text)
        entered = place_marker(self.image, start, self.policy, returns=False)
        entry = Probe(*entered, point.removesuffix(".return") + ".call") if entered else None
        return Probe(*found, point, entry)

    def _point(self, place: Place) -> str:
        name, argument = self.rest[0].name, self.rest[0].argument
        shown = f"{argument:#x}" if isinstance(argument, int) else f'"{place.text}"'
        point = f"{name}({shown})"
        if self._suffix == "label":
            return f'{point}.label("{self.rest[1].argument}")'
        return f"{point}.{self._suffix}" if self._suffix else point

    # --- places ---

    def _places(self, reasons: list[Diagnostic]) -> Iterator[Place]:
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
        elif self._suffix == "label":
            yield from self._labels(spec)
        else:
            yield from places.function_places(self.image, spec, self._suffix)

    def _labels(self, spec: places.Spec) -> Iterator[Place]:
        pattern = str(self.rest[1].argument)
        for function in places.matching(self.image, spec):
            for _, address in places.labels(function, pattern):
                yield Place(function, address, places.function_text(function))

    def _address(self, address: int, reasons: list[Diagnostic]) -> Iterator[Place]:
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
        yield Place(function, address, places.function_text(function))
