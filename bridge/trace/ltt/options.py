"""What the user may decide where a trace does not say it itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How to open an LTT trace."""

    time: Literal["auto", "multiply", "relative", "absolute"] = "auto"
    """Clock to nanoseconds: auto (the version decides), multiply, relative, absolute."""
    alignment: Literal["auto", "capped", "uncapped"] = "auto"
    """2.4 and 2.5 of 32-bit tracers: auto (tried in turn), capped, uncapped."""
    unknown: Literal["resync", "empty"] = "resync"
    """2.x events without description and size: resync (damage; reading goes on where events
    follow each other again) or empty (they have no payload, as LTTV reads them)."""
