"""Marker format strings and `Module.markers` -> facilities.

A line of `Module.markers` is `name module format` (kernels 2.6.24 to 2.6.31). With LTTng's
patches it is `channel module name`: there the channel stands before the name in the kernel's
strings, kbuild was not changed, and formats are not in the file. The rule: fields are those
that `bridge.trace` reads out of traces, so a description and a recorded trace agree.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.errors import TraceError
from bridge.facility import model
from bridge.trace.ltt.marker_format import MarkerConversion, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

_LINE = re.compile(r"(?P<name>\S+)[ \t]+(?P<module>\S+)(?:[ \t](?P<format>.*))?")
_NAME = re.compile(r"[^\s%#]+")
_WORDS = {
    ("", "d"): "int",
    ("", "i"): "int",
    ("h", "d"): "short",
    ("h", "i"): "short",
    ("l", "d"): "long",
    ("l", "i"): "long",
    ("z", "d"): "ssize_t",
    ("z", "i"): "ssize_t",
    ("Z", "d"): "ssize_t",
    ("t", "d"): "long",
}
_UNSIGNED = {
    "": "uint",
    "h": "ushort",
    "l": "ulong",
    "z": "size_t",
    "Z": "size_t",
    "t": "ulong",
}


def _type(conversion: MarkerConversion) -> model.Scalar:
    letter = conversion.trace_letter or conversion.c_letter
    length = conversion.trace_qualifier if conversion.trace_letter else conversion.c_qualifier
    network = "n" in conversion.trace_attributes
    signed = letter in "di"
    if "s" in (conversion.c_letter, conversion.trace_letter):
        return model.Scalar("string")
    if letter == "p":
        return model.Scalar("pointer", network=network)
    if letter == "c":
        return model.Scalar("uchar", network=network)
    if length in ("1", "2", "4", "8", "ll", "L"):
        size = length if length.isdigit() else "8"
        return model.Scalar(f"{'int' if signed else 'uint'}_fixed", size, network=network)
    plain = "" if length == "S" else length
    word = _WORDS[plain, letter] if (plain, letter) in _WORDS else _UNSIGNED[plain]
    return model.Scalar(word, network=network)


def event(name: str, text: str, line: int = 0) -> model.Event:
    """The event of a marker with this format string."""
    members = tuple(
        model.Member(
            # `%%` stands for one percent sign in a name, too
            (found.name or f"field_{number}").replace("%%", "%").replace("##", "#"),
            _type(found),
            line=line,
        )
        for number, found in enumerate(parse(text), 1)
    )
    return model.Event(name, members, line=line)


def _lines(text: str, path: str) -> Iterable[tuple[int, re.Match[str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise TraceError(f"{path}:{number}: expected a marker's name, module and format")
        yield number, match


def _has_channels(lines: list[tuple[int, re.Match[str]]]) -> bool:
    """Whether all that stands for formats are names."""
    return bool(lines) and all(_NAME.fullmatch(match["format"] or " ") for _, match in lines)


def _of_channels(lines: list[tuple[int, re.Match[str]]]) -> list[model.Facility]:
    channels: dict[str, dict[str, model.Event]] = {}
    for number, match in lines:
        name = match["format"]
        found = model.Event(name, line=number)
        channels.setdefault(match["name"], {}).setdefault(name, found)
    return [
        model.Facility(channel, tuple(events.values())) for channel, events in channels.items()
    ]


def facilities(text: str, path: str) -> tuple[list[model.Facility], tuple[str, ...]]:
    """The markers of a `Module.markers` file, and notes: one facility per module, in its order.

    With LTTng's patches it is one per channel, and its events have no fields.

    Raises:
        TraceError: a line is none; the message names it. Or one marker has two formats.

    """
    lines = list(_lines(text, path))
    if _has_channels(lines):
        note = f"{path}: a list of LTTng's patches, which has no formats: no fields are known"
        return _of_channels(lines), (note,)
    modules: dict[str, dict[str, model.Event]] = {}
    for number, match in lines:
        events = modules.setdefault(match["module"], {})
        found = event(match["name"], match["format"] or " ", number)
        # a marker stands in many places of a module; its format is one
        if events.setdefault(found.name, found) != found:
            first = events[found.name].line
            raise TraceError(
                f"{path}:{number}: {found.name} has another format than in line {first}"
            )
    found_in = [
        model.Facility(module.rpartition("/")[2], tuple(events.values()))
        for module, events in modules.items()
    ]
    return found_in, ()


__all__ = ["event", "facilities"]
