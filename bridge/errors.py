"""Exceptions of the public API.

What the user of a script or a trace did wrong is data (`bridge.diagnostics.Diagnostic`); these
exceptions carry such data across the library's boundary. Everything else that is raised is a
bug in markbridge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.diagnostics import Diagnostic
    from bridge.source import SourceMap


DOCTOR = "`markbridge doctor` shows what this machine has, and what to do about the rest"


class BridgeError(Exception):
    """Base of every exception that markbridge raises on purpose."""


class CompileError(BridgeError):
    """A script was refused; `diagnostics` says why in SystemTap's words, with places.

    `reasons` are the errors as people read them, one per mistake, the reason first; the text of
    the exception has a line for each, with its place if `sources` are given: the texts that
    the places are in.
    """

    def __init__(
        self,
        diagnostics: Sequence[Diagnostic],
        stage: str,
        sources: SourceMap | None = None,
    ) -> None:
        from bridge.diagnostics import Severity, in_words, told, without_consequences

        self.diagnostics = tuple(without_consequences(diagnostics))
        self.reasons = tuple(d for d in told(self.diagnostics) if d.severity is Severity.ERROR)
        self.stage = stage
        self.sources = sources
        super().__init__("\n".join(in_words(d, sources) for d in self.reasons) or stage)


class ProgramError(BridgeError):
    """A program or library cannot be read as ELF; the message says which and why."""


class TraceError(BridgeError):
    """A trace cannot be opened or written; the message names file and byte."""


class HostError(BridgeError):
    """The host lacks something (a right, a kernel feature, a library);

    `remedy` says exactly what to do. The text points to the command that shows all there is.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        self.remedy = remedy
        super().__init__("\n".join(filter(None, (message, remedy, DOCTOR))))
