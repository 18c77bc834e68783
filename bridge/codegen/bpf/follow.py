"""Programs that keep the set of threads that belong to the target and its descendants.

They run as long as they are attached, armed or not, because the target may fork before the
session is armed. The set is keyed by thread id: every thread that a member starts is a member,
and every thread removes itself when it exits. A thread that executes a program gets the number
of its process's first thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.codegen.bpf import text as t
from bridge.codegen.bpf.object import Attach, BpfProgram, Control
from bridge.codegen.bpf.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

FORK, EXEC, EXIT = "sched_process_fork", "sched_process_exec", "sched_process_exit"


def current_target(text: Text, targets: int) -> str:
    """The entry of the current thread; null if it is not followed."""
    key = text.stack(8)
    text.store(text.call(t.PID_TGID), key)  # the low half is the thread id
    return text.call(t.LOOKUP, f"ptr {text.map(targets)}", f"ptr {key}", result="ptr")


def follow_programs(control: int, targets: int) -> Iterator[tuple[BpfProgram, str]]:
    """The programs with their text; the engine finds the tracepoints' ids by name."""
    for name, tracepoint, text in (
        ("mb_fork", FORK, _fork(control, targets)),
        ("mb_exit", EXIT, _exit(targets)),
    ):
        program = BpfProgram(name, -1, Attach.TRACEPOINT, b"", tracepoint=tracepoint)
        yield program, text.function(name, [])
    program = BpfProgram("mb_exec", -1, Attach.RAW_TRACEPOINT, b"", tracepoint=EXEC)
    yield program, _exec(targets).function("mb_exec", _OLD_THREAD)


def _fork(control: int, targets: int) -> Text:
    text = Text()
    found = current_target(text, targets)
    text.branch(text.value(f"icmp eq ptr {found}, null"), "out", "member")
    text.open("member")
    word = text.load(text.map(control, t.MAP_VALUE), 8 * Control.FORK_CHILD)
    offset = text.value(f"and i64 {word}, 4095")  # the verifier wants a bound
    base = text.value("ptrtoint ptr %ctx to i64")
    address = text.value(f"add i64 {base}, {offset}")
    key, value = text.stack(8), text.stack(8)
    text.store(0, key)
    text.store(1, value)
    text.call(t.READ_KERNEL, f"ptr {key}", "i32 4", f"i64 {address}")
    text.call(t.UPDATE, f"ptr {text.map(targets)}", f"ptr {key}", f"ptr {value}", "i64 0")
    text.jump("out")
    text.open("out")
    text.emit("ret i64 0")
    return text


_OLD_THREAD = [
    "  %p = getelementptr i8, ptr %ctx, i64 8",
    "  %old = load volatile i64, ptr %p",
]
"""The second argument of sched_process_exec."""


def _exec(targets: int) -> Text:
    text = Text()
    old, new, one = text.stack(8), text.stack(8), text.stack(8)
    text.store(text.value(f"and i64 %old, {0xFFFFFFFF}"), old)
    text.store(text.call(t.PID_TGID), new)
    text.store(1, one)
    found = text.call(t.LOOKUP, f"ptr {text.map(targets)}", f"ptr {old}", result="ptr")
    text.require(text.value(f"icmp ne ptr {found}, null"))
    text.call(t.DELETE, f"ptr {text.map(targets)}", f"ptr {old}")
    text.call(t.UPDATE, f"ptr {text.map(targets)}", f"ptr {new}", f"ptr {one}", "i64 0")
    text.jump("out")
    text.open("out")
    text.emit("ret i64 0")
    return text


def _exit(targets: int) -> Text:
    text = Text()
    key = text.stack(8)
    text.store(text.call(t.PID_TGID), key)
    text.call(t.DELETE, f"ptr {text.map(targets)}", f"ptr {key}")
    text.emit("ret i64 0")
    return text
