"""`timer.UNIT(N)`, `.randomize(M)`, `timer.hz(N)`: points of the session's clock.

Ranges and messages are SystemTap's. What a jiffy is depends on the machine, or on the one that
recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.markers import Expansion, NoMatch, Timer
from bridge.probes.families import Family

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.markers import PointPart
    from bridge.probes.families import Places
    from bridge.probes.machine import Machine
    from bridge.probes.recorded import RecordedTargets

SECOND_NS = 1_000_000_000
DAY_SECONDS = 86400
SHORTEST_NS = 100_000
MOST_JIFFIES = 1_000_000

UNITS_NS = {
    "s": SECOND_NS,
    "sec": SECOND_NS,
    "ms": 1_000_000,
    "msec": 1_000_000,
    "us": 1000,
    "usec": 1000,
    "ns": 1,
    "nsec": 1,
}


def _expand(parts: Sequence[PointPart], machine: Machine) -> Places:
    return _one(place(parts, machine.world.user_hz))


def _recorded(parts: Sequence[PointPart], trace: RecordedTargets) -> Places:
    return _one(place(parts, trace.hz))


def _one(found: Expansion | NoMatch) -> Places:
    return found if isinstance(found, NoMatch) else (found,)


def place(parts: Sequence[PointPart], hz: int) -> Expansion | NoMatch:
    """`timer.UNIT(N)` and `.randomize(M)`; `hz` is what a jiffy is."""
    unit, interval = parts[1].name, _number(parts[1])
    spread = _number(parts[2]) if len(parts) > 2 else 0
    point = f"timer.{unit}({interval})" + (f".randomize({spread})" if len(parts) > 2 else "")
    if unit == "hz":
        return _hertz(interval, point)
    if unit == "jiffies":
        return _jiffies(interval, spread, hz, point)
    unit_ns = UNITS_NS[unit]
    least, most = max(1, SHORTEST_NS // unit_ns), DAY_SECONDS * SECOND_NS // unit_ns
    if not least <= interval <= most:
        return _invalid(f"interval value out of range ({least}, {most})")
    if not 0 <= spread <= interval:
        return _invalid("randomization value out of range")
    return Expansion(Timer(interval * unit_ns, spread * unit_ns), point)


def _invalid(message: str) -> NoMatch:
    return NoMatch(0, message, code="invalid-interval")


def _number(part: PointPart) -> int:
    return part.argument if isinstance(part.argument, int) else 0


def _hertz(frequency: int, point: str) -> Expansion | NoMatch:
    if frequency <= 0:
        return _invalid("frequency must be greater than 0")
    period = SECOND_NS // frequency
    most = DAY_SECONDS * SECOND_NS
    if not SHORTEST_NS <= period <= most:
        return _invalid(f"interval value out of range ({SHORTEST_NS}, {most})")
    return Expansion(Timer(period), point)


def _jiffies(interval: int, spread: int, hz: int, point: str) -> Expansion | NoMatch:
    if not 0 < interval <= MOST_JIFFIES:
        return _invalid("invalid interval for jiffies timer")
    if not 0 <= spread <= interval:
        return _invalid("invalid randomize for jiffies timer")
    jiffy = SECOND_NS // hz
    return Expansion(Timer(interval * jiffy, spread * jiffy), point)


FAMILY = Family(
    frozenset(
        {
            *(f"timer/{unit} N" for unit in (*UNITS_NS, "jiffies")),
            *(f"timer/{unit} N/randomize N" for unit in (*UNITS_NS, "jiffies")),
            "timer/hz N",
        }
    ),
    _expand,
    _recorded,
)
