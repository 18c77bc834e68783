"""Facility -> marker format strings, one line per event as kbuild's `Module.markers` has them.

`name<TAB>facility<TAB>format`, the format in LTTng's grammar of 2007: `count #4u%u name %s`.
The rule: a type that a format cannot say (structs, arrays, sequences, floats) is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.errors import TraceError
from bridge.facility import model
from bridge.facility.layout import is_signed

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_ARGUMENTS = " "
"""The format of a marker without arguments: MARK_NOARGS of the kernel."""
_C_TYPES = {
    "char": "#1d%d",
    "uchar": "#1u%u",
    "short": "%hd",
    "ushort": "%hu",
    "int": "%d",
    "uint": "%u",
    "long": "%ld",
    "ulong": "%lu",
    "size_t": "%zu",
    "ssize_t": "%zd",
    "off_t": "%ld",
    "pointer": "%p",
    "string": "%s",
}
_FIXED = {"1": "hh", "2": "h", "4": "", "8": "ll"}


def _conversion(kind: model.Type) -> str | None:
    """`#2u%hu`; None for what has no conversion."""
    if isinstance(kind, model.Enum):
        return "%d"
    if not isinstance(kind, model.Scalar) or kind.word == "float":
        return None
    order = "n" if kind.network else ""
    if kind.word.endswith("_fixed"):
        letter = "d" if is_signed(kind) else "u"
        # a char is passed as an int
        length = _FIXED[kind.size].replace("hh", "")
        return f"#{order}{kind.size}{letter}%{length}{letter}"
    plain = _C_TYPES[kind.word]
    return f"#n{plain[1:]}{plain}" if order else plain


def format_of(facility: model.Facility, event: model.Event) -> str:
    """The format string of an event.

    Raises:
        TraceError: a field has a type that no conversion stands for.

    """
    words = []
    for member in event.members:
        conversion = _conversion(facility.resolve(member.type))
        if conversion is None:
            raise TraceError(
                f"event {event.name}, field {member.name}: a marker format has integers,"
                " pointers and strings only"
            )
        name = member.name.replace("%", "%%").replace("#", "##")
        words.append(f"{'_'.join(name.split())} {conversion}")
    return " ".join(words) or NO_ARGUMENTS


def write(facility: model.Facility) -> str:
    """The lines of all events."""
    return "".join(_lines(facility, facility.events))


def _lines(facility: model.Facility, events: Iterable[model.Event]) -> Iterable[str]:
    for event in events:
        yield f"{event.name}\t{facility.name}\t{format_of(facility, event)}\n"


__all__ = ["NO_ARGUMENTS", "format_of", "write"]
