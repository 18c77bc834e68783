"""A front end over targets that know sessions and one program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from bridge.diagnostics import Diagnostic, Sink
from bridge.markers import (
    Begin,
    Constant,
    End,
    Error,
    Expansion,
    GlobalAccess,
    Kind,
    Marker,
    MarkerAttachment,
    Never,
    NoAccess,
    NoMatch,
    PointPart,
    Timer,
    ValueType,
    Variable,
)
from bridge.probes.families import perf, process, procfs
from bridge.probes.machine import Machine
from bridge.probes.points import family_of
from bridge.script.analysis.analyse import analyse
from bridge.script.analysis.typed import Typed
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from bridge.world import LiveWorld

ARGUMENTS = (
    Variable("arg1", ValueType.LONG, (Constant(1),)),
    Variable("arg2", ValueType.LONG, (Constant(2),)),
)


class SessionTargets:
    """begin, end, error, never, timers, perf, procfs, process("app").mark("hit" or "miss")."""

    def structure(self, name: str, module: str) -> NoAccess:
        """No types are known."""
        return NoAccess(f"type definition '{name}' not found in '{module}'")

    def static(self, wanted: GlobalAccess) -> NoAccess:
        """No globals are known."""
        return NoAccess(f"unable to find global '{wanted.name}'")

    def expand(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        name, argument = parts[0].name, parts[0].argument
        number = argument if isinstance(argument, int) else 0
        point = name if argument is None else f"{name}({argument})"
        if len(parts) > 1 and name in {"begin", "end", "error", "never"}:
            return NoMatch(1, "invalid suffix for probe")
        match name:
            case "begin":
                return (Expansion(Begin(number), point),)
            case "end":
                return (Expansion(End(number), point),)
            case "error":
                return (Expansion(Error(number), point),)
            case "never":
                return (Expansion(Never(), point),)
            case "timer":
                return (Expansion(Timer(10**9), "timer.s(1)"),)
            case "perf" | "process" | "procfs":
                return self._markers(parts)
        return NoMatch(0, "probe point mismatch", ("begin", "end"))

    def _markers(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        if parts[0].name == "perf":
            found = perf.place(parts, "")
            return found if isinstance(found, NoMatch) else (found,)
        if (family := family_of(parts)) in (process.FAMILY, procfs.FAMILY):
            return family.expand(parts, Machine(LiveWorld()))
        return self._marks(str(parts[1].argument))

    def _marks(self, pattern: str) -> tuple[Expansion, ...] | NoMatch:
        names = ["hit", "miss"] if pattern == "*" else [pattern]
        if not {"hit", "miss"} >= set(names):
            return NoMatch(1, "no match")
        return tuple(
            Expansion(
                MarkerAttachment(Marker(Kind.USDT, "app", name, variables=ARGUMENTS)),
                f'process("app").mark("{name}")',
                {"name": name, "provider": "app"},
                newest_first=True,
                dollars=True,
            )
            for name in names
        )


@dataclass
class Checked:
    """What came out, and what was said, as `message: token at line:column`."""

    typed: Typed | None
    items: list[Diagnostic]
    sources: SourceMap

    @property
    def errors(self) -> list[str]:
        return [self._text(d) for d in self.items if d.severity.value == "error"]

    @property
    def warnings(self) -> list[str]:
        return [self._text(d) for d in self.items if d.severity.value == "warning"]

    def _text(self, diagnostic: Diagnostic) -> str:
        place = self.sources.place(diagnostic.span)
        at = f" at {place.line}:{place.column}" if place else ""
        token = f": {diagnostic.token}" if diagnostic.token else ""
        return f"{diagnostic.message}{token}{at}"


Check = Callable[..., Checked]


@pytest.fixture
def check() -> Check:
    """Run the whole front end over a text."""

    def run(text: str | bytes, **options: object) -> Checked:
        sources, sink = SourceMap(), Sink()
        source = sources.add("t.stp", text)
        typed = analyse(
            source,
            sources,
            SessionTargets(),
            sink,
            AnalyseOptions(**options),  # type: ignore[arg-type] # as the tests write them
        )
        return Checked(typed, sink.items, sources)

    return run
