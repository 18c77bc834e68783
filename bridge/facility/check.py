"""A facility whose references are all declared -> nothing, or an error at the right line.

A named type may not contain itself, and an event may not hold more values than a reader can
keep. The rule: the work is bounded by the length of the description, whatever it says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.facility import model

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.facility.tokens import FacilityError

MOST_VALUES = 1 << 18
"""Of an event, sequences counted as empty."""


def references(kind: model.Type) -> list[model.Ref]:
    """The named types that a type is made of."""
    match kind:
        case model.Ref():
            return [kind]
        case model.Array():
            return references(kind.element)
        case model.Sequence():
            return references(kind.count) + references(kind.element)
        case model.Compound():
            return [found for m in kind.members for found in references(m.type)]
        case _:
            return []


def check(facility: model.Facility, fail: Callable[[int, str], FacilityError]) -> None:
    """Raise what `fail` makes of the first thing that is wrong."""
    _check_cycles(facility, fail)
    weights: dict[str, int] = {}
    for event in facility.events:
        if sum(_weight(facility, m.type, weights) for m in event.members) > MOST_VALUES:
            raise fail(event.line, f"event {event.name} has more than {MOST_VALUES} values")


def _check_cycles(facility: model.Facility, fail: Callable[[int, str], FacilityError]) -> None:
    edges = {name: references(kind) for name, kind in facility.types.items()}
    done: set[str] = set()
    while ready := [
        name
        for name, used in edges.items()
        if name not in done and all(ref.name in done for ref in used)
    ]:
        done.update(ready)
    for name, used in edges.items():
        for ref in used:
            if name not in done and ref.name not in done:
                raise fail(ref.line, f"type {name} contains itself")


def _weight(facility: model.Facility, kind: model.Type, known: dict[str, int]) -> int:
    """How many values a type holds at least; bounds what nested arrays may cost."""
    match kind:
        case model.Ref():
            if kind.name not in known:
                known[kind.name] = _weight(facility, facility.types[kind.name], known)
            return known[kind.name]
        case model.Array():
            return kind.length * max(1, _weight(facility, kind.element, known))
        case model.Sequence():
            return 1 + _weight(facility, kind.element, known)
        case model.Compound():
            return sum(_weight(facility, m.type, known) for m in kind.members)
        case _:
            return 1


__all__ = ["check", "references"]
