"""A recorded trace as something to probe, and its fields as captures.

Event classes of one marker form a group (its plain hits, and hits where something could not be
read); a group is what a probe point binds to.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from bridge._native import lib
from bridge.engine.trace.parts import (
    RecordedMembers,
    is_plain_text,
    marker_format,
    place,
    variables,
    word,
)
from bridge.engine.trace.record import fault_field
from bridge.engine.trace.rows import OF_TASKS, payload_value
from bridge.engine.trace.sources import close_sources, open_sources
from bridge.ir.program import REGISTERS
from bridge.markers import Kind, NoAccess, RecordedField, ValueType, Variable
from bridge.probes.recorded import RecordedClass, RecordedTargets
from bridge.trace.ctf.layout import CtfScope, NamedValue
from bridge.trace.ctf.origin import PREFIX, Origin, parse
from bridge.trace.ctf.reader import CtfReader
from bridge.trace.model import Enumeration, Integer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from bridge.engine.trace.rows import Rows
    from bridge.engine.trace.sources import EventSource
    from bridge.markers import Members, Structure
    from bridge.probes.btf import Btf
    from bridge.trace.ctf.cursor import Plan
    from bridge.trace.model import Event, EventClass, FieldType

    Taker = Callable[[Event], int | str | None]

KINDS = {kind.value: kind for kind in Kind}
CONTEXT_NAMES: dict[str, tuple[str, ...]] = {
    "pid": ("pid", "vpid", "tgid"),
    "tid": ("tid", "vtid"),
    "ppid": ("ppid", "vppid"),
    "uid": ("uid", "vuid"),
    "euid": ("euid", "veuid"),
    "gid": ("gid", "vgid"),
    "egid": ("egid", "vegid"),
    "execname": ("procname", "comm"),
    "pgrp": ("pgid",),
    "sid": ("sid",),
    "task": ("task",),
    "pexecname": ("parent_procname",),
    "command": ("command",),
    "user_mode": ("user_mode",),
    **{name: (name,) for name in REGISTERS},
}
"""What tracers call the properties of a hit."""


@dataclass(frozen=True, slots=True)
class ClassOf:
    """An event class: the trace that it is of, and the marker that it was."""

    source: int
    event_class: EventClass
    origin: Origin | None


@dataclass(slots=True)
class MarkerClasses:
    """The event classes of one marker: their indices in the recording, their origins."""

    origin: Origin | None
    event_class: EventClass
    members: list[tuple[int, Origin | None]] = field(default_factory=list)


@dataclass(slots=True)
class Recording:
    """Some traces with their event classes, and the groups of these."""

    sources: tuple[EventSource, ...]
    classes: list[ClassOf]
    groups: list[MarkerClasses]

    @property
    def name(self) -> str:
        """What messages call it."""
        return ", ".join(source.path for source in self.sources)

    @property
    def ctf(self) -> CtfReader | None:
        """The reader, if this is one CTF trace: what C replays by itself."""
        reader = self.sources[0].reader if len(self.sources) == 1 else None
        return reader if isinstance(reader, CtfReader) else None

    def entry(self, name: str) -> int:
        """A number of the traces' environment: of several the least that is there, or 0."""
        values = (source.environment.get(name) for source in self.sources)
        return min((value for value in values if isinstance(value, int)), default=0)

    def close(self) -> None:
        """Release the files."""
        close_sources(self.sources)


def open_recording(paths: Iterable[Path]) -> Recording:
    """Read the descriptions of traces; TraceError if one cannot be."""
    sources = open_sources(tuple(paths))
    classes: list[ClassOf] = []
    groups: dict[object, MarkerClasses] = {}
    for number, source in enumerate(sources):
        for event_class in source.classes:
            origin = _origin(source, event_class)
            key = _key(origin) if origin else _foreign_key(event_class)
            group = groups.setdefault(key, MarkerClasses(origin, event_class))
            group.members.append((len(classes), origin))
            classes.append(ClassOf(number, event_class, origin))
    return Recording(sources, classes, list(groups.values()))


def _origin(source: EventSource, event_class: EventClass) -> Origin | None:
    text = source.environment.get(f"{PREFIX}{event_class.id}")
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


def _foreign_key(event_class: EventClass) -> tuple[object, ...]:
    """Classes of other tracers are one marker if their names and variables are the same."""
    types = (f"{v.name}:{v.type.value}" for v in variables(event_class.payload))
    return (event_class.name, *types)


# --- to probe ---------------------------------------------------------------------------------


def is_number(type_: FieldType) -> bool:
    """Whether a field is an integer."""
    return isinstance(type_, Integer | Enumeration)


def _class(number: int, group: MarkerClasses) -> RecordedClass:
    origin = group.origin
    if origin is None:
        provider, name = split_name(group.event_class.name)
        return RecordedClass(
            number,
            None,
            provider,
            name,
            variables(group.event_class.payload),
            parts=RecordedMembers(group.event_class.payload),
            format=_format(group.event_class),
        )
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


def _format(event_class: EventClass) -> str:
    """The format string of a marker; of another event one that says the same."""
    return event_class.attributes.get("format", "") or marker_format(event_class.payload)


def split_name(name: str) -> tuple[str, str]:
    """`provider:event` of a tracer, `channel.marker` and `facility.event` of LTT."""
    provider, colon, event = name.rpartition(":")
    if colon:
        return provider, event
    provider, dot, event = name.partition(".")
    return (provider, event) if dot and provider and event else ("", name)


def targets_of(recording: Recording) -> RecordedTargets:
    """What there is to probe in a trace."""
    from bridge.world import LiveWorld

    classes = [_class(number, group) for number, group in enumerate(recording.groups)]
    releases = {str(source.environment.get("kernel_release")) for source in recording.sources}
    types = _KernelTypes(releases.pop() if len(releases) == 1 else "")
    return RecordedTargets(
        classes, recording.name, LiveWorld().user_hz, types.members, types.structure
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
class TakenVariable:
    """A variable of the C side: its number, whether it is text, and where faults are told."""

    variable: int
    text: bool
    fault: int = lib.MB_REPLAY_NONE
    fault_bit: int = 0


class Fields(Protocol):
    """Where a replay finds what a hook captures, in one event class."""

    def context(self, name: str) -> TakenVariable | None:
        """A property of the hit."""
        ...

    def payload(self, path: str) -> TakenVariable | None:
        """A field, or a part of one."""
        ...


WORD_BITS = 64
CPU_FIELD = "cpu_id"
"""What a conversion puts among the context: of a recording, it is the packet's."""
CONTEXT_SCOPES = (CtfScope.CONTEXT, CtfScope.EVENT_CONTEXT, CtfScope.PACKET_CONTEXT)


@dataclass(frozen=True, slots=True)
class PlanFields:
    """Those of a CTF trace that the C side decodes itself."""

    plan: Plan
    index: int
    origin: Origin | None

    def context(self, name: str) -> TakenVariable | None:
        """A property of the hit, from the context of the event."""
        return self._taken(self._find(CONTEXT_SCOPES, CONTEXT_NAMES[name]))

    def payload(self, path: str) -> TakenVariable | None:
        """A field by its name."""
        return self._taken(self._find((CtfScope.PAYLOAD,), (path,)))

    def _taken(self, known: NamedValue | None) -> TakenVariable | None:
        if known is None or not (is_number(known.type) or is_plain_text(known.type)):
            return None
        fault, bit = self._fault(known)
        number = self.plan.assembler.variable(known)
        return TakenVariable(number, is_plain_text(known.type), fault, bit)

    def _find(self, scopes: tuple[CtfScope, ...], names: tuple[str, ...]) -> NamedValue | None:
        """A field of one of these names, at the top of one of these scopes."""
        known = self.plan.names[self.index]
        for name in names:
            for scope in scopes:
                for item in reversed(known.get(scope, [])):
                    if item.path == (name,):
                        return item
        return None

    def _fault(self, known: NamedValue) -> tuple[int, int]:
        """The variable and the bit that say whether a field could not be read."""
        if self.origin is None or not self.origin.faults:
            return lib.MB_REPLAY_NONE, 0
        word, bit = divmod(self._position(known), WORD_BITS)
        told = self._find((CtfScope.PAYLOAD,), (fault_field(word),))
        if told is None:
            return lib.MB_REPLAY_NONE, 0
        return self.plan.assembler.variable(told), bit

    def _position(self, known: NamedValue) -> int:
        """The number of a field among all fields of the event, from the common context on."""
        streams = {stream.id: stream for stream in self.plan.streams}
        event = self.plan.events[self.index]
        common = streams[event.stream_id].event_context
        structs = [s for s in (common, event.event.context, event.event.payload) if s]
        order = [(f.name, f.type) for s in structs for f in s.fields if f.name != CPU_FIELD]
        return order.index((known.path[0], known.type))


def _always(value: int | str) -> Taker:
    return lambda _: value


@dataclass(frozen=True, slots=True)
class RowFields:
    """Those of events that are decoded before the C side gets them."""

    rows: Rows
    index: int

    def context(self, name: str) -> TakenVariable | None:
        """A property of the hit: from the event's context, the trace's own, or its tasks."""
        one = self.rows.recording.classes[self.index]
        found = self._of_event(one, name)
        if found is None and name in OF_TASKS and self.rows.tells_tasks(one.source):
            return self._add(
                f"{name}()", self.rows.task_value(one.source, name), text=name == "execname"
            )
        return found

    def _of_event(self, one: ClassOf, name: str) -> TakenVariable | None:
        source = self.rows.recording.sources[one.source]
        context = one.event_class.context
        declared = {f.name: f.type for f in context.fields} if context else {}
        for own in CONTEXT_NAMES[name]:
            if own in declared:
                return self._context(own, text=is_plain_text(declared[own]))
            if own in source.environment:
                value = source.environment[own]
                return self._add(own, _always(value), text=isinstance(value, str))
            if own in source.undeclared_context:
                return self._context(own, text=False)
        return None

    def _context(self, own: str, *, text: bool) -> TakenVariable:
        def take(event: Event) -> int | str | None:
            value = event.context.get(own)
            return value if isinstance(value, str) else word(value)

        return self._add(own, take, text=text)

    def payload(self, path: str) -> TakenVariable | None:
        """A field, or a part of one, by its path."""
        one = self.rows.recording.classes[self.index]
        found = place(one.event_class.payload, path)
        if found is None:
            return None
        text = found.value_type is ValueType.STRING
        fault, bit = self._fault(one, found.steps[0])
        taken = self._add(path, payload_value(found), text=text)
        return replace(taken, fault=fault, fault_bit=bit)

    def _add(self, name: str, take: Taker, *, text: bool) -> TakenVariable:
        return TakenVariable(self.rows.row(self.index).add(name, take, text=text), text)

    def _fault(self, one: ClassOf, name: object) -> tuple[int, int]:
        """The variable and the bit that say whether a field could not be read."""
        if one.origin is None or not one.origin.faults:
            return lib.MB_REPLAY_NONE, 0
        context = one.event_class.context
        structs = [s for s in (context, one.event_class.payload) if s]
        names = [f.name for s in structs for f in s.fields if f.name != CPU_FIELD]
        word_number, bit = divmod(names.index(str(name)), WORD_BITS)
        told = place(one.event_class.payload, fault_field(word_number))
        if told is None:
            return lib.MB_REPLAY_NONE, 0
        taken = self._add(fault_field(word_number), payload_value(told), text=False)
        return taken.variable, bit


def row_fields(rows: Rows, index: int) -> RowFields:
    """Those of an event class, which is read from now on even if nothing of it is taken."""
    rows.row(index)
    return RowFields(rows, index)
