"""Slots of one event -> an event of the model, by one function for each structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.trace.ctf.layout import CtfScope
from bridge.trace.ctf.shown import ShownFields, shown
from bridge.trace.ctf.values import decoder
from bridge.trace.model import Event, Struct, Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.trace.ctf.cursor import CtfCursor, RawCtfEvent
    from bridge.trace.ctf.reader import CtfReader
    from bridge.trace.ctf.values import Decoder


class Takers:
    """Makes events of slots; one function per structure, packets' contexts kept by stream."""

    def __init__(self, reader: CtfReader, cursor: CtfCursor) -> None:
        self._plan = reader.plan
        self._streams = {stream.id: stream for stream in reader.plan.streams}
        self._cursor = cursor
        self._classes = reader.classes
        self._names = [path.name for path in cursor.files]
        self._takers: dict[int, list[Decoder | None]] = {}
        self._packet: dict[int, Callable[[Any], dict[str, Value]] | None] = {}
        self._rule = shown(reader.plan, CtfScope.PACKET_CONTEXT)
        self._packets: dict[int, tuple[int, dict[str, Value]]] = {}

    def event(self, raw: RawCtfEvent, slots: list[int]) -> Event:
        """The event of some slots."""
        number, name = raw.event_class, self._names[raw.stream]
        context = self.packet_context(raw, number)
        make = self.maker(number)
        return make(
            slots, None, raw.slot, raw.time_ns, raw.clock, raw.cpu, context, None, 0, name
        )

    def maker(self, number: int) -> Callable[..., Event]:
        """What makes events of a class, called as the expressions of `Events` are."""
        if number not in self._takers:
            self._takers[number] = self._made(number)
        common, own, payload = self._takers[number]

        def make(  # noqa: PLR0913, PLR0917 - what an expression is given
            slots: list[int],
            _doubles: object,
            at: int,
            time_ns: int,
            clock: int,
            cpu: int,
            packet: dict[str, Value],
            _bytes: object,
            _base: int,
            stream: str,
        ) -> Event:
            context = dict(packet)
            for taker in (common, own):
                if taker is not None:
                    values, at = taker(slots, at)
                    if isinstance(values, dict):
                        context.update(values)
            fields: Value = {}
            if payload is not None:
                fields, _ = payload(slots, at)
            assert isinstance(fields, dict)
            kind = self._classes[number]
            return Event(kind, time_ns, clock, cpu, stream, fields, context)

        return make

    def _made(self, number: int) -> list[Decoder | None]:
        """What takes the contexts of stream and event, and the payload."""
        event = self._plan.events[number]
        common = self._streams[event.stream_id].event_context
        structs = (common, event.event.context, event.event.payload)
        return [decoder(s) if s is not None else None for s in structs]

    def packet_context(self, raw: RawCtfEvent, number: int) -> dict[str, Value]:
        """The context of an event's packet, which events share: to be copied."""
        if number not in self._packet:
            stream = self._streams[self._plan.events[number].stream_id]
            self._packet[number] = _packet_taker(stream.packet_context, self._rule)
        taker = self._packet[number]
        if taker is None:
            return {}
        known = self._packets.get(raw.stream)
        if known is None or known[0] != raw.packet:
            slots = self._cursor.packet_context(raw.stream, raw.packet)
            known = raw.packet, taker(slots)
            self._packets[raw.stream] = known
        return known[1]


def _packet_taker(
    struct: Struct | None, shown: ShownFields
) -> Callable[[Any], dict[str, Value]] | None:
    """What takes the fields of a packet's context that are not its own housekeeping."""
    if struct is None:
        return None
    whole = decoder(struct)
    kept = [f.name for f in struct.fields if not shown.hides(f.name, f.type)]

    def take(slots: Any) -> dict[str, Value]:  # noqa: ANN401
        values, _ = whole(slots, 0)
        assert isinstance(values, dict)
        return {name: values[name] for name in kept}

    return take if kept else None
