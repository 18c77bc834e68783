"""Holding a process at a hit until user space has run the handlers (csrc/live/hold.h).

The program counts the hit in a map by process and sends SIGSTOP to its own thread, which stops
the process before its next instruction. (A signal to the process would be dropped if another
thread's is still pending, and this thread would go on.) If the record finds no room, both are
taken back. Nobody is held while user space takes no care of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.codegen.bpf import text as t
from bridge.codegen.bpf.object import Control
from bridge.ir.program import Context

if TYPE_CHECKING:
    from bridge.codegen.bpf.captures import Captures
    from bridge.codegen.bpf.text import Text

HELD_KEY_BYTES, HELD_BYTES, HELD_ENTRIES = 8, 16, 4096
"""Process id -> struct mb_held."""
SIGCONT, SIGSTOP = 18, 19
CARELESS_NS = 10_000_000_000
"""As LONGEST_NS in csrc/live/hold.c."""
NO_EXIST = 1


class Hold:
    """The code that holds the process of one hit."""

    def __init__(
        self, text: Text, captures: Captures, held: int, control: str, *, atomics: bool = True
    ) -> None:
        self._text = text
        self._atomics = atomics
        self._control = control
        self._captures = captures
        self._held = held
        self._key = ""

    def begin(self) -> None:
        """Count the hit, and stop the process."""
        text = self._text
        self._key, fresh = text.stack(HELD_KEY_BYTES), text.stack(HELD_BYTES)
        beat = text.load(self._control, 8 * Control.BEAT)
        now = self._captures.value(Context("monotonic_ns"))
        pid = self._captures.value(Context("pid"))
        recent, alone = text.name("recent"), text.name("alone")
        quiet = text.value(f"sub i64 {now}, {beat}")
        text.store(0, self._key)
        cared = text.value(f"icmp slt i64 {quiet}, {CARELESS_NS}")
        within = text.value(f"icmp ne i64 {pid}, 0")  # 0: in another PID namespace than we
        text.branch(text.value(f"and i1 {cared}, {within}"), recent, alone)
        text.open(recent)
        text.store(pid, self._key)
        text.zero(fresh, HELD_BYTES)
        text.call(
            t.UPDATE,
            f"ptr {text.map(self._held)}",
            f"ptr {self._key}",
            f"ptr {fresh}",
            f"i64 {NO_EXIST}",
        )
        entry, on = self._entry()
        text.add(entry, 1)
        text.store(now, entry, 8)
        sent = text.call(t.SEND_SIGNAL_THREAD, f"i32 {SIGSTOP}")
        failed = text.name("unstopped")
        text.branch(text.value(f"icmp eq i64 {sent}, 0"), on, failed)
        text.open(failed)
        text.add(entry, -1)
        text.jump(on)
        text.open(on)
        text.jump(alone)
        text.open(alone)

    def undo(self) -> None:
        """Let the process go on if nobody else holds it."""
        text = self._text
        entry, on = self._entry()
        before = self._less(entry)
        last = text.name("last")
        text.branch(text.value(f"icmp eq i64 {before}, 1"), last, on)
        text.open(last)
        text.call(t.SEND_SIGNAL_THREAD, f"i32 {SIGCONT}")
        text.jump(on)
        text.open(on)

    def _less(self, entry: str) -> str:
        """Take one hit back; how many there were."""
        text = self._text
        if self._atomics:
            return text.value(f"atomicrmw add ptr {entry}, i64 -1 monotonic")
        text.add(entry, -1)
        left = text.value(f"load volatile i64, ptr {entry}, align 8")
        return text.value(f"add i64 {left}, 1")

    def _entry(self) -> tuple[str, str]:
        """The process's entry, if there is one; and the label to go on at, to be opened."""
        text = self._text
        arguments = (f"ptr {text.map(self._held)}", f"ptr {self._key}")
        entry = text.call(t.LOOKUP, *arguments, result="ptr")
        found, on = text.name("held"), text.name("on")
        text.branch(text.value(f"icmp eq ptr {entry}, null"), on, found)
        text.open(found)
        return entry, on
