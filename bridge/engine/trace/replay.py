"""A placed program over a recorded trace: the same handlers, records made from events.

For every hook and event class there is a list of steps that make the slots of the record
(`csrc/trace/replay.cdef.h`); the loop is in C. What a script captures and the trace does not
hold is an error before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from bridge._native import ffi, lib
from bridge.diagnostics import Diagnostic
from bridge.engine.base import RunResult, SessionOptions, SessionState, run_session
from bridge.engine.session.native import NativeSession
from bridge.engine.trace.record import START, TARGET
from bridge.engine.trace.recording import (
    PlanFields,
    Recording,
    open_recording,
    row_fields,
    targets_of,
)
from bridge.engine.trace.rows import RowFeed, Rows
from bridge.errors import CompileError, TraceError
from bridge.handles import Handle
from bridge.ir.program import (
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
from bridge.markers import Kind, RecordedField
from bridge.probes import families
from bridge.progress import doing
from bridge.trace.ctf.cursor import CtfCursor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.artifact import Hook, Placed
    from bridge.codegen.native.compile import NativeCode
    from bridge.engine.trace.recording import Fields, MarkerClasses, TakenVariable
    from bridge.probes.recorded import RecordedTargets
    from bridge.progress import Activity
    from bridge.trace.ctf.origin import Origin
    from bridge.trace.ctf.reader import CtfReader

EVENTS_PER_TURN = 20_000
NONE = lib.MB_REPLAY_NONE

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


class ReplayStep(NamedTuple):
    """One `struct mb_replay_step`."""

    kind: int
    slot: int
    a: int = 0
    b: int = 0
    value: int = 0
    fault: int = NONE
    fault_bit: int = 0


def open_recorded(*paths: Path) -> RecordedTargets:
    """What there is to probe in the traces at some paths."""
    recording = open_recording(paths)
    try:
        return targets_of(recording)
    finally:
        recording.close()


# --- captures to steps ------------------------------------------------------------------------


class _Missing(Exception):
    """A capture that the trace does not hold; the message is its text."""


@dataclass(slots=True)
class _Binder:
    """Makes the steps of one hook at one event class."""

    group: MarkerClasses
    origin: Origin | None
    hook: Hook
    fields: Fields
    longest: int
    steps: list[ReplayStep] = field(default_factory=list)
    scratch: int = 0
    without_address: set[str] = field(default_factory=set)
    """Variables whose text the trace has, but not where it was in memory."""

    def bind(self) -> None:
        """Steps for all captures of the hook."""
        self.scratch = self.hook.layout.slot_count
        for capture in self.hook.layout.captures:
            self._capture(capture, self.hook.layout.slot(capture))

    def _capture(self, capture: Capture, slot: int) -> None:
        held = self._held(capture_text(capture))
        if held is not None:
            self._field(held, capture, slot)
            return
        match capture:
            case Context(name=name) if name in DIRECT:
                self.steps.append(ReplayStep(DIRECT[name], slot))
            case Context(name=name):
                self._context(name, capture, slot)
            case Argument(name=name):
                self._argument(name, capture, slot)
            case Literal(value=value):
                self.steps.append(ReplayStep(lib.MB_REPLAY_CONSTANT, slot, value=value))
            case Computed(op=op, left=left, right=right):
                a, b = self._operand(left), self._operand(right)
                self.steps.append(ReplayStep(lib.MB_REPLAY_OP, slot, a, b, OPERATORS[op]))
            case Load(type=Value.STRING, address=Argument(name=name)):
                self._field(self._text(name), capture, slot)
            case Load():
                raise _Missing(capture_text(capture))

    def _held(self, text: str) -> TakenVariable | None:
        """The field that holds a capture, by its text, in a recording of ours."""
        if self.origin is not None:
            for name, capture in self.origin.fields.items():
                if capture == text:
                    return self.fields.payload(name)
        return None

    def _context(self, name: str, capture: Capture, slot: int) -> None:
        found = self.fields.context(name)
        if found is None and name == "user_mode":
            value = int(self._of_program())
            self.steps.append(ReplayStep(lib.MB_REPLAY_CONSTANT, slot, value=value))
        else:
            self._field(found, capture, slot)

    def _path(self, name: str) -> str:
        """The field of a variable."""
        for variable in self.hook.attachment.marker.variables:
            if variable.name == name and isinstance(variable.operands[0], RecordedField):
                return variable.operands[0].name
        return name

    def _argument(self, name: str, capture: Capture, slot: int) -> None:
        found = self.fields.payload(self._path(name))
        wants_text = capture_type(capture) is Value.STRING
        if found is not None and found.text and not wants_text and self.origin is None:
            self.without_address.add(name)
            self.steps.append(ReplayStep(lib.MB_REPLAY_CONSTANT, slot))
        else:
            self._field(found, capture, slot)

    def _text(self, name: str) -> TakenVariable | None:
        """What other tracers have in place of a pointer to text: the text."""
        return self.fields.payload(self._path(name)) if self.origin is None else None

    def _of_program(self) -> bool:
        """Whether programs were hit; events without a provider are the kernel's."""
        if self.group.origin is not None:
            return families.of_kind(Kind(self.group.origin.kind)).of_program
        return ":" in self.group.event_class.name

    def _operand(self, capture: Capture) -> int:
        """A slot outside of the record for a part of a computed capture."""
        slot = self.scratch
        self.scratch += 2
        self._capture(capture, slot)
        return slot

    def _field(self, taken: TakenVariable | None, capture: Capture, slot: int) -> None:
        wants_text = capture_type(capture) is Value.STRING
        if taken is None or taken.text is not wants_text:
            raise _Missing(capture_text(capture))
        variable, fault, bit = taken.variable, taken.fault, taken.fault_bit
        if wants_text:
            user = isinstance(capture, Load) and capture.space == "user"
            longest = self.longest - user
            limit = capture.limit if isinstance(capture, Load) else None
            if limit is not None and self.origin is None:
                longest = min(longest, limit)
            self.steps.append(
                ReplayStep(lib.MB_REPLAY_TEXT, slot, variable, 0, longest, fault, bit)
            )
            return
        self.steps.append(ReplayStep(lib.MB_REPLAY_LONG, slot, variable))
        if isinstance(capture, Load):
            self.steps.append(
                ReplayStep(lib.MB_REPLAY_STATUS, slot + 1, fault=fault, fault_bit=bit)
            )

    def pid(self) -> int:
        """The variable that holds the process, for a hook that wants one only."""
        if not self.hook.attachment.pid:
            return int(NONE)
        taken = self.fields.context("pid")
        if taken is None or taken.text:
            raise _Missing("pid()")
        return taken.variable


@dataclass(slots=True)
class _Bound:
    """The C side's tables of bindings and steps, and what scripts should know of them."""

    bindings: list[tuple[int, ...]] = field(default_factory=list)
    steps: list[tuple[int, ...]] = field(default_factory=list)
    warnings: dict[str, None] = field(default_factory=dict)


def _bind(
    placed: Placed, recording: Recording, fields_of: Callable[[int, Origin | None], Fields]
) -> _Bound:
    """All hooks at all event classes of theirs; CompileError names what is missing."""
    result = _Bound()
    missing: dict[tuple[str, str], None] = {}
    longest = placed.program.limits.maxstringlen - 1
    for hook in placed.hooks:
        group = recording.groups[hook.attachment.marker.id]
        point = placed.program.handlers[hook.handlers[0]].point
        for index, origin in group.members:
            binder = _Binder(group, origin, hook, fields_of(index, origin), longest)
            try:
                binder.bind()
                pid = binder.pid()
            except _Missing as error:
                missing[str(error), point] = None
                continue
            row = (index, hook.id, len(result.steps), len(binder.steps))
            slots = hook.layout.slot_count
            result.bindings.append((*row, slots, binder.scratch, pid, hook.attachment.pid))
            result.steps += map(tuple, binder.steps)
            for name in sorted(binder.without_address):
                result.warnings[
                    f"{point}: the trace has the text of `${name}` and not its address,"
                    " which is 0 here"
                ] = None
    if missing:
        raise CompileError([_not_held(text, p, recording) for text, p in missing], "replay")
    return result


def _not_held(text: str, point: str, recording: Recording) -> Diagnostic:
    ours = any(s.environment.get("tracer_name") == "markbridge" for s in recording.sources)
    return Diagnostic(
        "not-recorded",
        f"the trace {recording.name} does not hold `{text}` of {point}; "
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
        cursor: CtfCursor,
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
        steps = ffi.new("struct mb_replay_step[]", bound.steps or 1)
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
            if more == 0 and self._session.state is SessionState.RUNNING:
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


def bind_plan(placed: Placed, recording: Recording, ctf: CtfReader) -> _Bound:
    """What C needs to replay a CTF trace by itself; CompileError if that does not hold all."""
    return _bind(placed, recording, lambda n, origin: PlanFields(ctf.plan, n, origin))


def _plan_feed(
    placed: Placed, recording: Recording, ctf: CtfReader
) -> tuple[_Bound, Callable[[NativeSession, Activity], ReplayFeed | RowFeed]]:
    """The replay of a CTF trace that C decodes."""
    bound = bind_plan(placed, recording, ctf)
    start_ns = recording.entry(START)

    def feed(session: NativeSession, activity: Activity) -> ReplayFeed | RowFeed:
        return ReplayFeed(CtfCursor(ctf.folder, ctf.plan), session, bound, start_ns, activity)

    return bound, feed


def _row_feed(
    placed: Placed, recording: Recording
) -> tuple[_Bound, Callable[[NativeSession, Activity], ReplayFeed | RowFeed]]:
    """The replay of any traces."""
    rows = Rows(recording)
    bound = _bind(placed, recording, lambda n, _: row_fields(rows, n))
    tables = bound.bindings, bound.steps
    start_ns = recording.entry(START)

    def feed(session: NativeSession, activity: Activity) -> ReplayFeed | RowFeed:
        return RowFeed(rows, session, tables, start_ns, activity)

    return bound, feed


def _feed(
    placed: Placed, recording: Recording
) -> tuple[_Bound, Callable[[NativeSession, Activity], ReplayFeed | RowFeed]]:
    """The fastest way that has all that the script asks for."""
    if recording.ctf is not None:
        try:
            return _plan_feed(placed, recording, recording.ctf)
        except CompileError:
            pass  # tasks and parts of fields: rows have them, or say what is missing
    return _row_feed(placed, recording)


def run_replay(
    placed: Placed,
    folders: Path | Sequence[Path],
    options: SessionOptions,
    stopped: Callable[[], bool] = lambda: False,
) -> RunResult:
    """Run a program, compiled for the targets of `open_recorded(*folders)`, over the traces."""
    recording = open_recording(folders if isinstance(folders, Sequence) else [folders])
    try:
        with opened(placed, recording, options) as (session, feed):
            return run_session(session, feed, stopped)
    finally:
        recording.close()


@contextmanager
def opened(
    placed: Placed,
    recording: Recording,
    options: SessionOptions,
    code: NativeCode | None = None,
) -> Iterator[tuple[NativeSession, ReplayFeed | RowFeed]]:
    """A session over a recording, and what delivers its events.

    `code` is what the handlers of the program were compiled to, if they were.
    """
    bound, make_feed = _feed(placed, recording)
    target = options.target or recording.entry(TARGET)
    options = replace(options, replay=True, realtime_offset_ns=0, target=target)
    with (
        NativeSession.open(placed, options, code=code) as session,
        doing(f"replaying {recording.name}", "events") as activity,
    ):
        for warning in bound.warnings:
            session.warn(warning)
        feed = make_feed(session, activity)
        try:
            yield session, feed
        finally:
            feed.close()
