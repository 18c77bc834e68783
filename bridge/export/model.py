"""What exporters take and give; see `bridge.export`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.attachments import attachments
from bridge.diagnostics import Diagnostic, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.artifact import Placed
    from bridge.attachments import Attachment
    from bridge.script.analysis.typed import Typed
    from bridge.source import SourceMap, Span
    from bridge.world import World

GROUP = "markbridge"
"""The group of events that exports define."""
WITHOUT_HITS = frozenset({"begin", "end", "error", "timer", "never"})


@dataclass(slots=True)
class Exported:
    """A compiled script, and what was found that the consumer cannot do."""

    placed: Placed
    world: World
    consumer: str
    typed: Typed
    sources: SourceMap
    problems: list[Diagnostic] = field(default_factory=list)

    def refuse(self, what: str, span: Span, instead: str = "") -> None:
        """Something of the script cannot be exported."""
        message = f"{self.consumer} cannot take {what}"
        self.problems.append(Diagnostic("not-exported", message, span, hint=instead))

    def warn(self, what: str, span: Span) -> None:
        """Something is left to the reader of the export."""
        self.problems.append(Diagnostic("not-exported", what, span, severity=Severity.WARNING))

    def hooks(self) -> Iterator[tuple[Attachment, Span]]:
        """What is attached to, and the probe point that asks for it; the rest is refused.

        Bodies of handlers are not exported by who uses this: probes without hits (begin, end,
        timers) have nothing else, and a warning names them.
        """
        handlers = self.placed.program.handlers
        spans = {handler.point: handler.span for handler in reversed(handlers)}
        for attachment in attachments(self.placed, self.world):
            first = attachment.handlers[0]
            span = spans[first.point]
            if attachment.kind in WITHOUT_HITS:
                self.warn(f"the {attachment.kind} probe is not exported: it has no hits", span)
            else:
                yield attachment, span

    @property
    def failed(self) -> bool:
        """Whether something was refused."""
        return any(problem.severity is Severity.ERROR for problem in self.problems)


def identifier(text: str) -> str:
    """A name that consumers take: letters, digits and underscores."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    return f"_{name}" if not name or name[0].isdigit() else name


def event_names(attachment: Attachment, taken: set[str]) -> list[str]:
    """A name for each place, different from all that are taken."""
    names = []
    base = identifier(attachment.name)[:40]
    for _ in attachment.places:
        name, number = base, 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        names.append(name)
    return names


def quoted(text: str) -> str:
    """One word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"
