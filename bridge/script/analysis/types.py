"""The types of the language:

two value types, the statistic, and the two states of inference.
"""

from __future__ import annotations

from enum import Enum


class Type(Enum):
    """A SystemTap type. The values are the words of SystemTap's messages and of `stap -p2`."""

    UNKNOWN = "unknown"
    LONG = "long"
    STRING = "string"
    STAT = "stat"
    ERROR = "error"
    """Absorbs follow-up errors; never seen after a successful inference."""
