"""One load under two tracers at once: the other one, and a script of ours.

The other tracer is given a command that waits; when it runs, its probes are in place. Then our
session runs the load, and the other tracer's command is let go: both have seen all of it.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.command import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bridge import GlobalValue, Program

WAITS = "touch {0}.begun; while [ ! -e {0}.over ]; do sleep 0.02; done"

LETS_GO = "touch {0}.over; while kill -0 $(cat {0}.begun); do sleep 0.02; done 2>/dev/null"
"""Our command, where the load is that of the other tracer."""


@dataclass(frozen=True)
class Ours:
    """What our session has left."""

    globals: Mapping[str, GlobalValue]
    lines: Sequence[str]
    hits: Mapping[str, int]
    """How many there were of each marker in processes called `load`."""


def _run(program: Program, load: Sequence[str], *, events: bool) -> Ours:
    hits: dict[str, int] = {}
    with program.attach(command=load, events=events) as session:
        if events:
            for hit in session.events():
                if hit.comm == "load":
                    hits[hit.name] = hits.get(hit.name, 0) + 1
            lines = [line.text for line in session.waiting_lines()]
        else:
            lines = [line.text for line in session]
    assert not session.messages
    assert (session.lost.kernel, session.lost.unread) == (0, 0)
    return Ours(session.globals, lines, hits)


def beside(
    other: Sequence[object],
    program: Program,
    load: Sequence[str],
    folder: Path,
    *,
    events: bool = False,
) -> tuple[Ours, str]:
    """`other` with a waiting command behind it, beside our program: both outputs.

    Where `other` has LOAD in place of COMMAND, it runs the load itself (for tracers that see
    markers of their own command only), and the load waits for us.
    """
    gate = folder / "gate"
    waits = folder / "waits.sh"
    waits.write_text(WAITS.format(gate))
    words = [str(word).replace("COMMAND", f"/bin/sh {waits}") for word in other]
    if "LOAD" in words:
        at = words.index("LOAD")
        own = [load[0], str(gate)]
        words[at : at + 1] = [" ".join(own)] if words[at - 1] == "-c" else own
        load = ["/bin/sh", "-c", LETS_GO.format(gate)]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        begun, over = gate.with_suffix(".begun"), gate.with_suffix(".over")
        try:
            wait_until(lambda: begun.exists() or running.poll() is not None)
            assert running.poll() is None, running.communicate()
            ours = _run(program, load, events=events)
        finally:
            over.touch()
        shown, errors = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, errors
    return ours, shown


def maps_of(shown: str) -> dict[str, object]:
    """The maps that bpftrace has printed as JSON, by their names without the @."""
    found: dict[str, object] = {}
    for line in filter(str.strip, shown.splitlines()):
        row = json.loads(line)
        if row["type"] in ("map", "hist", "stats"):
            found |= {name[1:]: value for name, value in row["data"].items()}
    return found


def lines_of(shown: str) -> list[str]:
    """The lines that bpftrace's printf has printed."""
    rows = (json.loads(line) for line in filter(str.strip, shown.splitlines()))
    return "".join(row["data"] for row in rows if row["type"] == "printf").splitlines()


def key_of(key: object) -> str:
    """A key as bpftrace writes it."""
    return ",".join(map(str, key)) if isinstance(key, tuple) else str(key)


def buckets(rows: object) -> Iterator[tuple[int, int]]:
    """The buckets of bpftrace's histogram that have something: the low end, the count."""
    assert isinstance(rows, list)
    for row in rows:
        if row["count"]:
            yield row.get("min", row.get("max")), row["count"]
