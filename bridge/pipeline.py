"""The compiler from a script's text to a placed program: read this first.

text -> checked tree (`script.analyse`) -> IR (`lower`) -> better IR (`ir.passes`) -> where each
handler runs (`placement`). Code generation and engines take it from there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.deferred_reads import refused
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
    from bridge.ir.program import Program
    from bridge.markers import Targets
    from bridge.script.analysis.typed import Typed
    from bridge.source import Source, SourceMap


@dataclass(frozen=True, slots=True)
class Compiled:
    """A script that may run: the program with its placement, and what was said about it."""

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
) -> Compiled:
    """Compile a text for what there is to probe; CompileError says why not.

    `main` is `sources.add(name, text)`. With `record`, every hit is captured in full.
    """
    sink = Sink()
    options = replace(options or AnalyseOptions(), keep_idle=record)
    typed = analyse(main, sources, targets, sink, options)
    if typed is None or sink.failed:
        raise CompileError(sink.items, "script", sources)
    program, wrong = lowered(typed, sources, record=record)
    if wrong:
        raise CompileError(wrong, "script", sources)
    return Compiled(typed, place(program, record=record), sources, tuple(sink.warnings))


def lowered(
    typed: Typed, sources: SourceMap, *, record: bool = False
) -> tuple[Program, tuple[Diagnostic, ...]]:
    """The program, and what it reads that cannot be read where it does."""
    program = optimise(lower(typed, sources), CONTEXTS)
    return program, tuple(refused(program, record=record))
