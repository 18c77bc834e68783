"""A recorded trace as something to probe, and its fields as captures.

Event classes of one marker form a group (its plain hits, and hits where something could not be
read); a group is what a probe point binds to.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.errors import TraceError
from bridge.markers import Kind, NoAccess, RecordedField, ValueType, Variable
from bridge.probes.recorded import RecordedClass, RecordedTargets
from bridge.trace.ctf.layout import Known, Scope
from bridge.trace.ctf.origin import PREFIX, Origin, parse
from bridge.trace.ctf.reader import load_plan
from bridge.trace.model import Enumeration, FixedArray, Integer, Sequence, Text, is_text
from bridge.trace.open import ctf_folders

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.markers import Members, Structure
    from bridge.probes.btf import Btf
    from bridge.trace.ctf.cursor import Plan
    from bridge.trace.ctf.description import CtfEvent
    from bridge.trace.model import FieldType

KINDS = {kind.value: kind for kind in Kind}


@dataclass(slots=True)
class Group:
    """The event classes of one marker: their indices in the plan, their origins."""

    origin: Origin | None
    name: str
    members: list[tuple[int, Origin | None]] = field(default_factory=list)


@dataclass(slots=True)
class Recording:
    """A trace folder with its description, and its groups."""

    folder: Path
    plan: Plan
    groups: list[Group]

    def entry(self, name: str, default: int) -> int:
        """A number of the trace's environment."""
        value = self.plan.description.environment.get(name, default)
        return value if isinstance(value, int) else default


def open_recording(folder: Path) -> Recording:
    """Read the description of a trace; TraceError if it cannot be.

    The folder may also hold the one trace further down, as sessions of LTTng do.
    """
    found = ctf_folders(folder)
    if len(found) > 1:
        names = ", ".join(str(one) for one in found)
        raise TraceError(f"{folder}: holds several traces, replay one of them: {names}")
    folder = found[0] if found else folder
    plan = load_plan(folder)
    groups: dict[object, Group] = {}
    for index, event in enumerate(plan.events):
        origin = _origin(plan, event)
        key = _key(origin) if origin else event.event.name
        group = groups.setdefault(key, Group(origin, event.event.name))
        group.members.append((index, origin))
    return Recording(folder, plan, list(groups.values()))


def _origin(plan: Plan, event: CtfEvent) -> Origin | None:
    text = plan.description.environment.get(f"{PREFIX}{event.event.id}")
    return parse(text) if isinstance(text, str) else None


def _key(origin: Origin) -> tuple[object, ...]:
    return (
        origin.kind,
        origin.path,
        origin.provider,
        origin.name,
        origin.pid,
        origin.follow_target,
        origin.variables,
    )


# --- to probe ---------------------------------------------------------------------------------


def is_number(type_: FieldType) -> bool:
    """Whether a field is an integer."""
    return isinstance(type_, Integer | Enumeration)


def is_string(type_: FieldType) -> bool:
    """Whether a field is text."""
    match type_:
        case Text():
            return True
        case FixedArray(element=element) | Sequence(element=element):
            return is_text(element)
        case _:
            return False


def _variables(event: CtfEvent) -> tuple[Variable, ...]:
    """The fields of a class of another tracer that a script can read."""
    found = []
    for member in event.event.payload.fields:
        if is_number(member.type) or is_string(member.type):
            kind = ValueType.LONG if is_number(member.type) else ValueType.STRING
            found.append(Variable(member.name, kind, (RecordedField(member.name),)))
    return tuple(found)


def _class(number: int, group: Group, plan: Plan) -> RecordedClass:
    origin = group.origin
    if origin is None:
        provider, _, name = group.name.rpartition(":")
        variables = _variables(plan.events[group.members[0][0]])
        return RecordedClass(number, None, provider, name, variables)
    return RecordedClass(
        number,
        KINDS.get(origin.kind),
        origin.provider,
        origin.name,
        tuple(
            Variable(
                name, ValueType(kind), (RecordedField(name),), alias=name in origin.aliases
            )
            for name, kind in origin.variables
        ),
        origin.path,
        origin.pid,
        origin.follow_target,
        origin.strings,
    )


def targets_of(recording: Recording) -> RecordedTargets:
    """What there is to probe in a trace."""
    from bridge.world import LiveWorld

    classes = [_class(n, g, recording.plan) for n, g in enumerate(recording.groups)]
    release = recording.plan.description.environment.get("kernel_release")
    types = _KernelTypes(str(release))
    return RecordedTargets(
        classes, str(recording.folder), LiveWorld().user_hz, types.members, types.structure
    )


class _KernelTypes:
    """Types of the kernel are known if this machine runs the one that was recorded on."""

    def __init__(self, release: str) -> None:
        self._release = release
        self._known: list[Btf | None] = []

    def _types(self) -> Btf | None:
        from bridge.probes.btf import Btf, BtfError
        from bridge.world import VMLINUX_BTF, LiveWorld

        if not self._known:
            self._known.append(None)
            if os.uname().release == self._release:
                with contextlib.suppress(OSError, BtfError):
                    self._known[0] = Btf(LiveWorld().read_file(VMLINUX_BTF))
        return self._known[0]

    def members(self, event: str) -> Members | None:
        """The types of a tracepoint's arguments."""
        from bridge.probes.members import TracepointMembers

        types = self._types()
        return TracepointMembers(types, event) if types is not None else None

    def structure(self, name: str) -> Structure | NoAccess:
        """A type by its name."""
        from bridge.probes.members import kernel_structure

        types = self._types()
        if types is None:
            return NoAccess(
                f"type definition '{name}' not found in 'kernel': it was recorded on another"
            )
        return kernel_structure(types, name)


# --- to capture -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one event class by scope and name, and where faults of theirs are told."""

    plan: Plan
    index: int
    origin: Origin | None

    def find(self, scopes: tuple[Scope, ...], names: tuple[str, ...]) -> Known | None:
        """A field of one of these names, at the top of one of these scopes."""
        known = self.plan.names[self.index]
        for name in names:
            for scope in scopes:
                for item in reversed(known.get(scope, [])):
                    if item.path == (name,):
                        return item
        return None

    def captured(self, text: str) -> Known | None:
        """The field that holds a capture, by its text."""
        if self.origin is None:
            return None
        for name, capture in self.origin.fields.items():
            if capture == text:
                return self.find((Scope.PAYLOAD,), (name,))
        return None

    def position(self, known: Known) -> int:
        """The number of a field among all fields of the event, from the common context on."""
        streams = {stream.id: stream for stream in self.plan.streams}
        event = self.plan.events[self.index]
        common = streams[event.stream_id].event_context
        structs = [s for s in (common, event.event.context, event.event.payload) if s]
        order = [(f.name, f.type) for s in structs for f in s.fields]
        return order.index((known.path[0], known.type))
