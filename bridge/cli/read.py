"""`markbridge read`: a trace of any format as text or JSON, or its statistics.

Events go to standard output, what is wrong with the trace to standard error. A damaged trace is
read as far as it goes, which is no failure.
"""

from __future__ import annotations

import re
import sys
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cli.front import UsageError
from bridge.cli.terminal import say, say_diagnostics
from bridge.errors import TraceError
from bridge.progress import doing
from bridge.source import SourceMap

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from bridge.trace.ctf.reader import CtfReader
    from bridge.trace.ctf.text import TextOptions
    from bridge.trace.ltt.reader import LttReader
    from bridge.trace.model import Event, Reader, StreamStatistics
    from bridge.trace.selection import Selection

    Buffer: TypeAlias = bytes | memoryview

LINES = 2048
NS_PER_S = 1_000_000_000
TEXT_OPTIONS = (
    "--clock-cycles",
    "--clock-seconds",
    "--clock-date",
    "--clock-gmt",
    "--no-delta",
)
SELECTING = ("begin", "end", "channel", "event", "cpu")
MOST_NAMES = 20
_SECONDS = re.compile(r"(-?\d+)(?:\.(\d{1,9}))?$")
_CLOCK = re.compile(r"(?:(\d{4}-\d{2}-\d{2})[ T])?(\d{1,2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?$")


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add(
        "traces",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="the trace, of any format; several are read as one, in order of time",
    )
    add(
        "--format",
        choices=("text", "lttv", "json"),
        default="text",
        help="text as babeltrace2 prints it, text as LTTV prints it (LTT only), or JSON lines",
    )
    when = "SECONDS[.NS] since 1970 or [YYYY-MM-DD ]hh:mm[:ss[.ns]]"
    add("--begin", metavar="TIME", help=f"leave out what is earlier; {when}")
    add("--end", metavar="TIME", help="leave out what is later")
    add("--channel", action="append", metavar="NAME", help="only this channel or stream")
    add("--event", action="append", metavar="NAME", help="only events of this name (wildcards)")
    add("--cpu", action="append", type=int, metavar="N", help="only events of this CPU")
    add("--stats", action="store_true", help="counts, losses and time span instead of events")
    add("--clock-cycles", action="store_true", help="times as cycles of the clock")
    add("--clock-seconds", action="store_true", help="times as seconds since the origin")
    add("--clock-date", action="store_true", help="times with their date")
    add("--clock-gmt", action="store_true", help="times in UTC")
    add(
        "--layout",
        type=Path,
        metavar="TOML",
        help="the records have the fixed layout that this file describes",
    )
    add("--no-delta", action="store_true", help="no time since the event before")


def run(arguments: argparse.Namespace) -> int:
    """Print the trace."""
    _check_usage(arguments)
    with _open(arguments) as reader:
        _check_channels(reader, arguments.channel or ())
        _check_events(reader, arguments.event or ())
        if arguments.stats:
            with doing(f"counting the events of {_names(arguments)}"):
                found = _statistics(reader, arguments)
            _print_statistics(reader.format, found, as_json=arguments.format == "json")
            count = sum(sum(stream.events.values()) for stream in found.values())
        else:
            count = _print_events(reader, arguments)
        sys.stdout.flush()
        say_diagnostics(reader.diagnostics, SourceMap())
        _say_nothing(count, arguments)
    return 0


def _say_nothing(count: int, arguments: argparse.Namespace) -> None:
    """Say that the options selected nothing."""
    given = [f"--{name}" for name in SELECTING if getattr(arguments, name) is not None]
    if given and not count:
        say(f"warning: no event of the trace was selected by {', '.join(given)}")


def _check_usage(arguments: argparse.Namespace) -> None:
    """Refuse options that do not go together, before anything is read."""
    given = [o for o in TEXT_OPTIONS if getattr(arguments, o.lstrip("-").replace("-", "_"))]
    if given and (arguments.format != "text" or arguments.stats):
        raise UsageError(f"{given[0]} is for events as text only")
    if arguments.stats and arguments.format == "lttv":
        raise UsageError("--stats is text or json, not lttv")


def _check_channels(reader: Reader, wanted: Iterable[str]) -> None:
    """Refuse channels that the trace does not have; only LTT and CTF know theirs."""
    from bridge.trace.selection import channel_of

    if (ltt := _ltt(reader)) is not None:
        known = names = {stream.channel for stream in ltt.tables.streams}
    else:
        files = {file.name for ctf in _ctf_readers(reader) for file in ctf.files}
        names = {channel_of(name) for name in files}
        known = names | files
    for name in wanted if known else ():
        if name not in known:
            raise UsageError(f"no channel `{name}`; there are: {', '.join(sorted(names))}")


def _check_events(reader: Reader, wanted: Iterable[str]) -> None:
    """Refuse names that no event class of the trace has; LKET's are known only once read."""
    from fnmatch import fnmatchcase

    names = sorted(reader.event_classes)
    if not reader.format.startswith(("ctf-", "ltt-")):
        return
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name in names) and not _unknown(pattern):
            raise UsageError(f"no event `{pattern}`; {_offer(pattern, names)}")


def _unknown(pattern: str) -> bool:
    """Whether a pattern is for the names that events without a description get."""
    return "unknown" in pattern


def _offer(pattern: str, names: list[str]) -> str:
    """The names of a trace; of many those that are nearest, and how many there are."""
    from bridge.suggest import MOST, similar

    if len(names) <= MOST_NAMES:
        return f"there are: {', '.join(names)}" if names else "the trace describes none"
    bare = pattern.strip("*").lower()
    holding = [name for name in names if bare and bare in name.lower()]
    near = ", ".join(holding[:MOST] or similar(pattern, names))
    return f"the nearest of its {len(names)} are: {near} (--stats counts what the trace holds)"


def _open(arguments: argparse.Namespace) -> Reader:
    if arguments.layout is not None:
        from bridge.trace.fixed import open_fixed

        if not arguments.layout.is_file():
            raise UsageError(f"{arguments.layout}: there is no such layout file")
        if len(arguments.traces) > 1:
            raise UsageError("--layout is for one trace")
        (trace,) = arguments.traces
        if not trace.exists():
            raise TraceError(f"{trace}: there is no such trace")
        return open_fixed(arguments.layout, trace)
    from bridge.trace.open import open_traces

    with doing(f"opening {_names(arguments)}"):
        return open_traces(arguments.traces)


def _names(arguments: argparse.Namespace) -> str:
    """The traces in a message."""
    return ", ".join(map(str, arguments.traces))


def _print_events(reader: Reader, arguments: argparse.Namespace) -> int:
    """Print the events; how many there were."""
    pieces = _pieces(reader, arguments)
    if pieces is None:
        return _print_lines(_lines(reader, arguments), _names(arguments))
    if sys.stdout.isatty():
        return sum(_print_piece(text, count) for text, count in pieces)
    total = 0
    with doing(f"reading {_names(arguments)}", "events") as activity:
        for text, count in pieces:
            total += _print_piece(text, count)
            activity.count(total)
    return total


def _print_piece(text: Buffer, count: int) -> int:
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()
    return count


def _pieces(
    reader: Reader, arguments: argparse.Namespace
) -> Iterator[tuple[Buffer, int]] | None:
    """Text that C prints and how many lines it is, piece by piece; None if it does not."""
    ctf = _ctf_readers(reader)
    if not ctf or arguments.format == "lttv":
        return None
    from bridge.trace.ctf.printed import json_pieces, text_pieces
    from bridge.trace.merge import MergedReader

    _select(reader, arguments)
    if arguments.format == "text":
        return text_pieces(ctf, _options(arguments))
    if not isinstance(reader, MergedReader):
        return json_pieces([("", ctf[0])], [{}])
    named = [(name, one) for (name, _), one in zip(reader.readers, ctf, strict=True)]
    return json_pieces(named, [reader.origin(one) for one in ctf])


def _print_lines(lines: Iterable[str], name: str) -> int:
    """Print the lines; how many there were. On a terminal they show that it goes on."""
    if sys.stdout.isatty():
        return sum(map(_print_batch, _batches(lines)))
    count = 0
    with doing(f"reading {name}", "events") as activity:
        for batch in _batches(lines):
            count += _print_batch(batch)
            activity.count(count)
    return count


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    lines = iter(lines)
    while batch := list(islice(lines, LINES)):
        yield batch


def _print_batch(batch: list[str]) -> int:
    sys.stdout.buffer.write(("\n".join(batch) + "\n").encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()
    return len(batch)


# --- what to print ----------------------------------------------------------------------------


def _options(arguments: argparse.Namespace) -> TextOptions:
    from bridge.trace.ctf.text import TextOptions

    return TextOptions(
        arguments.clock_cycles,
        arguments.clock_seconds,
        arguments.clock_date,
        arguments.clock_gmt,
        arguments.no_delta,
    )


def _lines(reader: Reader, arguments: argparse.Namespace) -> Iterator[str]:
    events = _select(reader, arguments)
    if arguments.format == "json":
        from bridge.json_text import dumps
        from bridge.trace.text import as_object

        return (dumps(as_object(event)) for event in events)
    if arguments.format == "lttv":
        return _lttv_lines(reader, arguments)
    from bridge.trace.text import event_lines

    return event_lines(events, _options(arguments))


def _ltt(reader: Reader) -> LttReader | None:
    """The reader, if it is LTT's, which is loaded only then."""
    if not reader.format.startswith("ltt-"):
        return None
    from bridge.trace.ltt.reader import LttReader

    return reader if isinstance(reader, LttReader) else None


def _ctf_readers(reader: Reader) -> list[CtfReader]:
    """The CTF traces of a reader that has no others."""
    from bridge.trace.ctf.reader import CtfReader
    from bridge.trace.merge import MergedReader

    match reader:
        case CtfReader():
            return [reader]
        case MergedReader(readers=readers):
            found = [r for _, r in readers if isinstance(r, CtfReader)]
            return found if len(found) == len(readers) else []
        case _:
            return []


def _lttv_lines(reader: Reader, arguments: argparse.Namespace) -> Iterator[str]:
    from bridge.trace.ltt.reader import LttReader
    from bridge.trace.ltt.text import lttv_line

    if not isinstance(reader, LttReader):
        raise UsageError(f"--format lttv is for LTT traces; this one is {reader.format}")
    line = lttv_line(reader.format)
    for event, place in reader.placed_events(_selection(reader, arguments)):
        yield line(event, place)


# --- selection --------------------------------------------------------------------------------


def _select(reader: Reader, arguments: argparse.Namespace) -> Iterable[Event]:
    """Tell the reader what is wanted; the events that it gives then."""
    ctf = _ctf_readers(reader)
    if not ctf:
        if (ltt := _ltt(reader)) is not None:
            return ltt.events(_selection(reader, arguments))
        from bridge.trace.select import matching

        return matching(reader, _selection(reader, arguments))
    selection = _selection(reader, arguments)
    for one in ctf:
        one.select(selection)
    return reader


def _selection(reader: Reader, arguments: argparse.Namespace) -> Selection:
    from bridge.trace.selection import Selection

    whole = Selection()
    day = _Day(reader)
    return Selection(
        _moment(arguments.begin, day, whole.begin_ns),
        _moment(arguments.end, day, whole.end_ns),
        arguments.event,
        arguments.cpu,
        arguments.channel,
    )


class _Day:
    """The day of a trace's first event, asked for only where a time has no date."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def date(self) -> str:
        first = next(iter(self._reader), None)
        seconds = first.timestamp_ns // NS_PER_S if first is not None else time.time()
        return time.strftime("%Y-%m-%d", time.localtime(seconds))


def _moment(text: str | None, day: _Day, default: int) -> int:
    """A time of the command line in ns since 1970."""
    if text is None:
        return default
    if match := _SECONDS.match(text):
        ns = int((match[2] or "").ljust(9, "0"))
        seconds = int(match[1])
        return seconds * NS_PER_S + (-ns if text.startswith("-") else ns)
    match = _CLOCK.match(text)
    if match is None:
        raise UsageError(f"invalid time `{text}`; write 1700000000.5 or 2023-11-14 22:13:20.5")
    clock = match[2] if match[2].count(":") == 2 else f"{match[2]}:00"
    try:
        broken = time.strptime(f"{match[1] or day.date()} {clock}", "%Y-%m-%d %H:%M:%S")
        seconds = int(time.mktime(broken))
    except (ValueError, OverflowError):
        raise UsageError(f"invalid time `{text}`") from None
    return seconds * NS_PER_S + int((match[3] or "").ljust(9, "0"))


# --- statistics -------------------------------------------------------------------------------


def _statistics(reader: Reader, arguments: argparse.Namespace) -> dict[str, StreamStatistics]:
    """The totals of what was selected."""
    if (ltt := _ltt(reader)) is not None:
        return ltt.statistics(_selection(reader, arguments))
    if _ctf_readers(reader) and not arguments.cpu:
        _select(reader, arguments)
        return reader.statistics()
    from bridge.trace.select import selected_statistics

    return selected_statistics(reader, _selection(reader, arguments))


def _print_statistics(form: str, found: dict[str, StreamStatistics], *, as_json: bool) -> None:
    if as_json:
        rows = {
            name: {
                "events": s.events,
                "lost": s.lost,
                "damaged": s.damaged,
                "corrupt": s.corrupt,
                "first_ns": s.first_ns,
                "last_ns": s.last_ns,
            }
            for name, s in found.items()
        }
        from bridge.json_text import dumps

        print(dumps({"format": form, "streams": rows}))
        return
    print(f"format {form}")
    for name, statistics in found.items():
        _print_stream(name, statistics)
    total = sum(sum(s.events.values()) for s in found.values())
    print(f"total: {total} events, {sum(s.lost for s in found.values())} lost")


def _print_stream(name: str, statistics: StreamStatistics) -> None:
    total = sum(statistics.events.values())
    line = f"{name}: {total} events, {statistics.lost} lost"
    if statistics.damaged:
        line += f", {statistics.damaged} damaged packets"
    if statistics.corrupt:
        line += f", {statistics.corrupt} sub-buffers that the tracer calls corrupt"
    if statistics.first_ns is not None and statistics.last_ns is not None:
        line += f", {_stamp(statistics.first_ns)} to {_stamp(statistics.last_ns)}"
    print(line)
    for event, count in sorted(statistics.events.items(), key=lambda item: (-item[1], item[0])):
        print(f"{count:12} {event}")


def _stamp(time_ns: int) -> str:
    sign = "-" if time_ns < 0 else ""
    seconds, ns = divmod(abs(time_ns), NS_PER_S)
    return f"{sign}{seconds}.{ns:09d}"
