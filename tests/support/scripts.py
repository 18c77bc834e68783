"""Compile script texts in tests: against a machine with two markers that is not this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.markers import (
    Expansion,
    GlobalAccess,
    Kind,
    Marker,
    MarkerAttachment,
    Memory,
    NoAccess,
    NoMatch,
    PointPart,
    Register,
    Site,
    TracepointField,
    ValueType,
    Variable,
)
from bridge.pipeline import Compiled, compile_script
from bridge.probes.families import perf, session, timer
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap

if TYPE_CHECKING:
    from collections.abc import Sequence

HIT = Marker(
    Kind.USDT,
    "demo",
    "hit",
    (Site("/bin/demo", 0x1000, 0x401000),),
    (
        Variable("arg1", ValueType.LONG, (Register("rax", 8, signed=True),)),
        Variable("arg2", ValueType.LONG, (Memory("rbp", None, 1, -8, 8, signed=False),)),
    ),
    "x86_64",
)
SWITCH = Marker(
    Kind.TRACEPOINT,
    "sched",
    "switch",
    (),
    (
        Variable(
            "comm", ValueType.STRING, (TracepointField(8, 16, signed=False, array="char"),)
        ),
        Variable("pid", ValueType.LONG, (TracepointField(24, 4, signed=True),)),
        Variable(
            "path", ValueType.STRING, (TracepointField(28, 4, signed=False, array="data_loc"),)
        ),
    ),
    id=7,
)
MARKERS = {
    "hit": Expansion(
        MarkerAttachment(HIT),
        'process("/bin/demo").mark("hit")',
        {"$$name": "hit"},
        newest_first=True,
        dollars=True,
    ),
    "switch": Expansion(MarkerAttachment(SWITCH), 'kernel.trace("sched:switch")'),
}


class DemoTargets:
    """`process("demo").mark("hit")`, `kernel.trace("switch")`, counters, timers, begin, end."""

    def structure(self, name: str, module: str) -> NoAccess:
        """No types are known."""
        return NoAccess(f"type definition '{name}' not found in '{module}'")

    def static(self, wanted: GlobalAccess) -> NoAccess:
        """No globals are known."""
        return NoAccess(f"unable to find global '{wanted.name}'")

    def expand(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        """The expansion of one point."""
        if parts[0].name in {"timer", "perf"}:
            is_timer = parts[0].name == "timer"
            found = timer.place(parts, 100) if is_timer else perf.place(parts, "x86_64")
            return found if isinstance(found, NoMatch) else (found,)
        if parts[0].name in {"process", "kernel", "module", "kprobe"}:
            marker = MARKERS.get(str(parts[1].argument))
            return (marker,) if marker else NoMatch(1)
        return (session.place(parts),)


def compile_text(
    text: str, name: str = "a.stp", *, record: bool = False, **options: object
) -> Compiled:
    """Compile against `DemoTargets`; the options are those of `AnalyseOptions`."""
    sources = SourceMap()
    analyse = AnalyseOptions(**options)  # type: ignore[arg-type]  # by name
    return compile_script(
        sources.add(name, text), sources, DemoTargets(), analyse, record=record
    )
