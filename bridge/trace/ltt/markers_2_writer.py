"""Events -> a marker trace 2.6: one file per channel and CPU, described in `metadata_0`.

A class that came from a marker keeps its format and type sizes; any other gets a format with
trace types (`#4u%u`), so that widths and signs survive. The rule: what a marker format cannot
say (floats, arrays, structures) is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge._native import lib
from bridge.errors import TraceError
from bridge.formats import ltt
from bridge.trace import model
from bridge.trace.ltt import marker_format, markers, payload
from bridge.trace.ltt.cursor import ClassEntry
from bridge.trace.ltt.files import places
from bridge.trace.ltt.write import TraceWriter, WriteOptions, split_name

if TYPE_CHECKING:
    from pathlib import Path

    from construct import Struct

MINOR = 6
METADATA = "metadata_0"
_MOST_IDS = 1 << 16


def _conversion(kind: model.FieldType, options: WriteOptions) -> str:
    match kind:
        case model.Text():
            return "%s"
        case model.FixedArray() | model.Sequence() if model.is_text(kind.element):
            return "%s"
        case model.Enumeration():
            return _conversion(kind.container, options)
        case model.Integer(base=16) if kind.bits == 8 * options.arch_size and not kind.signed:
            if kind.big_endian == options.big_endian:
                return "%p"
        case model.Integer():
            pass
        case _:
            raise TraceError("marker formats know only integers, pointers and strings")
    if kind.bits not in (8, 16, 32, 64):
        raise TraceError(f"marker formats know no integers of {kind.bits} bits")
    network = "n" if kind.big_endian and not options.big_endian and kind.bits > 8 else ""
    letter = "d" if kind.signed else "x" if kind.base == 16 else "u"
    qualifier = {8: "", 16: "h", 32: "", 64: "ll"}[kind.bits]
    return f"#{network}{kind.bits // 8}{letter}%{qualifier}{letter}"


def _word(name: str, position: int) -> str:
    if name == f"field {position}":
        return ""
    word = "".join("_" if c in ' %#\0\n\t"' else c for c in name)
    return f"{word} " if word else "_ "


def format_of(event_class: model.EventClass, options: WriteOptions) -> str:
    """A marker format that describes the class's payload."""
    parts = []
    for position, member in enumerate(event_class.payload.fields, 1):
        try:
            conversion = _conversion(member.type, options)
        except TraceError as error:
            raise TraceError(f"{event_class.name}, field {member.name}: {error}") from None
        parts.append(_word(member.name, position) + conversion)
    return " ".join(parts) or " "


def _kept(event_class: model.EventClass, options: WriteOptions) -> tuple[str, list[int]] | None:
    """Format and type sizes of a class that was a marker, if they mean the same here."""
    text, sizes = event_class.attributes.get("format"), event_class.attributes.get("sizes")
    if text is None or sizes is None:
        return None
    numbers = [int(word) for word in sizes.split()]
    again = marker_format.payload(text, marker_format.MarkerSizes(*numbers), options.big_endian)
    same = [_shape(f) for f in again.fields] == [_shape(f) for f in event_class.payload.fields]
    compact = any("b" in c.trace_attributes for c in marker_format.parse(text))
    return (text, numbers) if same and not compact else None


def _shape(member: model.Field) -> tuple[str, object]:
    kind = member.type
    if isinstance(kind, model.Integer):
        return member.name, (kind.bits, kind.signed, kind.base)
    return member.name, type(kind)


class M2Writer(TraceWriter):
    """A marker trace 2.6 being written."""

    counts_lost = True

    def __init__(self, path: Path, options: WriteOptions) -> None:
        super().__init__(path, options)
        self._ids: dict[str, int] = {}
        self._formats: dict[tuple[str, str], int] = {}

    def layout(self) -> tuple[dict[str, int | float], Struct]:
        options = self.options
        struct = ltt.m2_header(MINOR, options.arch_size, options.big_endian)
        at = places(struct)
        return {
            "kind": lib.MB_LTT_M2,
            "big": int(options.big_endian),
            "header_bytes": at["bytes"],
            "begin_at": at["begin"],
            "end_at": at["end"],
            "size_at": at["size"],
            "used_at": at["used"],
            "lost_at": at["events_lost"],
            "head_align": options.pad(4),
            "tsc_align": options.pad(8),
            "long_time": int(options.arch_size == 8),
        }, struct

    def header(self, start_sec: int, start_usec: int, file: str) -> dict[str, int]:
        options = self.options
        return {
            "magic": ltt.MAGIC,
            "major": 2,
            "minor": MINOR,
            "arch_size": options.arch_size,
            "alignment": options.alignment,
            "start_sec": start_sec,
            "start_usec": start_usec,
            "start_freq": options.frequency,
            "freq_scale": options.divisor,
        }

    def begin(self) -> None:
        rules = markers.Rules(flat=True, align=self.options.pad(2))
        self.entries = markers.core_entries("metadata", rules, self.options.big_endian)
        self.output(METADATA)

    def publish(self) -> None:
        metadata = self.output(METADATA)
        metadata.switch(metadata.last)

    def describe(self, event_class: model.EventClass) -> ClassEntry:
        channel, name = split_name(event_class)
        if channel == "metadata":
            raise TraceError(f"{event_class.name}: the channel metadata is the trace's own")
        options = self.options
        kept = _kept(event_class, options)
        word = options.arch_size
        text, sizes = kept or (format_of(event_class, options), [4, word, word, word])
        number = self._ids.get(channel, 0)
        if number >= _MOST_IDS:
            raise TraceError(f"channel {channel} has more than {_MOST_IDS} markers")
        self._ids[channel] = number + 1
        own = replace(marker_format.MarkerSizes(*sizes), alignment=options.alignment)
        kind = marker_format.payload(text, own, options.big_endian)
        attributes = {
            "format": text,
            "sizes": " ".join(map(str, sizes)),
            "channel": channel,
            "marker": self._unique(channel, name, text),
        }
        return ClassEntry(
            model.EventClass(event_class.name, number, kind, None, attributes),
            payload.compile_payload(kind, 1, options.big_endian),
            payload.alignment(kind),
        )

    def _unique(self, channel: str, name: str, text: str) -> str:
        """A second class of the same name gets a number: a name has one format."""
        key = (channel, name)
        count = self._formats.get(key, 0) + 1
        self._formats[key] = count
        return name if count == 1 else f"{name}_{count}"

    def announce(self, entry: ClassEntry) -> None:
        about = entry.event_class.attributes
        sizes = [int(word) for word in about["sizes"].split()]
        identity: dict[str, model.Value] = {
            "channel": about["channel"],
            "name": about["marker"],
            "event_id": entry.event_class.id,
        }
        names = ("int", "long", "pointer", "size_t", "alignment")
        identity |= dict(zip(names, [*sizes, self.options.alignment], strict=True))
        shape: dict[str, model.Value] = {
            "channel": about["channel"],
            "name": about["marker"],
            "format": about["format"],
        }
        metadata = self.output(METADATA)
        for number, fields in enumerate((identity, shape)):
            flat = payload.flatten(self.entries[number].event_class.payload, fields)
            metadata.write(number, number, metadata.last, flat)

    def file_of(self, entry: ClassEntry, cpu: int) -> str:
        return f"{entry.event_class.attributes['channel']}_{cpu}"
