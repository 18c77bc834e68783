"""The shapes of probe points: which components may follow which, with which arguments.

A shape is a path of words; `N` after a word means a number in parentheses, `S` a string. The
table is data: a new kind of point is one line here and one function in `bind`.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING

from bridge.markers import NoMatch
from bridge.suggest import similar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.markers import PointPart

WILD = "*?["
_TIMERS = ("s", "sec", "ms", "msec", "us", "usec", "ns", "nsec", "jiffies")
_PROCESSES = ("process", "process S", "process N")
_PLACES = (
    "mark S",
    "provider S/mark S",
    *(
        f"function {argument}{suffix}"
        for argument in "SN"
        for suffix in ("", "/call", "/exported", "/inline", "/return")
    ),
    "function S/label S",
    "statement N",
    "statement S",
    "statement S/nearest",
)

_RETURNS = ("/return", "/return/maxactive N")
_KERNEL_PLACES = (
    *(
        f"function {argument}{suffix}"
        for argument in "SN"
        for suffix in ("", "/call", "/exported", *_RETURNS)
    ),
    *(
        f"function S/{suffix}"
        for suffix in (
            "inline",
            "label S",
            "callee S",
            "callee S/call",
            "callee S/return",
            "callees",
            "callees N",
        )
    ),
    *(f"statement {argument}{suffix}" for argument in "SN" for suffix in ("", "/nearest")),
)
_KPROBES = tuple(
    f"{owner}function S{suffix}"
    for owner in ("", "module S/")
    for suffix in ("", "/call", *_RETURNS)
)

EVENTS = ("begin", "end", "thread/begin", "thread/end", "syscall", "syscall/return")

SHAPES = frozenset(
    {
        *(f"{name}{argument}" for name in ("begin", "end", "error") for argument in ("", " N")),
        "never",
        *(f"timer/{unit} N" for unit in _TIMERS),
        *(f"timer/{unit} N/randomize N" for unit in _TIMERS),
        "timer/hz N",
        *(f"{process}/{place}" for process in _PROCESSES for place in _PLACES),
        *(f"{process}/library S/{place}" for process in _PROCESSES for place in _PLACES),
        *(f"{process}/{event}" for process in _PROCESSES for event in EVENTS),
        "kernel/trace S",
        "kernel/mark S",
        "kernel/mark S/format S",
        *(f"{owner}/{place}" for owner in ("kernel", "module S") for place in _KERNEL_PLACES),
        "kernel/statement N/absolute",
        *(f"kprobe/{place}" for place in _KPROBES),
        "kprobe/statement N/absolute",
        *(f"perf/type N/config N{rate}" for rate in ("", "/sample N", "/hz N")),
    }
)

_CALLEES = "which functions a function calls is not looked up; name them"
UNSUPPORTED = {
    "kernel": {
        "data": "hardware breakpoints are not set; probe the functions that write there",
        "lsm": 'no programs of this type are made; probe kernel.function("security_NAME")',
        "tracepoint": 'write kernel.trace("NAME")',
    },
    "process": {
        "callee": _CALLEES,
        "callees": _CALLEES,
        "data": "hardware breakpoints are not set; probe the functions that write there",
        "insn": "programs are not single-stepped; perf.type(0).config(1) counts instructions",
        "plt": "calls are probed where they arrive: process.library(NAME).function(NAME)",
    },
    "perf": {
        "counter": "no counter is read in handlers; one that hits is perf.type().config()",
        "process": "counters are of all processes; choose by pid() in the handler",
    },
    "timer": {"profile": "the profile has no parts; write timer.profile"},
    "": {
        "java": "methods in a JVM need an agent in it; probe the markers of libjvm.so",
        "netfilter": "no netfilter programs are made; probe tracepoints of packets (net:*)",
        "oracle": "there is no such tracer here",
        "procfs": "no files are made that handlers serve; print from timers to a file (-o)",
        "python2": "it needs a module in Python; probe the markers of Python itself",
        "python3": "it needs a module in Python; probe the markers of Python itself",
    },
}
"""What SystemTap has and we do not: by the first word, each with the reason."""


def is_wild(text: str) -> bool:
    """Whether a text has wildcards."""
    return any(c in text for c in WILD)


def _word(part: PointPart) -> str:
    match part.argument:
        case None:
            return part.name
        case int():
            return f"{part.name} N"
        case _:
            return f"{part.name} S"


@cache
def _is_prefix(path: str) -> bool:
    return any(shape == path or shape.startswith(f"{path}/") for shape in SHAPES)


@cache
def _next(path: str) -> list[str]:
    """The words that may follow a path."""
    start = f"{path}/" if path else ""
    words = {s[len(start) :].split("/")[0] for s in SHAPES if s.startswith(start)}
    return sorted(words)


def _follow(word: str) -> str:
    name, _, argument = word.partition(" ")
    return name + {"N": "(number)", "S": "(string)", "": ""}[argument]


def check(parts: Sequence[PointPart]) -> NoMatch | None:
    """Whether a point has a shape that we know; else SystemTap's words for what is wrong."""
    path = ""
    for index, part in enumerate(parts):
        further = f"{path}/{_word(part)}" if path else _word(part)
        if not _is_prefix(further):
            return _mismatch(parts, index, path)
        path = further
    if path not in SHAPES:
        follow = " ".join(map(_follow, _next(path)))
        return NoMatch(
            len(parts) - 1,
            f"probe point truncated (follow:  {follow})",
            code="truncated-probe-point",
        )
    return None


def matching_name(names: Sequence[str], pattern: str) -> str | None:
    """The name by which a function is meant; a wildcard does not mean split-off cold parts."""
    if not is_wild(pattern):
        return pattern if pattern in names else None
    whole = (name for name in names if not name.endswith(".cold"))
    return next((name for name in whole if fnmatchcase(name, pattern)), None)


def spellings(parts: Sequence[PointPart]) -> list[tuple[PointPart, ...]]:
    """The points that wildcards in component names stand for, as in `process("x").*("f")`."""
    found = []
    for words in _by_length().get(len(parts), ()):
        if all(map(_stands_for, parts, words)):
            spelled = zip(parts, words, strict=True)
            found.append(tuple(replace(part, name=name) for part, (name, _) in spelled))
    return found


@cache
def _by_length() -> dict[int, list[list[tuple[str, str]]]]:
    """The names and arguments of each shape's words, by how many there are."""
    found: dict[int, list[list[tuple[str, str]]]] = {}
    for shape in sorted(SHAPES):
        words = [(name, kind) for name, _, kind in (w.partition(" ") for w in shape.split("/"))]
        found.setdefault(len(words), []).append(words)
    return found


def _stands_for(part: PointPart, word: tuple[str, str]) -> bool:
    name, argument = word
    return _word(part).partition(" ")[2] == argument and fnmatchcase(name, part.name)


def _mismatch(parts: Sequence[PointPart], index: int, path: str) -> NoMatch:
    name = parts[index].name
    before = parts[0].name if index else ""
    reasons = UNSUPPORTED.get(before, {})
    if (index <= 1 or before in {"perf", "process"}) and name in reasons:
        # `timer.profile` alone is known by the library
        last = len(parts) if before == "timer" else index + 1
        point = ".".join(part.name for part in parts[:last])
        return NoMatch(
            index,
            f"probe point `{point}` is not supported by markbridge: {reasons[name]}",
            code="unsupported-probe-point",
        )
    if path in SHAPES:
        return NoMatch(index, "invalid suffix for probe", code="invalid-suffix")
    near = similar(name, {word.split(" ")[0] for word in _next(path)})
    return NoMatch(index, "probe point mismatch", near, code="unknown-probe-point")
