"""The live engine: hits come from uprobes and tracepoints of the running kernel.

A `Feed` of `engine.base`: it loads the programs, arms and disarms them, takes records out of
the ring buffer and moves globals. One rule: a stop from outside ends the hits first and
delivers all that happened before, so nothing that was counted is missing from what is printed.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from threading import RLock
from typing import TYPE_CHECKING, Any

from bridge._native import ffi, lib
from bridge.artifact import Where
from bridge.codegen.bpf.generate import generate
from bridge.codegen.bpf.hooks import EVERYWHERE, Ways
from bridge.codegen.bpf.lifecycle import ARMING
from bridge.codegen.bpf.object import Control, MapType, split_error_word
from bridge.deferred_reads import looks_at_processes
from bridge.engine import namespace
from bridge.engine.base import run_session
from bridge.engine.kernel import attach
from bridge.engine.kernel.features import has
from bridge.engine.kernel.functions import TogetherError, TrampolineError, missed, missed_events
from bridge.engine.kernel.hold import POLL_NS, Guard, users_of
from bridge.engine.kernel.map_sync import Drain
from bridge.engine.kernel.processes import Processes
from bridge.engine.kernel.refusals import left_out_text
from bridge.engine.kernel.uprobes import online
from bridge.engine.live import open_session
from bridge.engine.session.native import NativeSession
from bridge.engine.snapshot import snapshot
from bridge.errors import BridgeError, HostError
from bridge.ir.program import FAULT_ADDRESS
from bridge.markers import ServedFile, Timer
from bridge.placement import place
from bridge.progress import doing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bridge.artifact import Placed
    from bridge.codegen.bpf.object import BpfProgram
    from bridge.engine.base import LiveSession, RunResult, SessionOptions
    from bridge.engine.kernel.attach import LoadedObject
    from bridge.engine.live import Outside
    from bridge.engine.snapshot import GlobalValue
    from bridge.engine.trace.recorders import AnyRecorder

MANY_REFUSED = 3
"""After so many refused trampolines none is tried any more."""
RECORDS_PER_TURN = 200_000
SMALLEST_SHARE = 1 << 16
"""Of the buffer, for a CPU, where each has its own."""
FLUSH_NS = 1_000_000_000
MOST_STACK = 1 << 16
"""The largest MAXUSERSTACK."""
_U64 = (1 << 64) - 1


def run_kernel(placed: Placed, session_options: SessionOptions, outside: Outside) -> RunResult:
    """Run a program that has markers."""
    namespace.check()
    loaded, placed = _load(placed, outside, session_options.realtime_offset_ns)
    try:
        interpret = outside.options.interpret
        with open_session(placed, session_options, interpret=interpret) as session:
            feed = KernelFeed(loaded, session, outside)
            try:
                feed.open(outside.options.trace)
                observer = outside.options.observer
                if observer is not None:
                    observer.opened(feed.look)
                return run_session(session, feed, observer=observer)
            finally:
                feed.close()
    finally:
        loaded.close()


def _load(placed: Placed, outside: Outside, offset_ns: int) -> tuple[LoadedObject, Placed]:
    """Load the programs.

    A handler that needs more than the kernel gives (512 bytes of stack) runs in user space, and
    what such a handler decides first, too.
    """
    ring_bytes = outside.options.ring_bytes
    if not has("atomics"):
        placed = _in_user_space(placed)
    known = {"target": outside.target.pid, "stp_pid": os.getpid()}
    constants = None if placed.portable else known
    try:
        return _load_programs(placed, ring_bytes, offset_ns, constants), placed
    except attach.VerifierError:
        in_user_space = all(p.where is Where.USER for p in placed.placements)
        if in_user_space and not any(hook.held for hook in placed.hooks):
            raise
    placed = _in_user_space(placed)
    return _load_programs(placed, ring_bytes, offset_ns), placed


def _in_user_space(placed: Placed) -> Placed:
    """The program with all its handlers there."""
    found = place(placed.program, record=placed.recorded, kernel=False, apart=placed.apart)
    return replace(found, portable=placed.portable)


def make_code(placed: Placed, ring_bytes: int) -> tuple[Placed, ...]:
    """Make what this kernel would be given, in all forms that may run; these."""
    forms = (placed, _in_user_space(placed))
    for form in forms if has("atomics") else forms[1:]:
        kprobes = frozenset(() if has("fentry") else (EVERYWHERE,))
        together = _optional(form) if has("kprobe_multi") else frozenset()
        ways = Ways(kprobes, together)
        generate(form, ring_bytes, ways, has=has, nested=namespace.is_nested())
    return forms


def _load_programs(
    placed: Placed, ring_bytes: int, offset_ns: int, constants: Mapping[str, int] | None = None
) -> LoadedObject:
    """Load them; where the kernel refuses a trampoline on one of its functions, by kprobe.

    Functions that wildcards found share links, so many of them are attached in one call.
    """
    kprobes = frozenset(() if has("fentry") else (EVERYWHERE,))
    together = _optional(placed) if has("kprobe_multi") else frozenset()
    nested = namespace.is_nested()
    while True:
        try:
            with doing("translating handlers to BPF"):
                ways = Ways(kprobes, together)
                bpf = generate(
                    placed, ring_bytes, ways, has=has, nested=nested, constants=constants
                )
            with doing(f"loading {len(bpf.programs):,} programs into the kernel"):
                return attach.load(bpf, offset_ns)
        except TrampolineError as refused:
            many = refused.everywhere or len(kprobes) == MANY_REFUSED
            kprobes |= {EVERYWHERE if many else refused.hook}
        except TogetherError as refused:
            together -= refused.hooks


def _optional(placed: Placed) -> frozenset[int]:
    """The hooks that nobody but wildcards asks for."""
    handlers = placed.program.handlers
    return frozenset(
        hook.id for hook in placed.hooks if all(handlers[h].optional for h in hook.handlers)
    )


def _has_timers(placed: Placed) -> bool:
    handlers = placed.program.handlers
    return any(isinstance(h.expansion.attachment, Timer | ServedFile) for h in handlers)


class KernelFeed:
    """Hits of the running kernel, for one session."""

    def __init__(self, loaded: LoadedObject, session: LiveSession, outside: Outside) -> None:
        self._loaded = loaded
        self._session = session
        self._outside = outside
        self._drain = Drain(loaded, session)
        self._ring: Any = ffi.NULL
        self._live = ffi.new("struct mb_live *")
        self._turn = ffi.new("struct mb_ring_turn *")
        self._consumer = session.consumer(self._live)
        self._recorder: AnyRecorder | None = None
        self._reached: int | None = None
        self._flushed = 0
        self._missed_before = 0
        self._disarmed = False
        self._processes: Processes | None = None
        self._guard: Guard | None = None
        self._semaphores: Any = None
        self._lock = RLock()
        self._closed = False

    @contextmanager
    def _lent(self) -> Iterator[None]:
        """All that C code uses in a turn, for one thread; BridgeError after `close`."""
        with ExitStack() as held:
            held.enter_context(self._lock)
            if self._closed:
                raise BridgeError("the session is over")
            held.enter_context(self._loaded.control)
            held.enter_context(self._session.lent)
            if self._recorder is not None and self._live.recorder != ffi.NULL:
                held.enter_context(self._recorder.lent)
            yield

    # --- around the session -------------------------------------------------------------------

    def open(self, trace: Path | None) -> None:
        """Get everything ready that needs no attached program."""
        with self._lent():
            self._open(trace)

    def _open(self, trace: Path | None) -> None:
        self._live.held_map = -1
        self._live.events = self._outside.options.events
        number = self._loaded.object.ring
        if number is not None:
            self._ring = self._open_ring(number)
            if self._ring == ffi.NULL:
                raise HostError("cannot map the ring buffer", "make it smaller with -s")
        offset = self._loaded.word(Control.REALTIME_OFFSET)
        target = self._session.options.target
        make = self._outside.options.recorder
        if make is not None:
            self._live.only_record = 1
            self._recorder = make(self._session.placed, offset, target)
        elif trace is not None:
            from bridge.engine.trace.record import Recorder

            self._recorder = Recorder(self._session.placed, trace, offset, target)

    def _open_ring(self, number: int) -> Any:  # noqa: ANN401 - of cffi
        spec, map_ = self._loaded.object.maps[number], self._loaded.maps[number]
        if spec.type is MapType.RINGBUF:
            return lib.mb_ring_open(map_, spec.entries)
        cpus = online()
        share = self._outside.options.ring_bytes // len(cpus)
        bytes_ = max(SMALLEST_SHARE, 1 << share.bit_length() - 1)
        numbers = ffi.new("int32_t[]", cpus)
        ring = lib.mb_ring_open_cpus(map_, numbers, len(cpus), bytes_)
        # without CAP_IPC_LOCK there may be room for less (kernel.perf_event_mlock_kb)
        while ring == ffi.NULL and bytes_ > SMALLEST_SHARE:
            bytes_ >>= 1
            ring = lib.mb_ring_open_cpus(map_, numbers, len(cpus), bytes_)
        return ring

    def close(self) -> None:
        """Release the ring buffer and whom we hold, finish the recording."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._close()

    def _close(self) -> None:
        if self._guard is not None:
            self._end_hits()
            self._guard.close()
            self._guard = None
        if self._processes is not None:
            self._processes.close()
        lib.mb_ring_close(self._ring)
        lib.mb_live_free(self._live)
        self._ring = ffi.NULL
        if self._recorder is not None:
            self._live.recorder = ffi.NULL
            self._close_recorder(self._recorder)
            self._recorder = None

    def _close_recorder(self, recorder: AnyRecorder) -> None:
        summary = recorder.close()
        if summary.error:
            raise HostError(
                f"the trace is not complete: {summary.error};"
                f" {summary.written} events were written, {summary.dropped} were dropped",
                "free space on the disk, or record to another folder",
            )

    # --- the protocol of bridge.engine.base ---------------------------------------------------

    def now(self) -> int:
        """Where the session is in time: at the record that waits for a timer, or now."""
        return time.monotonic_ns() if self._reached is None else self._reached

    def arm(self) -> int:
        """Attach everything, then let all programs run at once, then let the command run."""
        with self._lent():
            return self._arm()

    def _arm(self) -> int:
        held = self._loaded.object.held
        if held is not None:
            self._prepare_guard(held)
        self._prepare_semaphores()
        placed = self._session.placed
        if looks_at_processes(placed.program) and not all(h.held for h in placed.hooks):
            self._session.watch_files()
        self._drain.fill()
        with doing(f"attaching {self._loaded.object.probes:,} probes"):
            left = attach.attach(
                self._loaded,
                _optional(self._session.placed),
                go_on=_has_timers(self._session.placed),
            )
        if left:
            self._session.warn(left_out_text(left))
        self._follow_target()
        self._prepare_processes()
        start = time.monotonic_ns()
        if self._recorder is not None:
            self._recorder.start(start)
            self._live.recorder = self._recorder.handle
        self._loaded.set_word(Control.BEAT, start)
        if self._processes is not None:
            self._loaded.set_word(Control.ARMED, ARMING)
            self._processes.begin(self._deliver)
        self._missed_before = missed_events(*self._programs)
        self._loaded.set_word(Control.ARMED, 1)
        self._outside.begin()
        return start

    def _prepare_guard(self, held: int) -> None:
        self._guard = Guard.start(self._loaded, held)
        self._live.held_map = self._loaded.maps[held]
        self._live.seats = self._loaded.control.pointer + int(Control.GUARDS)
        self._live.wake = [self._guard.own, self._guard.shared]
        holding = [hook for hook in self._session.placed.hooks if hook.held]
        if holding:
            self._turn.poll_ns = POLL_NS
        self._guard.expect(
            users_of(site.path for hook in holding for site in hook.attachment.marker.sites)
        )
        self._live.beat = self._loaded.control.pointer + int(Control.BEAT)
        self._loaded.set_word(Control.BEAT, time.monotonic_ns())

    def _prepare_semaphores(self) -> None:
        """Which are counted up when a process begins: from the first attached program on."""
        rows = [
            (file.number, probes, address)
            for file in self._loaded.object.started
            for address, probes in file.semaphores.items()
        ]
        if not rows:
            return
        self._semaphores = ffi.new("struct mb_semaphore[]", rows)
        self._live.semaphore, self._live.semaphore_count = self._semaphores, len(rows)
        command = self._outside.target.pid if self._outside.target.child is not None else 0
        self._loaded.set_word(Control.COMMAND, command)

    def _prepare_processes(self) -> None:
        maps = self._loaded.object.life
        if maps is None:
            return
        offset = self._loaded.word(Control.REALTIME_OFFSET)
        self._processes = Processes(
            self._loaded, maps, self._session.placed, self._outside.target, offset
        )
        with doing("looking at the processes that run"):
            self._processes.prepare()
        for path in self._processes.missing:
            self._session.warn(f"there is no program {path}: its processes are not traced")

    def _deliver(self, record: Any) -> bool:  # noqa: ANN401 - of cffi
        """A record that did not come out of the ring; whether the session is over."""
        consume, context = self._consumer
        return bool(consume(context, ffi.cast("struct mb_record *", record)))

    def _follow_target(self) -> None:
        targets = self._loaded.object.targets
        if targets is None:
            return
        map_ = self._loaded.maps[targets]
        one = ffi.new("uint64_t *", 1)
        target = self._outside.target
        # Twice, because a thread can start a child between being seen and being followed.
        for thread in [*target.threads(), *target.threads()]:
            lib.mb_bpf_map_update(map_, ffi.new("uint32_t *", thread), one, 0)

    def turn(self, until_ns: int) -> bool:
        """Deliver records up to the next timer; False after a stop from outside."""
        with self._lent():
            return self._deliver_records(until_ns)

    def _deliver_records(self, until_ns: int) -> bool:
        self._reached = None
        self._loaded.set_word(Control.BEAT, time.monotonic_ns())
        self._session.take_files()
        if self._guard is not None:
            self._guard.watch()
        if self._outside.options.observer is not None:
            self._outside.options.observer.lost(self._lost())
        stopped = self._outside.stopped()
        if stopped:
            self._end_hits()
        due = self._session.next_timer() or 0
        self._take(RECORDS_PER_TURN, 0 if stopped else self._outside.limit(until_ns), due)
        self._report_error()
        if self._turn.reached:
            self._reached = due
            return True
        self._flush_recorder()
        return not stopped or bool(self._turn.records == RECORDS_PER_TURN)

    def settle(self) -> None:
        """Move what the kernel holds to where handlers in user space look."""
        with self._lent():
            self._drain.drain_armed()

    def look(self) -> dict[str, GlobalValue]:
        """The globals as they are now, for somebody outside the script."""
        with self._lent():
            session = self._session
            if self._disarmed or not isinstance(session, NativeSession):
                return snapshot(session)
            with NativeSession(
                session.placed, replace(session.options, quiet=True), session.code
            ) as scratch:
                return self._drain.look(scratch)

    def disarm(self) -> None:
        """End the hits, record what was not delivered any more, take over all globals."""
        with self._lent():
            self._disarm()

    def _disarm(self) -> None:
        if self._disarmed:
            return
        self._disarmed = True
        self._reached = None
        self._end_hits()
        self._live.only_record = 1
        self._take(_U64, 0, 0)
        if self._guard is not None:
            self._guard.release()
        self._report_error()
        self._drain.drain_all()
        self._session.print_folded()
        self._report_lost()
        self._outside.warn(self._session)

    # --- pieces -------------------------------------------------------------------------------

    def _end_hits(self) -> None:
        with doing(f"detaching {self._loaded.object.probes:,} probes"):
            self._loaded.disarm()
        self._turn.quiet = 1

    def _take(self, limit: int, until_ns: int, before_ns: int) -> None:
        turn = self._turn
        turn.records = turn.reached = 0
        turn.limit, turn.until_ns, turn.before_ns = limit, until_ns, before_ns
        lib.mb_ring_consume(self._ring, *self._consumer, turn)

    def _report_error(self) -> None:
        """An error of a handler in the kernel becomes one of the session."""
        word = self._loaded.word(Control.ERROR)
        if not word:
            return
        handler, site, number = split_error_word(word)
        address = self._loaded.word(Control.ERROR_ADDRESS) & _U64
        message = self._loaded.object.messages[number].replace(
            FAULT_ADDRESS.encode(), b"%#x" % address
        )
        self._session.blame(handler, site, message)
        self._loaded.set_word(Control.ERROR_ADDRESS, 0)
        self._loaded.set_word(Control.ERROR, 0)

    def _flush_recorder(self) -> None:
        now = time.monotonic_ns()
        if self._recorder is not None and now - self._flushed > FLUSH_NS:
            self._flushed = now
            self._recorder.lost(-1, self._lost() + self._missed_events())
            self._recorder.flush()

    def _lost(self) -> int:
        return self._loaded.word(Control.LOST) + self._loaded.word(Control.SCRATCH_LOST)

    @property
    def _programs(self) -> tuple[tuple[BpfProgram, ...], Sequence[int]]:
        return self._loaded.object.programs, self._loaded.programs

    def _missed_events(self) -> int:
        """The hits of tracepoints that the kernel passed over; only what is recorded tells."""
        if self._outside.options.recorder is None:
            return 0
        return missed_events(*self._programs) - self._missed_before

    def _report_missed(self) -> int:
        missing = self._missed_events()
        if missing:
            self._session.warn(
                f"{missing} events were lost: the kernel was busy with BPF on their CPU"
            )
        return missing

    def _report_lost(self) -> None:
        lost = self._lost()
        if self._recorder is not None:
            self._recorder.lost(-1, lost + self._report_missed())
        if self._outside.options.observer is not None:
            self._outside.options.observer.lost(lost)
        if lost:
            self._session.note_lost(lost)
            self._session.warn(f"{lost} events were lost; a larger buffer (-s) holds more")
        unreadable = self._loaded.word(Control.UNREADABLE)
        if unreadable:
            self._session.warn(f"{unreadable} arguments could not be read and counted as 0")
        if self._live.unheld:
            self._session.warn(
                f"{self._live.unheld} hits: the process could not be stopped; what was read"
                " there may be of a later moment"
            )
        own = self._loaded.word(Control.OWN_HITS)
        if own:
            self._session.warn(
                f"{own} hits in markbridge itself were left out: it cannot stop itself"
            )
        self._report_semaphores()
        self._report_stacks()
        unkept = self._loaded.word(Control.UNKEPT)
        if unkept:
            self._session.warn(f"lost track of {unkept} threads: the map of processes is full")
        skipped = missed(*self._programs)
        if skipped:
            self._session.warn(
                f"{skipped} hits of functions of the kernel were skipped: a probe was running"
                " on their CPU already"
            )
        contended = self._loaded.word(Control.CONTENDED)
        if contended:
            self._session.warn(f"{contended} minima or maxima may be missing")

    def _report_stacks(self) -> None:
        cut, gone = self._session.stacks()
        if cut:
            self._session.warn(
                f"{cut} back traces end where the bytes of the stack do that a hit brings;"
                f" -D MAXUSERSTACK={MOST_STACK} brings more"
            )
        if gone:
            self._session.warn(
                f"{gone} back traces are missing: their processes had ended when their files"
                " were looked at"
            )

    def _report_semaphores(self) -> None:
        if self._live.late:
            self._session.warn(
                f"{self._live.late} processes ran on while the semaphores of their markers were"
                " counted up; their first hits may be missing"
            )
        failed = self._live.uncounted + self._loaded.word(Control.UNCOUNTED)
        if failed:
            self._session.warn(
                f"{failed} processes: the semaphores of their markers could not be counted up,"
                " so their hits are missing"
            )
