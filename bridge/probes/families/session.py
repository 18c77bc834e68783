"""`begin`, `end`, `error`, `never`: points of the session, which have no marker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.markers import Begin, End, Error, Expansion, Never
from bridge.probes.families import Family

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.markers import Attachment, PointPart
    from bridge.probes.families import Places


def place(parts: Sequence[PointPart], _: object = None) -> Expansion:
    """`begin`, `end(N)`, `error`, `never`."""
    name, number = parts[0].name, parts[0].argument
    priority = number if isinstance(number, int) else 0
    point = name if number is None else f"{name}({number})"
    attachments: dict[str, Attachment] = {
        "begin": Begin(priority),
        "end": End(priority),
        "error": Error(priority),
        "never": Never(),
    }
    return Expansion(attachments[name], point)


def _expand(parts: Sequence[PointPart], _: object) -> Places:
    return (place(parts),)


FAMILY = Family(
    frozenset(
        {
            *(f"{name}{number}" for name in ("begin", "end", "error") for number in ("", " N")),
            "never",
        }
    ),
    _expand,
    _expand,
)
