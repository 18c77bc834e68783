"""Threads that run when a session starts, as /proc shows them -> records of hooks.

One rule: a record is what the kernel's programs would have sent; what only the thread itself
could read is a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge._native import ffi
from bridge.artifact import FAULT, HEADER_BYTES, SLOT_BYTES
from bridge.codegen.bpf.captures import COMM_BYTES
from bridge.declared import MB_ARGUMENT_END
from bridge.ir.arithmetic import calculate
from bridge.ir.program import Computed, Context, Literal, Load, Value, capture_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.artifact import Hook
    from bridge.ir.program import Capture

PROC = Path("/proc")
_U64 = (1 << 64) - 1

Identity = tuple[int, int]
"""Device and inode of a file, as stat(2) has them."""


@dataclass(frozen=True, slots=True)
class ExistingTask:
    """A thread; `program` is what its process runs."""

    pid: int
    tid: int
    program: Identity


def running(pid: int) -> Identity | None:
    """The program of a process; None if it is a thread of the kernel, or over."""
    try:
        found = (PROC / str(pid) / "exe").stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def tasks() -> Iterator[ExistingTask]:
    """All threads of user space, as they are now."""
    for entry in PROC.iterdir():
        program = running(int(entry.name)) if entry.name.isdigit() else None
        if program is None:
            continue
        try:
            threads = [int(one.name) for one in (entry / "task").iterdir()]
        except OSError:
            continue
        yield from (ExistingTask(int(entry.name), thread, program) for thread in threads)


def record(hook: Hook, seen: Seen, maximum: int) -> Any:  # noqa: ANN401 - of cffi
    """A record (csrc/live/record.h) as an array of 64-bit words; `maximum` is MAXSTRINGLEN."""
    layout = hook.layout
    slots, texts = [0] * layout.slot_count, bytearray()
    start = HEADER_BYTES + SLOT_BYTES * layout.slot_count
    for capture in layout.captures:
        slot = layout.slot(capture)
        if capture_type(capture) is Value.STRING:
            text = seen.text(capture, maximum)
            if text is None:
                slots[slot] = FAULT << 32
            else:
                slots[slot] = len(text) << 32 | start + len(texts)
                texts += text + b"\0"
        else:
            slots[slot] = seen.number(capture) & _U64
            if isinstance(capture, Load):
                slots[slot + 1] = FAULT
    size = (start + len(texts) + 7) & ~7
    words = [size | hook.id << 32, seen.time_ns, *slots]
    made = ffi.new("uint64_t[]", size // 8)
    made[0 : len(words)] = words
    ffi.memmove(made + len(words), bytes(texts), len(texts))
    return made


@dataclass(slots=True)
class Seen:
    """A thread as /proc shows it. Source: proc(5)."""

    task: ExistingTask
    time_ns: int
    realtime_offset_ns: int

    def number(self, capture: Capture) -> int:
        """A LONG; what only the thread itself could read is 0."""
        match capture:
            case Context(name=name):
                return self._context(name)
            case Literal(value=value):
                return value
            case Computed(op=op, left=left, right=right):
                return _compute(op, self.number(left), self.number(right))
            case _:
                return 0

    def text(self, capture: Capture, maximum: int) -> bytes | None:
        """A STRING without its NUL, None if it cannot be read."""
        match capture:
            case Context(name="execname"):
                return self._read("comm").rstrip(b"\n")[: COMM_BYTES - 1]
            case Context(name="pexecname"):
                parent = self._stat(1)
                return _read(PROC / str(parent) / "comm").rstrip(b"\n")[: COMM_BYTES - 1]
            case Context(name="command"):
                line = self._read("cmdline")[:-1].replace(b"\0", bytes((MB_ARGUMENT_END,)))
                return line[: maximum - 1]
            case _:
                return None

    def _context(self, name: str) -> int:
        match name:
            case "pid":
                return self.task.pid
            case "tid":
                return self.task.tid
            case "monotonic_ns":
                return self.time_ns
            case "realtime_ns":
                return self.time_ns + self.realtime_offset_ns
            case "uid" | "euid":
                return self._status(b"Uid:", ("uid", "euid").index(name))
            case "gid" | "egid":
                return self._status(b"Gid:", ("gid", "egid").index(name))
            case _:
                at = {"ppid": 1, "pgrp": 2, "sid": 3, "cpu": 36}.get(name)
                return 0 if at is None else self._stat(at)

    def _read(self, name: str) -> bytes:
        return _read(PROC / str(self.task.pid) / "task" / str(self.task.tid) / name)

    def _status(self, title: bytes, column: int) -> int:
        for line in self._read("status").splitlines():
            if line.startswith(title):
                return int(line.split()[1 + column])
        return 0

    def _stat(self, field_: int) -> int:
        """A field after the name, which can have blanks and parentheses; the state is 0."""
        fields = self._read("stat").rpartition(b")")[2].split()
        return int(fields[field_]) if field_ < len(fields) else 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _compute(op: str, left: int, right: int) -> int:
    if op == ">>>":
        return (left & _U64) >> (right & 63)
    value = calculate(op, left, right)
    assert value is not None, op
    return value
