"""`kernel.trace("SYSTEM:EVENT")`: tracepoints of the kernel, and their events in a trace.

Events `syscalls:*` are tracepoints, too. The rule: a point matches what it would have matched
where a trace was recorded, as far as the trace can tell; older tracers' events at the same
places stand for tracepoints (tapset/markers.toml).
"""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

from bridge.diagnostics import Sink
from bridge.markers import Expansion, Kind, Marker, MarkerAttachment, NoMatch, ValueType
from bridge.probes import errors, old_events, syscalls
from bridge.probes.families import Family
from bridge.probes.points import is_wild
from bridge.suggest import among, similar
from bridge.world import VMLINUX_BTF

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.diagnostics import Diagnostic
    from bridge.markers import PointPart
    from bridge.probes.btf import Btf
    from bridge.probes.families import Places
    from bridge.probes.machine import Machine
    from bridge.probes.recorded import RecordedClass, RecordedTargets


def _expand(parts: Sequence[PointPart], machine: Machine) -> Places:
    return places_called(str(parts[1].argument), machine)


def places_called(pattern: str, machine: Machine) -> Places:
    """The tracepoints of a name, also one that it has by now."""
    found = tracepoints(pattern, machine)
    if isinstance(found, NoMatch) and not is_wild(pattern):
        found = machine.elsewhere.tracepoint(pattern) or found
    if isinstance(found, NoMatch) or machine.options.strict_names:
        return found
    return tuple(map(machine.elsewhere.with_arguments, found))


def tracepoints(pattern: str, machine: Machine) -> Places:
    """The tracepoints that this kernel calls so."""
    from bridge.probes import tracepoints as source

    sink = Sink()
    markers = source.find(pattern, machine.world, sink)
    types = machine.kernel_types()
    unseen = tuple(item for item in sink.items if item.code == "no-tracefs")
    calls: list[Marker] = []
    if not markers and unseen:
        calls = source.find_system_calls(pattern, machine.world, types)
        if types is not None:
            markers = source.find_in_types(pattern, types)
    if not markers and not calls:
        near = None if is_wild(pattern) else partial(_like_event, pattern, machine)
        return NoMatch(0, near=near, reasons=tuple(sink.items))
    found = [_place(marker, types, unseen) for marker in markers]
    found += [_place(marker, None, ()) for marker in calls]
    return tuple(
        _with_arguments(replace(place, lacking=_lacking(place, types)), machine)
        for place in found
    )


def _with_arguments(place: Expansion, machine: Machine) -> Expansion:
    """The return of a system call with its call, and what the registers still have of that."""
    entry = _call_of(place, machine)
    if entry is None or not machine.options.has("task_registers"):
        return replace(place, entry=entry)
    return replace(place, entry=entry, entered=syscalls.kept_arguments(entry, machine.world))


def _like_event(wanted: str, machine: Machine) -> str:
    """The events that are most like one, as a message has them."""
    from bridge.probes import tracepoints as source

    names = [name for _, name in source.event_names(machine.world)]
    return among(similar(wanted.rpartition(":")[2], names), "similar tracepoints")


def _call_of(place: Expansion, machine: Machine) -> Expansion | None:
    """Where a system call begins, for the place where it returns: for `@entry`."""
    from bridge.probes import tracepoints as source

    attachment = place.attachment
    assert isinstance(attachment, MarkerAttachment)
    call = syscalls.enter_event(attachment.marker.provider, attachment.marker.name)
    if not call:
        return None
    entered = source.find(call, machine.world, Sink())
    if not entered:
        entered = source.find_system_calls(call, machine.world, machine.kernel_types())
    return _place(entered[0], None, ()) if entered else None


def _place(marker: Marker, types: Btf | None, unseen: tuple[Diagnostic, ...]) -> Expansion:
    """A tracepoint with its fields and, where the kernel's types are known, its arguments."""
    from bridge.probes.members import TracepointMembers, raw_variables
    from bridge.probes.tracepoints import merge_arguments

    name = f"{marker.provider}:{marker.name}" if marker.provider else marker.name
    arguments = raw_variables(types, marker.name) if types is not None else ()
    members = TracepointMembers(types, marker.name) if types and arguments else None
    merged = replace(marker, variables=merge_arguments(arguments, marker.variables))
    return Expansion(
        MarkerAttachment(merged),
        f'kernel.trace("{name}")',
        {"name": marker.name, "system": marker.provider},
        members,
        reasons=unseen,
        renamed=syscalls.other_names(merged),
    )


def _lacking(place: Expansion, types: Btf | None) -> tuple[Diagnostic, ...]:
    """That there are no types, for a tracepoint that would have arguments by them."""
    assert isinstance(place.attachment, MarkerAttachment)
    if types is not None or place.attachment.marker.provider == syscalls.SUBSYSTEM:
        return ()
    return (errors.no_btf(VMLINUX_BTF),)


# --- in a trace -------------------------------------------------------------------------------


def _recorded(parts: Sequence[PointPart], trace: RecordedTargets) -> Places:
    system, _, event = str(parts[1].argument).rpartition(":")
    known = trace.of_kinds(Kind.TRACEPOINT, None)
    chosen = [
        c for c in known if fnmatchcase(c.name, event) and (not system or _is_system(c, system))
    ]
    if chosen:
        return tuple(_of_class(c, trace) for c in chosen)
    found = [*_old_events(system, event, known, trace), *_calls(system, event, known)]
    return tuple(found) or trace.none("tracepoints", event, known)


def _is_system(found: RecordedClass, system: str) -> bool:
    """Other tracers do not record a tracepoint's subsystem."""
    return not found.provider or fnmatchcase(found.provider, system)


def _recorded_call_of(found: RecordedClass, trace: RecordedTargets) -> Expansion | None:
    """The call that a system call's return belongs to, if it was recorded: for `@entry`."""
    call = syscalls.enter_event(found.provider, found.name)
    entered = [
        c
        for c in trace.of_kinds(Kind.TRACEPOINT)
        if (c.full_name, c.pid, c.follow_target) == (call, found.pid, found.follow_target)
    ]
    return _of_class(entered[0], trace) if entered else None


def _of_class(found: RecordedClass, trace: RecordedTargets) -> Expansion:
    members = trace.members(found.name) if found.kind is Kind.TRACEPOINT else None
    old = old_events.called(found.name) if found.kind is None else None
    return Expansion(
        found.attachment(),
        f'kernel.trace("{found.full_name}")',
        found.strings or {"name": found.name, "system": found.provider},
        found.parts or members,
        entry=_recorded_call_of(found, trace),
        renamed=syscalls.other_names(found.marker) if old is None else old.renamed,
    )


def _old_events(
    system: str, event: str, known: Sequence[RecordedClass], trace: RecordedTargets
) -> Iterator[Expansion]:
    """What an older tracer recorded at the place of a tracepoint."""
    for old in old_events.at_tracepoint(system, event):
        for one in known:
            if one.parts is not None and f"{one.provider}.{one.name}" == old.name:
                yield replace(_of_class(one, trace), renamed=old.renamed)


def _calls(system: str, event: str, known: Sequence[RecordedClass]) -> Iterator[Expansion]:
    """LTTng's events for one of a system call."""
    for name in syscalls.lttng_events(system, event):
        for one in known:
            if one.parts is not None and one.name == name and not one.provider:
                yield _of_call(one, event, known)


def _of_call(found: RecordedClass, event: str, known: Sequence[RecordedClass]) -> Expansion:
    """LTTng has the text where the kernel's event has a pointer to it."""
    pointers = tuple(replace(v, type=ValueType.LONG) for v in found.variables)
    marker = Marker(
        Kind.RECORDED, syscalls.SUBSYSTEM, event, variables=pointers, id=found.number
    )
    call = syscalls.enter_event(syscalls.SUBSYSTEM, event).partition(":")[2]
    entered = list(_calls(syscalls.SUBSYSTEM, call, known)) if call else []
    return Expansion(
        MarkerAttachment(marker),
        f'kernel.trace("{syscalls.SUBSYSTEM}:{event}")',
        {"name": event, "system": syscalls.SUBSYSTEM},
        found.parts,
        entry=entered[0] if entered else None,
        renamed=syscalls.other_names(marker),
    )


def _event_class(marker: Marker) -> str:
    return marker.name


FAMILY = Family(
    frozenset({"kernel/trace S"}),
    _expand,
    _recorded,
    slices=True,
    raw_arguments=True,
    event_class=_event_class,
    shows_types=True,
    refused={"tracepoint": 'write kernel.trace("NAME")'},
)
