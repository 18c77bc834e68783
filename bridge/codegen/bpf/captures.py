"""Captures in a BPF program: operands of the marker, properties of the hit, memory.

Registers of the traced program are all loaded in the entry block, because the verifier refuses
context loads that the optimiser has merged ("dereference of modified ctx ptr"). Layouts: struct
pt_regs (arch/x86/include/uapi/asm/ptrace.h), user_pt_regs (arch/arm64/.../ptrace.h).
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from bridge.artifact import FAULT
from bridge.codegen.bpf import text as t
from bridge.codegen.bpf.object import Control
from bridge.declared import MB_ARGUMENT_END, MB_MEMORY_BYTES, MB_USER_FRAMES, OFFSETS, SIZES
from bridge.ir.program import (
    REGISTERS,
    Argument,
    Capture,
    Computed,
    Context,
    Literal,
    Load,
    Value,
    capture_text,
    capture_type,
)
from bridge.markers import (
    Constant,
    LoadBias,
    Memory,
    RawArgument,
    RecordedField,
    Register,
    SavedRegister,
    TracepointField,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.codegen.bpf.text import ProgramText
    from bridge.ir.program import Limits
    from bridge.markers import Operand

COMM_BYTES = 16
PID_TYPES = {"process": 1, "pgrp": 2, "sid": 3}
"""enum pid_type."""
UPID_SHIFT, UPID_NAMESPACE = 4, 8
"""struct upid { int nr; struct pid_namespace *ns; }: its size, and where the pointer is."""
COMMAND_BYTES = 4096
"""The most that is kept of a command line, and always a power of two."""
LOW = 0xFFFFFFFF
NOTES_BYTES = 4096
"""The room for what runs slices of handlers, behind what they noted (`notes`)."""
PAGE = 4096
STACK_BYTES = 8 * 127
"""The most that is kept of a kernel stack: what perf_event_max_stack mostly allows."""
_LOW_BITS = 0x7F7F7F7F7F7F7F7F
TASK_CONTEXTS = frozenset(("ppid", "euid", "egid", "pgrp", "sid", "pexecname", "command"))
"""Contexts that need offsets of struct members."""

_X86 = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig rip cs eflags rsp ss"
_OFFSETS = {
    "x86_64": {name: 8 * n for n, name in enumerate(_X86.split())},
    "aarch64": {f"x{n}": 8 * n for n in range(31)}
    | {"sp": 248, "pc": 256, "pstate": 264, "syscallno": 280},
}
_MODES = {"x86_64": ("cs", 3, 3), "aarch64": ("pstate", 15, 0)}
"""The register that tells what was interrupted, a mask, and what that gives in user mode."""
INSTRUCTION_POINTERS = {"x86_64": "rip", "aarch64": "pc"}
_SIMPLE = {"+": "add", "-": "sub", "*": "mul", "&": "and", "|": "or", "^": "xor"}
_SHIFTS = {"<<": "shl", ">>": "ashr", ">>>": "lshr"}


class UnsupportedCaptureError(Exception):
    """A bug of ours: an operand or a capture that BPF has no form for."""


def extend(text: ProgramText, value: str, size: int, signed: bool) -> str:
    """The low `size` bytes of a 64-bit value, extended."""
    if size >= 8:
        return value
    bits = 64 - 8 * size
    high = text.value(f"shl i64 {value}, {bits}")
    return text.value(f"{'ashr' if signed else 'lshr'} i64 {high}, {bits}")


@dataclass(frozen=True, slots=True)
class ProbeContext:
    """Where a program runs.

    `operands` says where each variable lies. `task` is the operand that is the task of the hit,
    where that is not the one that runs ("": it is). Where whatever ran was `interrupted`, the
    registers tell what that was. `nested` says that processes have the numbers of a PID
    namespace other than the first.
    """

    operands: Mapping[str, Operand]
    machine: str = ""
    sleepable: bool = False
    task: str = ""
    interrupted: bool = False
    nested: bool = False
    trampoline: bool = False
    """Whether arguments come from the trampoline of a function of the kernel."""
    kprobe: bool = False
    """Whether a kprobe stands at the instruction where the program runs."""
    in_program: bool = False
    """Whether the registers of the context are those of a process."""


class Captures:
    """The captured values of one program, each computed once."""

    def __init__(self, text: ProgramText, place: ProbeContext, control: str) -> None:
        self._text = text
        self._place = place
        self._operands = place.operands
        machine = place.machine or platform.machine()
        self._offsets = _OFFSETS.get(machine, {})
        self._pointer = INSTRUCTION_POINTERS.get(machine, "")
        self.control = control
        """The pointer to the control words."""
        self.nested = place.nested
        self.note: Callable[[str], str] | None = None
        """Runs the slices of the handlers, and writes what they note to a pointer."""
        self._values: dict[str, tuple[str, str]] = {}
        self._registers: dict[str, str] = {}
        self._buffer = ""
        self.entry = self._entry()
        """What stands in the entry block: loads of all registers, fields and raw arguments."""

    # --- the entry block ----------------------------------------------------------------------

    def _entry(self) -> list[str]:
        lines: list[str] = []
        if self._place.interrupted:
            self._load_register(_MODES[self._place.machine][0], lines)
        for name, operand in self._operands.items():
            self._enter(name, operand, lines)
        return lines

    def _enter(self, name: str, operand: Operand, lines: list[str]) -> None:
        match operand:
            case Register(name=register):
                self._load_register(register, lines)
            case Memory(base=base, index=index):
                for register in filter(None, (base, index)):
                    self._load_register(register, lines)
            case LoadBias(returns=False):
                self._load_register(self._pointer, lines)
            case SavedRegister():
                self._load("arg0", 0, "i64", lines)
            case RawArgument(index=number) if self._place.trampoline:
                self._ask(number, lines)
            case RawArgument(index=number):
                self._load(f"arg{number}", 8 * number, "i64", lines)
            case TracepointField(offset=offset, size=size, array="") if _direct(operand):
                self._load(f"field {name}", offset, f"i{size * 8}", lines)
            case _:
                pass

    def _load_register(self, register: str, lines: list[str]) -> None:
        if register not in self._offsets:
            raise UnsupportedCaptureError(f"register {register}")
        self._load(register, self._offsets[register], "i64", lines)

    def _load(self, key: str, offset: int, type_: str, lines: list[str]) -> None:
        if key in self._registers:
            return
        pointer, value = f"%p{len(self._registers)}", f"%v{len(self._registers)}"
        lines.append(f"  {pointer} = getelementptr i8, ptr %ctx, i64 {offset}")
        lines.append(f"  {value} = load volatile {type_}, ptr {pointer}")
        self._registers[key] = value

    def _ask(self, number: int, lines: list[str]) -> None:
        """An argument of the function, or its result (-1), as a number.

        The verifier would take one loaded from the context for a pointer that it knows.
        """
        key = f"arg{number}"
        if key in self._registers:
            return
        slot, value = f"%p{len(self._registers)}", f"%v{len(self._registers)}"
        helper, which = (t.FUNC_RESULT, "") if number < 0 else (t.FUNC_ARG, f"i32 {number}, ")
        lines += (
            f"  {slot} = alloca i64, align 8",
            f"  call i64 inttoptr (i64 {helper} to ptr)(ptr %ctx, {which}ptr {slot})",
            f"  {value} = load i64, ptr {slot}, align 8",
        )
        self._registers[key] = value

    # --- values -------------------------------------------------------------------------------

    def value(self, capture: Capture) -> str:
        """A LONG capture as an i64."""
        return self.with_status(capture)[0]

    def with_status(self, capture: Capture) -> tuple[str, str]:
        """A LONG capture and its status:

        0, or FAULT if memory could not be read.
        """
        key = capture_text(capture)
        if key not in self._values:
            self._values[key] = self._compute(capture)
        return self._values[key]

    def _compute(self, capture: Capture) -> tuple[str, str]:
        match capture:
            case Argument(name=name):
                return self._argument(name), "0"
            case Context(name=name):
                return self._context(name), "0"
            case Literal(value=value):
                return str(value), "0"
            case Computed():
                return self._computed(capture), "0"
            case Load(space=space, address=address, size=size, signed=signed):
                helper = t.READ_USER if space == "user" else t.READ_KERNEL
                return self._read(helper, self.value(address), size, signed)
            case _:
                assert_never(capture)

    def _computed(self, capture: Computed) -> str:
        left, right = self.value(capture.left), self.value(capture.right)
        if capture.op in _SIMPLE:
            return self._text.value(f"{_SIMPLE[capture.op]} i64 {left}, {right}")
        count = self._text.value(f"and i64 {right}, 63")
        return self._text.value(f"{_SHIFTS[capture.op]} i64 {left}, {count}")

    def _argument(self, name: str) -> str:
        operand = self._operands[name]
        text = self._text
        match operand:
            case Register(name=register, size=size, signed=signed, high=high):
                value = self._registers[register]
                if high:
                    value = text.value(f"lshr i64 {value}, 8")
                return extend(text, value, size, signed)
            case Constant(value=number):
                return str(number)
            case Memory():
                return self._memory(operand)
            case LoadBias(address=address, returns=returns):
                # a program on a return is told the address of the function's probe
                here = (
                    text.call(t.FUNC_IP, "ptr %ctx")
                    if returns
                    else self._registers[self._pointer]
                )
                return text.value(f"sub i64 {here}, {address}")
            case RawArgument(index=index, size=size, signed=signed):
                return extend(text, self._registers[f"arg{index}"], size, signed)
            case SavedRegister():
                return self._saved(operand)
            case TracepointField(array=""):
                return self._field(name, operand)
            case TracepointField() | RecordedField():
                raise UnsupportedCaptureError(f"{name} is {operand}")
            case _:
                assert_never(operand)

    def _memory(self, operand: Memory) -> str:
        text = self._text
        address = str(operand.displacement)
        if operand.index is not None:
            index = self._registers[operand.index]
            scaled = text.value(f"mul i64 {index}, {operand.scale}")
            address = text.value(f"add i64 {scaled}, {address}")
        if operand.base is not None:
            address = text.value(f"add i64 {self._registers[operand.base]}, {address}")
        helper = t.READ_USER if operand.space == "user" else t.READ_KERNEL
        value, status = self._read(helper, address, operand.size, operand.signed)
        self._count_unreadable(status)
        return value

    def _count_unreadable(self, status: str) -> None:
        text = self._text
        failed, on = text.name("unreadable"), text.name("readable")
        text.branch(text.value(f"icmp ne i64 {status}, 0"), failed, on)
        text.open(failed)
        text.add(text.at(self.control, 8 * Control.UNREADABLE), 1)
        text.jump(on)
        text.open(on)

    def _saved(self, operand: SavedRegister) -> str:
        text = self._text
        offset: int | str = self._offsets[operand.name]
        if operand.compat:
            other = self._offsets[operand.compat]
            offset = text.value(f"select i1 {self.compat()}, i64 {other}, i64 {offset}")
        address = text.value(f"add i64 {self._registers['arg0']}, {offset}")
        value = self.number(address, operand.size)
        if operand.forgotten is None:
            return value
        forgotten = text.value(f"icmp eq i64 {value}, -1")
        return text.value(f"select i1 {forgotten}, i64 {operand.forgotten}, i64 {value}")

    def compat(self) -> str:
        """Whether the system call is made as 32-bit programs make them, as an i1."""
        text = self._text
        task = text.call(t.CURRENT_TASK)
        word = self.number(self.member(task, Control.COMPAT_WORD))
        flag = text.value(f"and i64 {word}, {text.load(self.control, 8 * Control.COMPAT_FLAG)}")
        return text.value(f"icmp ne i64 {flag}, 0")

    def number(self, address: str, size: int = 4) -> str:
        """A number of `size` bytes in the kernel's memory; 0 if it cannot be read."""
        return self._read(t.READ_KERNEL, address, size, signed=True)[0]

    def _field(self, name: str, operand: TracepointField) -> str:
        text = self._text
        if not _direct(operand):
            address = text.value(f"ptrtoint ptr {text.at('%ctx', operand.offset)} to i64")
            return self._read(t.READ_KERNEL, address, operand.size, operand.signed)[0]
        value = self._registers[f"field {name}"]
        if operand.size == 8:
            return value
        extension = "sext" if operand.signed else "zext"
        return text.value(f"{extension} i{operand.size * 8} {value} to i64")

    def _read(self, helper: int, address: str, size: int, signed: bool) -> tuple[str, str]:
        text = self._text
        if not self._buffer:
            self._buffer = text.stack(8)
        text.store(0, self._buffer)
        result = self._call(helper, self._buffer, size, address)
        value = extend(text, text.load(self._buffer), size, signed)
        fault = text.value(f"icmp ne i64 {result}, 0")
        return (
            text.value(f"select i1 {fault}, i64 0, i64 {value}"),
            text.value(f"select i1 {fault}, i64 {FAULT}, i64 0"),
        )

    def _call(self, helper: int, destination: str, room: int, address: str) -> str:
        """Read memory.

        A page of the program that is not there yet (a constant that it never read itself) is
        brought in, where the program may sleep.
        """
        text = self._text
        arguments = (f"ptr {destination}", f"i32 {room}", f"i64 {address}")
        result = text.call(helper, *arguments)
        if not self._place.sleepable or helper not in (t.READ_USER, t.READ_USER_STR):
            return result
        slot, byte = text.stack(8), text.stack(8)
        text.store(result, slot)
        absent, done = text.name("absent"), text.name("present")
        text.branch(text.value(f"icmp slt i64 {result}, 0"), absent, done)
        text.open(absent)
        for offset in (0, room - 1):
            place = text.value(f"add i64 {address}, {offset}")
            text.call(t.COPY_FROM_USER, f"ptr {byte}", "i32 1", f"i64 {place}")
        text.store(text.call(helper, *arguments), slot)
        text.jump(done)
        text.open(done)
        return text.load(slot)

    # --- properties of the hit ----------------------------------------------------------------

    def _context(self, name: str) -> str:
        text = self._text
        match name:
            case "pid" | "tid":
                return self._numbers(name)
            case "uid":
                return text.value(f"and i64 {text.call(t.UID_GID)}, {0xFFFFFFFF}")
            case "gid":
                return text.value(f"lshr i64 {text.call(t.UID_GID)}, 32")
            case "cpu":
                return text.value(f"and i64 {text.call(t.CPU)}, {0xFFFFFFFF}")
            case "monotonic_ns":
                return text.call(t.KTIME)
            case "realtime_ns":
                offset = text.load(self.control, 8 * Control.REALTIME_OFFSET)
                return text.value(f"add i64 {self.value(Context('monotonic_ns'))}, {offset}")
            case _:
                return self._of_task(name)

    def _numbers(self, name: str) -> str:
        task = self._of() if self._place.task else ""
        return self.process(task) if name == "pid" else self.thread(task)

    # --- numbers of processes: the only place that knows about PID namespaces -----------------

    def thread(self, task: str = "") -> str:
        """The number of a thread, "" for the one that runs, in the namespace of the session.

        0 for one that is not in that namespace, nor in one below.
        """
        if self._place.nested:
            task = task or self._text.call(t.CURRENT_TASK)
            return self._number_of(self.follow(task, Control.THREAD_PID))
        if task:
            return self.number(self.member(task, Control.TASK_PID))
        return self._text.value(f"and i64 {self._text.call(t.PID_TGID)}, {LOW}")

    def process(self, task: str = "") -> str:
        """The number of a thread's process, as `thread` has it."""
        if self._place.nested:
            return self._pid_of("process", task or self._text.call(t.CURRENT_TASK))
        if task:
            return self.number(self.member(task, Control.TGID))
        return self._text.value(f"lshr i64 {self._text.call(t.PID_TGID)}, 32")

    def _pid_of(self, kind: str, task: str) -> str:
        """task->signal->pids[kind]."""
        signal = self.follow(task, Control.SIGNAL)
        pids = self._text.value(f"add i64 {signal}, {8 * PID_TYPES[kind]}")
        return self._number_of(self.follow(pids, Control.PIDS))

    def _number_of(self, pid: str) -> str:
        """pid->numbers[level].nr: level 0 is the first namespace, which has all processes."""
        text, numbers = self._text, self.member(pid, Control.NUMBERS)
        if not self._place.nested:
            return self.number(numbers)
        level = text.load(self.control, 8 * Control.NAMESPACE_LEVEL)
        place = text.value(f"add i64 {numbers}, {text.value(f'shl i64 {level}, {UPID_SHIFT}')}")
        owner = self.number(text.value(f"add i64 {place}, {UPID_NAMESPACE}"), 8)
        own = text.load(self.control, 8 * Control.NAMESPACE)
        deepest = self.number(self.member(pid, Control.PID_LEVEL))
        reaches = text.value(f"icmp sge i64 {deepest}, {level}")
        same = text.value(f"icmp eq i64 {owner}, {own}")
        inside = text.value(f"and i1 {reaches}, {same}")
        return text.value(f"select i1 {inside}, i64 {self.number(place)}, i64 0")

    def _user_mode(self) -> str:
        """Markers and functions with a machine are those of programs."""
        if not self._place.interrupted:
            return str(int(bool(self._place.machine)))
        register, mask, value = _MODES[self._place.machine]
        mode = self._text.value(f"and i64 {self._registers[register]}, {mask}")
        is_user = self._text.value(f"icmp eq i64 {mode}, {value}")
        return self._text.value(f"zext i1 {is_user} to i64")

    def _of_task(self, name: str) -> str:
        match name:
            case "user_mode":
                return self._user_mode()
            case "ppid" | "euid" | "egid":
                return self._task_member(name)
            case "pgrp" | "sid":
                return self._pid_of(name, self._of())
            case "task":
                return self._of()
            case _ if name in REGISTERS:
                return self._user_register(name)
            case _:
                raise UnsupportedCaptureError(f"context {name}")

    def _of(self) -> str:
        """The task of the hit."""
        if self._place.task:
            return self._argument(self._place.task)
        return self._text.call(t.CURRENT_TASK)

    def _user_register(self, name: str) -> str:
        """A register of the process: at a tracepoint that of where it entered the kernel.

        Read as memory, so that it need not be loaded in the entry block.
        """
        text = self._text
        registers = "%ctx"
        if self._place.task:
            return "0"  # of another task than the one that runs
        if not self._place.in_program:
            task = text.call(t.CURRENT_TASK_BTF, result="ptr")
            registers = text.call(t.TASK_REGISTERS, f"ptr {task}", result="ptr")
        offset = self._offsets[self._pointer if name == "ip" else name]
        address = text.value(f"ptrtoint ptr {text.at(registers, offset)} to i64")
        return self._read(t.READ_KERNEL, address, 8, signed=False)[0]

    def _task_member(self, name: str) -> str:
        if name == "ppid":
            return self.process(self.follow(self._of(), Control.REAL_PARENT))
        inner = Control.EUID if name == "euid" else Control.EGID
        owner = self.follow(self._of(), Control.CRED)
        return self._read(t.READ_KERNEL, self.member(owner, inner), 4, signed=False)[0]

    def follow(self, address: str, word: Control) -> str:
        """The pointer that is a member of a structure."""
        return self._read(t.READ_KERNEL, self.member(address, word), 8, signed=False)[0]

    def member(self, address: str, word: Control) -> str:
        """The address of a member of a structure."""
        offset = self._text.load(self.control, 8 * word)
        return self._text.value(f"add i64 {address}, {offset}")

    # --- strings ------------------------------------------------------------------------------

    def string(self, capture: Capture, destination: str, room: int) -> str:
        """Write a STRING capture, with its NUL, to `room` bytes.

        Returns how many bytes were written, or 0 if the memory could not be read.
        """
        text = self._text
        match capture:
            case Context(name="execname") if self._place.task:
                return self._read_string(
                    t.READ_KERNEL_STR,
                    destination,
                    min(room, COMM_BYTES),
                    self.member(self._of(), Control.COMM),
                )
            case Context(name="execname"):
                comm = text.stack(COMM_BYTES)
                text.call(t.COMM, f"ptr {comm}", f"i32 {COMM_BYTES}")
                address = text.value(f"ptrtoint ptr {comm} to i64")
                return self._read_string(
                    t.READ_KERNEL_STR, destination, min(room, COMM_BYTES), address
                )
            case Context(name="pexecname"):
                parent = self.follow(self._of(), Control.REAL_PARENT)
                return self._read_string(
                    t.READ_KERNEL_STR,
                    destination,
                    min(room, COMM_BYTES),
                    self.member(parent, Control.COMM),
                )
            case Context(name="command"):
                return self._command(destination, room)
            case Context(name="kernel_stack" | "user_stack" as name):
                stack = self._kernel_stack if name == "kernel_stack" else self._user_stack
                return stack(destination, room)
            case Context(name="memory"):
                assert self.note is not None, "the generator knows the slices"
                return self.note(destination)
            case Load(type=Value.STRING, space=space, address=address_capture):
                helper = t.READ_USER_STR if space == "user" else t.READ_KERNEL_STR
                address = self.value(address_capture)
                return self._read_string(helper, destination, room, address)
            case Argument(name=name):
                return self._string_argument(name, destination, room)
            case _:
                raise UnsupportedCaptureError(capture_text(capture))

    def _command(self, destination: str, room: int) -> str:
        """The memory from mm->arg_start to arg_end, with other bytes for the NULs in it."""
        text = self._text
        mm = self.follow(self._of(), Control.MM)
        start = self.follow(mm, Control.ARG_START)
        size = text.value(f"sub i64 {self.follow(mm, Control.ARG_END)}, {start}")
        fits = text.value(f"icmp ult i64 {size}, {room}")
        size = text.value(f"select i1 {fits}, i64 {size}, i64 {room}")
        text.call(t.READ_USER, f"ptr {destination}", f"i64 {size}", f"i64 {start}")
        self._mark_ends(destination, room)
        nothing = text.value(f"icmp eq i64 {size}, 0")
        written = text.value(f"select i1 {nothing}, i64 1, i64 {size}")
        last = text.value(f"and i64 {text.value(f'sub i64 {written}, 1')}, {room - 1}")
        text.emit(f"store i8 0, ptr {text.at(destination, last)}")
        return written

    def _mark_ends(self, destination: str, room: int) -> None:
        """Eight bytes at a time and without branches, which the verifier would all follow."""
        text = self._text
        counter = text.stack(8)
        text.store(0, counter)
        head, done = text.name("word"), text.name("words")
        text.jump(head)
        text.open(head)
        at = text.load(counter)
        word = text.load(destination, at)
        low = text.value(f"and i64 {word}, {_LOW_BITS}")
        high = text.value(f"or i64 {text.value(f'add i64 {low}, {_LOW_BITS}')}, {word}")
        other = text.value(f"or i64 {high}, {_LOW_BITS}")
        ends = text.value(f"lshr i64 {text.value(f'xor i64 {other}, -1')}, 7")
        marks = text.value(f"mul i64 {ends}, {MB_ARGUMENT_END}")
        text.store(text.value(f"or i64 {word}, {marks}"), destination, at)
        following = text.value(f"add i64 {at}, 8")
        text.store(following, counter)
        text.branch(text.value(f"icmp ult i64 {following}, {room}"), head, done)
        text.open(done)

    def _string_argument(self, name: str, destination: str, room: int) -> str:
        operand = self._operands[name]
        if not isinstance(operand, TracepointField) or not operand.array:
            raise UnsupportedCaptureError(f"string {name} at {operand}")
        text = self._text
        if operand.array == "char":
            address = text.value(f"ptrtoint ptr {text.at('%ctx', operand.offset)} to i64")
            size = min(room, operand.size + 1)
            return self._read_string(t.READ_KERNEL_STR, destination, size, address)
        where = text.value(f"ptrtoint ptr {text.at('%ctx', operand.offset)} to i64")
        location = self._read(t.READ_KERNEL, where, 4, False)[0]
        offset = text.value(f"and i64 {location}, 65535")
        if operand.array == "rel_loc":
            offset = text.value(f"add i64 {offset}, {operand.offset + 4}")
        base = text.value("ptrtoint ptr %ctx to i64")
        address = text.value(f"add i64 {base}, {offset}")
        return self._read_string(t.READ_KERNEL_STR, destination, room, address)

    def _kernel_stack(self, destination: str, room: int) -> str:
        """Where the probe is, return addresses as they are, and a byte behind them."""
        text = self._text
        most = room - 1 & ~7
        result = text.call(
            t.GET_STACK, "ptr %ctx", f"ptr {destination}", f"i32 {most}", "i64 0"
        )
        if self._place.kprobe and self._pointer == "rip":
            # the pointer has passed the breakpoint, or what ftrace does as if there were one
            text.store(text.value(f"sub i64 {text.load(destination)}, 1"), destination)
        fits = text.value(f"icmp ule i64 {result}, {most}")
        bytes_ = text.value(f"select i1 {fits}, i64 {result}, i64 0")
        return text.value(f"add i64 {bytes_}, 1")

    def _user_stack(self, destination: str, room: int) -> str:
        """Frames by frame pointers, then the stack's bytes, and a byte behind them.

        Page by page, since the stack may end before the room does, or have pages that nobody
        has touched yet.
        """
        text = self._text
        frames = text.at(destination, OFFSETS["mb_user_stack.frame"])
        found = text.call(
            t.GET_STACK, "ptr %ctx", f"ptr {frames}", f"i32 {8 * MB_USER_FRAMES}", "i64 256"
        )
        text.store(found, destination)
        pointer = self._user_register("rsp")
        bytes_ = text.at(destination, SIZES["mb_user_stack"])
        left = text.value(f"sub i64 {PAGE}, {text.value(f'and i64 {pointer}, {PAGE - 1}')}")
        offset, size, absent, written = "0", left, "0", str(SIZES["mb_user_stack"] + 1)
        for page in range((room - 1 - SIZES["mb_user_stack"]) // PAGE):
            address = text.value(f"add i64 {pointer}, {offset}")
            failed = text.call(
                t.READ_USER, f"ptr {text.at(bytes_, offset)}", f"i64 {size}", f"i64 {address}"
            )
            there = text.value(f"icmp eq i64 {failed}, 0")
            with_it = text.value(f"or i64 {absent}, {1 << page}")
            absent = text.value(f"select i1 {there}, i64 {absent}, i64 {with_it}")
            offset = text.value(f"add i64 {offset}, {size}")
            end = text.value(f"add i64 {offset}, {SIZES['mb_user_stack'] + 1}")
            written = text.value(f"select i1 {there}, i64 {end}, i64 {written}")
            size = str(PAGE)
        text.store(absent, destination, OFFSETS["mb_user_stack.absent"])
        return written

    def _read_string(self, helper: int, destination: str, room: int, address: str) -> str:
        text = self._text
        result = self._call(helper, destination, room, address)
        # Unsigned, so that a negative result is too large as well.
        fits = text.value(f"icmp ule i64 {result}, {room}")
        return text.value(f"select i1 {fits}, i64 {result}, i64 0")


def _direct(operand: TracepointField) -> bool:
    """Whether the verifier lets a program load the field from the context."""
    return (
        operand.offset >= 8
        and operand.size in (1, 2, 4, 8)
        and not (operand.offset % operand.size)
    )


def _stack_pages(limits: Limits) -> int:
    """How many pages of a stack are read; it begins anywhere in the first."""
    return -(-limits.maxuserstack // PAGE)


def string_room(capture: Capture, limits: Limits) -> int:
    """The bytes that a STRING capture can take, with its NUL."""
    assert capture_type(capture) is Value.STRING
    maximum = limits.maxstringlen
    match capture:
        case Context(name="command"):
            return min(COMMAND_BYTES, 1 << maximum.bit_length() - 1)
        case Context(name="kernel_stack"):
            return STACK_BYTES + 1
        case Context(name="memory"):
            return MB_MEMORY_BYTES + NOTES_BYTES
        case Context(name="user_stack"):
            return SIZES["mb_user_stack"] + PAGE * _stack_pages(limits) + 1
        case Context():
            return min(COMM_BYTES, maximum)
        case Load(limit=int(limit)):
            return min(limit + 1, maximum)
        case Load(space="user"):
            return maximum - 1
        case _:
            return maximum


def contexts(captures: tuple[Capture, ...]) -> frozenset[str]:
    """The names of the contexts that captures use."""
    found: set[str] = set()
    for capture in captures:
        match capture:
            case Context(name=name):
                found.add(name)
            case Computed(left=left, right=right):
                found |= contexts((left, right))
            case Load(address=address):
                found |= contexts((address,))
            case _:
                pass
    return frozenset(found)


def reads_user_memory(captures: tuple[Capture, ...]) -> bool:
    """Whether a capture reads memory of the traced program."""
    return any(
        capture.space == "user" or reads_user_memory((capture.address,))
        for capture in captures
        if isinstance(capture, Load)
    )
