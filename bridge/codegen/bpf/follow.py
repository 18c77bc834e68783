"""Programs that keep the set of threads that belong to the target and its descendants.

They run as long as they are attached, armed or not, because the target may fork before the
session is armed. The set is keyed by thread id: every thread that a member starts is a member,
and every thread removes itself when it exits. A thread that executes a program gets the number
of its process's first thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.codegen.bpf import text as t
from bridge.codegen.bpf.captures import LOW, Captures, ProbeContext
from bridge.codegen.bpf.object import Attach, BpfProgram, Control
from bridge.codegen.bpf.text import ProgramText
from bridge.ir.program import Argument, Value
from bridge.markers import RawArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

FORK, EXEC, EXIT = "sched_process_fork", "sched_process_exec", "sched_process_exit"


def current_target(text: ProgramText, captures: Captures, targets: int) -> str:
    """The entry of the current thread; null if it is not followed."""
    key = _key(text, captures.thread())
    return text.call(t.LOOKUP, f"ptr {text.map(targets)}", f"ptr {key}", result="ptr")


def group_dead(text: ProgramText, captures: Captures, control: str) -> str:
    """At sched_process_exit: not 0 for the last thread of a process.

    Kernels before 6.16 do not say so; there it is told by how many are alive, of which two
    threads that exit together may both see the last one.
    """
    field = text.load(control, 8 * Control.GROUP_DEAD)
    field = text.value(f"and i64 {field}, 4095")
    address = text.value(f"add i64 {text.value('ptrtoint ptr %ctx to i64')}, {field}")
    told = captures.number(address, 1)
    signal = captures.follow(text.call(t.CURRENT_TASK), Control.SIGNAL)
    alive = captures.number(captures.member(signal, Control.LIVE))
    none = text.value(f"zext i1 {text.value(f'icmp eq i64 {alive}, 0')} to i64")
    known = text.value(f"icmp ne i64 {field}, 0")
    return text.value(f"select i1 {known}, i64 {told}, i64 {none}")


def over_with(
    text: ProgramText, captures: Captures, control: str, thread: str
) -> tuple[str, ...]:
    """At sched_process_exit: the numbers that nobody has any more when `thread` has ended.

    0 is nobody's. In a PID namespace that is not the first, the number that a thread had before
    it executed a program cannot be told. So what is kept of the first thread, whose number it
    has then, stays as long as the process.
    """
    if not captures.nested:
        return (thread,)
    process = captures.process()
    dead = text.value(f"icmp ne i64 {group_dead(text, captures, control)}, 0")
    other = text.value(f"icmp ne i64 {thread}, {process}")
    free = text.value(f"or i1 {dead}, {other}")
    return (
        text.value(f"select i1 {free}, i64 {thread}, i64 0"),
        text.value(f"select i1 {dead}, i64 {process}, i64 0"),
    )


# --- the programs -----------------------------------------------------------------------------


def follow_programs(
    control: int, targets: int, *, nested: bool
) -> Iterator[tuple[BpfProgram, str]]:
    """The programs with their text; the engine finds the tracepoints' ids by name."""
    programs = (
        ("mb_fork", FORK, _fork_nested if nested else _fork),
        ("mb_exit", EXIT, _exit),
        ("mb_exec", EXEC, None if nested else _exec),
    )
    for name, tracepoint, write in programs:
        if write is None:
            continue  # what is kept of the first thread stays, and that thread it is now
        raw = write in (_fork_nested, _exec)
        text = ProgramText()
        place = ProbeContext({_TASK_OR_OLD: RawArgument(1)} if raw else {}, nested=nested)
        captures = Captures(text, place, text.map(control, t.MAP_VALUE))
        write(text, captures, targets)
        text.jump("out")
        text.open("out")
        attach = Attach.RAW_TRACEPOINT if raw else Attach.TRACEPOINT
        text.emit(f"ret i64 {attach.result}")
        program = BpfProgram(name, -1, attach, b"", tracepoint=tracepoint)
        yield program, text.function(name, captures.entry)


_TASK_OR_OLD = "#second"
"""The second argument of sched_process_fork (the child) and of sched_process_exec (the number
that the thread had)."""


def _fork(text: ProgramText, captures: Captures, targets: int) -> None:
    """By the record, so that the kernel's types are not needed."""
    found = current_target(text, captures, targets)
    text.require(text.value(f"icmp ne ptr {found}, null"))
    word = text.load(captures.control, 8 * Control.FORK_CHILD)
    offset = text.value(f"and i64 {word}, 4095")  # the verifier wants a bound
    base = text.value("ptrtoint ptr %ctx to i64")
    _set(text, targets, captures.number(text.value(f"add i64 {base}, {offset}")))


def _fork_nested(text: ProgramText, captures: Captures, targets: int) -> None:
    """Whatever is left of another thread of that number is not the child's."""
    child = captures.thread(captures.value(Argument(_TASK_OR_OLD, Value.LONG)))
    _delete(text, targets, child)
    found = current_target(text, captures, targets)
    text.require(text.value(f"icmp ne ptr {found}, null"))
    _set(text, targets, child)


def _exec(text: ProgramText, captures: Captures, targets: int) -> None:
    old = captures.value(Argument(_TASK_OR_OLD, Value.LONG))
    old = text.value(f"and i64 {old}, {LOW}")
    pointers = f"ptr {text.map(targets)}", f"ptr {_key(text, old)}"
    found = text.call(t.LOOKUP, *pointers, result="ptr")
    text.require(text.value(f"icmp ne ptr {found}, null"))
    _delete(text, targets, old)
    _set(text, targets, captures.thread())


def _exit(text: ProgramText, captures: Captures, targets: int) -> None:
    for over in over_with(text, captures, captures.control, captures.thread()):
        _delete(text, targets, over)


def _key(text: ProgramText, value: str) -> str:
    key = text.stack(8)
    text.store(value, key)
    return key


def _set(text: ProgramText, targets: int, thread: str) -> None:
    pointers = f"ptr {_key(text, thread)}", f"ptr {_key(text, '1')}"
    text.call(t.UPDATE, f"ptr {text.map(targets)}", *pointers, "i64 0")


def _delete(text: ProgramText, targets: int, thread: str) -> None:
    text.call(t.DELETE, f"ptr {text.map(targets)}", f"ptr {_key(text, thread)}")
