"""Which fields a viewer shows: not the packet's housekeeping, and not values of the clock.

As babeltrace2 decides it: such a number is shown only where it is the length or the tag of
something that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.trace.ctf.layout import CtfScope
from bridge.trace.model import (
    Enumeration,
    FieldType,
    FixedArray,
    Integer,
    Optional,
    Sequence,
    Struct,
    Variant,
)
from bridge.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.trace.ctf.cursor import Plan

HOUSEKEEPING = frozenset(
    (
        "timestamp_begin",
        "timestamp_end",
        "content_size",
        "packet_size",
        "packet_seq_num",
        "events_discarded",
    )
)


def _references(type_: FieldType | None) -> Iterator[str]:
    """The names of the numbers that lengths and tags in a type lead to."""
    match type_:
        case Struct(fields=fields):
            for member in fields:
                yield from _references(member.type)
        case Variant(tag=tag, options=options):
            yield tag.rpartition(".")[2]
            for member in options:
                yield from _references(member.type)
        case Sequence(element=element, length=length):
            yield length.rpartition(".")[2]
            yield from _references(element)
        case Optional(element=element, tag=tag):
            yield tag.rpartition(".")[2]
            yield from _references(element)
        case FixedArray(element=element):
            yield from _references(element)
        case _:
            return


def references(plan: Plan) -> frozenset[str]:
    """The names of all lengths and tags of a trace, but for those in event headers."""
    structs: list[Struct | None] = []
    for stream in plan.streams:
        structs += (stream.packet_context, stream.event_context)
    for event in plan.events:
        structs += (event.event.context, event.event.payload)
    return frozenset(name for struct in structs for name in _references(struct))


def shown(plan: Plan, scope: CtfScope) -> ShownFields:
    """What decides about a scope of a trace."""
    return ShownFields(scope, references(plan), plan.description.version == 2)


@dataclass(frozen=True, slots=True)
class ShownFields:
    """Decides about the fields of one scope.

    `exact`: as in CTF 2, each field with a role is hidden; else names and references decide.
    """

    scope: CtfScope
    referenced: frozenset[str]
    exact: bool = False

    def hides(self, name: str, type_: FieldType, depth: int = 0) -> bool:
        """Whether a field is not shown."""
        match type_:
            case Integer(roles=roles) | Enumeration(container=Integer(roles=roles)) if (
                self.exact
            ):
                return roles != ()
            case Integer(clock=clock) | Enumeration(container=Integer(clock=clock)):
                known = (
                    self.scope is CtfScope.PACKET_CONTEXT
                    and depth == 0
                    and name in HOUSEKEEPING
                )
                return (known or clock != "") and name not in self.referenced
            case Struct(fields=fields) | Variant(options=fields):
                inner = [self.hides(f.name, f.type, depth + 1) for f in fields]
                return bool(inner) and all(inner)
            case Optional(element=element):
                return self.hides("", element, depth + 1)
            case FixedArray(element=element) | Sequence(element=element):
                return self.hides("", element, depth + 1)
            case _:
                return False
