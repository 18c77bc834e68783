"""A placed program over a recorded trace: the same handlers, records made from events.

For every hook and event class there is a list of steps that make the slots of the record
(`csrc/trace/replay.cdef.h`); the loop is in C. What a script captures and the trace does not
hold is an error before anything runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from bridge._native import ffi, lib
from bridge.diagnostics import Diagnostic
from bridge.engine.base import RunResult, SessionOptions, State, run_session
from bridge.engine.session.native import NativeSession
from bridge.engine.trace.record import START, TARGET, WORD_BITS, fault_field
from bridge.engine.trace.recording import (
    Fields,
    Recording,
    is_number,
    is_string,
    open_recording,
    targets_of,
)
from bridge.errors import CompileError, TraceError
from bridge.handles import Handle
from bridge.ir.program import (
    REGISTERS,
    Argument,
    Capture,
    Computed,
    Context,
    Literal,
    Load,
    Value,
    capture_text,
    capture_type,
)
from bridge.markers import Kind
from bridge.progress import doing
from bridge.trace.ctf.cursor import Cursor
from bridge.trace.ctf.layout import Known, Scope

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.artifact import Hook, Placed
    from bridge.probes.recorded import RecordedTargets
    from bridge.progress import Activity

EVENTS_PER_TURN = 20_000
NONE = lib.MB_REPLAY_NONE

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

CONTEXT_SCOPES = (Scope.CONTEXT, Scope.EVENT_CONTEXT, Scope.PACKET_CONTEXT)
OF_PROGRAMS = {
    kind.value for kind in (Kind.USDT, Kind.FUNCTION, Kind.FUNCTION_RETURN, Kind.PROCESS)
}
DIRECT = {
    "cpu": lib.MB_REPLAY_CPU,
    "realtime_ns": lib.MB_REPLAY_REALTIME,
    "monotonic_ns": lib.MB_REPLAY_MONOTONIC,
}
OPERATORS = {
    "+": lib.MB_REPLAY_ADD,
    "-": lib.MB_REPLAY_SUBTRACT,
    "*": lib.MB_REPLAY_MULTIPLY,
    "&": lib.MB_REPLAY_AND,
    "|": lib.MB_REPLAY_OR,
    "^": lib.MB_REPLAY_XOR,
    "<<": lib.MB_REPLAY_LEFT,
    ">>": lib.MB_REPLAY_RIGHT,
    ">>>": lib.MB_REPLAY_UNSIGNED_RIGHT,
}


class Step(NamedTuple):
    """One `struct mb_replay_step`."""

    kind: int
    slot: int
    a: int = 0
    b: int = 0
    value: int = 0
    fault: int = NONE
    fault_bit: int = 0


def open_recorded(folder: Path) -> RecordedTargets:
    """What there is to probe in the trace in a folder."""
    return targets_of(open_recording(folder))


# --- captures to steps ------------------------------------------------------------------------


class _Missing(Exception):
    """A capture that the trace does not hold; the message is its text."""


@dataclass(slots=True)
class _Binder:
    """Makes the steps of one hook at one event class."""

    recording: Recording
    hook: Hook
    fields: Fields
    longest: int
    steps: list[Step] = field(default_factory=list)
    scratch: int = 0

    def bind(self) -> None:
        """Steps for all captures of the hook."""
        self.scratch = self.hook.layout.slot_count
        for capture in self.hook.layout.captures:
            self._capture(capture, self.hook.layout.slot(capture))

    def _capture(self, capture: Capture, slot: int) -> None:
        text = capture_text(capture)
        known = self.fields.captured(text)
        if known is not None:
            self._field(known, capture, slot)
            return
        match capture:
            case Context(name=name) if name in DIRECT:
                self.steps.append(Step(DIRECT[name], slot))
            case Context(name=name):
                found = self.fields.find(CONTEXT_SCOPES, CONTEXT_NAMES[name])
                if found is None and name == "user_mode":
                    value = int(self._of_program())
                    self.steps.append(Step(lib.MB_REPLAY_CONSTANT, slot, value=value))
                else:
                    self._field(found, capture, slot)
            case Argument(name=name):
                self._field(self.fields.find((Scope.PAYLOAD,), (name,)), capture, slot)
            case Literal(value=value):
                self.steps.append(Step(lib.MB_REPLAY_CONSTANT, slot, value=value))
            case Computed(op=op, left=left, right=right):
                a, b = self._operand(left), self._operand(right)
                self.steps.append(Step(lib.MB_REPLAY_OP, slot, a, b, OPERATORS[op]))
            case Load():
                raise _Missing(text)

    def _of_program(self) -> bool:
        """Whether programs were hit; events without a provider are the kernel's."""
        group = self.recording.groups[self.hook.attachment.marker.id]
        if group.origin is not None:
            return group.origin.kind in OF_PROGRAMS
        return ":" in group.name

    def _operand(self, capture: Capture) -> int:
        """A slot outside of the record for a part of a computed capture."""
        slot = self.scratch
        self.scratch += 2
        self._capture(capture, slot)
        return slot

    def _field(self, known: Known | None, capture: Capture, slot: int) -> None:
        wants_text = capture_type(capture) is Value.STRING
        if known is None or not (is_string if wants_text else is_number)(known.type):
            raise _Missing(capture_text(capture))
        variable = self.recording.plan.assembler.variable(known)
        fault, bit = self._fault(known)
        if wants_text:
            user = isinstance(capture, Load) and capture.space == "user"
            longest = self.longest - user
            self.steps.append(Step(lib.MB_REPLAY_TEXT, slot, variable, 0, longest, fault, bit))
            return
        self.steps.append(Step(lib.MB_REPLAY_LONG, slot, variable))
        if isinstance(capture, Load):
            self.steps.append(Step(lib.MB_REPLAY_STATUS, slot + 1, fault=fault, fault_bit=bit))

    def _fault(self, known: Known) -> tuple[int, int]:
        """The variable and the bit that say whether a field could not be read."""
        origin = self.fields.origin
        if origin is None or not origin.faults:
            return NONE, 0
        word, bit = divmod(self.fields.position(known), WORD_BITS)
        told = self.fields.find((Scope.PAYLOAD,), (fault_field(word),))
        return (NONE if told is None else self.recording.plan.assembler.variable(told)), bit

    def pid(self) -> int:
        """The variable that holds the process, for a hook that wants one only."""
        if not self.hook.attachment.pid:
            return int(NONE)
        known = self.fields.find(CONTEXT_SCOPES, CONTEXT_NAMES["pid"])
        if known is None or not is_number(known.type):
            raise _Missing("pid()")
        return self.recording.plan.assembler.variable(known)


@dataclass(slots=True)
class _Bound:
    """The C side's tables of bindings and steps."""

    bindings: list[tuple[int, ...]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def _bind(placed: Placed, recording: Recording) -> _Bound:
    """All hooks at all event classes of theirs; CompileError names what is missing."""
    result = _Bound()
    missing: dict[tuple[str, str], None] = {}
    longest = placed.program.limits.maxstringlen - 1
    for hook in placed.hooks:
        for index, origin in recording.groups[hook.attachment.marker.id].members:
            binder = _Binder(recording, hook, Fields(recording.plan, index, origin), longest)
            try:
                binder.bind()
                pid = binder.pid()
            except _Missing as error:
                missing[str(error), placed.program.handlers[hook.handlers[0]].point] = None
                continue
            row = (index, hook.id, len(result.steps), len(binder.steps))
            slots = hook.layout.slot_count
            result.bindings.append((*row, slots, binder.scratch, pid, hook.attachment.pid))
            result.steps += binder.steps
    if missing:
        raise CompileError([_not_held(text, p, recording) for text, p in missing], "replay")
    return result


def _not_held(text: str, point: str, recording: Recording) -> Diagnostic:
    ours = recording.plan.description.environment.get("tracer_name") == "markbridge"
    return Diagnostic(
        "not-recorded",
        f"the trace {recording.folder} does not hold `{text}` of {point}; "
        + (
            "record again with --trace and this script"
            if ours
            else "its tracer must be told to record that context or field"
        ),
        phase="replay",
    )


# --- running ----------------------------------------------------------------------------------


class ReplayFeed:
    """Events of a trace, for one session. Time is the trace's."""

    def __init__(
        self,
        cursor: Cursor,
        session: NativeSession,
        bound: _Bound,
        start_ns: int,
        activity: Activity,
    ) -> None:
        self._cursor = cursor
        self._activity = activity
        self._events = 0
        self._session = session
        bindings = ffi.new("struct mb_replay_binding[]", bound.bindings or 1)
        steps = ffi.new("struct mb_replay_step[]", [tuple(s) for s in bound.steps] or 1)
        replay = lib.mb_replay_new(
            cursor.handle,
            session.handle,
            bindings,
            len(bound.bindings),
            steps,
            len(bound.steps),
        )
        if replay == ffi.NULL:
            raise TraceError("an event record is too large to be replayed")
        self._replay = Handle(replay, lib.mb_replay_free, "the replay")
        first = ffi.new("int64_t *")
        self._now = start_ns
        if lib.mb_replay_first(replay, first):
            self._now = min(start_ns, first[0]) if start_ns else first[0]
        session.set_clock(self._now)

    def now(self) -> int:
        """Where the replay is in the trace's time."""
        return self._now

    def arm(self) -> int:
        """Timers count from when they did at the recording."""
        return self._now

    def turn(self, until_ns: int) -> bool:
        """Deliver some events, with the timers between them; False at the end of the trace."""
        self._activity.count(self._events)
        with self._replay as replay, self._session.lent:
            more = lib.mb_replay_run(replay, EVENTS_PER_TURN)
            self._events += EVENTS_PER_TURN
            if more < 0:
                raise TraceError("no memory for an event")
            self._now = max(self._now, lib.mb_replay_now(replay))
            self._cursor.collect()
            if more == 0 and self._session.state is State.RUNNING:
                self._now = max(self._now, lib.mb_ctf_end_ns(self._cursor.handle))
                self._session.run_timers(self._now)
            return bool(more)

    def settle(self) -> None:
        """Nothing is held elsewhere."""

    def disarm(self) -> None:
        """The handlers that come see the time of the trace's end."""
        with self._replay:
            self._session.set_clock(self._now)
            self._report_losses()

    def _report_losses(self) -> None:
        lost = self._cursor.lost()
        if lost:
            self._session.note_lost(lost)
            self._session.warn(f"{lost} events were lost when the trace was recorded")
        for diagnostic in self._cursor.diagnostics:
            if diagnostic.code != "lost-events":
                self._session.warn(f"{diagnostic.message}: {diagnostic.file}")

    def close(self) -> None:
        """Free the C side, and the trace's."""
        with self._replay.lock:
            self._replay.close()
            self._cursor.close()


def run_replay(
    placed: Placed,
    folder: Path,
    options: SessionOptions,
    stopped: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Run a program, compiled for the targets of `open_recorded(folder)`, over that trace."""
    recording = open_recording(folder)
    bound = _bind(placed, recording)
    target = options.target or recording.entry(TARGET, 0)
    options = replace(options, replay=True, realtime_offset_ns=0, target=target)
    cursor = Cursor(recording.folder, recording.plan)
    try:
        with (
            NativeSession.open(placed, options) as session,
            doing(f"replaying {folder}", "events") as activity,
        ):
            feed = ReplayFeed(cursor, session, bound, recording.entry(START, 0), activity)
            try:
                return run_session(session, feed, stopped)
            finally:
                feed.close()
    finally:
        cursor.close()
