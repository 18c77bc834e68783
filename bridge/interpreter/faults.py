"""What can go wrong while a script runs, and how a script stops."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UnreadableMemory:
    """A captured value whose memory could not be read."""

    address: int = 0


class ScriptError(Exception):
    """An error of the running script.

    `site` is the number of the error site, `chain` those of the calls that it came through,
    innermost first. `final` is one that no catch sees (MAXACTION).
    """

    def __init__(
        self, message: str | bytes, site: int | None = None, *, final: bool = False
    ) -> None:
        text = message.encode("latin-1") if isinstance(message, str) else message
        super().__init__(text)
        self.message = text
        self.site = site
        self.chain: list[int] = []
        self.final = final


class AbortedError(Exception):
    """abort(): the handler ends at once, without an error."""
