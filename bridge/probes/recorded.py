"""Probe points -> event classes of a recorded trace: the `markers.Targets` of a replay.

In: the classes, as `RecordedClass`. A class that markbridge recorded knows which marker it was;
one of another tracer has its name only. The rule: a point matches what it would have matched
where the trace was recorded, as far as the trace can tell.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
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
    Pretty,
    ValueType,
    Variable,
)
from bridge.probes import (
    old_events,
    processes,
    syscalls,
)
from bridge.probes import (
    perf_probes as samples,
)
from bridge.probes import (
    session_probes as sessions,
)
from bridge.probes.points import check, is_wild
from bridge.suggest import among, similar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bridge.markers import GlobalAccess, Members, Part, PointPart, Result, Structure

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
        wrong = check(parts)
        if wrong is not None:
            return wrong
        match parts[0].name:
            case "timer":
                found = sessions.expand_timer(parts, self.hz)
                return (found,) if isinstance(found, Expansion) else found
            case "perf":
                return self._sample(parts)
            case "process":
                return self._process(parts)
            case "kernel" if parts[1].name == "trace":
                return self._trace(str(parts[1].argument))
            case "kernel" if parts[1].name == "mark":
                return self._kernel_marks(parts)
            case "kernel" | "module" | "kprobe":
                return self._none("functions", _function(parts), ())
            case _:
                return (sessions.expand_session(parts),)

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

    # --- kernel.trace ---

    def _trace(self, pattern: str) -> tuple[Expansion, ...] | NoMatch:
        system, _, event = pattern.rpartition(":")
        known = [c for c in self.classes if c.kind in (Kind.TRACEPOINT, None)]
        chosen = [
            c
            for c in known
            if fnmatchcase(c.name, event) and (not system or _is_system(c, system))
        ]
        if chosen:
            return tuple(map(self._trace_expansion, chosen))
        found = [*self._old_events(system, event, known), *self._calls(system, event, known)]
        return tuple(found) or self._none("tracepoints", event, known)

    def _call_of(self, found: RecordedClass) -> Expansion | None:
        """The call that a system call's return belongs to, if it was recorded: for `@entry`."""
        call = syscalls.enter_event(found.provider, found.name)
        entered = [
            c
            for c in self.classes
            if c.kind is Kind.TRACEPOINT
            and (c.full_name, c.pid, c.follow_target) == (call, found.pid, found.follow_target)
        ]
        return self._trace_expansion(entered[0]) if entered else None

    def _trace_expansion(self, found: RecordedClass) -> Expansion:
        marker = _marker(found)
        members = self.members(found.name) if found.kind is Kind.TRACEPOINT else None
        old = old_events.called(found.name) if found.kind is None else None
        return Expansion(
            MarkerAttachment(marker),
            f'kernel.trace("{found.full_name}")',
            found.strings or {"name": found.name, "system": found.provider},
            found.parts or members,
            entry=self._call_of(found),
            renamed=syscalls.other_names(marker) if old is None else old.renamed,
        )

    def _old_events(
        self, system: str, event: str, known: Sequence[RecordedClass]
    ) -> Iterator[Expansion]:
        """What an older tracer recorded at the place of a tracepoint."""
        for old in old_events.at_tracepoint(system, event):
            for one in known:
                if one.parts is not None and f"{one.provider}.{one.name}" == old.name:
                    yield replace(self._trace_expansion(one), renamed=old.renamed)

    def _calls(
        self, system: str, event: str, known: Sequence[RecordedClass]
    ) -> Iterator[Expansion]:
        """LTTng's events for one of a system call."""
        for name in syscalls.lttng_events(system, event):
            for one in known:
                if one.parts is not None and one.name == name and not one.provider:
                    yield self._call_expansion(one, event, known)

    def _call_expansion(
        self, found: RecordedClass, event: str, known: Sequence[RecordedClass]
    ) -> Expansion:
        """LTTng has the text where the kernel's event has a pointer to it."""
        pointers = tuple(replace(v, type=ValueType.LONG) for v in found.variables)
        marker = Marker(
            Kind.RECORDED, syscalls.SUBSYSTEM, event, variables=pointers, id=found.number
        )
        call = syscalls.enter_event(syscalls.SUBSYSTEM, event).partition(":")[2]
        entered = list(self._calls(syscalls.SUBSYSTEM, call, known)) if call else []
        return Expansion(
            MarkerAttachment(marker),
            f'kernel.trace("{syscalls.SUBSYSTEM}:{event}")',
            {"name": event, "system": syscalls.SUBSYSTEM},
            found.parts,
            entry=entered[0] if entered else None,
            renamed=syscalls.other_names(marker),
        )

    # --- kernel.mark ---

    def _kernel_marks(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        pattern = str(parts[1].argument)
        wanted = str(parts[2].argument) if len(parts) > 2 else "*"
        known = [c for c in self.classes if c.parts is not None and c.provider]
        named = [
            c for c in known if old_events.is_marker_called(f"{c.provider}.{c.name}", pattern)
        ]
        chosen = [c for c in named if fnmatchcase(c.format, wanted)]
        if not chosen:
            return self._none("marks", pattern, known)
        return tuple(map(_mark_of_kernel, chosen))

    # --- perf ---

    def _sample(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        wanted = samples.expand(parts, "")
        if isinstance(wanted, NoMatch):
            return wanted
        known = [c for c in self.classes if c.kind is Kind.SAMPLE]
        chosen = [c for c in known if f"perf.{c.name}" == wanted.point]
        if not chosen:
            return self._none("samples", wanted.point, known)
        return tuple(replace(wanted, attachment=MarkerAttachment(_marker(c))) for c in chosen)

    # --- process ---

    def _process(self, parts: Sequence[PointPart]) -> tuple[Expansion, ...] | NoMatch:
        program, rest = parts[0], parts[1:]
        library = rest[0] if rest[0].name == "library" else None
        rest = rest[1:] if library else rest
        file = program if library is None else library
        kinds = _kinds(rest)
        known = [c for c in self.classes if c.kind in kinds and _is_file(c, file)]
        chosen = [c for c in known if _is_place(c, rest)]
        if not chosen and processes.is_event(parts):
            return self._none("events", _event(rest), known)
        if not chosen:
            what = "functions" if rest[0].name == "function" else "marks"
            return self._none(what, str(rest[-1].argument or rest[0].argument), known)
        wanted = program.argument if isinstance(program.argument, int) else 0
        best = _best(chosen, wanted, follow=program.argument is None)
        return tuple(_process_expansion(c, rest, wanted) for c in best)

    # --- no match ---

    def _none(self, what: str, wanted: str, known: Sequence[RecordedClass]) -> NoMatch:
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


# --- what a point means -----------------------------------------------------------------------


def _is_system(found: RecordedClass, system: str) -> bool:
    """Other tracers do not record a tracepoint's subsystem."""
    return not found.provider or fnmatchcase(found.provider, system)


def _function(parts: Sequence[PointPart]) -> str:
    return next((str(p.argument) for p in parts if p.name in ("function", "statement")), "")


def _event(rest: Sequence[PointPart]) -> str:
    return ".".join(part.name for part in rest)


def _kinds(rest: Sequence[PointPart]) -> tuple[Kind | None, ...]:
    if rest[0].name in processes.EVENTS:
        return (Kind.PROCESS,)
    if rest[0].name != "function":
        return (Kind.USDT, None)
    returns = len(rest) > 1 and rest[1].name == "return"
    return (Kind.FUNCTION_RETURN,) if returns else (Kind.FUNCTION,)


def _is_file(found: RecordedClass, part: PointPart) -> bool:
    """Whether a class comes from the file that a component names.

    Events of processes come from every program where none is named.
    """
    if found.kind is Kind.PROCESS and not isinstance(part.argument, str):
        return not found.path
    if not isinstance(part.argument, str) or found.kind is None:
        return True
    name = part.argument
    if is_wild(name):
        pattern = name if name.startswith("/") else f"*/{name}"
        return fnmatchcase(found.path, pattern)
    if name.startswith("/"):
        return found.path in (os.path.normpath(name), os.path.realpath(name))
    return found.path == os.path.realpath(name) or found.path.endswith(
        f"/{os.path.normpath(name)}"
    )


def _is_place(found: RecordedClass, rest: Sequence[PointPart]) -> bool:
    if found.kind is Kind.PROCESS:
        return found.name == _event(rest)
    if rest[0].name == "function":
        return fnmatchcase(found.name, str(rest[0].argument))
    provider = str(rest[0].argument) if rest[0].name == "provider" else "*"
    named = fnmatchcase(found.name, str(rest[-1].argument))
    if found.kind is None and not found.provider:
        return False  # an event of a kernel tracer
    return named and fnmatchcase(found.provider, provider)


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


def _marker(found: RecordedClass) -> Marker:
    return Marker(
        Kind.RECORDED,
        found.provider,
        found.name,
        variables=found.variables,
        id=found.number,
    )


@dataclass(frozen=True, slots=True)
class MarkMembers:
    """`$name` and `$format` of a kernel marker, and the ways that its place has otherwise."""

    inner: Members | None
    texts: Mapping[str, str]

    def access(
        self,
        name: str,
        path: Sequence[Part],
        *,
        address_of: bool = False,
        pretty: str = "",
    ) -> Result:
        """The text of a constant, or what the place says."""
        if name in self.texts and not path and not pretty and not address_of:
            return Pretty((self.texts[name],))
        if self.inner is None:
            return NoAccess(f"unable to find target variable '${name}'")
        return self.inner.access(name, path, address_of=address_of, pretty=pretty)


def _mark_of_kernel(found: RecordedClass) -> Expansion:
    """A marker as SystemTap has it: `$arg1`, `$name`, `$format`; and its fields by name."""
    assert found.parts is not None
    own = [v for v in found.variables if not v.alias]
    numbered = [replace(v, name=f"arg{number}") for number, v in enumerate(own, 1)]
    taken = {v.name for v in numbered} | {"name", "format"}
    named = [replace(v, alias=True) for v in found.variables if v.name not in taken]
    name = f"{found.provider}.{found.name}"
    texts = {"name": name, "format": found.format}
    marker = replace(_marker(found), variables=(*numbered, *named))
    return Expansion(
        MarkerAttachment(marker),
        f'kernel.mark("{name}")',
        texts,
        MarkMembers(found.parts, texts),
    )


def _process_expansion(found: RecordedClass, rest: Sequence[PointPart], pid: int) -> Expansion:
    prefix = f"process({pid})" if pid else f'process("{found.path}")'
    if found.kind is Kind.PROCESS:
        prefix = prefix if pid or found.path else "process"
        point = f"{prefix}.{found.name}"
    elif rest[0].name == "function":
        suffix = f".{rest[1].name}" if len(rest) > 1 else ""
        point = f'{prefix}.function("{found.name}"){suffix}'
    else:
        provider = f'.provider("{found.provider}")' if rest[0].name == "provider" else ""
        point = f'{prefix}{provider}.mark("{found.name}")'
    # What was recorded of this process alone needs no further filter.
    filtered = pid if pid and found.pid != pid else 0
    strings = found.strings or {"name": found.name, "provider": found.provider}
    attachment = MarkerAttachment(_marker(found), filtered)
    if found.parts is not None:
        return Expansion(attachment, point, strings, found.parts)
    if found.kind is not Kind.PROCESS:
        return Expansion(attachment, point, strings)
    values = processes.CallValues(found.name, found.variables)
    return Expansion(attachment, point, strings, values, members_list=True)
