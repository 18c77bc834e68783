"""Fields of an event -> the arguments of its marker, in their order.

A sequence is two arguments, its count and the address of its elements; an array, struct or
union is its address. The rule: every writer that speaks of `$argN` counts by this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bridge.errors import TraceError
from bridge.facility import model

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 12
"""Arguments of a marker."""


class CArgument(NamedTuple):
    """An argument: the field that it is of, and what of it it is."""

    member: model.Member
    type: model.Type
    """The field's type behind its name."""
    part: str = ""
    """"count" or "elements" of a sequence, "address" of what is passed by it."""


def has_buffer(event: model.Event) -> bool:
    """Whether the program hands the event over as bytes that it serialised itself."""
    return ("param", "buffer") in event.attributes


def arguments(facility: model.Facility, event: model.Event) -> tuple[CArgument, ...]:
    """The arguments of the event's marker.

    Raises:
        TraceError: there are too many.

    """
    found = tuple(argument for member in event.members for argument in _of(facility, member))
    if len(found) > MOST and not has_buffer(event):
        raise TraceError(
            f"event {event.name} needs {len(found)} arguments; a marker has {MOST} at most"
        )
    return found


def _of(facility: model.Facility, member: model.Member) -> Iterator[CArgument]:
    kind = facility.resolve(member.type)
    match kind:
        case model.Sequence():
            yield CArgument(member, kind, "count")
            yield CArgument(member, kind, "elements")
        case model.Array() | model.Compound():
            yield CArgument(member, kind, "address")
        case _:
            yield CArgument(member, kind)


__all__ = ["MOST", "CArgument", "arguments", "has_buffer"]
