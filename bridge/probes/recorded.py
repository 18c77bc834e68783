"""Probe points -> event classes of a recorded trace: the `markers.Targets` of a replay.

In: the classes, as `RecordedClass`. A class that markbridge recorded knows which marker it was;
one of another tracer has its name only. The rule: a point matches what it would have matched
where the trace was recorded, as far as the trace can tell.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bridge.diagnostics import Diagnostic
from bridge.markers import (
    Expansion,
    Kind,
    Marker,
    MarkerAttachment,
    NoAccess,
    NoMatch,
    Variable,
)
from bridge.probes.families import marked
from bridge.probes.points import family_of, is_wild
from bridge.suggest import among, similar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.markers import GlobalAccess, Members, PointPart, Result, Structure

MOST_NAMES = 12


@dataclass(frozen=True)
class RecordedClass:
    """An event class of a trace as something to probe.

    `kind` is that of the marker, None where the trace does not say. `path` is the program,
    `pid` and `follow_target` the restriction under which hits were recorded.
    """

    number: int
    kind: Kind | None
    provider: str
    name: str
    variables: tuple[Variable, ...]
    path: str = ""
    pid: int = 0
    follow_target: bool = False
    strings: Mapping[str, str] = field(default_factory=dict)
    parts: Members | None = None
    """Of a class of another tracer: the ways into its fields."""
    format: str = ""
    """Of such a class: its format string as a marker."""

    @property
    def full_name(self) -> str:
        """`provider:name`, or the name alone."""
        return f"{self.provider}:{self.name}" if self.provider else self.name

    @property
    def attachment_key(self) -> tuple[object, ...]:
        """Classes that differ only in their restriction have the same key."""
        return self.kind, self.path, self.provider, self.name

    @property
    def marker(self) -> Marker:
        """The class as something to hit."""
        return Marker(
            Kind.RECORDED, self.provider, self.name, variables=self.variables, id=self.number
        )

    def attachment(self, pid: int = 0) -> MarkerAttachment:
        """For the hits of a process (0: of all), which need no filter if only they are here."""
        return MarkerAttachment(self.marker, pid if pid and self.pid != pid else 0)

    def program(self, pid: int) -> str:
        """How a point names the program."""
        return f"process({pid})" if pid else f'process("{self.path}")'


def _no_members(_event: str) -> Members | None:
    return None


def _no_structure(name: str) -> Structure | NoAccess:
    return NoAccess(f"type definition '{name}' not found in 'kernel': this is a recording")


@dataclass(slots=True)
class RecordedTargets:
    """Expands probe points over the classes of the trace `name`.

    `hz` is what a jiffy is; `members` gives the types of a tracepoint's arguments, `kernel` a
    type of the kernel by its name, where they are known to be those of the machine that
    recorded.
    """

    classes: Sequence[RecordedClass]
    name: str
    hz: int = 250
    members: Callable[[str], Members | None] = _no_members
    kernel: Callable[[str], Structure | NoAccess] = _no_structure

    def expand(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        """All places that a probe point stands for, in a stable order."""
        family = family_of(parts)
        if isinstance(family, NoMatch):
            return family
        return marked(family.recorded(parts, self), parts)

    def structure(self, name: str, module: str) -> Structure | NoAccess:
        """What was read through a pointer at the hit is in the trace: in the kernel's types."""
        if module == "kernel" or module.startswith("kernel<"):
            return self.kernel(name)
        return NoAccess(
            f"type definition '{name}' not found in '{module}': this is a recording"
        )

    def static(self, wanted: GlobalAccess) -> Result:
        """Memory that nobody captured is not in a trace."""
        return wanted.missing(f"{wanted.module}: this is a recording")

    # --- for the families ---

    def of_kinds(self, *kinds: Kind | None) -> list[RecordedClass]:
        """The classes of some kinds; None: where the trace does not say."""
        return [c for c in self.classes if c.kind in kinds]

    def file_and_rest(
        self, parts: Sequence[PointPart]
    ) -> tuple[str | int | None, Sequence[PointPart]]:
        """The file that a point in programs means, and what follows."""
        if parts[1].name == "library":
            return parts[1].argument, parts[2:]
        return parts[0].argument, parts[1:]

    def is_file(self, found: RecordedClass, file: str | int | None) -> bool:
        """Whether a class comes from a file; one of no kind may come from any."""
        if not isinstance(file, str) or found.kind is None:
            return True
        if is_wild(file):
            return fnmatchcase(found.path, file if file.startswith("/") else f"*/{file}")
        if file.startswith("/"):
            return found.path in (os.path.normpath(file), os.path.realpath(file))
        return found.path == os.path.realpath(file) or found.path.endswith(
            f"/{os.path.normpath(file)}"
        )

    def best(
        self,
        program: PointPart,
        chosen: list[RecordedClass],
        place: Callable[[RecordedClass, int], Expansion],
    ) -> tuple[Expansion, ...]:
        """The places of those classes whose restriction is the one that is asked for."""
        pid = program.argument if isinstance(program.argument, int) else 0
        follow = program.argument is None
        return tuple(place(one, pid) for one in _best(chosen, pid, follow=follow))

    def none(self, what: str, wanted: str, known: Sequence[RecordedClass]) -> NoMatch:
        """That the trace has no such places, and what it has."""
        names = dict.fromkeys(c.name for c in known)
        near = similar(wanted, names) if names and not is_wild(wanted) else ()
        message = "no match" + among(near, f"similar {what}")
        return NoMatch(0, message, reasons=(self._reason(),))

    def _reason(self) -> Diagnostic:
        names = list(dict.fromkeys(c.full_name for c in self.classes))
        shown = ", ".join(names[:MOST_NAMES]) + (", …" if len(names) > MOST_NAMES else "")
        return Diagnostic(
            "not-recorded",
            f"the trace {self.name} has no such events; it has {shown or 'none at all'}",
            hint="record with --trace and a script that probes the marker",
        )


def _best(chosen: list[RecordedClass], pid: int, *, follow: bool) -> list[RecordedClass]:
    """Of classes of one marker, those whose restriction is the one that is asked for."""

    def rank(found: RecordedClass) -> int:
        if pid and found.pid:
            return 0 if found.pid == pid else 3
        if (pid != 0, follow) == (found.pid != 0, found.follow_target):
            return 0
        return 1 if not found.pid and not found.follow_target else 2

    lowest: dict[tuple[object, ...], int] = {}
    for found in chosen:
        key = found.attachment_key
        lowest[key] = min(lowest.get(key, 3), rank(found))
    return [c for c in chosen if rank(c) == lowest[c.attachment_key]]
