"""Holding a process at a hit until user space has run the handlers (csrc/live/hold.h).

The program counts the hit in a map by process and sends SIGSTOP to its own thread, which stops
the process before its next instruction. (A signal to the process would be dropped if another
thread's is still pending, and this thread would go on.) If the record finds no room, both are
taken back. Nobody is held while user space takes no care of it, or has no guard, and none of
markbridge's own processes ever is: who else would let it go? `farewell` sees them die.
"""

from __future__ import annotations

from bridge.artifact import MISSED, STOPPED
from bridge.codegen.bpf import text as t
from bridge.codegen.bpf.captures import Captures, ProbeContext
from bridge.codegen.bpf.follow import EXIT
from bridge.codegen.bpf.object import Attach, BpfProgram, Control
from bridge.codegen.bpf.text import ProgramText
from bridge.declared import MB_LONGEST_HELD_NS, MB_MOST_HELD, OFFSETS, SIZES
from bridge.ir.program import Context

HELD_KEY_BYTES, HELD_BYTES, HELD_ENTRIES = 8, SIZES["mb_held"], MB_MOST_HELD
"""Process id -> struct mb_held."""
SIGCONT, SIGSTOP = 18, 19
CARELESS_NS = MB_LONGEST_HELD_NS
NO_EXIST = 1
COMM_BYTES = 16
OWN_NAMES = ("markbridge", "mb-hold")
"""The threads of any session and its guards (NAME in csrc/live/guard.c)."""
GUARDS = (Control.GUARDS, Control.SECOND_GUARD)
OWN_IDS = (Control.OWN, *GUARDS)


class Hold:
    """The code that stops the process of one hit."""

    def __init__(
        self,
        text: ProgramText,
        captures: Captures,
        held: int,
        control: str,
        *,
        atomics: bool = True,
    ) -> None:
        self._text = text
        self._atomics = atomics
        self._control = control
        self._captures = captures
        self._held = held
        self._key, self._fresh = text.stack(HELD_KEY_BYTES), text.stack(HELD_BYTES)
        self._stopped = text.stack(8)

    def begin(self, wanted: str, send: str, over: str) -> None:
        """Stop the process if an i1 is `wanted`; go on at `send`, or `over` if it is ours."""
        text = self._text
        self._captures.value(Context("pid"))  # in front of the branch, for what follows it
        text.store(0, self._stopped)
        hold = text.name("hold")
        text.branch(wanted, hold, send)
        text.open(hold)
        self._leave_own(over)
        self._stop(send)

    def value(self) -> str:
        """STOPPED, MISSED or 0."""
        return self._text.load(self._stopped)

    def _leave_own(self, over: str) -> None:
        text = self._text
        pid = self._captures.value(Context("pid"))
        own, other = text.name("own"), text.name("other")
        is_own = self._is_named()
        within = self._within()
        for word in OWN_IDS:
            same = text.value(f"icmp eq i64 {pid}, {text.load(self._control, 8 * word)}")
            is_own = text.value(f"or i1 {is_own}, {text.value(f'and i1 {same}, {within}')}")
        text.branch(is_own, own, other)
        text.open(own)
        text.add(text.at(self._control, 8 * Control.OWN_HITS), 1)
        text.jump(over)
        text.open(other)

    def _within(self) -> str:
        """Whether it has a number for us: not if it is in another PID namespace. An i1."""
        return self._text.value(f"icmp ne i64 {self._captures.value(Context('pid'))}, 0")

    def _is_named(self) -> str:
        """Whether the thread has the name of one of ours, as an i1."""
        text = self._text
        comm = text.stack(COMM_BYTES)
        text.zero(comm, COMM_BYTES)
        text.call(t.COMM, f"ptr {comm}", f"i32 {COMM_BYTES}")
        found = "false"
        words = [text.load(comm, offset) for offset in (0, 8)]
        for name in OWN_NAMES:
            same = "true"
            data = name.encode().ljust(COMM_BYTES, b"\0")
            for word, at in zip(words, (0, 8), strict=True):
                number = int.from_bytes(data[at : at + 8], "little", signed=True)
                equal = text.value(f"icmp eq i64 {word}, {number}")
                same = text.value(f"and i1 {same}, {equal}")
            found = text.value(f"or i1 {found}, {same}")
        return found

    def _stop(self, on: str) -> None:
        """Count the hit, and stop the process, if user space takes care."""
        text = self._text
        text.store(MISSED, self._stopped)
        now = self._captures.value(Context("monotonic_ns"))
        quiet = text.value(f"sub i64 {now}, {text.load(self._control, 8 * Control.BEAT)}")
        recent = text.name("recent")
        cared = text.value(f"icmp slt i64 {quiet}, {CARELESS_NS}")
        cared = text.value(f"and i1 {cared}, {self._guarded()}")
        text.branch(text.value(f"and i1 {cared}, {self._within()}"), recent, on)
        text.open(recent)
        text.store(self._captures.value(Context("pid")), self._key)
        self._make(0, NO_EXIST)
        entry = self._entry(on)
        text.add(entry, 1)
        text.store(now, entry, OFFSETS["mb_held.since_ns"])
        sent = text.call(t.SEND_SIGNAL_THREAD, f"i32 {SIGSTOP}")
        failed, stopped = text.name("unstopped"), text.name("stopped")
        text.branch(text.value(f"icmp eq i64 {sent}, 0"), stopped, failed)
        text.open(failed)
        text.add(entry, -1)
        text.jump(on)
        text.open(stopped)
        text.store(STOPPED, self._stopped)
        self._look_again()
        self._count_again(on)

    def _look_again(self) -> None:
        """Go on if the last guard died meanwhile: what let everybody go then came too early.

        This program may be preempted anywhere, also between the look at the guards and the
        signal. The seat of a guard is cleared before its end of the pipe is closed.
        """
        text = self._text
        alone, guarded = text.name("alone"), text.name("guarded")
        text.branch(self._guarded(), guarded, alone)
        text.open(alone)
        text.call(t.SEND_SIGNAL_THREAD, f"i32 {SIGCONT}")
        text.jump(guarded)
        text.open(guarded)

    def _guarded(self) -> str:
        """Whether a guard lives, as an i1."""
        text = self._text
        first, second = (text.load(self._control, 8 * word) for word in GUARDS)
        return text.value(f"icmp ne i64 {text.value(f'or i64 {first}, {second}')}, 0")

    def _count_again(self, on: str) -> None:
        """If the entry was removed before the signal, its SIGCONT was earlier, too."""
        text = self._text
        entry = self._look()
        gone = text.name("gone")
        text.branch(text.value(f"icmp eq ptr {entry}, null"), gone, on)
        text.open(gone)
        self._make(1, 0)
        text.jump(on)

    def undo(self) -> None:
        """Let the process go on if nobody else holds it."""
        text = self._text
        stopped, done = text.name("undo"), text.name("undone")
        text.branch(text.value(f"icmp eq i64 {self.value()}, {STOPPED}"), stopped, done)
        text.open(stopped)
        entry = self._entry(done)
        before = self._less(entry)
        last = text.name("last")
        text.branch(text.value(f"icmp eq i64 {before}, 1"), last, done)
        text.open(last)
        text.call(t.SEND_SIGNAL_THREAD, f"i32 {SIGCONT}")
        text.jump(done)
        text.open(done)

    def _less(self, entry: str) -> str:
        """Take one hit back; how many there were."""
        text = self._text
        if self._atomics:
            return text.value(f"atomicrmw add ptr {entry}, i64 -1 monotonic")
        text.add(entry, -1)
        left = text.value(f"load volatile i64, ptr {entry}, align 8")
        return text.value(f"add i64 {left}, 1")

    # --- the process's entry ------------------------------------------------------------------

    def _make(self, hits: int, flags: int) -> None:
        text = self._text
        text.store(hits, self._fresh)
        text.store(
            self._captures.value(Context("monotonic_ns")),
            self._fresh,
            OFFSETS["mb_held.since_ns"],
        )
        arguments = (f"ptr {text.map(self._held)}", f"ptr {self._key}", f"ptr {self._fresh}")
        text.call(t.UPDATE, *arguments, f"i64 {flags}")

    def _look(self) -> str:
        text = self._text
        arguments = (f"ptr {text.map(self._held)}", f"ptr {self._key}")
        return text.call(t.LOOKUP, *arguments, result="ptr")

    def _entry(self, none: str) -> str:
        """The process's entry; the code goes on at `none` if there is none."""
        text = self._text
        entry = self._look()
        found = text.name("held")
        text.branch(text.value(f"icmp eq ptr {entry}, null"), none, found)
        text.open(found)
        return entry


def farewell(control: int, *, nested: bool) -> tuple[BpfProgram, str]:
    """The program that sees the deaths of the session, which ends all hits, and of its guards.

    It runs before the dead process gives its files back, and before anybody else is told.
    """
    text = ProgramText()
    captures = Captures(text, ProbeContext({}, nested=nested), text.map(control, t.MAP_VALUE))
    words = captures.control
    process = captures.process()
    text.require(text.value(f"icmp eq i64 {process}, {captures.thread()}"))
    for word, cleared in ((Control.OWN, Control.ARMED), *((guard, guard) for guard in GUARDS)):
        dead, other = text.name("dead"), text.name("other")
        same = text.value(f"icmp eq i64 {process}, {text.load(words, 8 * word)}")
        text.branch(same, dead, other)
        text.open(dead)
        text.store(0, words, 8 * cleared)
        text.jump(other)
        text.open(other)
    text.jump("out")
    text.open("out")
    text.emit("ret i64 0")
    program = BpfProgram("mb_farewell", -1, Attach.RAW_TRACEPOINT, b"", tracepoint=EXIT)
    return program, text.function(program.name, captures.entry)
