"""Scheduler events of a trace -> which task runs on each CPU, and what that is called.

In: the events of one trace in order. The rule: as at a tracepoint of the kernel, the task of a
switch is the one that goes; what the trace has not said yet is None.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridge.trace.model import Event, EventClass, Value

COMM_BYTES = 15
"""The kernel keeps so much of a program's name."""
IDLE = "swapper"
"""What the task 0 is called where the trace does not say it."""
_NAME_BREAKS = ".:"

SWITCH, FORK, EXEC, STATE, NAMED = "switch", "fork", "exec", "state", "named"
EVENTS: Mapping[str, str] = {
    "sched_switch": SWITCH,
    "sched_schedule": SWITCH,
    "schedchange": SWITCH,
    "sched_process_fork": FORK,
    "process_fork": FORK,
    "fork": FORK,
    "sched_process_exec": EXEC,
    "exec": EXEC,
    "process_state": STATE,
    "lttng_statedump_process_state": STATE,
    "enumerate_process_state": STATE,
    "task_rename": NAMED,
}
"""Events about tasks by their names without the channel or facility: those of LTTng 2, of LTTng
0.x (channels kernel, fs, task_state), and of the facilities of LTT."""

_PREVIOUS = ("prev_tid", "prev_pid", "out")
_NEXT = ("next_tid", "next_pid", "in")
_PARENT = ("parent_tid", "parent_pid")
_CHILD = ("child_tid", "child_pid")


@dataclass(frozen=True, slots=True)
class TracedTask:
    """What is known of a task; None is not known."""

    pid: int | None = None
    ppid: int | None = None
    name: str | None = None


_UNKNOWN = TracedTask()


def kind_of(event_class: EventClass) -> str | None:
    """What an event says of tasks, if that is its subject and it has the fields for it."""
    name = event_class.name
    for character in _NAME_BREAKS:
        name = name.rpartition(character)[2]
    kind = EVENTS.get(name)
    names = {member.name for member in event_class.payload.fields}
    needed = {
        SWITCH: (_NEXT,),
        FORK: (_CHILD,),
        EXEC: (("filename",),),
        STATE: (("tid", "pid"),),
        NAMED: (("newcomm",),),
    }
    if kind is None or not all(names & set(options) for options in needed[kind]):
        return None
    return kind


def tells_groups(classes: Iterable[EventClass]) -> bool:
    """Whether the trace says which process a thread belongs to."""
    for event_class in classes:
        kind = kind_of(event_class)
        names = {member.name for member in event_class.payload.fields}
        if kind == FORK and ("child_tgid" in names or {"child_tid", "child_pid"} <= names):
            return True
        if kind == STATE and ("tgid" in names or {"tid", "pid"} <= names):
            return True
    return False


def _number(fields: Mapping[str, Value], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, int):
            return value
    return None


def _text(fields: Mapping[str, Value], *names: str) -> str | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str):
            return value
    return None


@dataclass(slots=True)
class Tasks:
    """The tasks of one trace at the event that comes next.

    `groups` says whether the trace tells threads from processes; where it does not, the
    number of a thread is taken for that of its process.
    """

    groups: bool
    running: dict[int, int] = field(default_factory=dict)
    tasks: dict[int, TracedTask] = field(default_factory=dict)

    def tid(self, cpu: int) -> int | None:
        """The task that runs on a CPU."""
        return self.running.get(cpu)

    def pid(self, cpu: int) -> int | None:
        """Its process."""
        tid = self.running.get(cpu)
        if tid is None or tid == 0:
            return tid
        known = self.tasks.get(tid, _UNKNOWN).pid
        return tid if known is None and not self.groups else known

    def ppid(self, cpu: int) -> int | None:
        """The parent of that process."""
        tid = self.running.get(cpu)
        return 0 if tid == 0 else self._running(cpu).ppid

    def name(self, cpu: int) -> str | None:
        """What the task is called."""
        name = self._running(cpu).name
        return IDLE if name is None and self.running.get(cpu) == 0 else name

    def _running(self, cpu: int) -> TracedTask:
        tid = self.running.get(cpu)
        return _UNKNOWN if tid is None else self.tasks.get(tid, _UNKNOWN)

    # --- what events say ---

    def learn(self, kind: str, event: Event) -> None:
        """Take note of an event, after it."""
        fields = event.fields
        if kind == SWITCH:
            self._switch(event.cpu, fields)
        elif kind == FORK:
            self._fork(fields)
        elif kind == STATE:
            self._state(fields)
        else:
            self._rename(kind, event)

    def call(self, tid: int, name: str | None) -> None:
        """A task has a name, unless it is known to have one already."""
        if self.tasks.get(tid, _UNKNOWN).name is None:
            self._change(tid, name=name)

    def _change(self, tid: int, **known: int | str | None) -> None:
        told = {name: value for name, value in known.items() if value is not None}
        if told:
            self.tasks[tid] = replace(self.tasks.get(tid, _UNKNOWN), **told)  # type: ignore[arg-type] # fields of TracedTask

    def _switch(self, cpu: int, fields: Mapping[str, Value]) -> None:
        previous, following = _number(fields, _PREVIOUS), _number(fields, _NEXT)
        if previous is not None:
            self._change(previous, name=_text(fields, "prev_comm"))
        if following is not None:
            self.running[cpu] = following
            self._change(following, name=_text(fields, "next_comm"))

    def _fork(self, fields: Mapping[str, Value]) -> None:
        child, parent = _number(fields, _CHILD), _number(fields, _PARENT)
        if child is None:
            return
        by_group = "child_tid" in fields
        pid = _number(fields, ("child_pid",) if by_group else ("child_tgid",))
        before = _UNKNOWN if parent is None else self.tasks.get(parent, _UNKNOWN)
        told = _number(fields, ("parent_pid",)) if by_group else None
        above = told if told is not None else before.pid
        if above is None and not self.groups:
            above = parent
        ppid = before.ppid if pid is not None and pid == above else above
        self.tasks[child] = TracedTask(pid, ppid, _text(fields, "child_comm") or before.name)

    def _state(self, fields: Mapping[str, Value]) -> None:
        by_group = "tid" in fields
        tid = _number(fields, ("tid",) if by_group else ("pid",))
        if tid is not None:
            self._change(
                tid,
                pid=_number(fields, ("pid",) if by_group else ("tgid",)),
                ppid=_number(fields, ("ppid", "parent_pid")),
                name=_text(fields, "name", "comm"),
            )

    def _rename(self, kind: str, event: Event) -> None:
        own = _number(event.fields, ("tid", "pid"))
        tid = own if own is not None else self.running.get(event.cpu)
        name = _text(event.fields, "filename" if kind == EXEC else "newcomm")
        if tid is not None and name:
            if kind == EXEC:
                name = posixpath.basename(name)[:COMM_BYTES]
            self._change(tid, name=name)


def at_start(groups: bool, events: Iterable[tuple[str, Event]]) -> Tasks:
    """What the events of a whole trace say of its beginning.

    The first switch of a CPU says what ran there before; a state dump or a switch says what a
    task was called, unless it was made or renamed before that.
    """
    result = Tasks(groups)
    running: dict[int, int] = {}
    changed: set[int] = set()
    for kind, event in events:
        fields = event.fields
        if kind == SWITCH:
            _look_back(result, event, running, changed)
        elif kind == STATE:
            if _number(fields, ("tid", "pid")) not in changed:
                result.learn(STATE, event)
        else:
            options = _CHILD if kind == FORK else ("tid", "pid")
            own = _number(fields, options)
            tid = own if own is not None else running.get(event.cpu)
            if tid is not None:
                changed.add(tid)
    return result


def _look_back(result: Tasks, event: Event, running: dict[int, int], changed: set[int]) -> None:
    """What a switch says of the time before it."""
    previous, following = _number(event.fields, _PREVIOUS), _number(event.fields, _NEXT)
    if previous is not None and event.cpu not in running:
        result.running[event.cpu] = previous
    if previous is not None and previous not in changed:
        result.call(previous, _text(event.fields, "prev_comm"))
    if following is not None:
        running[event.cpu] = following
