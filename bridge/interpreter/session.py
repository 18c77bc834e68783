"""The state of a running script and its life cycle (spec section 9), with a clock of its own.

Timers fire in the order of time, but no time passes: the clock jumps to what is due next.
"""

from __future__ import annotations

import heapq
import os
import time
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.interpreter.arrays import OrderedArray
from bridge.interpreter.faults import AbortedError, ScriptError
from bridge.interpreter.host import Host, NoHost
from bridge.interpreter.machine import IrMachine
from bridge.interpreter.notes import Notes
from bridge.interpreter.statistics import RunningStatistic
from bridge.ir.arithmetic import MASK
from bridge.ir.program import Array, Value
from bridge.markers import Begin, End, Error, Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bridge.interpreter.faults import UnreadableMemory
    from bridge.interpreter.images import StackImage
    from bridge.interpreter.machine import Item
    from bridge.interpreter.patterns import Match
    from bridge.interpreter.symbols import KallsymsLine
    from bridge.ir.program import Handler, IrProgram


def _read(path: str) -> bytes:
    """A file of /proc without the byte that ends it."""
    return Path(path).read_bytes()[:-1]


class InterpreterState(Enum):
    """Where the session is."""

    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class HandlerHit:
    """A hit for one handler: its captured values, and contexts by name."""

    handler: int
    captures: Sequence[Item | UnreadableMemory]
    contexts: Mapping[str, Item] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manner:
    """What a session tells: no warnings, warnings again and again, errors only as a count."""

    quiet: bool = False
    repeat_warnings: bool = False
    suppress_errors: bool = False


@dataclass(slots=True)
class InterpreterSession:
    """One run.

    `contexts` maps built-ins to what they read of a hit and what divides it; `hit` is that of
    the current one, empty if there is none. `manner` says what is told.
    """

    program: IrProgram
    contexts: Mapping[str, tuple[str, int]]
    output: Callable[[bytes], object]
    message: Callable[[str], object]
    target: int = 0
    host: Host = field(default_factory=NoHost)
    manner: Manner = field(default_factory=Manner)
    globals: list[Item | RunningStatistic | OrderedArray] = field(default_factory=list)
    hit: dict[str, Item] = field(default_factory=dict)
    state: InterpreterState = InterpreterState.RUNNING
    errors: int = 0
    clock_ns: int = 0
    tokens: bytes = b""
    file: bytearray = field(default_factory=bytearray)
    """The text of the file that is served."""
    file_most: int = 0
    match: Match | None = None
    match_failed: bool = False
    speculations: dict[int, bytes] = field(default_factory=dict)
    speculated: int = 0
    goes_on: bool = False
    """Whether the process of the hit does not stand still."""
    cut_stacks: int = 0
    gone_stacks: int = 0
    warned: set[bytes] = field(default_factory=set)
    symbols: list[KallsymsLine] | None = None
    images: dict[str, StackImage | None] = field(default_factory=dict)
    commands: list[bytes] = field(default_factory=list)
    """Shell commands of the running handler, which run when it is done."""

    def __post_init__(self) -> None:
        self.globals = [0] * len(self.program.globals)
        for number in range(len(self.program.globals)):
            self.reset(number, initial=True)

    # --- what operations need -----------------------------------------------------------------

    def reset(self, number: int, *, initial: bool = False) -> None:
        """A global as it is at the start, or as `delete` leaves it."""
        declaration = self.program.globals[number]
        if isinstance(declaration, Array):
            self.globals[number] = OrderedArray(declaration)
        elif declaration.stat is not None:
            self.globals[number] = RunningStatistic(declaration.stat)
        elif initial and declaration.initial is not None:
            value = declaration.initial
            self.globals[number] = self.cut(value) if isinstance(value, bytes) else value
        else:
            self.globals[number] = 0 if declaration.type is Value.LONG else b""

    def cut(self, text: bytes) -> bytes:
        """A string as the language keeps it: up to a NUL, MAXSTRINGLEN - 1 bytes at most."""
        return text.partition(b"\0")[0][: self.program.limits.maxstringlen - 1]

    def write(self, text: bytes) -> None:
        """Print."""
        self.output(text)

    def warn(self, text: bytes) -> None:
        """Print a warning, once; a newline at its end is that of the line."""
        text = text.removesuffix(b"\n")
        if not self.manner.quiet and (self.manner.repeat_warnings or text not in self.warned):
            self.warned.add(text)
            self.message(f"WARNING: {text.decode('latin-1')}")

    def stop(self) -> None:
        """End normally after the current handler."""
        if self.state is InterpreterState.RUNNING:
            self.state = InterpreterState.STOPPING

    def leave(self) -> None:
        """exit(): the same, and in an error probe those that follow are left out."""
        self.stop()
        if self.state is InterpreterState.FAILED:
            self.state = InterpreterState.STOPPING

    @property
    def pid(self) -> int | None:
        """The process that was hit, or None."""
        pid = self.hit.get("pid")
        return pid if isinstance(pid, int) else None

    @property
    def tid(self) -> int:
        """The thread that was hit."""
        tid = self.hit["tid"]
        assert isinstance(tid, int)
        return tid

    def read(self, address: int, size: int, of_kernel: bool = False) -> bytes:
        """Memory of the process that was hit, or our own; fewer bytes where it ends.

        Of the kernel's memory a hit brings what is read of it, and where its process is not
        stopped, of the process's, too. What it brings nothing of is read later.
        """
        noted = self.notes()
        if noted is not None:
            found = noted.read(address & MASK, size)
            if found or noted.is_cut or noted.is_absent(address & MASK):
                return found
        if of_kernel:
            return self.host.kernel_memory(address & MASK, size)
        return self.host.memory(self.pid, address & MASK, size)

    def notes(self) -> Notes | None:
        """The memory that a hit brings, if it does."""
        data = self.hit.get("memory")
        return Notes(data) if isinstance(data, bytes) else None

    def context(self, builtin: str) -> Item:
        """What a built-in says of the current hit, or of ourselves if there is none."""
        name, scale = self.contexts[builtin]
        value = self.hit[name] if name in self.hit else self._own(name)
        return value // scale if isinstance(value, int) else self.cut(value)

    def _own(self, name: str) -> Item:
        own: dict[str, Callable[[], Item]] = {
            "pid": os.getpid,
            "tid": os.getpid,
            "ppid": os.getppid,
            "uid": os.getuid,
            "euid": os.geteuid,
            "gid": os.getgid,
            "egid": os.getegid,
            "execname": lambda: b"markbridge",
            "pgrp": os.getpgrp,
            "sid": lambda: os.getsid(0),
            "task": self.host.own_task,
            "pexecname": lambda: _read(f"/proc/{os.getppid()}/comm"),
            "command": lambda: _read("/proc/self/cmdline").replace(b"\0", b"\037"),
            "realtime_ns": lambda: time.time_ns() + self.clock_ns,
            "monotonic_ns": lambda: time.monotonic_ns() + self.clock_ns,
        }
        return own.get(name, lambda: 0)()

    # --- handlers -----------------------------------------------------------------------------

    def run_handler(
        self, handler: Handler, captures: Sequence[Item | UnreadableMemory] = ()
    ) -> None:
        """Run one handler if its condition holds; count its error."""
        limits = self.program.limits
        actions = limits.maxaction_interruptible if handler.interruptible else limits.maxaction
        machine = IrMachine(
            self,
            handler,
            captures,
            handler.point.encode("latin-1"),
            handler.script_point.encode("latin-1"),
            actions,
        )
        try:
            if handler.condition is None or IrMachine(self).run(handler.condition):
                machine.run(handler.body)
        except ScriptError as error:
            self.failed(handler, error)
        except AbortedError:
            pass
        while self.commands:
            self.write(self.host.command(self.commands.pop(0)))

    def failed(self, handler: Handler, error: ScriptError) -> None:
        """Tell of an error, and count it."""
        self.errors += 1
        if self.manner.suppress_errors:
            return
        sites = self.program.sites
        near = f" near {sites[error.site].text}" if error.site is not None else ""
        chain = "".join(f" (called from {sites[site].text})" for site in error.chain)
        where = f"{error.message.decode('latin-1')}{near}{chain}"
        if len(where) < self.program.limits.maxstringlen:
            where += f" in probe {handler.point}"
        self.message(f"ERROR: {where[: self.program.limits.maxstringlen - 1]}")
        if self.errors > self.program.limits.maxerrors:
            self.state = InterpreterState.FAILED

    # --- life cycle ---------------------------------------------------------------------------

    def run(self, duration_ns: int, hits: Iterable[HandlerHit]) -> int:
        """The whole life; the exit code. Without an exit() it stops after `duration_ns`."""
        for handler in self._by_priority(Begin):
            if self.state is InterpreterState.RUNNING:
                self.run_handler(handler)
        for hit in hits:
            if self.state is InterpreterState.RUNNING:
                self.hit = dict(hit.contexts)
                self.run_handler(self.program.handlers[hit.handler], hit.captures)
        self.hit = {}
        self._timers(duration_ns)
        self.stop()
        if self.state is InterpreterState.STOPPING:
            self._ending(End)
        if self.state is InterpreterState.FAILED:
            self._ending(Error)
        return int(self.errors > 0)

    def _ending(self, kind: type[End | Error]) -> None:
        for handler in self._by_priority(kind):
            if (self.state is InterpreterState.FAILED) is (kind is Error):
                self.run_handler(handler)

    def _by_priority(self, kind: type[Begin | End | Error]) -> list[Handler]:
        found = [
            (attachment.priority, at)
            for at, handler in enumerate(self.program.handlers)
            if isinstance(attachment := handler.expansion.attachment, kind)
        ]
        return [self.program.handlers[at] for _, at in sorted(found)]

    def _timers(self, duration_ns: int) -> None:
        due = [
            (timer.period_ns, at)
            for at, handler in enumerate(self.program.handlers)
            if isinstance(timer := handler.expansion.attachment, Timer)
        ]
        heapq.heapify(due)
        while due and self.state is InterpreterState.RUNNING and due[0][0] <= duration_ns:
            self.clock_ns, at = heapq.heappop(due)
            handler = self.program.handlers[at]
            self.run_handler(handler)
            assert isinstance(handler.expansion.attachment, Timer)
            heapq.heappush(due, (self.clock_ns + handler.expansion.attachment.period_ns, at))
