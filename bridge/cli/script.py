"""The options of commands that take a script, and the way from them to a compiled program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cli.front import EXIT_HOST, ToldError, UsageError
from bridge.errors import BridgeError
from bridge.progress import doing
from bridge.source import SourceMap

if TYPE_CHECKING:
    import argparse

    from bridge.diagnostics import Diagnostic
    from bridge.markers import Targets
    from bridge.pipeline import Compiled
    from bridge.script.options import AnalyseOptions
    from bridge.source import Source

HOST_CODES = frozenset({"no-tracefs", "no-btf", "no-kallsyms"})
"""Diagnostics that are about the host, not about the script."""


def configure_script(parser: argparse.ArgumentParser) -> None:
    """The options about the script itself, by stap's letters."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="FILE [ARGUMENT ...]",
        help="the script (- for standard input), then its arguments $1 @1 ...",
    )
    add = parser.add_argument
    add("-e", dest="text", metavar="TEXT", help="the script itself")
    add("-E", dest="extra", metavar="TEXT", action="append", default=[], help="one more script")
    add(
        "-I", dest="include", metavar="DIR", action="append", default=[], help="a tapset folder"
    )
    add("-D", dest="defines", metavar="N=V", action="append", default=[], help="set a limit")
    add("-G", dest="globals_", metavar="G=V", action="append", default=[], help="set a global")
    add(
        "-g",
        dest="guru",
        action="store_true",
        help="guru mode: allow embedded C and privileged functions",
    )
    add("-u", dest="unoptimized", action="store_true", help="keep code that does nothing")
    add("--compatible", default="5.6", metavar="VERSION", help="be like an older SystemTap")
    add("-c", dest="command", default="", metavar="CMD", help="run CMD, and end when it ends")
    add(
        "-x",
        dest="pid",
        type=int,
        default=0,
        metavar="PID",
        help="target process: target() is PID",
    )
    add(
        "--unsafe-nop5",
        action="store_true",
        help="attach to five-byte nops even where that overwrites the program's red zone",
    )
    add(
        "--strict-names",
        action="store_true",
        help="do not look for the kernel's functions and members under the names of today",
    )
    add("--xx", action="store_true", help="the script is one of stap++ (.sxx)")
    add(
        "--arg",
        dest="xx_arguments",
        metavar="N=V",
        action="append",
        default=[],
        help="with --xx: the value of $^arg_N",
    )
    add("--exec", dest="xx_program", metavar="FILE", help="with --xx: the program it is for")


def configure_replay(parser: argparse.ArgumentParser, text: str) -> None:
    """The option that puts traces in the machine's place."""
    parser.add_argument(
        "--replay", type=Path, metavar="DIR", action="append", default=[], help=text
    )


def read_script(arguments: argparse.Namespace, sources: SourceMap) -> Source:
    """The script that the options name, in the language."""
    source = _read(arguments, sources)
    if not arguments.xx:
        return source
    from bridge.cli.stapxx import translated

    return translated(arguments, source, sources)


def _read(arguments: argparse.Namespace, sources: SourceMap) -> Source:
    """The text that the options name; it takes the first word if there is no -e."""
    arguments.script = ""
    if arguments.text is not None:
        return sources.add("<input>", arguments.text.encode("utf-8", "surrogateescape"))
    if not arguments.words:
        raise UsageError("a script is needed: a file, or -e TEXT")
    name = arguments.script = arguments.words.pop(0)
    if name == "-":
        from bridge.script.syntax.lex import MAX_BYTES

        return sources.add("<input>", sys.stdin.buffer.read(MAX_BYTES + 1))
    from bridge.script.syntax.read import read_text, why

    try:
        return sources.add(name, read_text(name))
    except (OSError, ValueError) as error:
        raise BridgeError(
            f"input file '{name}' is missing or unreadable: {why(error)}"
        ) from error


def analyse_options(arguments: argparse.Namespace) -> AnalyseOptions:
    """What the options say to the front end."""
    from bridge.script.options import NEWEST, AnalyseOptions
    from bridge.script.syntax.conditions import compare_versions

    if compare_versions(arguments.compatible, NEWEST) > 0:
        wrong = f"--compatible: systemtap version {NEWEST} cannot be compatible with"
        raise UsageError(f"{wrong} future version {arguments.compatible}")
    return AnalyseOptions(
        arguments=tuple(arguments.words),
        include=_folders(arguments.include),
        texts=getattr(arguments, "texts", ()),
        defines=_defines(arguments.defines),
        globals_=_pairs(arguments.globals_, "-G", None),
        extra=tuple(arguments.extra),
        guru=arguments.guru,
        unoptimized=arguments.unoptimized,
        compatible=arguments.compatible,
    )


LIMITS = {
    "MAXSTRINGLEN": (8, 1 << 16),
    "MAXACTION": (1, 1 << 58),
    "MAXACTION_INTERRUPTIBLE": (1, 1 << 62),
    "MAXNESTING": (1, 1 << 20),
    "MAXMAPENTRIES": (1, 100_000_000),
    "MAXERRORS": (0, (1 << 31) - 1),
    "MAXSKIPPED": (0, (1 << 31) - 1),
    "HIST_ELISION": (-1, 128),
    "MAXBACKTRACE": (1, 4096),
    "MAXUSERSTACK": (4096, 1 << 16),
}
"""The limits that -D sets, and the values that they may have."""


def _defines(items: list[str]) -> dict[str, str]:
    """-D settings; a limit has to be a number that makes sense."""
    pairs = _pairs(items, "-D", "1")
    for name, text in pairs.items():
        if name in LIMITS:
            low, high = LIMITS[name]
            try:
                fits = low <= int(text, 0) <= high
            except ValueError:
                fits = False
            if not fits:
                raise UsageError(f"-D {name} needs a number from {low} to {high}, not `{text}`")
    return pairs


def _folders(names: list[str]) -> tuple[Path, ...]:
    for name in names:
        if not Path(name).is_dir():
            raise UsageError(f"-I {name}: there is no such folder")
    return tuple(map(Path, names))


def _pairs(items: list[str], option: str, default: str | None) -> dict[str, str]:
    pairs = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals and default is None:
            raise UsageError(f"{option} needs NAME=VALUE, not `{item}`")
        pairs[name] = value if equals else default or ""
    return pairs


def targets_of(arguments: argparse.Namespace) -> Targets:
    """What there is to probe: in the traces of --replay, or on this machine."""
    if not arguments.replay:
        return live_targets(arguments)
    from bridge.engine.trace.replay import open_recorded

    return open_recorded(*arguments.replay)


def live_targets(arguments: argparse.Namespace) -> Targets:
    """What there is to probe on this machine."""
    from bridge.engine.kernel.features import has, reaches_functions
    from bridge.probes.live import LiveTargets
    from bridge.probes.machine import Options
    from bridge.world import LiveWorld

    options = Options(
        arguments.command,
        arguments.pid,
        arguments.unsafe_nop5,
        arguments.strict_names,
        reaches_functions,
        has,
    )
    return LiveTargets(LiveWorld(), options)


def compile_arguments(
    arguments: argparse.Namespace, targets: Targets, *, record: bool = False
) -> Compiled | None:
    """The compiled script; None after its errors have been told."""
    sources = SourceMap()
    main = read_script(arguments, sources)
    return compile_source(arguments, main, sources, targets, record=record)


def compile_source(
    arguments: argparse.Namespace,
    main: Source,
    sources: SourceMap,
    targets: Targets,
    *,
    record: bool,
) -> Compiled | None:
    """The same for a text that was read."""
    from bridge.errors import CompileError
    from bridge.pipeline import compile_script

    try:
        with doing(f"compiling {main.name}"):
            return compile_script(
                main, sources, targets, analyse_options(arguments), record=record
            )
    except CompileError as error:
        from bridge.cli.terminal import say_diagnostics

        say_diagnostics(error.diagnostics, sources)
        if any(of_the_host(diagnostic) for diagnostic in error.diagnostics):
            raise ToldError(EXIT_HOST) from error
        return None


def of_the_host(diagnostic: Diagnostic) -> bool:
    """Whether the script is refused because of what the host lacks."""
    return diagnostic.code in HOST_CODES or any(map(of_the_host, diagnostic.chain))
