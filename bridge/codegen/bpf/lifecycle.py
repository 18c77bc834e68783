"""Process lifecycle probes (begin, end, system calls) and their filters.

A hook on processes has a program at each *moment* at which it can happen. Which program a
process runs cannot be asked any more when it has ended or runs another one, so it is kept: the
map `life` has, by thread, the inode of the program if a script names it, and a mark for the
threads that a script names by number. The keepers here keep it, armed or not. Rule: whatever
happens at one tracepoint happens in the order of the ranks, which is the order of attaching.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from bridge.codegen.bpf import text as t
from bridge.codegen.bpf.captures import UPID_NAMESPACE, UPID_SHIFT, Captures, ProbeContext
from bridge.codegen.bpf.follow import EXEC, EXIT, FORK, group_dead, over_with
from bridge.codegen.bpf.object import (
    MAPPABLE,
    NO_PREALLOC,
    Attach,
    BpfProgram,
    Control,
    LifeMaps,
    MapSpec,
    MapType,
)
from bridge.codegen.bpf.text import ProgramText
from bridge.ir.program import Argument, Value
from bridge.markers import RawArgument, SavedRegister
from bridge.probes.families.process import CONVENTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bridge.artifact import Hook
    from bridge.markers import MarkerAttachment, Operand

ENTER, LEAVE = "sys_enter", "sys_exit"
ENTRIES = 65536
"""How many threads can be kept at a time."""
WATCHED = 1 << 32
"""In a key of `life`: the thread is meant by its number."""
ARMING = 2
"""The word ARMED while processes that run already are told of; hits count as with 1."""
KERNEL_THREAD, IO_WORKER, USER_WORKER = 0x200000, 0x10, 0x4000
"""PF_KTHREAD, PF_IO_WORKER and PF_USER_WORKER (include/linux/sched.h)."""
SKIPPED = {"x86_64": (56, 57, 58, 59, 322, 435), "aarch64": (220, 221, 281, 435)}
SKIPPED_COMPAT = {
    "x86_64": (120, 2, 190, 11, 358, 435),
    "aarch64": (120, 2, 190, 11, 387, 435),
}
"""clone, fork, vfork, execve, execveat, clone3: who sees them return 0 did not call them."""

NAMESPACE_FINDER = "mb_namespace"
CHILD, OLD_THREAD, RESULT, NUMBER = "#child", "#old thread", "#result", "#number"
"""Operands that only filters and contexts read."""


class Rank(IntEnum):
    """The order of programs at one tracepoint."""

    BEFORE = 0
    KEEPER = 1
    AFTER = 2
    LAST = 3


@dataclass(frozen=True, slots=True)
class Moment:
    """A tracepoint at which a hook's program runs."""

    tracepoint: str
    rank: Rank = Rank.BEFORE

    @property
    def attach(self) -> Attach:
        """The end is a perf event, as only its record says whether the process is over."""
        return Attach.TRACEPOINT if self.tracepoint == EXIT else Attach.RAW_TRACEPOINT


_MOMENTS = {
    "begin": (Moment(EXEC, Rank.AFTER), Moment(FORK)),
    "end": (Moment(EXEC), Moment(EXIT)),
    "thread.begin": (Moment(FORK),),
    "thread.end": (Moment(EXIT),),
    "syscall": (Moment(ENTER),),
    "syscall.return": (Moment(LEAVE),),
}


def moments(attachment: MarkerAttachment) -> tuple[Moment, ...]:
    """When a hook runs. A process that is meant by number has begun before the session has."""
    found = _MOMENTS[attachment.marker.name]
    return () if attachment.pid and attachment.marker.begins else found


def hidden_operands(moment: Moment, machine: str) -> dict[str, Operand]:
    """What the filter of a moment reads of the tracepoint."""
    match moment.tracepoint:
        case "sched_process_fork":
            return {CHILD: RawArgument(1)}
        case "sched_process_exec":
            return {OLD_THREAD: RawArgument(1, 4, signed=False)}
        case "sys_exit":
            number = CONVENTIONS[machine].number
            return {
                RESULT: RawArgument(1),
                NUMBER: SavedRegister(number.name, number.size, number.forgotten),
            }
        case _:
            return {}


def plan(add: Callable[[MapSpec], int], hooks: Sequence[Hook]) -> LifeMaps:
    """Create the maps that hooks on processes need."""
    markers = [hook.attachment.marker for hook in hooks]
    paths = tuple(dict.fromkeys(marker.provider for marker in markers if marker.provider))
    count = max(1, len(paths))
    return LifeMaps(
        life=add(MapSpec("life", MapType.HASH, 8, 8, ENTRIES)),
        images=add(MapSpec("images", MapType.HASH, 8, 8, count)),
        programs=add(MapSpec("programs", MapType.ARRAY, 4, 8 * count, 1, MAPPABLE)),
        born=add(MapSpec("born", MapType.HASH, 4, 8, ENTRIES, NO_PREALLOC)),
        paths=paths,
    )


# --- filters ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filter:
    """Leaves a hook's program unless the hit is meant."""

    text: ProgramText
    captures: Captures
    maps: LifeMaps
    control: str
    targets: int | None
    moment: Moment
    machine: str

    def whom(self, attachment: MarkerAttachment) -> None:
        """Only processes that the point and the target of the session mean."""
        marker = attachment.marker
        before = self._before()
        if marker.provider:
            number = self.maps.paths.index(marker.provider)
            programs = self.text.map(self.maps.programs, t.MAP_VALUE)
            entry = self._found(self.maps.life, before)
            meant = self.text.load(programs, 8 * number)
            self._require("eq", self.text.load(entry), meant)
        elif attachment.pid:
            key = self.text.value(f"or i64 {before}, {WATCHED}")
            self._require("eq", before, str(attachment.pid))
            self._found(self.maps.life, key)
        else:
            self._in_user_space()
            self._require("ne", before, "0")  # of another PID namespace
        if attachment.follow_target and self.targets is not None:
            self._found(self.targets, self._before(replaced=True))

    def what(self, name: str) -> None:
        """Only the kind of event that the point names."""
        match self.moment.tracepoint, name:
            case "sched_process_fork", _:
                child = _argument(self.captures, CHILD)
                own, leader = self.captures.thread(child), self.captures.process(child)
                self._require("ne" if name == "thread.begin" else "eq", own, leader)
            case "sched_process_exit", _:
                dead = group_dead(self.text, self.captures, self.control)
                self._require("eq" if name == "thread.end" else "ne", dead, "0")
            case "sys_exit", _:
                self._called()
            case _:
                pass

    def _before(self, *, replaced: bool = False) -> str:
        """The thread by the number that maps have it under.

        One that executes a program may have been another thread than the first, whose number
        it has then; `life` knows it (and `targets` does not yet, `replaced`). That is its
        number in the first PID namespace; in others, the entry of the first thread stays.
        """
        is_exec = self.moment.tracepoint == EXEC and not self.captures.nested
        if is_exec and (self.moment.rank is Rank.BEFORE or replaced):
            return _argument(self.captures, OLD_THREAD)
        return self.captures.thread()

    def _found(self, map_: int, key: str) -> str:
        entry = _lookup(self.text, map_, key)
        self.text.require(self.text.value(f"icmp ne ptr {entry}, null"))
        return entry

    def _require(self, condition: str, left: str, right: str) -> None:
        self.text.require(self.text.value(f"icmp {condition} i64 {left}, {right}"))

    def _in_user_space(self) -> None:
        """No threads of the kernel, which have no program."""
        match self.moment.tracepoint:
            case "sched_process_fork":
                task, kinds = _argument(self.captures, CHILD), KERNEL_THREAD
            case "sched_process_exit":
                task = self.text.call(t.CURRENT_TASK)
                kinds = KERNEL_THREAD | IO_WORKER | USER_WORKER
            case _:
                return
        flags = self.captures.number(self.captures.member(task, Control.TASK_FLAGS))
        self._require("eq", self.text.value(f"and i64 {flags}, {kinds}"), "0")

    def _called(self) -> None:
        """Not the first return of a new process, or of a new program in one."""
        text = self.text
        check, on = text.name("zero"), text.name("called")
        result, number = (_argument(self.captures, name) for name in (RESULT, NUMBER))
        text.branch(text.value(f"icmp eq i64 {result}, 0"), check, on)
        text.open(check)
        compat, native = text.name("compat"), text.name("native")
        text.branch(self.captures.compat(), compat, native)
        for label, numbers in ((native, SKIPPED), (compat, SKIPPED_COMPAT)):
            text.open(label)
            for skipped in numbers[self.machine]:
                self._require("ne", number, str(skipped))
            text.jump(on)
        text.open(on)


def _argument(captures: Captures, name: str) -> str:
    return captures.value(Argument(name, Value.LONG))


def _key(text: ProgramText, value: str) -> str:
    key = text.stack(8)
    text.store(value, key)
    return key


def _lookup(text: ProgramText, map_: int, key: str) -> str:
    return text.call(t.LOOKUP, f"ptr {text.map(map_)}", f"ptr {_key(text, key)}", result="ptr")


# --- keepers ----------------------------------------------------------------------------------


def keepers(
    maps: LifeMaps, control: int, *, nested: bool
) -> Iterator[tuple[Moment, BpfProgram, str]]:
    """The programs that keep `life`, each with its moment and its text."""
    for name, moment, write in (
        ("mb_life_fork", Moment(FORK, Rank.KEEPER), _Keeper.forked),
        ("mb_life_exec", Moment(EXEC, Rank.KEEPER), _Keeper.executed),
        ("mb_life_exit", Moment(EXIT, Rank.KEEPER), _Keeper.exited),
    ):
        text = ProgramText()
        word = text.map(control, t.MAP_VALUE)
        captures = Captures(
            text, ProbeContext(hidden_operands(moment, ""), nested=nested), word
        )
        write(_Keeper(text, captures, maps, word))
        text.jump("out")
        text.open("out")
        text.emit(f"ret i64 {moment.attach.result}")
        program = BpfProgram(name, -1, moment.attach, b"", tracepoint=moment.tracepoint)
        yield moment, program, text.function(name, captures.entry)


def namespace_finder(control: int) -> tuple[BpfProgram, str]:
    """The program that user space runs to learn in which PID namespace it is."""
    text = ProgramText()
    word = text.map(control, t.MAP_VALUE)
    captures = Captures(text, ProbeContext({}), word)
    pid = captures.follow(text.call(t.CURRENT_TASK), Control.THREAD_PID)
    level = captures.number(captures.member(pid, Control.PID_LEVEL))
    offset = text.value(f"shl i64 {level}, {UPID_SHIFT}")
    place = text.value(f"add i64 {captures.member(pid, Control.NUMBERS)}, {offset}")
    owner = captures.number(text.value(f"add i64 {place}, {UPID_NAMESPACE}"), 8)
    text.store(level, word, 8 * Control.NAMESPACE_LEVEL)
    text.store(owner, word, 8 * Control.NAMESPACE)
    text.emit("ret i64 0")
    program = BpfProgram(NAMESPACE_FINDER, -1, Attach.NOWHERE, b"")
    return program, text.function(NAMESPACE_FINDER, captures.entry)


def finder(control: int) -> tuple[BpfProgram, str]:
    """The program that user space runs to learn which inode a file of its own is."""
    text = ProgramText()
    word = text.map(control, t.MAP_VALUE)
    captures = Captures(text, ProbeContext({NUMBER: RawArgument(0)}), word)
    files = captures.follow(text.call(t.CURRENT_TASK), Control.FILES)
    table = captures.follow(captures.follow(files, Control.FDT), Control.FD)
    index = text.value(f"shl i64 {_argument(captures, NUMBER)}, 3")
    file = captures.number(text.value(f"add i64 {table}, {index}"), 8)
    text.store(captures.follow(file, Control.F_INODE), word, 8 * Control.INODE)
    text.emit("ret i64 0")
    program = BpfProgram("mb_inode", -1, Attach.NOWHERE, b"")
    return program, text.function("mb_inode", captures.entry)


@dataclass(frozen=True, slots=True)
class _Keeper:
    """Code that keeps what a thread is known by."""

    text: ProgramText
    captures: Captures
    maps: LifeMaps
    control: str

    def forked(self) -> None:
        """A new thread runs the program of the one that made it."""
        text = self.text
        number = self.captures.thread(_argument(self.captures, CHILD))
        if self.captures.nested:
            self._forget(self.maps.life, number)
            self._forget(self.maps.life, text.value(f"or i64 {number}, {WATCHED}"))
        entry = _lookup(text, self.maps.life, self.captures.thread())
        known, on = text.name("known"), text.name("on")
        text.branch(text.value(f"icmp eq ptr {entry}, null"), on, known)
        text.open(known)
        self._set(self.maps.life, number, text.load(entry))
        text.jump(on)
        text.open(on)
        self._born(number)

    def executed(self) -> None:
        """The process runs another program, of which all other threads have ended."""
        text, captures = self.text, self.captures
        thread = captures.thread()
        text.require(text.value(f"icmp ne i64 {thread}, 0"))
        old = thread if captures.nested else _argument(captures, OLD_THREAD)
        self._forget(self.maps.life, old)
        self._forget(self.maps.life, text.value(f"or i64 {old}, {WATCHED}"))
        self._born(thread)
        mm = captures.follow(text.call(t.CURRENT_TASK), Control.MM)
        file = captures.follow(mm, Control.EXE_FILE)
        inode = captures.follow(file, Control.F_INODE)
        text.require(text.value(f"icmp ne ptr {_lookup(text, self.maps.images, inode)}, null"))
        self._set(self.maps.life, thread, inode)

    def exited(self) -> None:
        """Nothing is kept of a thread that has ended."""
        thread = self.captures.thread()
        for over in over_with(self.text, self.captures, self.control, thread):
            self._forget(self.maps.life, over)
            self._forget(self.maps.life, self.text.value(f"or i64 {over}, {WATCHED}"))
        self._forget(self.maps.born, thread)

    def _born(self, thread: str) -> None:
        """What begins while the session arms is not told of a second time."""
        text = self.text
        armed = text.value(f"load volatile i64, ptr {self.control}, align 8")
        arming, on = text.name("arming"), text.name("on")
        text.branch(text.value(f"icmp eq i64 {armed}, {ARMING}"), arming, on)
        text.open(arming)
        self._set(self.maps.born, thread, "1")
        text.jump(on)
        text.open(on)

    def _set(self, map_: int, key: str, value: str) -> None:
        """Full maps are told at the end."""
        text = self.text
        pointers = f"ptr {_key(text, key)}", f"ptr {_key(text, value)}"
        result = text.call(t.UPDATE, f"ptr {text.map(map_)}", *pointers, "i64 0")
        full, on = text.name("full"), text.name("on")
        text.branch(text.value(f"icmp eq i64 {result}, 0"), on, full)
        text.open(full)
        text.add(text.at(self.control, 8 * Control.UNKEPT), 1)
        text.jump(on)
        text.open(on)

    def _forget(self, map_: int, key: str) -> None:
        text = self.text
        text.call(t.DELETE, f"ptr {text.map(map_)}", f"ptr {_key(text, key)}")
