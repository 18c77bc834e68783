"""`markbridge convert IN OUT --to FORMAT`: a trace of any known format as LTT or CTF.

A value that the output cannot hold is an error that names the event and field. A class that it
cannot hold is left out, counted and named; with --strict that is an error, too. Damage in the
input is reported and the rest converted.
"""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cli.terminal import say, say_diagnostics
from bridge.progress import doing
from bridge.source import SourceMap

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from types import FrameType

    from bridge.trace.convert import Converted
    from bridge.trace.ltt.write import WriteOptions
    from bridge.trace.model import Reader

CTF = {"ctf-1.8": 1, "ctf-2": 2, "ctf": 1}
PERFETTO, PARQUET = "perfetto", "parquet"
TARGETS = ("ltt-2.6", "ltt-0.8", "ltt-0.7", *CTF, PERFETTO, PARQUET)
COUNTER = "a track of the values of this field (perfetto); may be given several times"
_UNITS = {"k": 1 << 10, "m": 1 << 20}


def size(text: str) -> int:
    """A number of bytes: 4096, 64k, 1M."""
    unit = _UNITS.get(text[-1:].lower(), 1)
    value = int(text[:-1] if unit > 1 else text) * unit
    if not 4096 <= value <= 1 << 30 or value & (value - 1):
        raise ValueError(text)
    return value


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    help_ = "the trace to read; several become one, in order of time"
    add("sources", metavar="IN", type=Path, nargs="+", help=help_)
    add(
        "out",
        metavar="OUT",
        type=Path,
        help="the folder to write; empty or not there yet (perfetto: the file)",
    )
    add("--to", required=True, choices=TARGETS, help="the format to write")
    add("--strict", action="store_true", help="stop at a class that the format cannot hold")
    add("--word-size", type=int, choices=(4, 8), default=8, help="bytes of a pointer (LTT)")
    add("--byte-order", choices=("little", "big"), default="little", help="of LTT")
    add(
        "--counter",
        dest="counters",
        metavar="EVENT.FIELD",
        action="append",
        default=[],
        help=COUNTER,
    )
    add("--packed", action="store_true", help="LTT without alignment")
    add(
        "--subbuf-size",
        type=size,
        default=1 << 18,
        metavar="BYTES",
        help="size of a sub-buffer, a power of two from 4096 (LTT; default 256k)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Convert; 1 if the input could not be read or the output not hold it."""
    from bridge.trace import convert

    with _terminable(), _open(arguments.sources) as source:
        if arguments.to in CTF:
            version, strict = CTF[arguments.to], arguments.strict
            done = convert.to_ctf(source, arguments.out, version, strict=strict)
        elif arguments.to == PARQUET:
            done = convert.to_parquet(source, arguments.out)
        elif arguments.to == PERFETTO:
            counters = frozenset(arguments.counters)
            done = convert.to_perfetto(source, arguments.out, counters)
        else:
            options, strict = _options(arguments), arguments.strict
            done = convert.to_ltt(source, arguments.out, options, strict=strict)
        say_diagnostics(source.diagnostics, SourceMap())
    if done.moved:
        say(
            f"warning: {done.moved} events are earlier than the one before them in their"
            " stream; they were written with the time of that one"
        )
    for name, one in done.skipped.items():
        say(f"warning: {one.events} events of class {name} are left out: {one.reason}")
    _say_missing(done, arguments.out, arguments.to)
    say(f"{done.events} events written to {arguments.out}")
    return 0


def _say_missing(done: Converted, out: Path, form: str) -> None:
    """What the source says is missing in it, and whether the output says so, too."""
    if done.corrupt:
        say(
            f"warning: the tracer calls {done.corrupt} sub-buffers corrupt;"
            " events of theirs may be missing"
        )
    if not done.lost:
        return
    text = f"warning: {done.lost} events were lost when the trace was recorded"
    if done.lost_told == done.lost:
        say(f"{text}; {out} says so, too")
    elif not done.lost_told:
        say(f"{text}; {form} has no place for that number here, so {out} does not say so")
    else:
        say(f"{text}; {out} says so of {done.lost_told}, the others' streams have no events")


def _open(paths: list[Path]) -> Reader:
    from bridge.trace.open import open_traces

    with doing(f"opening {', '.join(map(str, paths))}"):
        return open_traces(paths)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Signals that end the process raise exceptions, so that no part of a trace stays."""
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _end) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _options(arguments: argparse.Namespace) -> WriteOptions:
    from bridge.trace.ltt.write import WriteOptions

    return WriteOptions(
        version=arguments.to.removeprefix("ltt-"),
        arch_size=arguments.word_size,
        big_endian=arguments.byte_order == "big",
        aligned=not arguments.packed,
        block_bytes=arguments.subbuf_size,
    )
