"""The compiler from a script's text to a placed program: read this first.

text -> checked tree (`script.analyse`) -> IR (`lower`) -> better IR (`ir.passes`) -> where each
handler runs (`placement`) -> what cannot be attached (`attachable`). Code generation and
engines take it from there. The rule: what is wrong with a script is said here, as diagnostics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge import attachable, deferred_reads
from bridge.diagnostics import Sink
from bridge.errors import CompileError
from bridge.ir.passes import optimise
from bridge.lower import lower
from bridge.placement import place
from bridge.script.analysis.analyse import analyse
from bridge.script.builtins import CONTEXTS
from bridge.script.options import AnalyseOptions

if TYPE_CHECKING:
    from bridge.artifact import Placed
    from bridge.diagnostics import Diagnostic
    from bridge.markers import Targets
    from bridge.script.analysis.typed import Typed
    from bridge.source import Source, SourceMap


@dataclass(frozen=True, slots=True)
class Compiled:
    """A script that may run: the program with its placement, and what was said about it."""

    name: str
    typed: Typed
    placed: Placed
    sources: SourceMap
    warnings: tuple[Diagnostic, ...]


def compile_script(
    main: Source,
    sources: SourceMap,
    targets: Targets,
    options: AnalyseOptions | None = None,
    *,
    record: bool = False,
    apart: bool = False,
) -> Compiled:
    """Compile a text for what there is to probe; CompileError says why not.

    `main` is `sources.add(name, text)`. With `record`, every hit is captured in full, with
    `apart` as `place` says.
    """
    sink = Sink()
    options = replace(options or AnalyseOptions(), keep_idle=record)
    typed = analyse(main, sources, targets, sink, options)
    if typed is None or sink.failed:
        raise CompileError(sink.items, "script", sources)
    placed, wrong = placed_of(typed, sources, record=record, apart=apart)
    if placed is None:
        raise CompileError(wrong, "script", sources)
    later = () if record else tuple(deferred_reads.read_later(placed.program))
    return Compiled(main.name, typed, placed, sources, (*sink.warnings, *later))


def placed_of(
    typed: Typed, sources: SourceMap, *, record: bool = False, apart: bool = False
) -> tuple[Placed | None, tuple[Diagnostic, ...]]:
    """Where each handler runs; or None, and what cannot be read or attached where it is."""
    program = optimise(lower(typed, sources), CONTEXTS)
    wrong = tuple(deferred_reads.refused(program, record=record))
    if wrong:
        return None, wrong
    placed = place(program, record=record, apart=apart)
    wrong = tuple(attachable.refused(placed))
    return (None if wrong else placed), wrong
