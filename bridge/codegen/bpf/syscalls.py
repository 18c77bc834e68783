"""One program that goes on with that of the system call at hand.

Detaching from an event of tracefs costs a grace period of the kernel (half a minute for all
system calls), and a program on `raw_syscalls` for every call costs all calls the time of each.
Both records are laid out alike (kernel/trace/trace_syscalls.c), so the programs of single
system calls are put into an array by number, and a program on `raw_syscalls:sys_enter` or
`sys_exit` makes a tail call.

The numbers are those of 64-bit programs; calls of 32-bit programs are left out, as the kernel
leaves them out of its events. Without BTF nothing tells them apart: then each program is
attached to its own event.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.codegen.bpf import text as t
from bridge.codegen.bpf.object import Attach, BpfProgram, Control, MapSpec, MapType
from bridge.codegen.bpf.text import ProgramText
from bridge.probes.syscalls import ENTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.markers import Marker

NUMBERS = 1024
"""More than any architecture has."""
NUMBER_OFFSET = 8
"""Where the records have the system call's number."""


@dataclass(slots=True)
class Dispatchers:
    """The arrays of a script, by the raw tracepoint that runs them.

    `add_map` adds a map and returns its number.
    """

    add_map: Callable[[MapSpec], int]
    _arrays: dict[str, int] = field(default_factory=dict)
    _taken: set[tuple[int, int]] = field(default_factory=set)

    def placed(self, program: BpfProgram, marker: Marker) -> BpfProgram:
        """The program with a slot, if it is of one system call and the slot is free."""
        if program.attach is not Attach.TRACEPOINT or marker.syscall is None:
            return program
        event = "sys_enter" if marker.name.startswith(ENTER) else "sys_exit"
        if event not in self._arrays:
            spec = MapSpec(event, MapType.PROGRAM_ARRAY, 4, 4, NUMBERS)
            self._arrays[event] = self.add_map(spec)
        slot = self._arrays[event], marker.syscall
        if slot in self._taken:
            return program
        self._taken.add(slot)
        return replace(program, slot=slot)

    def programs(self, control: int) -> Iterator[tuple[BpfProgram, str]]:
        """The programs that dispatch, with their text."""
        for event, array in self._arrays.items():
            name = f"mb_{event}"
            tracepoint = f"raw_syscalls:{event}"
            program = BpfProgram(
                name, -1, Attach.TRACEPOINT, b"", tracepoint=tracepoint, dispatches=True
            )
            yield program, _dispatch(control, array).function(name, [])


def _dispatch(control: int, array: int) -> ProgramText:
    text = ProgramText()
    words = text.map(control, t.MAP_VALUE)
    word = text.stack(8)
    text.store(0, word)
    task = text.call(t.CURRENT_TASK)
    where = text.value(f"add i64 {task}, {text.load(words, 8 * Control.COMPAT_WORD)}")
    text.call(t.READ_KERNEL, f"ptr {word}", "i32 4", f"i64 {where}")
    flag = text.value(f"and i64 {text.load(word)}, {text.load(words, 8 * Control.COMPAT_FLAG)}")
    text.branch(text.value(f"icmp eq i64 {flag}, 0"), "native", "out")
    text.open("native")
    number = text.load("%ctx", NUMBER_OFFSET)
    text.call(t.TAIL_CALL, "ptr %ctx", f"ptr {text.map(array)}", f"i64 {number}")
    text.jump("out")
    text.open("out")
    text.emit(f"ret i64 {Attach.TRACEPOINT.result}")
    return text
