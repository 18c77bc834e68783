"""The metadata file of a CTF trace -> its description.

The file is text, or packets of text in either byte order (CTF 1.8, section 7.1).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.formats import ctf_metadata
from bridge.trace.ctf import plain_events, syntax
from bridge.trace.ctf.description import (
    NO_PAYLOAD,
    Clock,
    CtfEvent,
    Description,
    StreamClass,
    check_clock,
)
from bridge.trace.ctf.parse import MetadataError
from bridge.trace.ctf.types import Names, byte_order, constant_text, declare, resolve
from bridge.trace.model import (
    Enumeration,
    EventClass,
    Field,
    FieldType,
    FixedArray,
    Integer,
    Sequence,
    Struct,
    Variant,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEFAULT_CLOCK = "default"


def unpack(raw: bytes, name: str) -> tuple[bytes, int]:
    """The text in a metadata file, and how many bytes of it are read.

    Behind the last packet less than the header of another one may follow, which is no text.
    """
    if raw[:4] not in ctf_metadata.MAGICS:
        return raw.rstrip(b"\0"), len(raw)
    pieces, at = [], 0
    while len(raw) - at >= ctf_metadata.HEADER_BYTES:
        header = ctf_metadata.metadata_header(raw, at)
        if header.magic != ctf_metadata.MAGIC:
            raise MetadataError(f"{name}: byte {at:#x}: no metadata packet")
        if header.compression_scheme or header.encryption_scheme or header.checksum_scheme:
            raise MetadataError(f"{name}: compressed or encrypted metadata cannot be read")
        end, following = at + header.content_size // 8, at + header.packet_size // 8
        if not at + ctf_metadata.HEADER_BYTES <= end <= following:
            raise MetadataError(f"{name}: byte {at:#x}: the metadata packet has a wrong size")
        pieces.append(raw[at + ctf_metadata.HEADER_BYTES : end])
        at = following
    if not pieces or raw[at : at + 4] == raw[:4]:
        raise MetadataError(f"{name}: byte {at:#x}: the metadata packet is cut off")
    return b"".join(pieces), at


def describe(text: str, name: str) -> Description:
    """What a metadata text of CTF 1.8 says; each character is a byte."""
    return _Visitor(name).visit(plain_events.items_of(text, name))


def described(raw: bytes, name: str) -> Description:
    """What a metadata file of any version says."""
    text, read = unpack(raw, name)
    if text.startswith(ctf_metadata.SEPARATOR):
        from bridge.trace.ctf import metadata_2  # only traces of CTF 2 need it

        result = metadata_2.describe(text, name)
    else:
        result = describe(text.decode("latin-1"), name)
    if read < len(raw):
        left = f"{len(raw) - read} bytes after the last metadata packet are no packet"
        result.notes.append(("trailing-metadata", left, read))
    return result


def _uuid(text: str) -> bytes:
    """The bytes of a UUID in any usual form; ValueError."""
    digits = (
        text.strip().removeprefix("urn:").removeprefix("uuid:").strip("{}").replace("-", "")
    )
    if len(digits) != 32:
        raise ValueError(text)
    return bytes.fromhex(digits)


class _Visitor:
    """Walks the items in order; names are known from where they are declared on."""

    def __init__(self, name: str) -> None:
        self.names = Names(big_endian=False, file=name)
        self.result = Description()
        self._seen: set[tuple[int, int]] = set()

    def visit(self, items: list[syntax.Item]) -> Description:
        self._byte_order(items)
        blocks: dict[str, Callable[[syntax.TopBlock], None]] = {
            "trace": self._trace,
            "env": self._env,
            "clock": self._clock,
            "stream": self._stream,
            "event": self._event,
            "callsite": lambda _block: None,
        }
        for item in items:
            if isinstance(item, syntax.TopBlock):
                blocks[item.kind](item)
            else:
                declare(item, self.names)
        self._implicit_stream()
        return self.result

    def _byte_order(self, items: list[syntax.Item]) -> None:
        """The native byte order holds for types that are declared before the trace block."""
        for item in items:
            if isinstance(item, syntax.TopBlock) and item.kind == "trace":
                for entry in item.entries:
                    if isinstance(entry, syntax.Assignment) and entry.name == "byte_order":
                        big = byte_order(entry.value, entry.line, self.names)
                        self.names.big_endian = self.result.big_endian = big

    # --- blocks ---

    def _entries(
        self, block: syntax.TopBlock, names: Names
    ) -> tuple[dict[str, syntax.Value], dict[str, Struct]]:
        """The block's values, and its types, by name; its own names are declared in `names`."""
        values: dict[str, syntax.Value] = {}
        types: dict[str, Struct] = {}
        for entry in block.entries:
            match entry:
                case syntax.Assignment(name=name, value=value, line=line):
                    if name in values and block.kind != "env":
                        raise names.error(line, f"`{name}` is given twice")
                    values[name] = value
                case syntax.TypeAssignment(name=name, specifiers=specifiers, line=line):
                    type_ = resolve(specifiers, names)
                    if not isinstance(type_, Struct):
                        raise names.error(line, f"`{name}` must be a structure")
                    if flaw := names.measure.fault_of_scope(type_):
                        raise names.error(line, f"`{name}` {flaw}")
                    types[name] = type_
                case _:
                    declare(entry, names)
        return values, types

    def _trace(self, block: syntax.TopBlock) -> None:
        values, types = self._entries(block, self.names.inner())
        version = values.get("major"), values.get("minor")
        if version != (1, 8):
            raise self.names.error(block.line, f"CTF {version[0]}.{version[1]} is not CTF 1.8")
        if "uuid" in values:
            try:
                self.result.uuid = _uuid(constant_text(values["uuid"]))
            except ValueError:
                raise self.names.error(block.line, "the trace's uuid is none") from None
        self.result.packet_header = types.get("packet.header")

    def _env(self, block: syntax.TopBlock) -> None:
        values, _ = self._entries(block, self.names.inner())
        for name, value in values.items():
            self.result.environment[name] = (
                value if isinstance(value, int) else constant_text(value)
            )

    def _clock(self, block: syntax.TopBlock) -> None:
        values, _ = self._entries(block, self.names.inner())

        def number(name: str, default: int) -> int:
            value = values.get(name, default)
            if not isinstance(value, int):
                raise self.names.error(block.line, f"the clock's `{name}` is no number")
            return value

        name = constant_text(values.get("name", ""))
        if not name:
            raise self.names.error(block.line, "the clock has no name")
        frequency = number("freq", 1_000_000_000)
        if frequency <= 0:
            raise self.names.error(block.line, f"clock `{name}` does not tick")
        extra, offset = divmod(number("offset", 0), frequency)
        clock = Clock(
            name,
            frequency,
            number("offset_s", 0) + extra,
            offset,
            constant_text(values.get("absolute", "")) in ("true", "TRUE", "1"),
            constant_text(values.get("uuid", "")),
            constant_text(values.get("description", "")),
            number("precision", 0) if "precision" in values else None,
        )
        if flaw := check_clock(clock):
            raise self.names.error(block.line, flaw)
        self.result.clocks[name] = clock

    def _stream(self, block: syntax.TopBlock) -> None:
        values, types = self._entries(block, self.names.inner())
        number = values.get("id", 0)
        if not isinstance(number, int) or number in self.result.streams:
            raise self.names.error(block.line, f"stream {constant_text(number)} is there twice")
        packet = self._clocked(
            types.get("packet.context"), ("timestamp_begin", "timestamp_end")
        )
        header = self._clocked(types.get("event.header"), ("timestamp",))
        context = types.get("event.context")
        clocks = dict.fromkeys(
            name
            for struct in (self.result.packet_header, packet, header, context)
            for name in _clocks(struct)
        )
        if len(clocks) > 1:
            raise self.names.error(block.line, "a stream has one clock only")
        clock = next(iter(clocks), "")
        if clock and clock not in self.result.clocks:
            raise self.names.error(block.line, f"unknown clock `{clock}`")
        self.result.streams[number] = StreamClass(number, packet, header, context, clock)

    def _clocked(self, struct: Struct | None, names: tuple[str, ...]) -> Struct | None:
        """Time stamps hold the only clock, even where the metadata does not say so."""
        if struct is None or not _unclocked(struct, names):
            return struct
        if len(self.result.clocks) > 1:
            raise MetadataError(
                f"{self.names.file}: a time stamp does not say which clock it holds"
            )
        if not self.result.clocks:
            self.result.clocks[DEFAULT_CLOCK] = Clock(DEFAULT_CLOCK)
        clock = next(iter(self.result.clocks))
        mapped = _mapped(struct, names, clock)
        return mapped if isinstance(mapped, Struct) else struct

    def _event(self, block: syntax.TopBlock) -> None:
        values, types = self._entries(block, self.names.inner())
        number, stream = values.get("id", 0), values.get("stream_id")
        if stream is None:
            stream = next(iter(self.result.streams), 0)
        if not isinstance(number, int) or not isinstance(stream, int):
            raise self.names.error(block.line, "numbers of events and streams are integers")
        if (stream, number) in self._seen:
            raise self.names.error(
                block.line, f"event {number} of stream {stream} is there twice"
            )
        self._seen.add((stream, number))
        known = ("name", "id", "stream_id")
        attributes = {n: constant_text(v) for n, v in values.items() if n not in known}
        event = EventClass(
            constant_text(values.get("name", "")),
            number,
            types.get("fields", NO_PAYLOAD),
            types.get("context"),
            attributes,
        )
        self.result.events.append(CtfEvent(stream, event))

    def _implicit_stream(self) -> None:
        for event in self.result.events:
            if event.stream_id not in self.result.streams:
                if self.result.streams:
                    raise MetadataError(
                        f"{self.names.file}: event `{event.event.name}` is of stream "
                        f"{event.stream_id}, which there is not"
                    )
                self.result.streams[event.stream_id] = StreamClass(
                    event.stream_id, None, None, None, ""
                )


# --- clocks -----------------------------------------------------------------------------------


def _inside(type_: FieldType) -> Iterable[FieldType]:
    match type_:
        case Struct(fields=fields) | Variant(options=fields):
            return [f.type for f in fields]
        case FixedArray(element=element) | Sequence(element=element):
            return [element]
        case Enumeration(container=container):
            return [container]
        case _:
            return []


def _clocks(type_: FieldType | None) -> Iterable[str]:
    """The clocks whose values fields of this type hold."""
    if type_ is None:
        return
    if isinstance(type_, Integer) and type_.clock:
        yield type_.clock
    for inner in _inside(type_):
        yield from _clocks(inner)


def _unclocked(type_: FieldType, names: tuple[str, ...]) -> bool:
    """Whether a field of one of these names is an integer without a clock."""
    if not isinstance(type_, Struct | Variant):
        return False
    members = type_.fields if isinstance(type_, Struct) else type_.options
    return any(
        (f.name in names and isinstance(f.type, Integer) and not f.type.clock)
        or _unclocked(f.type, names)
        for f in members
    )


def _mapped(type_: FieldType, names: tuple[str, ...], clock: str) -> FieldType:
    """The type with a clock in its time stamps that have none."""

    def field(member: Field) -> Field:
        inner = member.type
        if member.name in names and isinstance(inner, Integer) and not inner.clock:
            return replace(member, type=replace(inner, clock=clock))
        return replace(member, type=_mapped(inner, names, clock))

    match type_:
        case Struct():
            return replace(type_, fields=tuple(map(field, type_.fields)))
        case Variant():
            return replace(type_, options=tuple(map(field, type_.options)))
        case _:
            return type_
