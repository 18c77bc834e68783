"""Programs where processes begin to run files whose semaphores we count up.

Source: csrc/live/semaphore.h. Such a program stops the process and sends a record that no hook
asked for; user space counts up and lets the process go on. One rule: a process that a shell
controls at a terminal is not stopped, because the shell would take that for a Ctrl-Z; its
semaphores are late then. The command of -c is ours, and stopped in any case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.artifact import HEADER_BYTES
from bridge.codegen.bpf import text as t
from bridge.codegen.bpf.captures import Captures, ProbeContext
from bridge.codegen.bpf.follow import current_target
from bridge.codegen.bpf.hold import Hold
from bridge.codegen.bpf.object import Attach, BpfProgram, Control, StartedFile
from bridge.codegen.bpf.text import ProgramText
from bridge.declared import MB_START_HOOK, SIZES
from bridge.ir.program import Argument, Context, Value
from bridge.markers import LoadBias, Site

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.artifact import Hook
    from bridge.markers import Semaphore

_RECORD_BYTES = HEADER_BYTES + SIZES["mb_start"]
_HEADER = _RECORD_BYTES | MB_START_HOOK - (1 << 32) << 32
_BIAS = "#bias"


@dataclass(frozen=True, slots=True)
class StartMaps:
    """The maps that such programs use, by number."""

    control: int
    ring: int
    held: int
    targets: int | None
    nested: bool
    by_cpu: bool
    atomics: bool


@dataclass(slots=True)
class _File:
    """What hooks say about the semaphores of one file."""

    machine: str
    start: Semaphore
    probes: dict[int, set[int]]
    """The file offsets of the uprobes that count up a semaphore, by its address."""
    follow_target: bool = True


def started_files(hooks: Sequence[Hook]) -> dict[str, _File]:
    """The files whose semaphores we count up, by path.

    A hook on one process needs none of it: that process has begun already.
    """
    found: dict[str, _File] = {}
    for hook in hooks:
        attachment = hook.attachment
        for site in () if attachment.pid else attachment.marker.sites:
            if site.semaphore is None:
                continue
            machine = attachment.marker.machine
            file = found.setdefault(site.path, _File(machine, site.semaphore, {}))
            file.probes.setdefault(site.semaphore.address, set()).add(site.offset)
            file.follow_target &= attachment.follow_target
    return found


def start_programs(
    files: dict[str, _File], maps: StartMaps
) -> Iterator[tuple[StartedFile, BpfProgram, str]]:
    """A program for each file."""
    for number, (path, file) in enumerate(files.items()):
        name = f"mb_start_{number}"
        site = Site(path, file.start.start_offset, file.start.start_address)
        program = BpfProgram(name, -1, Attach.UPROBE, b"", sites=(site,))
        semaphores = {address: len(offsets) for address, offsets in file.probes.items()}
        yield StartedFile(number, semaphores), program, _program(name, number, file, maps)


def _program(name: str, number: int, file: _File, maps: StartMaps) -> str:
    text = ProgramText()
    control = text.map(maps.control, t.MAP_VALUE)
    operands = {_BIAS: LoadBias(file.start.start_address)}
    captures = Captures(text, ProbeContext(operands, file.machine, nested=maps.nested), control)
    if file.follow_target and maps.targets is not None:
        found = current_target(text, captures, maps.targets)
        text.require(text.value(f"icmp ne ptr {found}, null"))
    hold = Hold(text, captures, maps.held, control, atomics=maps.atomics)
    now, pid = captures.value(Context("monotonic_ns")), captures.value(Context("pid"))
    bias = captures.value(Argument(_BIAS, Value.LONG))
    send, lost = text.name("send"), text.name("lost")
    record = text.stack(_RECORD_BYTES)
    hold.begin(_may_stop(text, captures, control), send, "out")
    text.open(send)
    words: tuple[str | int, ...] = (_HEADER, now, pid, bias, number, hold.value())
    for at, word in enumerate(words):
        text.store(word, record, 8 * at)
    result = _output(text, maps, record)
    text.branch(text.value(f"icmp eq i64 {result}, 0"), "out", lost)
    text.open(lost)
    text.add(text.at(control, 8 * Control.UNCOUNTED), 1)
    hold.undo()
    text.jump("out")
    text.open("out")
    text.emit("ret i64 0")
    return text.function(name, captures.entry)


def _output(text: ProgramText, maps: StartMaps, record: str) -> str:
    """Send the record; not 0 if there is no room."""
    ring, bytes_ = f"ptr {text.map(maps.ring)}", (f"ptr {record}", f"i64 {_RECORD_BYTES}")
    if maps.by_cpu:
        return text.call(t.PERF_OUTPUT, "ptr %ctx", ring, f"i64 {t.THIS_CPU}", *bytes_)
    return text.call(t.RING_OUTPUT, ring, *bytes_, f"i64 {t.NO_WAKEUP}")


def _may_stop(text: ProgramText, captures: Captures, control: str) -> str:
    """Whether nobody would take it for a Ctrl-Z, as an i1.

    Where the kernel's types do not say where its terminal is, it counts as having none.
    """
    signal = captures.follow(text.call(t.CURRENT_TASK), Control.SIGNAL)
    terminal = captures.follow(signal, Control.TTY)
    known = text.value(f"icmp ne i64 {text.load(control, 8 * Control.TTY)}, 0")
    has_one = text.value(f"icmp ne i64 {terminal}, 0")
    controlled = text.value(f"and i1 {known}, {has_one}")
    ours = text.load(control, 8 * Control.COMMAND)
    own = text.value(f"icmp eq i64 {captures.value(Context('pid'))}, {ours}")
    free = text.value(f"xor i1 {controlled}, true")
    return text.value(f"or i1 {free}, {own}")
