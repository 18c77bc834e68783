"""The record of a hit, as a BPF program sends it (`bridge.artifact` has the layout).

Records without long strings have a fixed size and are written straight into the ring buffer.
With long strings the size is known only afterwards, so the record is put together in scratch
memory and copied. A program can be preempted by another task whose hit then runs on the same
CPU, hence each CPU has several scratch slots, and each slot a lock that is only tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.artifact import HEADER_BYTES, SLOT_BYTES
from bridge.codegen.bpf import text as t
from bridge.codegen.bpf.captures import string_room
from bridge.codegen.bpf.gate import Wanted
from bridge.codegen.bpf.hold import Hold
from bridge.codegen.bpf.object import Control
from bridge.declared import MB_FAULT
from bridge.ir.program import Capture, Context, Load, Value, capture_type

if TYPE_CHECKING:
    from bridge.artifact import Hook, RecordLayout
    from bridge.codegen.bpf.captures import Captures
    from bridge.codegen.bpf.text import ProgramText
    from bridge.ir.program import Limits

FIXED_STRING_BYTES = 64
"""Strings up to this size have a fixed place in the record."""
SCRATCH_SLOTS = 4
"""How many slots a program tries: of its CPU, or of all, from a place that is the CPU's."""
SHARED_SLOTS = 64
"""Slots that are too large to have some for each CPU; a power of two."""
LOCK_BYTES = 8


@dataclass(frozen=True, slots=True)
class RecordMaps:
    """The maps that sending needs, and the pointer to the control words."""

    ring: int
    scratch: int
    control: str
    held: int | None = None
    """The map of processes that stand still, if the process of the hit has to."""
    shared_scratch: bool = False
    """Whether all CPUs share the slots of `scratch`."""
    by_cpu: bool = False
    """Whether `ring` has a buffer for each CPU, into which records are copied whole."""
    atomics: bool = True
    """Whether there are atomic operations that give the old value.

    Kernels without run no second program on a CPU before the first one has ended.
    """


def _padded(size: int) -> int:
    return (size + 7) & ~7


def _strings(layout: RecordLayout) -> list[Capture]:
    return [c for c in layout.captures if capture_type(c) is Value.STRING]


def record_bytes(layout: RecordLayout, limits: Limits) -> int:
    """The largest size of a record."""
    strings = sum(_padded(string_room(c, limits)) for c in _strings(layout))
    return HEADER_BYTES + SLOT_BYTES * layout.slot_count + strings


def scratch_bytes(layout: RecordLayout, limits: Limits) -> int:
    """The size of a scratch slot, with some room for what the verifier does not see."""
    return LOCK_BYTES + record_bytes(layout, limits) + 8 * (1 + len(_strings(layout)))


def is_fixed(layout: RecordLayout, limits: Limits) -> bool:
    """Whether all records of a hook have one size."""
    return all(string_room(c, limits) <= FIXED_STRING_BYTES for c in _strings(layout))


class RecordWriter:
    """Emits the code that sends the record of one hook."""

    def __init__(
        self,
        text: ProgramText,
        captures: Captures,
        hook: Hook,
        maps: RecordMaps,
        limits: Limits,
    ) -> None:
        self._text = text
        self._captures = captures
        self._hook = hook
        self._maps = maps
        self._limits = limits
        self._number = ""
        self._hold = (
            None
            if maps.held is None
            else Hold(text, captures, maps.held, maps.control, atomics=maps.atomics)
        )

    def send(self, wanted: str = "", number: str = "") -> None:
        """Capture and send; execution goes on behind it in any case.

        `number` is the hook's, in the upper half of an i64, where the program serves many.
        Where a hit costs much, `wanted` is a `gate.Wanted` as an i64. Each value is stored as
        soon as it is read: many of them would not fit on the stack.
        """
        text, self._number = self._text, number
        self._captures.value(Context("monotonic_ns"))
        if not wanted:
            self._send()
            return
        known, send, over = text.name("wanted"), text.name("send"), text.name("over")
        text.branch(text.value(f"icmp ne i64 {wanted}, {int(Wanted.NOTHING)}"), known, over)
        text.open(known)
        if self._hold is not None:
            holds = text.value(f"icmp eq i64 {wanted}, {int(Wanted.HOLD)}")
            self._hold.begin(holds, send, over)
            text.open(send)
        self._send()
        text.jump(over)
        text.open(over)

    def _send(self) -> None:
        if is_fixed(self._hook.layout, self._limits) and not self._maps.by_cpu:
            self._send_fixed()
        else:
            self._send_variable()

    def _header(self, record: str, size: str | int) -> None:
        text = self._text
        if self._number:
            text.store(text.value(f"or i64 {self._number}, {size}"), record)
        elif isinstance(size, int):
            text.store(self._hook.id << 32 | size, record)
        else:
            text.store(text.value(f"or i64 {size}, {self._hook.id << 32}"), record)
        text.store(self._captures.value(Context("monotonic_ns")), record, 8)

    def _longs(self, record: str) -> None:
        for capture in self._hook.layout.captures:
            if capture_type(capture) is not Value.LONG:
                continue
            value, status = self._captures.with_status(capture)
            offset = self._hook.layout.offset(capture)
            self._text.store(value, record, offset)
            if isinstance(capture, Load):
                self._text.store(status, record, offset + SLOT_BYTES)
        if self._hold is not None:
            self._text.store(self._hold.value(), record, self._hook.layout.stopped_offset)

    def _string_slot(
        self, record: str, capture: Capture, offset: str | int, written: str
    ) -> None:
        """Slot = offset | length << 32; `written` counts the NUL and is 0 after a fault."""
        text = self._text
        length = text.value(f"sub i64 {written}, 1")
        slot = text.value(f"or i64 {text.value(f'shl i64 {length}, 32')}, {offset}")
        fault = text.value(f"icmp eq i64 {written}, 0")
        slot = text.value(f"select i1 {fault}, i64 {MB_FAULT << 32}, i64 {slot}")
        text.store(slot, record, self._hook.layout.offset(capture))

    def _send_fixed(self) -> None:
        text, layout = self._text, self._hook.layout
        size = record_bytes(layout, self._limits)
        record = text.call(
            t.RING_RESERVE,
            f"ptr {text.map(self._maps.ring)}",
            f"i64 {size}",
            "i64 0",
            result="ptr",
        )
        fill, lost, done = text.name("fill"), text.name("lost"), text.name("done")
        text.branch(text.value(f"icmp eq ptr {record}, null"), lost, fill)
        text.open(fill)
        self._header(record, size)
        self._longs(record)
        at = HEADER_BYTES + SLOT_BYTES * layout.slot_count
        for capture in _strings(layout):
            room = string_room(capture, self._limits)
            written = self._captures.string(capture, text.at(record, at), room)
            self._string_slot(record, capture, at, written)
            at += _padded(room)
        text.emit(
            f"call void inttoptr (i64 {t.RING_SUBMIT} to ptr)(ptr {record}, i64 {t.NO_WAKEUP})"
        )
        text.jump(done)
        self._count_lost(lost, Control.LOST, done)
        text.open(done)

    def _count_lost(self, label: str, word: Control, on: str) -> None:
        self._text.open(label)
        self._text.add(self._text.at(self._maps.control, 8 * word), 1)
        if self._hold is not None:
            self._hold.undo()
        self._text.jump(on)

    def _send_variable(self) -> None:
        text = self._text
        lost, locked, done = text.name("lost"), text.name("locked"), text.name("done")
        slot = self._lock(locked, lost)
        text.open(locked)
        slot = text.value(f"phi ptr {slot}")
        record = text.at(slot, LOCK_BYTES)
        size = self._fill(record)
        result = self._output(record, size)
        text.emit(f"store volatile i64 0, ptr {slot}, align 8")
        full = text.name("full")
        text.branch(text.value(f"icmp eq i64 {result}, 0"), done, full)
        self._count_lost(full, Control.LOST, done)
        self._count_lost(lost, Control.SCRATCH_LOST, done)
        text.open(done)

    def _output(self, record: str, size: str) -> str:
        """Copy a record to where user space reads it; not 0 if there is no room."""
        text, ring = self._text, f"ptr {self._text.map(self._maps.ring)}"
        bytes_ = f"ptr {record}", f"i64 {size}"
        if self._maps.by_cpu:
            return text.call(t.PERF_OUTPUT, "ptr %ctx", ring, f"i64 {t.THIS_CPU}", *bytes_)
        return text.call(t.RING_OUTPUT, ring, *bytes_, f"i64 {t.NO_WAKEUP}")

    def _take(self, slot: str) -> str:
        """Lock a slot; what was there before."""
        text = self._text
        if self._maps.atomics:
            return text.value(f"atomicrmw xchg ptr {slot}, i64 1 monotonic")
        old = text.value(f"load volatile i64, ptr {slot}, align 8")
        text.emit(f"store volatile i64 1, ptr {slot}, align 8")
        return old

    def _lock(self, locked: str, lost: str) -> str:
        """Try the slots in turn; returns the incoming values of a phi in block `locked`."""
        text = self._text
        index = text.stack(8)
        incoming = []
        first = self._first_slot()
        for number in range(SCRATCH_SLOTS):
            text.store(self._slot(first, number), index)
            slot = text.call(
                t.LOOKUP,
                f"ptr {text.map(self._maps.scratch)}",
                f"ptr {index}",
                result="ptr",
            )
            found, taken = text.name("slot"), text.name("taken")
            text.branch(text.value(f"icmp eq ptr {slot}, null"), lost, found)
            text.open(found)
            old = self._take(slot)
            last = number == SCRATCH_SLOTS - 1
            text.branch(text.value(f"icmp eq i64 {old}, 0"), locked, lost if last else taken)
            incoming.append(f"[{slot}, %{found}]")
            if not last:
                text.open(taken)
        return ", ".join(incoming)

    def _first_slot(self) -> str:
        """Where to begin: not where another CPU does, if there are not too many."""
        if not self._maps.shared_scratch:
            return "0"
        cpu = self._captures.value(Context("cpu"))
        return self._text.value(f"mul i64 {cpu}, {SCRATCH_SLOTS}")

    def _slot(self, first: str, number: int) -> str:
        if not self._maps.shared_scratch:
            return str(number)
        at = self._text.value(f"add i64 {first}, {number}")
        return self._text.value(f"and i64 {at}, {SHARED_SLOTS - 1}")

    def _fill(self, record: str) -> str:
        """Write the record; returns its size."""
        text, layout = self._text, self._hook.layout
        self._longs(record)
        at: str | int = HEADER_BYTES + SLOT_BYTES * layout.slot_count
        for capture in _strings(layout):
            room = string_room(capture, self._limits)
            written = self._captures.string(capture, text.at(record, at), room)
            self._string_slot(record, capture, at, written)
            # Not rounded up here: that would become an `or`, of which the verifier cannot
            # tell how large it gets.
            at = text.value(f"add i64 {written}, {at}")
        size = text.value(f"and i64 {text.value(f'add i64 {at}, 7')}, {~7}")
        self._header(record, size)
        return size
