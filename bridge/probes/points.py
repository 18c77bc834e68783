"""What a probe point may look like: which components may follow which, with which arguments.

The shapes are those of the families (bridge.probes.families); the messages are SystemTap's.
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING

from bridge.markers import NoMatch
from bridge.probes import families
from bridge.suggest import similar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.markers import PointPart
    from bridge.probes.families import Family

WILD = "*?["
REFUSED = {
    "java": "methods in a JVM need an agent in it; probe the markers of libjvm.so",
    "netfilter": "no netfilter programs are made; probe tracepoints of packets (net:*)",
    "oracle": "there is no such tracer here",
    "python2": "it needs a module in Python; probe the markers of Python itself",
    "python3": "it needs a module in Python; probe the markers of Python itself",
}
"""What points begin with in SystemTap and not here, each with the reason."""


def refused(first: str) -> Mapping[str, str]:
    """What SystemTap has behind a first word ("": as a first word) and we do not, and why."""
    if not first:
        return REFUSED
    return {
        word: why for family in families.of_word(first) for word, why in family.refused.items()
    }


def is_wild(text: str) -> bool:
    """Whether a text has wildcards."""
    return any(c in text for c in WILD)


def probe_types() -> list[str]:
    """Every shape of a probe point, as `stap --dump-probe-types` writes them."""
    return sorted(
        ".".join(map(_follow, shape.split("/")))
        for family in families.all_families()
        for shape in family.shapes
    )


def _word(part: PointPart) -> str:
    match part.argument:
        case None:
            return part.name
        case int():
            return f"{part.name} N"
        case _:
            return f"{part.name} S"


def _first(path: str) -> str:
    return path.partition("/")[0].partition(" ")[0]


def _shapes(path: str) -> Mapping[str, Family]:
    """The shapes that begin with the first word of a path."""
    return _shapes_of(_first(path))


@cache
def _shapes_of(first: str) -> Mapping[str, Family]:
    return {
        shape: family
        for family in families.of_word(first)
        for shape in family.shapes
        if _first(shape) == first
    }


@cache
def _is_prefix(path: str) -> bool:
    return any(shape == path or shape.startswith(f"{path}/") for shape in _shapes(path))


@cache
def _next(path: str) -> list[str]:
    """The words that may follow a path."""
    if not path:
        every = (shape for word in families.WORDS for shape in _shapes_of(word))
        return sorted({shape.split("/")[0] for shape in every})
    start = f"{path}/"
    words = {s[len(start) :].split("/")[0] for s in _shapes(path) if s.startswith(start)}
    return sorted(words)


def _follow(word: str) -> str:
    name, _, argument = word.partition(" ")
    return name + {"N": "(number)", "S": "(string)", "": ""}[argument]


def family_of(parts: Sequence[PointPart]) -> Family | NoMatch:
    """The family of a point; else SystemTap's words for what is wrong with its shape."""
    path = ""
    for index, part in enumerate(parts):
        further = f"{path}/{_word(part)}" if path else _word(part)
        if not _is_prefix(further):
            return _mismatch(parts, index, path)
        path = further
    if path not in _shapes(path):
        follow = " ".join(map(_follow, _next(path)))
        return NoMatch(
            len(parts) - 1,
            f"probe point truncated (follow:  {follow})",
            code="truncated-probe-point",
        )
    return _shapes(path)[path]


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
    for shape in sorted(shape for word in families.WORDS for shape in _shapes_of(word)):
        words = [(name, kind) for name, _, kind in (w.partition(" ") for w in shape.split("/"))]
        found.setdefault(len(words), []).append(words)
    return found


def _stands_for(part: PointPart, word: tuple[str, str]) -> bool:
    name, argument = word
    return _word(part).partition(" ")[2] == argument and fnmatchcase(name, part.name)


def _mismatch(parts: Sequence[PointPart], index: int, path: str) -> NoMatch:
    name = parts[index].name
    before = parts[0].name if index else ""
    reasons = refused(before)
    if (index <= 1 or before in {"perf", "process"}) and name in reasons:
        point = ".".join(part.name for part in parts[: index + 1])
        return NoMatch(
            index,
            f"probe point `{point}` is not supported by markbridge: {reasons[name]}",
            code="unsupported-probe-point",
        )
    if path in _shapes(path):
        return NoMatch(index, "invalid suffix for probe", code="invalid-suffix")
    near = similar(name, {word.split(" ")[0] for word in _next(path)})
    return NoMatch(index, "probe point mismatch", near, code="unknown-probe-point")
