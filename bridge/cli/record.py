"""`markbridge record --facility NAME --to FORM DIR -- COMMAND`: the running kernel as a trace.

Tracepoints, by facilities, markers of older tracers and patterns, go from the ring buffer into
the files in C. Ctrl-C ends the recording as the end of the command does.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cli.convert import size
from bridge.cli.front import EXIT_ERROR, EXIT_HOST, UsageError
from bridge.cli.run import Interruption, _power_of_two, _seconds
from bridge.cli.terminal import say
from bridge.errors import BridgeError

if TYPE_CHECKING:
    import argparse

    from bridge.artifact import Placed
    from bridge.engine.target import Target
    from bridge.engine.trace.event_plan import EventPlan
    from bridge.engine.trace.recorders import AnyRecorder, RecordingSummary

FORMS = ("ctf", "ltt-0.8", "ltt-0.7", "ltt-2.6")
MEGABYTE = 1 << 20
FACILITY = "record its events; `--list` names the facilities; may be repeated"
MARKER = "record markers and events of older tracers by name, with wildcards: kernel.sched_*"
EVENT = "record the tracepoints that `subsystem:event`, with wildcards, means"
PROBE = "record what a probe point of the script language means, as a marker of a program"


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("words", metavar="DIR [-- COMMAND]", nargs="*", help="the new trace's folder")
    add("--facility", metavar="NAME", action="append", default=[], help=FACILITY)
    add("--marker", metavar="PATTERN", action="append", default=[], help=MARKER)
    add("-e", "--event", metavar="PATTERN", action="append", default=[], help=EVENT)
    add("--probe", metavar="POINT", action="append", default=[], help=PROBE)
    add("--to", choices=FORMS, default="ctf", help="the format to write (default: ctf)")
    add("--list", action="store_true", help="print the facilities instead")
    add("-T", dest="seconds", type=_seconds, metavar="SEC", help="end after so many seconds")
    add("-s", dest="megabytes", type=int, default=64, metavar="MB", help="size of the buffer")
    add(
        "--subbuf-size",
        type=size,
        default=1 << 16,
        metavar="BYTES",
        help="size of a sub-buffer of LTT, a power of two from 4096 (default 64k)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Record; the exit code."""
    if arguments.list:
        _list()
        return 0
    if not arguments.words:
        raise UsageError("a folder for the trace is needed")
    folder = Path(arguments.words[0])
    from bridge.trace.output import check_free

    check_free(folder)
    plan = _plan(arguments)
    placed = _compile(plan)
    for name in plan.missing(placed):
        say(f"warning: this kernel has no `{name}`")
    return _record(arguments, folder, placed, plan)


def _list() -> None:
    from bridge.engine.trace.event_plan import groups, older

    rows = {name: group.about for name, group in groups().items()}
    for name, events in older().items():
        text = f"older tracers' {name}: " + ", ".join(e.name.partition(".")[2] for e in events)
        rows.setdefault(name, text)
    width = max(map(len, rows))
    for name, about in sorted(rows.items()):
        print(f"{name:{width}}  {about}")
    print("and the subsystems of /sys/kernel/tracing/events")


# --- what -------------------------------------------------------------------------------------


def _plan(arguments: argparse.Namespace) -> EventPlan:
    from bridge.engine.trace.event_plan import EventPlan

    plan = EventPlan(list(arguments.event), [], list(arguments.probe))
    for name in arguments.facility:
        plan.add_facility(name, _systems)
    for pattern in arguments.marker:
        plan.add_markers(pattern)
    if not (plan.patterns or plan.old or plan.points):
        raise UsageError("nothing to record: give --facility, --marker, --event or --probe")
    return plan


def _systems() -> set[str]:
    from bridge.probes.tracepoints import event_names
    from bridge.world import LiveWorld

    return {system for system, _ in event_names(LiveWorld())}


def _compile(plan: EventPlan) -> Placed:
    """The probes of all events."""
    from bridge.cli.front import ToldError
    from bridge.cli.script import of_the_host
    from bridge.cli.terminal import say_diagnostics
    from bridge.engine.kernel.features import reaches_functions
    from bridge.errors import CompileError
    from bridge.pipeline import compile_script
    from bridge.probes.live import LiveTargets
    from bridge.probes.machine import Options
    from bridge.progress import doing
    from bridge.source import SourceMap
    from bridge.world import LiveWorld

    sources = SourceMap()
    main = sources.add("<events to record>", plan.script().encode())
    targets = LiveTargets(LiveWorld(), Options(reached=reaches_functions))
    try:
        with doing("looking up the events"):
            return compile_script(main, sources, targets, record=True, apart=True).placed
    except CompileError as error:
        if any(diagnostic.code == "no-probes" for diagnostic in error.diagnostics):
            raise BridgeError("none of these events is there to be recorded") from error
        say_diagnostics(error.diagnostics, sources)
        of_host = any(of_the_host(diagnostic) for diagnostic in error.diagnostics)
        raise ToldError(EXIT_HOST if of_host else EXIT_ERROR) from error


# --- recording --------------------------------------------------------------------------------


def _record(
    arguments: argparse.Namespace, folder: Path, placed: Placed, plan: EventPlan
) -> int:
    from bridge.engine.base import SessionOptions
    from bridge.engine.live import LiveOptions, run_live

    made: list[AnyRecorder] = []

    def make(placed: Placed, offset_ns: int, target: int) -> AnyRecorder:
        made.append(_recorder(arguments, folder, placed, plan, offset_ns, target))
        return made[-1]

    with Interruption() as interruption:
        target = _target(arguments.words[1:])
        try:
            result = run_live(
                placed,
                target,
                LiveOptions(
                    session=SessionOptions(output=sys.stderr.fileno(), target=0),
                    stopped=interruption,
                    seconds=arguments.seconds,
                    ring_bytes=_power_of_two(arguments.megabytes * MEGABYTE),
                    recorder=make,
                ),
            )
        finally:
            target.abandon()
    _say_written(made[0].close(), folder)
    return result.exit_code


def _recorder(
    arguments: argparse.Namespace,
    folder: Path,
    placed: Placed,
    plan: EventPlan,
    offset_ns: int,
    target: int,
) -> AnyRecorder:
    if arguments.to == "ctf":
        from bridge.engine.trace.record import Recorder

        return Recorder(placed, folder, offset_ns, target, outputs=plan.outputs)
    from bridge.engine.trace.record_ltt import LttRecorder
    from bridge.trace.ltt.write import WriteOptions

    options = WriteOptions(
        version=arguments.to.removeprefix("ltt-"), block_bytes=arguments.subbuf_size
    )
    return LttRecorder(placed, folder, offset_ns, options, plan.outputs)


def _target(command: list[str]) -> Target:
    from bridge.engine.child import start
    from bridge.engine.target import Target

    return Target.of_child(start(shlex.join(command))) if command else Target()


def _say_written(summary: RecordingSummary, folder: Path) -> None:
    if summary.unreadable:
        say(
            f"warning: {summary.unreadable} values could not be read; they are 0 or empty where"
            " the format cannot say so"
        )
    if summary.dropped:
        say(f"warning: {summary.dropped} events could not be written")
    say(f"{summary.written} events written to {folder}")
