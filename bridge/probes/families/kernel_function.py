"""`kernel.function`, `kernel.statement`, `module(..)`, `kprobe.*`: code of the kernel.

What stands for a function that is called otherwise by now, or that a tracepoint serves, is
asked for first (probes/kernel/elsewhere.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.markers import NoMatch
from bridge.probes.families import Family
from bridge.probes.families.function import CALLEES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.markers import PointPart
    from bridge.probes.families import Places
    from bridge.probes.machine import Machine
    from bridge.probes.recorded import RecordedTargets


def _expand(parts: Sequence[PointPart], machine: Machine) -> Places:
    found = machine.elsewhere.expand(parts) or machine.kernel_functions.expand(parts)
    if isinstance(found, NoMatch):
        moved = machine.elsewhere.of_file(parts)
        if moved is None or isinstance(moved, NoMatch):
            return found
        found = moved
    return tuple(map(machine.elsewhere.with_parameters, found))


def _recorded(parts: Sequence[PointPart], trace: RecordedTargets) -> Places:
    called = (str(p.argument) for p in parts if p.name in ("function", "statement"))
    return trace.none("functions", next(called, ""), ())


_RETURNS = ("/return", "/return/maxactive N")
_PLACES = (
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
            *CALLEES,
        )
    ),
    *(f"statement {argument}{suffix}" for argument in "SN" for suffix in ("", "/nearest")),
)
_KPROBES = (
    f"{owner}function S{suffix}"
    for owner in ("", "module S/")
    for suffix in ("", "/call", *_RETURNS)
)

FAMILY = Family(
    frozenset(
        {
            *(f"{owner}/{place}" for owner in ("kernel", "module S") for place in _PLACES),
            "kernel/statement N/absolute",
            *(f"kprobe/{place}" for place in _KPROBES),
            "kprobe/statement N/absolute",
        }
    ),
    _expand,
    _recorded,
    slices=True,
    refused={
        "lsm": 'no programs of this type are made; probe kernel.function("security_NAME")',
    },
)
