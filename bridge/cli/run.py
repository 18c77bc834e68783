"""`markbridge run`: a script on this machine's markers, or over a recorded trace."""

from __future__ import annotations

import gc
import os
import signal
import time
from argparse import ArgumentTypeError
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bridge import __version__
from bridge.cli import cache
from bridge.cli.front import EXIT_ERROR, UsageError
from bridge.cli.script import (
    compile_source,
    configure_replay,
    configure_script,
    read_script,
    targets_of,
)
from bridge.errors import BridgeError
from bridge.source import SourceMap

if TYPE_CHECKING:
    import argparse
    from types import FrameType

    from bridge.artifact import Placed
    from bridge.engine.base import SessionOptions
    from bridge.engine.target import Target

MEGABYTE = 1 << 20
OUTPUT = "write the script's output there; FILE may have `%%H` and the like, see strftime(3)"
MODULES = "know symbols and stack frames of this program or library, too"
LIBRARIES = "know those of all libraries of the programs, too"
JOBS = "replay so many traces at a time, as if one came after the other"
CLUSTER = "do that on the workers of a scheduler of Dask (tcp://HOST:8786)"
LARGEST_RING = 1 << 30
"""The kernel takes ring buffers whose size fits in 32 bits, in powers of two."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    configure_script(parser)
    add = parser.add_argument
    add("-l", dest="names", metavar="POINTS", help="list probe points instead")
    add("-L", dest="pattern", metavar="POINTS", help="list them with their variables")
    add("-d", dest="modules", metavar="FILE", action="append", default=[], help=MODULES)
    add("--ldd", dest="libraries", action="store_true", help=LIBRARIES)
    add("-V", "--version", action="version", version=f"markbridge {__version__}")
    add("-o", dest="output", metavar="FILE", help=OUTPUT)
    add("-T", dest="seconds", type=_seconds, metavar="SEC", help="end after so many seconds")
    add("-v", dest="verbose", action="count", default=0, help="repeat warnings; say more")
    add("-w", dest="quiet", action="store_true", help="no warnings")
    add("-s", dest="megabytes", type=int, default=16, metavar="MB", help="size of the buffer")
    add(
        "--trace",
        type=Path,
        metavar="DIR",
        help="record every hit of the markers there, as CTF",
    )
    configure_replay(parser, "run over the trace there; may be given several times")
    add("-j", dest="jobs", type=_jobs, metavar="N", help=JOBS)
    add("--cluster", metavar="ADDRESS", help=CLUSTER)
    add(
        "--end",
        choices=("once", "each"),
        default="once",
        help="with -j or --cluster: begin and end for all traces, or for each",
    )
    add(
        "--engine",
        choices=("native", "interpreter"),
        default="native",
        help="what runs the handlers: machine code, or the reference interpreter (slow)",
    )
    add(
        "--format",
        choices=("text", "json"),
        default="text",
        help="json: hits, lines, messages and globals as objects, one a line",
    )
    add(
        "--folded",
        action="store_true",
        help="count back traces instead of printing them, and print them at the end as flame"
        " graphs need them (main;work;read 12)",
    )
    add(
        "--suppress-handler-errors",
        action="store_true",
        help="go on after errors in handlers, and only count them",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if seconds > 0:
        return seconds
    raise ArgumentTypeError("a positive number of seconds is needed")


def _jobs(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise ArgumentTypeError("a positive number of processes is needed")


def run(arguments: argparse.Namespace) -> int:
    """Compile, run, and give the exit code."""
    if arguments.names is not None or arguments.pattern is not None:
        return _list(arguments)
    gc.disable()  # compiling makes many objects and drops few
    _check_options(arguments)
    if arguments.jobs or arguments.cluster:
        from bridge.cli.run_pieces import run_in_pieces

        return run_in_pieces(arguments)
    placed = _placed(arguments)
    if placed is None:
        return EXIT_ERROR
    if arguments.format == "json":
        gc.enable()
        return _run_json(arguments, placed)
    if arguments.verbose:
        _say_compiled(placed)
    if arguments.output is not None:
        arguments.output = time.strftime(arguments.output)
    output = open_output(arguments.output)
    gc.freeze()
    gc.enable()
    try:
        if arguments.replay:
            return _replay(arguments, placed, output)
        return _run_live(arguments, placed, output)
    finally:
        if output != 1:
            os.close(output)


def _check_options(arguments: argparse.Namespace) -> None:
    """UsageError for options that exclude each other."""
    if arguments.replay and (arguments.command or arguments.trace):
        raise UsageError("--replay takes neither -c nor --trace")
    if arguments.engine == "interpreter" and (arguments.replay or arguments.trace):
        raise UsageError("--engine=interpreter takes neither --replay nor --trace")
    if arguments.folded and (arguments.replay or arguments.engine == "interpreter"):
        raise UsageError("--folded takes neither --replay nor --engine=interpreter")
    in_pieces = arguments.jobs or arguments.cluster
    if in_pieces and not arguments.replay:
        raise UsageError("-j and --cluster need --replay")
    if arguments.end == "each" and not in_pieces:
        raise UsageError("--end=each needs -j or --cluster")
    own = arguments.replay or arguments.output or arguments.engine == "interpreter"
    if arguments.format == "json" and own:
        raise UsageError("--format=json takes neither --replay, -o nor --engine=interpreter")


def _list(arguments: argparse.Namespace) -> int:
    """-l and -L."""
    from bridge.cli import list as listing

    with_variables = arguments.names is None
    arguments.pattern = arguments.pattern if with_variables else arguments.names
    return listing.run(arguments, with_variables=with_variables)


def _say_compiled(placed: Placed) -> None:
    """The line of -v about compilation; the time is what the process has used so far."""
    from bridge.cli.terminal import say

    program, used_ms = placed.program, time.process_time() * 1000
    say(
        f"Pass 1-4: compiled {len(program.handlers)} probe(s), {len(program.functions)}"
        f" function(s), {len(program.globals)} global(s) in {used_ms:.0f} ms."
    )


def _say_started() -> None:
    from bridge.cli.terminal import say

    say("Pass 5: starting run.")


def _placed(arguments: argparse.Namespace) -> Placed | None:
    """The compiled script: of a file, one that was kept, or a new one; None after errors."""
    stored = _stored(arguments)
    if stored is not None:
        return stored
    sources = SourceMap()
    main = read_script(arguments, sources)
    hits = arguments.trace is not None or arguments.format == "json"
    special = bool(arguments.replay) or hits
    kept = None if special else cache.entry(main, arguments)
    placed = cache.recall(kept) if kept is not None else None
    if placed is not None:
        return placed
    targets = targets_of(arguments)
    compiled = compile_source(arguments, main, sources, targets, record=hits)
    if compiled is None:
        return None
    if compiled.warnings and not arguments.quiet:
        from bridge.cli.terminal import say_diagnostics

        say_diagnostics(compiled.warnings, sources)
    if kept is not None and not compiled.warnings:
        cache.keep(kept, compiled.placed)
    return compiled.placed


def _stored(arguments: argparse.Namespace) -> Placed | None:
    """The program of a file that `markbridge compile` has written, if FILE is one."""
    if arguments.text is not None or not arguments.words or arguments.replay:
        return None
    path = Path(arguments.words[0])
    from bridge.engine.program_file import MAGIC, load

    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return None
    except (OSError, ValueError):
        return None
    for_compile = (
        arguments.words[1:],
        arguments.extra,
        arguments.include,
        arguments.defines,
        arguments.globals_,
    )
    if any(for_compile):
        raise UsageError(
            f"{path} is compiled: give arguments, -E, -I, -D and -G to `markbridge compile`"
        )
    stored = load(path)
    placed, arguments.script = stored.placed, stored.name
    hits = arguments.trace is not None or arguments.format == "json"
    if hits and not placed.recorded:
        raise UsageError(f"--trace and --format=json need {path} compiled with --record")
    if placed.recorded and not hits:
        raise UsageError(f"{path} was compiled with --record: use --trace or --format=json")
    return placed


def open_output(name: str | None) -> int:
    """The file of -o; standard output without it."""
    if name is None:
        return 1
    try:
        return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise BridgeError(f"cannot write `{name}`: {error.strerror}") from error


def _switchable(name: str | None) -> str:
    """The file of -o for switch_file(); "" if it is none that could have a successor."""
    return str(Path(name).absolute()) if name is not None and Path(name).is_file() else ""


def _session_options(
    arguments: argparse.Namespace, placed: Placed, output: int
) -> SessionOptions:
    from bridge.engine.base import SessionOptions

    return SessionOptions(
        output=output,
        target=arguments.pid,
        quiet=arguments.quiet,
        repeat_warnings=arguments.verbose > 0,
        suppress_errors=arguments.suppress_handler_errors,
        folded=arguments.folded,
        output_path=_switchable(arguments.output),
        modules=() if arguments.replay else _modules(arguments, placed),
        name=_name(arguments),
    )


def _name(arguments: argparse.Namespace) -> str:
    """What the session is called: as its script."""
    return Path(arguments.script).stem or "script"


def _modules(arguments: argparse.Namespace, placed: Placed) -> tuple[str, ...]:
    """Files whose symbols and stack frames are known: as in SystemTap, the target's, too."""
    from bridge.deferred_reads import looks_at_processes
    from bridge.probes.programs import known_modules
    from bridge.world import LiveWorld

    if not looks_at_processes(placed.program):
        return ()
    sites = (s for hook in placed.hooks for s in hook.attachment.marker.sites)
    return known_modules(
        (*arguments.modules, *(site.path for site in sites)),
        arguments.command,
        arguments.pid,
        LiveWorld(),
        libraries=arguments.libraries,
    )


# --- live -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Interruption:
    """Whether a signal asked for the end.

    The first one ends the session normally; another one of the same kind does what it always
    does, so a second Ctrl-C ends the process at once.
    """

    came: bool = False
    _before: dict[int, object] = field(default_factory=dict)

    def __enter__(self) -> Interruption:
        from bridge._native import lib

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._take)
            lib.mb_signal_once(number)
        # A handler of our own makes the end of the command interrupt the engine's sleep.
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # what signal() gave

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True

    def __call__(self) -> bool:
        return self.came


def _run_live(arguments: argparse.Namespace, placed: Placed, output: int) -> int:
    from bridge.engine.live import LiveOptions, run_live

    with Interruption() as interruption:
        target = _target(arguments)
        try:
            result = run_live(
                placed,
                target,
                LiveOptions(
                    session=_session_options(arguments, placed, output),
                    stopped=interruption,
                    seconds=arguments.seconds,
                    ring_bytes=_power_of_two(arguments.megabytes * MEGABYTE),
                    trace=arguments.trace,
                    interpret=arguments.engine == "interpreter",
                    armed=_say_started if arguments.verbose else lambda: None,
                ),
            )
            return result.exit_code
        finally:
            target.abandon()


def _run_json(arguments: argparse.Namespace, placed: Placed) -> int:
    from bridge.cli.run_json import print_session
    from bridge.engine.target import Target
    from bridge.session import DEFAULT_EVENTS, Session

    pid = Target.of_number(arguments.pid) if arguments.pid else Target()
    target = arguments.command or pid
    trace, seconds = arguments.trace, arguments.seconds
    session = Session(placed, target, trace=trace, seconds=seconds, events=DEFAULT_EVENTS)
    session.options = _session_options(arguments, placed, 1)
    session.ring_bytes = _power_of_two(arguments.megabytes * MEGABYTE)
    with Interruption() as interruption:
        return print_session(session, interruption).exit_code


def _target(arguments: argparse.Namespace) -> Target:
    from bridge.engine.child import start
    from bridge.engine.target import Target

    if arguments.command:
        return Target.of_child(start(arguments.command))
    return Target.of_number(arguments.pid) if arguments.pid else Target()


def _power_of_two(size: int) -> int:
    if not 0 < size <= LARGEST_RING:
        most = LARGEST_RING // MEGABYTE
        raise UsageError(f"-s needs a number of megabytes from 1 to {most}")
    return 1 << (size - 1).bit_length()


# --- over a trace -----------------------------------------------------------------------------


def _replay(arguments: argparse.Namespace, placed: Placed, output: int) -> int:
    from bridge.engine.trace.replay import run_replay

    options = _session_options(arguments, placed, output)
    with Interruption() as interruption:
        return run_replay(placed, arguments.replay, options, interruption).exit_code
