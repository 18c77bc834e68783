"""Facility -> CTF 2 metadata: JSON fragments for a stream class with the facility's events.

The streams that it describes are those that markbridge writes for CTF 1.8, and the fields lie
as in `bridge.describe.tsdl`. Source: CTF2-SPEC-2.0, sections 5 and 6. The rule: names need no
change here, so they stay as the description has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.describe import tsdl
from bridge.trace import model
from bridge.trace.ctf import json_writer
from bridge.trace.ctf.layout import CtfScope
from bridge.trace.ctf.locate import located
from bridge.trace.ctf.normal import normal
from bridge.trace.ltt.facility_payload import event_payload

if TYPE_CHECKING:
    from bridge.facility.model import Facility

Json = dict[str, Any]


def _event(facility: Facility, number: int, word_size: int) -> Json:
    event = facility.events[number]
    payload, _ = normal(event_payload(facility, event, tsdl.sizes(facility, word_size)))
    assert isinstance(payload, model.Struct)
    payload = located({CtfScope.PAYLOAD: payload})[CtfScope.PAYLOAD]
    return {
        "type": "event-record-class",
        "id": number,
        "name": f"{facility.name}:{event.name}",
        "payload-field-class": json_writer.structure(payload),
    }


def fragments(facility: Facility, word_size: int = 8) -> list[Json]:
    """The fragments in their order."""
    uuid = list(tsdl.uuid(facility).bytes)
    clock = {"type": "clock-class", "id": tsdl.CLOCK, "frequency": 1_000_000_000}
    clock |= {"origin": "unix-epoch"}
    stream = {
        "type": "data-stream-class",
        "default-clock-class-id": tsdl.CLOCK,
        "packet-context-field-class": json_writer.packet_context(with_cpu=True),
        "event-record-header-field-class": json_writer.event_header(),
    }
    return [
        {"type": "preamble", "version": 2, "uuid": uuid},
        clock,
        {"type": "trace-class", "packet-header-field-class": json_writer.packet_header()},
        stream,
        *(_event(facility, number, word_size) for number in range(len(facility.events))),
    ]


def write(facility: Facility, word_size: int = 8) -> str:
    """The metadata stream: a JSON text sequence (RFC 7464)."""
    return json_writer.text(*fragments(facility, word_size))


__all__ = ["fragments", "write"]
