"""LLVM IR text of one BPF program, line by line.

Values are strings: `%t3`, or a number. One rule: only constructs that the BPF back end lowers
without a call come out of here, because a back-end error ends the process.
"""

from __future__ import annotations

HEADER = """target triple = "bpfel"
target datalayout = "e-m:e-p:64:64-i64:64-i128:128-n32:64-S128"
declare i64 @llvm.bpf.pseudo(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
attributes #0 = { nounwind "no-jump-tables"="true" }
"""

LOOKUP, UPDATE, DELETE = 1, 2, 3
TAIL_CALL = 12
PERF_OUTPUT = 25
KTIME, PID_TGID, UID_GID, COMM, CPU = 5, 14, 15, 16, 8
CURRENT_TASK = 35
CURRENT_TASK_BTF, TASK_REGISTERS = 158, 175
GET_STACK = 67
COPY_FROM_USER = 148
FUNC_IP, COOKIE = 173, 174
FUNC_ARG, FUNC_RESULT = 183, 184
READ_USER, READ_KERNEL, READ_USER_STR, READ_KERNEL_STR = 112, 113, 114, 115
SEND_SIGNAL_THREAD = 117
LOOP = 181
RING_OUTPUT, RING_RESERVE, RING_SUBMIT = 130, 131, 132
"""Numbers of BPF helpers (enum bpf_func_id)."""

SECTION = ".bpf."
"""What the name of a function's section starts with."""

NO_WAKEUP = 1
THIS_CPU = 0xFFFFFFFF
"""BPF_F_CURRENT_CPU: the buffer of the CPU that runs the program."""
MAP_FD, MAP_VALUE, FUNCTION = 1, 2, 4
"""What a reference in the code means: a map, the address of its first value, a function."""


class ProgramText:
    """A function being written; knows which block it is in."""

    def __init__(self, prefix: str = "t") -> None:
        self.lines: list[str] = []
        self.allocas: list[str] = []
        self.block = "entry"
        self._prefix = prefix
        self._next = 0

    def name(self, word: str = "") -> str:
        """A fresh name, without sigil."""
        self._next += 1
        return f"{word or self._prefix}{self._next}"

    def emit(self, line: str) -> None:
        """An instruction without a result."""
        self.lines.append(f"  {line}")

    def value(self, operation: str) -> str:
        """An instruction with a result, which is returned."""
        name = f"%{self.name()}"
        self.lines.append(f"  {name} = {operation}")
        return name

    def open(self, label: str) -> None:
        """Start a block."""
        self.lines.append(f"{label}:")
        self.block = label

    def jump(self, label: str) -> None:
        """End the block."""
        self.emit(f"br label %{label}")

    def branch(self, condition: str, then: str, orelse: str) -> None:
        """End the block with an i1 condition."""
        self.emit(f"br i1 {condition}, label %{then}, label %{orelse}")

    def require(self, condition: str) -> None:
        """Leave the program (the block `out` ends it) unless an i1 is true."""
        on = self.name("on")
        self.branch(condition, on, "out")
        self.open(on)

    def stack(self, size: int) -> str:
        """`size` bytes of the program's stack, of 512 in all."""
        name = f"%{self.name('s')}"
        self.allocas.append(f"  {name} = alloca [{size} x i8], align 8")
        return name

    def at(self, pointer: str, offset: int | str) -> str:
        """A pointer, moved by a number of bytes."""
        if offset == 0:
            return pointer
        return self.value(f"getelementptr i8, ptr {pointer}, i64 {offset}")

    def load(self, pointer: str, offset: int | str = 0, type_: str = "i64") -> str:
        """Memory at pointer + offset."""
        return self.value(f"load {type_}, ptr {self.at(pointer, offset)}, align 8")

    def store(self, value: str | int, pointer: str, offset: int | str = 0) -> None:
        """Store 64 bits at pointer + offset."""
        self.emit(f"store i64 {value}, ptr {self.at(pointer, offset)}, align 8")

    def zero(self, pointer: str, size: int) -> None:
        """Clear `size` bytes, a multiple of 8."""
        self.emit(
            f"call void @llvm.memset.p0.i64(ptr align 8 {pointer}, i8 0, i64 {size}, i1 false)"
        )

    def map(self, number: int, kind: int = MAP_FD) -> str:
        """A reference to map `number`; MAP_VALUE gives the address of its first value."""
        return self.value(
            f"inttoptr i64 {self.value(f'call i64 @llvm.bpf.pseudo(i64 {kind}, i64 {number})')}"
            " to ptr"
        )

    def call(self, helper: int, *arguments: str, result: str = "i64") -> str:
        """Call a BPF helper; arguments carry their types."""
        joined = ", ".join(arguments)
        return self.value(f"call {result} inttoptr (i64 {helper} to ptr)({joined})")

    def add(self, pointer: str, amount: str | int) -> None:
        """Add to 64 bits of memory that other CPUs may add to."""
        self.emit(f"atomicrmw add ptr {pointer}, i64 {amount} monotonic")

    def function(self, name: str, entry: list[str]) -> str:
        """The whole function, in a section of its own; `entry` comes after the allocas."""
        body = "\n".join([*self.allocas, *entry, *self.lines])
        head = f'define i64 @{name}(ptr %ctx) #0 section "{SECTION}{name}"'
        return f"{head} {{\nentry:\n{body}\n}}\n"
