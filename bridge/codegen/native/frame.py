"""The native target's side of one function: signature, frame, and how it calls the run time.

A STRING register is a *view* when nothing but constants, captures, unassigned parameters and
other views are ever put into it: then it is a pointer. Else it is a buffer of MAXSTRINGLEN
bytes in a frame of the session's own stack. The rule: no string is allocated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from bridge.codegen.native import runtime
from bridge.ir import ops
from bridge.ir.program import Reg, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bridge.artifact import RecordLayout
    from bridge.codegen.llvm import Emitter
    from bridge.ir.program import Capture, Function, IrProgram

    Emit = Callable[["NativeBackend", Emitter, Any], None]

KEYS = "%keys"
"""The array of keys of the operation at hand."""


class Role(Enum):
    """What a native function is called as."""

    HANDLER = "handler"
    CONDITION = "condition"
    FUNCTION = "function"


def destinations(op: ops.Op | ops.Terminator) -> Iterable[Reg]:
    """The registers that an operation assigns."""
    if isinstance(op, ops.IterNext):
        return op.keys if op.value is None else (*op.keys, op.value)
    dest = getattr(op, "dest", None)
    return () if dest is None else (dest,)


def views(function: Function) -> frozenset[Reg]:
    """The STRING registers that can be pointers to text that stays as it is."""
    parameters = {Reg(n) for n in range(function.parameters)}
    strings = {Reg(n) for n, t in enumerate(function.registers) if t is Value.STRING}
    found = set(strings)
    operations = [op for block in function.blocks for op in (*block.ops, block.terminator)]
    while True:
        bad = set()
        for op in operations:
            match op:
                case ops.ConstString() | ops.Capture():
                    steady = True
                case ops.Copy(source=source):
                    steady = source in found
                case _:
                    steady = False
            bad |= {d for d in destinations(op) if not steady or d in parameters}
        if not bad & found:
            return frozenset(found)
        found -= bad


@dataclass(slots=True)
class NativeBackend:
    """One function being compiled for this machine.

    `patterns` numbers the regular expressions of the program; `used` collects the run-time
    functions that must be declared.
    """

    program: IrProgram
    role: Role
    function: Function
    table: Mapping[type, Emit]
    patterns: dict[bytes, int]
    used: set[str]
    captures: tuple[Capture, ...] = ()
    layout: RecordLayout | None = None
    views: frozenset[Reg] = frozenset()
    operations: Mapping[type, Callable[[Emitter, Any], None]] = field(default_factory=dict)
    _temporaries: int = 0
    _argument_slots: int = 1
    _buffers: dict[Reg, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Bind the table and lay out the frame's registers."""
        self.views = views(self.function)
        self.operations = {kind: partial(emit, self) for kind, emit in self.table.items()}
        for number, type_ in enumerate(self.function.registers):
            if type_ is Value.STRING and Reg(number) not in self.views:
                self._buffers[Reg(number)] = len(self._buffers)

    # --- the protocol of bridge.codegen.llvm --------------------------------------------------

    def signature(self, e: Emitter) -> str:
        """Session, then the record of a handler, or the result and the parameters."""
        parameters = ["ptr %session"]
        if self.role is Role.HANDLER:
            parameters.append("ptr %record")
        else:
            parameters.append("ptr %result")
            types = self.function.registers[: self.function.parameters]
            parameters += [f"{llvm_type(t)} %p{n}" for n, t in enumerate(types)]
        linkage = "internal " if self.role is Role.FUNCTION else ""
        return f"{linkage}i32 @{e.name}({', '.join(parameters)}) nounwind"

    def prologue(self, e: Emitter) -> None:
        """Make the frame, and put the parameters into their registers."""
        e.entry.append(f"  {KEYS} = alloca [9 x i64], align 8")
        e.entry.append(f"  %args = alloca [{self._argument_slots} x i64], align 8")
        self._enter(e)
        for reg in sorted(self.views):
            e.entry.append(f"  %v{reg} = alloca ptr, align 8")
            e.emit(f"store ptr {e.constant(b'')}, ptr %v{reg}")
        for reg in self._buffers:
            e.emit(f"store i8 0, ptr {self.buffer(reg)}")
        for number in range(self.function.parameters):
            self._take_parameter(e, Reg(number))

    def raise_error(self, e: Emitter, site: int | None, message: bytes) -> None:
        """Leave a constant message in the session."""
        self.call(e, "mb_raise", "%session", site_number(site), e.constant(message))

    def error_exit(self, e: Emitter) -> None:
        """Leave with what the session says: an error, or one that nothing catches."""
        raised = self.field(e, "i32", runtime.RAISED_OFFSET)
        self.leave(e, raised)

    # --- the frame ----------------------------------------------------------------------------

    @property
    def capacity(self) -> int:
        """The bytes of a string register, a multiple of 8."""
        return -(-self.program.limits.maxstringlen // 8) * 8

    @property
    def _frame_bytes(self) -> int:
        return self.capacity * (len(self._buffers) + self._temporaries)

    def _enter(self, e: Emitter) -> None:
        size = self._frame_bytes
        if self.role is not Role.HANDLER:
            # The call's own site is filled in where the error passes it.
            nowhere = str(runtime.NO_SITE)
            self.call_named(e, "%frame", "mb_enter", "%session", str(size), nowhere)
        elif size:
            self.call_named(e, "%frame", "mb_enter_handler", "%session", str(size))
        else:
            return
        e.branch(e.value("icmp eq ptr %frame, null"), "too_deep", "entered")
        e.start("too_deep")
        e.emit(f"ret i32 {runtime.RAISED}")
        e.start("entered")
        for number in range(len(self._buffers) + self._temporaries):
            e.emit(f"%s{number} = getelementptr i8, ptr %frame, i64 {number * self.capacity}")

    def leave(self, e: Emitter, status: str) -> None:
        """End the block and the function."""
        if self.role is not Role.HANDLER:
            self.call(e, "mb_leave", "%session", "%frame")
        e.emit(f"ret i32 {status}")

    def _take_parameter(self, e: Emitter, reg: Reg) -> None:
        if e.type(reg) is Value.LONG:
            e.set(reg, f"%p{reg}")
        elif reg in self.views:
            e.emit(f"store ptr %p{reg}, ptr %v{reg}")
        else:
            self.copy_text(e, self.buffer(reg), f"%p{reg}")

    def temporary(self) -> str:
        """A buffer of the frame that no register has."""
        self._temporaries += 1
        return f"%s{len(self._buffers) + self._temporaries - 1}"

    def field(self, e: Emitter, kind: str, offset: int) -> str:
        """Load from the head of the session."""
        at = e.value(f"getelementptr i8, ptr %session, i64 {offset}")
        return e.value(f"load {kind}, ptr {at}")

    # --- strings ------------------------------------------------------------------------------

    def buffer(self, reg: Reg) -> str:
        """The bytes of a register that is not a view."""
        return f"%s{self._buffers[reg]}"

    def text(self, e: Emitter, reg: Reg) -> str:
        """A pointer to the text of a STRING register."""
        if reg in self.views:
            return e.value(f"load ptr, ptr %v{reg}")
        return self.buffer(reg)

    def set_text(self, e: Emitter, reg: Reg, text: str) -> None:
        """A STRING register = text that stays where it is if the register is a view."""
        if reg in self.views:
            e.emit(f"store ptr {text}, ptr %v{reg}")
        else:
            self.copy_text(e, self.buffer(reg), text)

    def copy_text(self, e: Emitter, dest: str, text: str) -> None:
        """Copy a string, cut to its capacity."""
        self.call(e, "mb_string_copy", "%session", dest, text)

    # --- calls --------------------------------------------------------------------------------

    def call(self, e: Emitter, name: str, *arguments: str) -> str:
        """Call a run-time function; its result's name, "" if it has none."""
        if runtime.signature(name)[0] == "void":
            e.emit(self._call_text(name, arguments))
            return ""
        return e.value(self._call_text(name, arguments))

    def call_named(self, e: Emitter, result: str, name: str, *arguments: str) -> None:
        """Call a run-time function, and give its result this name."""
        e.emit(f"{result} = {self._call_text(name, arguments)}")

    def call_checked(self, e: Emitter, name: str, *arguments: str) -> None:
        """Call one that may leave an error, and follow the error edge if it did."""
        status = self.call(e, name, *arguments)
        e.leave_if(e.value(f"icmp ne i32 {status}, 0"))

    def _call_text(self, name: str, arguments: Sequence[str]) -> str:
        self.used.add(name)
        result, types = runtime.signature(name)
        pairs = ", ".join(f"{t} {a}" for t, a in zip(types, arguments, strict=True))
        return f"call {result} @{name}({pairs})"

    # --- lists of values ----------------------------------------------------------------------

    def slot_value(self, e: Emitter, reg: Reg) -> str:
        """A register as 8 bytes: the number, or a pointer to the text."""
        if e.type(reg) is Value.LONG:
            return e.get(reg)
        return e.value(f"ptrtoint ptr {self.text(e, reg)} to i64")

    def keys(self, e: Emitter, keys: Sequence[Reg | None]) -> str:
        """Store keys where the run time reads them."""
        self._store_slots(e, KEYS, keys)
        return KEYS

    def arguments(self, e: Emitter, arguments: Sequence[Reg]) -> str:
        """Store arguments where the run time reads them."""
        self._argument_slots = max(self._argument_slots, len(arguments))
        self._store_slots(e, "%args", arguments)
        return "%args"

    def _store_slots(self, e: Emitter, base: str, registers: Sequence[Reg | None]) -> None:
        for number, reg in enumerate(registers):
            if reg is not None:
                value = self.slot_value(e, reg)
                at = e.value(f"getelementptr i64, ptr {base}, i64 {number}")
                e.emit(f"store i64 {value}, ptr {at}")

    # --- globals ------------------------------------------------------------------------------

    def global_slot(self, e: Emitter, variable: int) -> str:
        """Where a global's 8 bytes are: its value, or a pointer to what it is."""
        slots = self.field(e, "ptr", runtime.GLOBALS_OFFSET)
        return e.value(f"getelementptr i64, ptr {slots}, i64 {variable}")

    def global_pointer(self, e: Emitter, variable: int) -> str:
        """A global that is an array, a statistic or a string."""
        return e.value(f"load ptr, ptr {self.global_slot(e, variable)}")


def llvm_type(value: Value) -> str:
    """The LLVM type of a parameter."""
    return "i64" if value is Value.LONG else "ptr"


def site_number(site: int | None) -> str:
    """An error site as an operand."""
    return str(runtime.NO_SITE if site is None else site)


def mask_of(keys: Sequence[Reg | None]) -> str:
    """A bit for every key that is given."""
    return str(sum(1 << n for n, key in enumerate(keys) if key is not None))
