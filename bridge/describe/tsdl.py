"""Facility -> CTF 1.8 metadata (TSDL): a stream class with the facility's events.

Numbers lie as the machine's C has them, with `align="0"` they are packed. The rule: what is
written is what `bridge.trace` reads out of a trace of the facility.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import UUID

from bridge.facility import checksum
from bridge.trace.ctf import tsdl_writer
from bridge.trace.ctf.description import Clock
from bridge.trace.ctf.normal import normal
from bridge.trace.ltt.facility_payload import FacilitySizes, event_payload
from bridge.trace.model import EventClass, Struct

if TYPE_CHECKING:
    from bridge.facility.model import Facility

CLOCK = "monotonic"


def uuid(facility: Facility) -> UUID:
    """The same for the same description: made of its name and checksum."""
    text = f"{facility.name} {checksum.checksum(facility):08X}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return UUID(bytes=digest[:16], version=4)


def sizes(facility: Facility, word_size: int) -> FacilitySizes:
    """The sizes of C types of a little-endian machine."""
    alignment = 0 if facility.align == "0" else word_size
    return FacilitySizes(4, word_size, word_size, word_size, alignment)


def write(facility: Facility, word_size: int = 8) -> str:
    """The metadata's text."""
    parts = [
        tsdl_writer.header(str(uuid(facility)), {"tracer_name": "markbridge"}),
        tsdl_writer.clock(Clock(CLOCK, description="nanoseconds")),
        tsdl_writer.stream(0, None, with_cpu=True),
    ]
    for number, event in enumerate(facility.events):
        payload, _ = normal(event_payload(facility, event, sizes(facility, word_size)))
        assert isinstance(payload, Struct)
        event_class = EventClass(f"{facility.name}:{event.name}", number, payload)
        parts.append(tsdl_writer.event(event_class, number, 0, None, payload))
    return "".join(parts)


__all__ = ["sizes", "uuid", "write"]
