"""Hooks of a placed program -> a CTF trace of all their hits (`markbridge run --trace`).

Each hook becomes an event class: the marker's variables under their names, strings that
handlers read through them (`user_string($arg2)` is `arg2_string`), and pid, tid … in the event
context.
The clock is CLOCK_MONOTONIC with its distance from 1970. The C side takes the records
(`csrc/live/recorder.h`); this module describes them.
"""

from __future__ import annotations

import os
import platform
import re
import time
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.engine.trace.recorders import RecordingSummary, marker_itself
from bridge.errors import TraceError
from bridge.handles import Handle
from bridge.ir.program import (
    REGISTERS,
    Argument,
    Capture,
    Context,
    Literal,
    Load,
    Value,
    capture_text,
    capture_type,
)
from bridge.markers import Memory, RawArgument, Register, TracepointField
from bridge.probes import families
from bridge.trace.ctf import tsdl_writer as tsdl
from bridge.trace.ctf.description import Clock
from bridge.trace.ctf.folder import PACKET_BYTES, TraceFolder
from bridge.trace.ctf.layout import CtfScope
from bridge.trace.ctf.origin import PREFIX, Origin
from bridge.trace.model import EventClass, Field, Integer, Struct, Text

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.artifact import Hook, Placed
    from bridge.engine.trace.recorders import Outputs, RecordedEvent
    from bridge.markers import Marker, Operand, Variable

NS_PER_S = 1_000_000_000
WORD_BITS = 64
TARGET, START = "markbridge_target", "markbridge_start"
"""Environment entries: what target() was, and when the recording started (ns since 1970)."""

CONTEXT_FIELDS: dict[str, Field] = {
    "pid": Field("pid", Integer(32, signed=True)),
    "tid": Field("tid", Integer(32, signed=True)),
    "ppid": Field("ppid", Integer(32, signed=True)),
    "uid": Field("uid", Integer(32, signed=False)),
    "euid": Field("euid", Integer(32, signed=False)),
    "gid": Field("gid", Integer(32, signed=False)),
    "egid": Field("egid", Integer(32, signed=False)),
    "execname": Field("procname", Text()),
    "pgrp": Field("pgid", Integer(32, signed=True)),
    "sid": Field("sid", Integer(32, signed=True)),
    "task": Field("task", Integer(64, signed=False, base=16)),
    "pexecname": Field("parent_procname", Text()),
    "command": Field("command", Text()),
    "user_mode": Field("user_mode", Integer(8, signed=False)),
    **{name: Field(name, Integer(64, signed=False, base=16)) for name in REGISTERS},
}
"""Contexts that are fields of the event context, under the names that LTTng gives them."""

NOT_STORED = frozenset({"cpu", "realtime_ns", "monotonic_ns"})
"""Contexts that the packet and the event header hold."""


@dataclass(frozen=True, slots=True)
class WrittenField:
    """A field of an event class, the capture that it holds, and where that is in the record."""

    field: Field
    capture: Capture
    slot: int
    kind: int


@dataclass(frozen=True, slots=True)
class WrittenClass:
    """An event class of one hook; `own` is whether it is the marker itself."""

    hook: Hook
    name: str
    context: tuple[WrittenField, ...]
    payload: tuple[WrittenField, ...]
    own: bool = True

    @property
    def can_fault(self) -> bool:
        return any(f.kind != lib.MB_RECORDER_LONG for f in self.payload)


# --- fields -----------------------------------------------------------------------------------


def _operand_type(operand: Operand) -> tuple[int, bool]:
    """Size in bytes and signedness of a number."""
    match operand:
        case (
            Register(size=size, signed=signed)
            | Memory(size=size, signed=signed)
            | TracepointField(size=size, signed=signed)
            | RawArgument(size=size, signed=signed)
        ):
            return (size if size in (1, 2, 4, 8) else 8), signed
        case _:
            return 8, True


def _variable_type(variable: Variable | None, *, address: bool) -> Integer:
    """The narrowest integer that holds the variable at every site of its marker."""
    types = {_operand_type(o) for o in variable.operands} if variable else {(8, True)}
    if len(types) > 1 and len({signed for _, signed in types}) > 1:
        types = {(8, True)}
    size = max(size for size, _ in types)
    signed = all(signed for _, signed in types)
    if address:
        return Integer(64, signed=False, base=16)
    return Integer(8 * size, signed=signed)


def _capture_name(capture: Capture) -> str:
    """A field name for a capture: `$arg1` arg1, `user_string($arg2)` arg2_string."""
    match capture:
        case Argument(name=name):
            return name
        case Load(type=Value.STRING, address=Argument(name=name), limit=None):
            return f"{name}_string"
        case Load(type=Value.STRING, address=Argument(name=name), limit=limit):
            return f"{name}_string_{limit}"
        case _:
            return re.sub(r"[^A-Za-z0-9]+", "_", capture_text(capture)).strip("_")


def _addresses(captures: tuple[Capture, ...]) -> set[str]:
    """The arguments that strings are read from."""
    return {
        c.address.name
        for c in captures
        if isinstance(c, Load) and isinstance(c.address, Argument)
    }


def _payload_field(capture: Capture, marker: Marker, addresses: set[str]) -> Field:
    name = _capture_name(capture)
    if capture_type(capture) is Value.STRING:
        return Field(name, Text())
    if isinstance(capture, Argument):
        variable = next((v for v in marker.variables if v.name == capture.name), None)
        return Field(name, _variable_type(variable, address=capture.name in addresses))
    if isinstance(capture, Load):
        return Field(name, Integer(8 * capture.size, signed=capture.signed))
    return Field(name, Integer(64, signed=True))


def _kind(capture: Capture) -> int:
    if capture_type(capture) is Value.STRING:
        return lib.MB_RECORDER_TEXT
    return lib.MB_RECORDER_CHECKED if isinstance(capture, Load) else lib.MB_RECORDER_LONG


def _unique(fields: list[WrittenField]) -> tuple[WrittenField, ...]:
    """The fields with names different from each other."""
    taken: set[str] = set()
    result = []
    for recorded in fields:
        name = base = recorded.field.name
        number = 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        result.append(
            WrittenField(
                Field(name, recorded.field.type), recorded.capture, recorded.slot, recorded.kind
            )
        )
    return tuple(result)


def fault_field(word: int) -> str:
    """The field whose bits say which fields could not be read, 64 fields a word."""
    return "unreadable" if word == 0 else f"unreadable_{word + 1}"


# --- classes ----------------------------------------------------------------------------------


def event_name(marker: Marker) -> str:
    """What a recording calls the event class of a marker."""
    return families.of_kind(marker.kind).event_class(marker)


def class_of(hook: Hook, common: frozenset[str] = frozenset()) -> WrittenClass:
    """The event class of the marker itself; `common` contexts are those of all classes."""
    marker = hook.attachment.marker
    captures = hook.layout.captures
    addresses = _addresses(captures)
    context, payload = [], []
    for capture in captures:
        slot, kind = hook.layout.slot(capture), _kind(capture)
        match capture:
            case Literal():
                pass
            case Context(name=name) if name in NOT_STORED or name in common:
                pass
            case Context(name=name):
                context.append(WrittenField(CONTEXT_FIELDS[name], capture, slot, kind))
            case _:
                field = _payload_field(capture, marker, addresses)
                payload.append(WrittenField(field, capture, slot, kind))
    return WrittenClass(hook, event_name(marker), tuple(context), _unique(payload))


def class_for(
    hook: Hook, output: RecordedEvent, common: frozenset[str] = frozenset()
) -> WrittenClass:
    """The event class of one of a hook's events."""
    own = class_of(hook, common)
    if output.fields is None:
        return own
    by_capture = {capture_text(f.capture): f for f in own.payload}
    payload = []
    for name, capture in output.fields:
        found = by_capture[capture_text(capture)]
        payload.append(
            WrittenField(Field(name, found.field.type), capture, found.slot, found.kind)
        )
    return WrittenClass(hook, output.name, own.context, _unique(payload), own=False)


def payload_of(hook: Hook) -> tuple[tuple[str, Capture, int], ...]:
    """Name, capture and slot of each field that a recording of a hook has as its payload."""
    class_ = class_of(hook)
    return tuple((row.field.name, row.capture, row.slot) for row in class_.payload)


def _common_contexts(hooks: tuple[Hook, ...]) -> tuple[str, ...]:
    """The contexts that every hook's records have."""
    held = [{c.name for c in hook.layout.captures if isinstance(c, Context)} for hook in hooks]
    return tuple(n for n in CONTEXT_FIELDS if held and all(n in names for names in held))


def _struct(fields: tuple[WrittenField, ...], *extra: Field) -> Struct:
    return Struct((*(f.field for f in fields), *extra), align_bits=8)


def _origin(class_: WrittenClass, placed: Placed, *, faults: bool) -> Origin:
    attachment = class_.hook.attachment
    marker = attachment.marker
    handlers = [placed.program.handlers[i] for i in class_.hook.handlers]
    strings: dict[str, str] = {}
    for handler in handlers:
        strings.update(handler.expansion.strings)
    return Origin(
        kind=marker.kind.value,
        provider=marker.provider,
        name=marker.name,
        path=families.of_kind(marker.kind).file(marker),
        pid=attachment.pid,
        follow_target=attachment.follow_target,
        points=tuple(dict.fromkeys(h.expansion.point for h in handlers)),
        fields={f.field.name: capture_text(f.capture) for f in class_.payload},
        variables=tuple((v.name, v.type.value) for v in marker.variables),
        strings=strings,
        faults=faults,
        aliases=tuple(v.name for v in marker.variables if v.alias),
    )


def environment() -> dict[str, str | int]:
    """What a trace says about the machine and about us."""
    from bridge import __version__

    host = os.uname()
    return {
        "hostname": host.nodename,
        "sysname": host.sysname,
        "kernel_release": host.release,
        "kernel_version": host.version,
        "architecture": platform.machine(),
        "tracer_name": "markbridge",
        "tracer_version": __version__,
    }


def cpu_slot(class_: WrittenClass) -> int:
    """Where a record of the class's hook says on which CPU it was."""
    return class_.hook.layout.slots.get("cpu()", lib.MB_RECORDER_NONE)


class EventRows:
    """Table of `struct mb_recorder_hook`: a row a hook, then more events of the same hits."""

    def __init__(self, hooks: int) -> None:
        nothing = (0, 0, lib.MB_RECORDER_NONE, lib.MB_RECORDER_NONE, lib.MB_RECORDER_NONE)
        self.rows: list[tuple[int, ...]] = [nothing] * hooks
        self._last: dict[int, int] = {}

    def add(self, hook: int, row: tuple[int, int, int, int]) -> None:
        """One more event of a hook: its fields, CPU and class."""
        at, before = hook, self._last.get(hook)
        if before is not None:
            at = len(self.rows)
            self.rows[before] = (*self.rows[before][:-1], at)
            self.rows.append(())
        self.rows[at] = (*row, lib.MB_RECORDER_NONE)
        self._last[hook] = at


class Recorder:
    """Records all hits of a placed program into the folder `path`.

    `realtime_offset_ns` is the distance of CLOCK_MONOTONIC from 1970, the one that the records'
    `realtime_ns` have. Each record must be given to `mb_recorder_write(handle, record)` before
    it is dispatched. `outputs` says what a hit becomes.
    """

    def __init__(
        self,
        placed: Placed,
        path: Path,
        realtime_offset_ns: int,
        target: int = 0,
        packet_bytes: int = PACKET_BYTES,
        *,
        outputs: Outputs = marker_itself,
    ) -> None:
        self._folder = TraceFolder(path, packet_bytes)
        common = _common_contexts(placed.hooks)
        self._common = common
        self._classes = [
            [class_for(hook, one, frozenset(common)) for one in outputs(hook)]
            for hook in placed.hooks
        ]
        self._placed = placed
        self._offset_ns = realtime_offset_ns
        self._target = target
        self._lock = RLock()
        self._summary: RecordingSummary | None = None
        self.lent = self._handle(None)

    def _handle(self, pointer: Any) -> Handle:  # noqa: ANN401 - of cffi
        return Handle(pointer, lib.mb_recorder_close, f"{self._folder.path}: the recording")

    @property
    def handle(self) -> Any:  # noqa: ANN401 - of cffi
        """The C recorder, for a caller that no other thread can come between."""
        return self.lent.pointer

    def start(self, now_ns: int) -> None:
        """Get ready for the first record; timers count from now (CLOCK_MONOTONIC)."""
        with self._lock:
            if self._summary is not None or not self.lent.closed:
                raise TraceError(f"{self._folder.path}: a recording starts once")
            self._start(now_ns)

    def _start(self, now_ns: int) -> None:
        self._describe(now_ns)
        hooks, fields = self._tables()
        cpus = os.sysconf("SC_NPROCESSORS_CONF")
        for cpu in range(cpus):
            self._folder.add_stream(f"channel0_{cpu}", 0, cpu, cpu)
        handle = lib.mb_recorder_create(
            self._folder.handle,
            ffi.new("struct mb_recorder_hook[]", hooks or 1),
            len(hooks),
            ffi.new("struct mb_recorder_field[]", fields or 1),
            len(fields),
            cpus,
        )
        if handle == ffi.NULL:
            raise TraceError(f"{self._folder.path}: these markers cannot be recorded")
        self._folder.writer.taken()
        self.lent = self._handle(handle)

    # --- description ---

    def _describe(self, start_ns: int) -> None:
        entries: dict[str, str | int] = dict(environment())
        entries[TARGET] = self._target
        entries[START] = start_ns + self._offset_ns
        number = 0
        for class_ in (one for classes in self._classes for one in classes):
            for faults in (False, True) if class_.can_fault else (False,):
                if not class_.own:
                    number += 1
                    continue
                origin = _origin(class_, self._placed, faults=faults)
                entries[f"{PREFIX}{number}"] = origin.entry()
                number += 1
        text = tsdl.header(str(self._folder.uuid), entries)
        seconds, rest = divmod(self._offset_ns, NS_PER_S)
        text += tsdl.clock(
            Clock("monotonic", NS_PER_S, seconds, rest, description="CLOCK_MONOTONIC")
        )
        text += tsdl.stream(0, self._event_context(), with_cpu=True)
        self._folder.describe(text)

    def _event_context(self) -> Struct | None:
        if not self._common:
            return None
        return Struct(tuple(CONTEXT_FIELDS[name] for name in self._common), align_bits=8)

    def _tables(self) -> tuple[list[tuple[int, ...]], list[tuple[int, int]]]:
        """The rows of the C side's tables of hooks and fields."""
        fields: list[tuple[int, int]] = []
        events = EventRows(len(self._placed.hooks))
        number = 0
        for hook, classes in enumerate(self._classes):
            for class_ in classes:
                rows = self._rows(class_)
                index = self._add_class(class_, number, words=0)
                number += 1
                if class_.can_fault:
                    self._add_class(class_, number, words=-(-len(rows) // WORD_BITS))
                    number += 1
                events.add(hook, (len(fields), len(rows), cpu_slot(class_), index))
                fields += rows
        return events.rows, fields

    def _rows(self, class_: WrittenClass) -> list[tuple[int, int]]:
        slots = class_.hook.layout.slots
        rows = [(slots[f"{n}()"], _kind(Context(n))) for n in self._common]
        rows += [(f.slot, f.kind) for f in (*class_.context, *class_.payload)]
        if len(rows) > lib.MB_RECORDER_FIELDS:
            raise TraceError(f"{class_.name}: too many fields to record")
        return rows

    def _add_class(self, class_: WrittenClass, number: int, words: int) -> int:
        bits = Integer(WORD_BITS, signed=False, base=16)
        payload = _struct(class_.payload, *(Field(fault_field(n), bits) for n in range(words)))
        context = _struct(class_.context) if class_.context else None
        self._folder.describe(
            tsdl.event(EventClass(class_.name, number, payload), number, 0, context, payload)
        )
        scopes = {
            CtfScope.EVENT_CONTEXT: self._event_context(),
            CtfScope.CONTEXT: context,
            CtfScope.PAYLOAD: payload,
        }
        return self._folder.add_class(number, {s: t for s, t in scopes.items() if t})

    # --- recording ---

    def lost(self, cpu: int, total: int) -> None:
        """So many hits of this CPU (-1: of some CPU) did not get into the ring so far."""
        with self.lent as handle:
            lib.mb_recorder_lost(handle, cpu, total)

    def flush(self) -> None:
        """Write out what is there; call it about once a second while nothing comes."""
        with self.lent as handle:
            lib.mb_recorder_flush(handle)

    def close(self) -> RecordingSummary:
        """Finish the trace; what it holds, also if that was done before."""
        with self._lock:
            if self._summary is None:
                if self.lent.closed:
                    self._start(time.monotonic_ns())
                self._summary = self._finish()
            return self._summary

    def _finish(self) -> RecordingSummary:
        with self.lent as handle:
            error = lib.mb_recorder_flush(handle)
            written = lib.mb_recorder_written(handle)
            dropped = lib.mb_recorder_dropped(handle)
            code = self.lent.close(time.monotonic_ns()) or error
        self._folder.close_metadata()
        return RecordingSummary(
            written, dropped, str(self._folder.failure(code)) if code else ""
        )
