"""The families of probe points, a module each: all that is known of a kind of point is there.

A family says which shapes its points have, which places they stand for on a machine and in a
recorded trace, and what holds at their hits. How BPF is attached to them is in
`bridge.codegen.bpf.hooks`. The rule: nobody asks for the text of a point to know what it is;
who wants to know something of a kind adds a member to `Family`.

Modules are loaded by the first word of a point, or by the kind of a marker: most scripts probe
one or two kinds.
"""

from __future__ import annotations

import os
from dataclasses import field, replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from bridge.markers import Kind, NoMatch
from bridge.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bridge.markers import Expansion, Marker, PointPart
    from bridge.probes.machine import Machine
    from bridge.probes.recorded import RecordedTargets

    Places = tuple[Expansion, ...] | NoMatch
    """What a point stands for, in a stable order."""


def provider_and_name(marker: Marker) -> str:
    """The event class of most markers."""
    return f"{marker.provider}:{marker.name}"


def program_and_name(marker: Marker) -> str:
    """The same of what has a program's path as its provider."""
    return f"{os.path.basename(marker.provider)}:{marker.name}"  # noqa: PTH119 - a name


def file_of_sites(marker: Marker) -> str:
    """The file that a marker is in, as recordings keep it."""
    return marker.sites[0].path if marker.sites else ""


def marked(places: Places, parts: Sequence[PointPart]) -> Places:
    """The places of a point; those of a return, one word in every family, say so."""
    if isinstance(places, NoMatch) or all(part.name != "return" for part in parts):
        return places
    return tuple(replace(place, returns=True) for place in places)


@dataclass(frozen=True, slots=True)
class Family:
    """A family of probe points.

    `shapes` are its points as paths of words (`timer/ms N`): `N` after a word means a number in
    parentheses, `S` a string. `refused` are words that SystemTap has after those of the
    family's shapes, or as the first one, and we do not, each with the reason. `expand` gives
    the places of a point on a machine, `recorded` those in a trace.
    """

    shapes: frozenset[str]
    expand: Callable[[Sequence[PointPart], Machine], Places]
    recorded: Callable[[Sequence[PointPart], RecordedTargets], Places]
    refused: Mapping[str, str] = field(default_factory=dict)
    stops: bool = False
    """Whether a process can be stopped at its hits: it is in its own code there."""
    slices: bool = False
    """Whether the kernel can run the slice of a handler there (ir/slicing.py)."""
    event_class: Callable[[Marker], str] = provider_and_name
    """What a recording calls the event class of a marker."""
    file: Callable[[Marker], str] = file_of_sites
    """The file that a recording says a marker is in."""
    of_program: bool = False
    """Whether what is recorded of it belongs to a program."""
    live: bool = True
    """Whether its hits come from the running kernel; else from a trace."""
    raw_arguments: bool = False
    """Whether a hit has arguments beside the fields of its record, and no program gets both."""
    where: str = "at a tracepoint"
    """Where its hits are, in messages about what cannot be read there."""
    listed: tuple[str, ...] = ()
    """Variables that `list` shows at each place, whether they can be read there or not."""
    shows_types: bool = False
    """Whether `list` shows the types of C."""


_PROCESS = ("usdt", "function", "plt", "process")
_BY_WORD: Mapping[str, tuple[str, ...]] = {
    "begin": ("session",),
    "end": ("session",),
    "error": ("session",),
    "never": ("session",),
    "timer": ("timer",),
    "process": _PROCESS,
    "kernel": ("tracepoint", "kernel_mark", "kernel_function", "kernel_data"),
    "module": ("kernel_function",),
    "kprobe": ("kernel_function",),
    "perf": ("perf",),
    "procfs": ("procfs",),
}
"""The modules of the points that begin with a word."""
_BY_KIND: Mapping[Kind, str] = {
    Kind.USDT: "usdt",
    Kind.FUNCTION: "function",
    Kind.FUNCTION_RETURN: "function",
    Kind.TRACEPOINT: "tracepoint",
    Kind.PROCESS: "process",
    Kind.SAMPLE: "perf",
    Kind.KERNEL_FUNCTION: "kernel_function",
    Kind.KERNEL_RETURN: "kernel_function",
}
"""The module of a marker's kind; what is recorded is of the kind that its point says."""
WORDS = tuple(_BY_WORD)
"""What points begin with."""


@cache
def _family(module: str) -> Family:
    found: Family = import_module(f"{__name__}.{module}").FAMILY
    return found


def of_word(word: str) -> Iterator[Family]:
    """The families of the points that begin with a word."""
    return map(_family, _BY_WORD.get(word, ()))


def of_kind(kind: Kind) -> Family:
    """The family of the markers of a kind; a recorded one of what nothing is known of."""
    return _family(_BY_KIND[kind]) if kind in _BY_KIND else _RECORDED


def _nothing(_parts: object, _where: object) -> Places:
    return ()


_RECORDED = Family(frozenset(), _nothing, _nothing, live=False)


def all_families() -> Iterator[Family]:
    """Every family, in the order of the words that their points begin with."""
    names = dict.fromkeys(name for names in _BY_WORD.values() for name in names)
    return map(_family, names)
