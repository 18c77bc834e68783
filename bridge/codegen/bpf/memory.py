"""The program that reads the kernel's memory when user space asks (csrc/live/kernel_reader.h).

It is run with an address and a number of bytes as the arguments of a tracepoint, and leaves the
bytes in a map that user space has in its memory. One rule: it is attached nowhere.
"""

from __future__ import annotations

from bridge.codegen.bpf import text as t
from bridge.codegen.bpf.captures import Captures, ProbeContext
from bridge.codegen.bpf.compile import compile_programs
from bridge.codegen.bpf.object import (
    CONTROL_WORDS,
    MAPPABLE,
    Attach,
    BpfObject,
    BpfProgram,
    MapSpec,
    MapType,
)
from bridge.codegen.bpf.text import ProgramText
from bridge.declared import OFFSETS, SIZES
from bridge.ir.program import Argument, Context, Value
from bridge.markers import RawArgument

NAME = "mb_read_kernel"
CONTROL, SHARED = 0, 1
"""The numbers of its maps."""
SHARED_BYTES = SIZES["mb_kernel_read"]
_RESULT, _TASK, _BYTES = (
    OFFSETS[f"mb_kernel_read.{field}"] for field in ("result", "task", "bytes")
)
_MOST = SHARED_BYTES - _BYTES
_ADDRESS, _SIZE = "#address", "#size"


def reader() -> BpfObject:
    """The program with its maps."""
    program = BpfProgram(NAME, -1, Attach.NOWHERE, compile_programs({NAME: _text()})[NAME])
    control = MapSpec("control", MapType.ARRAY, 4, 8 * CONTROL_WORDS, 1, MAPPABLE)
    shared = MapSpec("memory", MapType.ARRAY, 4, SHARED_BYTES, 1, MAPPABLE)
    return BpfObject(maps=(control, shared), programs=(program,), control=CONTROL)


def _text() -> str:
    text = ProgramText()
    shared = text.map(SHARED, t.MAP_VALUE)
    operands = {_ADDRESS: RawArgument(0), _SIZE: RawArgument(1)}
    captures = Captures(text, ProbeContext(operands), text.map(CONTROL, t.MAP_VALUE))
    address = captures.value(Argument(_ADDRESS, Value.LONG))
    size = text.value(f"and i64 {captures.value(Argument(_SIZE, Value.LONG))}, {_MOST - 1}")
    destination = text.at(shared, _BYTES)
    size = text.value(f"trunc i64 {size} to i32")
    result = text.call(t.READ_KERNEL, f"ptr {destination}", f"i32 {size}", f"i64 {address}")
    text.store(result, shared, _RESULT)
    text.store(captures.value(Context("task")), shared, _TASK)
    text.emit("ret i64 0")
    return text.function(NAME, captures.entry)
