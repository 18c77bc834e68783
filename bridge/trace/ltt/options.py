"""What the user may decide where a trace does not say it itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How to open an LTT trace."""

    time: str = "auto"
    """Clock to nanoseconds: auto (the version decides), multiply, relative, absolute."""
    alignment: str = "auto"
    """2.4 and 2.5 of 32-bit tracers: auto (tried in turn), capped, uncapped."""
