"""`markbridge check`: what is wrong with a script; or the script after a pass (-p1, -p2).

Errors go to standard error as text, or to standard output as JSON (`--format=json`). It needs
no rights: what can be probed is looked up as far as it can be read.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from bridge.cli.front import EXIT_ERROR, EXIT_HOST
from bridge.cli.script import (
    analyse_options,
    configure_replay,
    configure_script,
    of_the_host,
    read_script,
    targets_of,
)
from bridge.diagnostics import Sink, as_json, told
from bridge.json_text import dumps
from bridge.progress import doing
from bridge.source import SourceMap, machine_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from bridge.artifact import Placed
    from bridge.diagnostics import Diagnostic
    from bridge.script.analysis.typed import Typed

PARSE, ANALYSE = 1, 2
"""The passes, by stap's numbers."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    configure_script(parser)
    configure_replay(parser, "check it for a replay of the trace there")
    add = parser.add_argument
    add(
        "-p", dest="stop", type=int, choices=(PARSE, ANALYSE), help="print the result of a pass"
    )
    add("-v", dest="verbose", action="count", default=0, help="with -p2: what is run, too")
    add("--format", choices=("text", "json"), default="text", help="how errors are printed")
    add(
        "--assume-types",
        action="store_true",
        help="assume that what cannot be looked up exists: kernel functions, $variables, @cast",
    )
    add("--dump-functions", action="store_true", help="list the functions of the library")
    add("--dump-aliases", action="store_true", help="list its probe aliases")
    add("--dump-probe-types", action="store_true", help="list the kinds of probe points")


def run(arguments: argparse.Namespace) -> int:
    """Check a script; 1 if there is an error in it, 3 if the host hides what it needs."""
    # all that is made here lives until the end
    gc.disable()
    sources, sink = SourceMap(), Sink()
    if arguments.dump_probe_types or arguments.dump_functions or arguments.dump_aliases:
        print("\n".join(_listed(arguments, sources, sink)))
        return 0
    with doing("checking the script"):
        text = _checked(arguments, sources, sink)
    gc.freeze()  # at its end, Python would look at all of it once more
    _tell(sink.items, sources, arguments.format)
    if text is None:
        return EXIT_HOST if any(map(of_the_host, sink.items)) else EXIT_ERROR
    print(machine_text(text), end="")
    return 0


def _listed(arguments: argparse.Namespace, sources: SourceMap, sink: Sink) -> Iterable[str]:
    if arguments.dump_probe_types:
        from bridge.probes.points import probe_types

        return probe_types()
    from bridge.script.printing import listing

    lister = listing.functions if arguments.dump_functions else listing.aliases
    return lister(sources, sink, analyse_options(arguments))


def _checked(arguments: argparse.Namespace, sources: SourceMap, sink: Sink) -> str | None:
    """What a pass prints; None after an error."""
    main = read_script(arguments, sources)
    options = analyse_options(arguments)
    if arguments.stop == PARSE:
        from bridge.script.library import Library
        from bridge.script.printing.print_tree import script_text
        from bridge.script.syntax.parse import parse

        macros = Library(sources, sink, options).macros
        script = parse(main, sources, sink, options, macros=macros)
        return None if script is None else script_text(script)
    from dataclasses import replace

    from bridge.script.analysis.analyse import analyse
    from bridge.script.printing.print_typed import typed_text

    options = replace(options, assume_types=arguments.assume_types)
    targets = targets_of(arguments)
    if arguments.assume_types:
        from bridge.script.analysis.assumed import AssumedTargets

        targets = AssumedTargets(targets)
    typed = analyse(main, sources, targets, sink, options)
    if typed is None:
        return None
    if arguments.stop != ANALYSE:
        return None if _refused(arguments, typed, sources, sink) else ""
    return typed_text(typed, verbose=arguments.verbose > 0)


def _refused(
    arguments: argparse.Namespace, typed: Typed, sources: SourceMap, sink: Sink
) -> bool:
    """Whether the script does what cannot be done where it does it; says what.

    Not with types that were assumed: what they are made of is not known.
    """
    if arguments.assume_types:
        return False
    from bridge.pipeline import placed_of

    placed, wrong = placed_of(typed, sources)
    for diagnostic in (*wrong, *_of_kernel(placed)):
        sink.report(diagnostic)
    return sink.failed


def _of_kernel(placed: Placed | None) -> Iterator[Diagnostic]:
    """What this kernel cannot do."""
    from bridge.deferred_reads import first_kernel_read, read_later

    if placed is not None:
        yield from read_later(placed.program)
    if placed is None or first_kernel_read(placed.program) is None:
        return
    from bridge.engine.kernel.memory import missing

    refused = missing(placed.program)
    if refused is not None:
        yield refused


def _tell(diagnostics: Iterable[Diagnostic], sources: SourceMap, form: str) -> None:
    if form == "json":
        print(dumps([as_json(d, sources) for d in told(diagnostics)], indent=1))
        return
    from bridge.cli.terminal import say_diagnostics

    say_diagnostics(dict.fromkeys(diagnostics), sources)
