"""What there is to probe: ELF notes and symbols, kernel tracepoints, timers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.markers import Marker
    from bridge.world import World


def markers_of(path: str, world: World) -> tuple[Marker, ...]:
    """The USDT markers of a file; none if it is no ELF file or has none."""
    from bridge.probes.usdt import markers_of as read

    return read(path, world)
