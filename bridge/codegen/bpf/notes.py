"""Slices of handlers in a BPF program: they note the memory that the handlers will read.

A slice (`ir.slicing`) becomes a function that bpf_loop calls: each call is a step, which ends
where a loop goes back. Its registers, and where it goes on, are in memory behind the notes,
since the verifier follows what stands in BPF's registers through every step. One rule: what has
no room is left out with a mark, so that the handler's read of it is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.codegen.bpf import text as t
from bridge.codegen.bpf.captures import NOTES_BYTES
from bridge.codegen.bpf.text import SECTION
from bridge.codegen.llvm import Emitter, lower_function
from bridge.declared import (
    MB_MEMORY_ABSENT,
    MB_MEMORY_BYTES,
    MB_MEMORY_CUT,
    MB_MEMORY_TEXT,
    OFFSETS,
    SIZES,
)
from bridge.errors import HostError
from bridge.ir import ops
from bridge.ir.passes.captures import NUMBERS, STRINGS
from bridge.ir.program import Load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.codegen.bpf.captures import Captures
    from bridge.codegen.bpf.text import ProgramText
    from bridge.ir.program import Limits
    from bridge.ir.slicing import Slice

PIECE_BYTES = SIZES["mb_memory_piece"]
_ADDRESS, _LENGTH = (OFFSETS[f"mb_memory_piece.{name}"] for name in ("address", "length"))
_POSITION, _STATE = 0, 8
"""Behind the notes: how many bytes of them there are, and the registers, the first of which is
where the slice goes on."""
STEPS_PER_STATEMENT = 4
MOST_TEXT = MB_MEMORY_BYTES // 2
MOST_STEPS = 1 << 23
"""What bpf_loop does at most."""


@dataclass(frozen=True, slots=True)
class SliceStep:
    """The step function of one slice: its name and its text."""

    name: str
    text: str


def steps_of(program: str, slices: Sequence[Slice], limits: Limits) -> list[SliceStep]:
    """The step functions of a program; HostError if one has too many registers."""
    if limits.maxstringlen > MOST_TEXT:
        raise HostError(
            f"with strings of {limits.maxstringlen} bytes (MAXSTRINGLEN) a hit cannot bring"
            " what its handler reads at computed addresses",
            f"make MAXSTRINGLEN at most {MOST_TEXT}",
        )
    steps = []
    for number, slice_ in enumerate(slices):
        if _inputs(slice_) + 16 * len(slice_.captures) > NOTES_BYTES:
            raise HostError(
                f"{slice_.body.name} needs more than {NOTES_BYTES // 8} values to know what the"
                " handler reads of the kernel",
                "write a smaller handler",
            )
        name = f"{program}_s{number}"
        backend = _Backend(slice_, limits.maxstringlen)
        steps.append(SliceStep(name, lower_function(slice_.body, name, backend, "%registers")))
    return steps


def _inputs(slice_: Slice) -> int:
    """Where the captures are, behind the registers: value and status of each."""
    return _STATE + 8 * max(1, len(slice_.body.registers))


def note(
    text: ProgramText,
    captures: Captures,
    slices: Sequence[Slice],
    limits: Limits,
    destination: str,
) -> str:
    """Run the slices; how many bytes they noted, and one more."""
    area = text.at(destination, MB_MEMORY_BYTES)
    context = text.stack(8)
    text.store(0, area, _POSITION)
    for number, slice_ in enumerate(slices):
        _prepare(text, captures, slice_, area)
        text.emit(f"store ptr {destination}, ptr {context}, align 8")
        step = text.map(number, t.FUNCTION)
        most = min(STEPS_PER_STATEMENT * limits.maxaction, MOST_STEPS)
        text.call(t.LOOP, f"i32 {most}", f"ptr {step}", f"ptr {context}", "i64 0")
    noted = text.load(area, _POSITION)
    fits = text.value(f"icmp ule i64 {noted}, {MB_MEMORY_BYTES}")
    bytes_ = text.value(f"select i1 {fits}, i64 {noted}, i64 0")
    return text.value(f"add i64 {bytes_}, 1")


def _prepare(text: ProgramText, captures: Captures, slice_: Slice, area: str) -> None:
    """Registers are 0 at first. A read of kernel memory that fails clears where it would go."""
    state = text.at(area, _STATE)
    size = _inputs(slice_) - _STATE
    text.call(t.READ_KERNEL, f"ptr {state}", f"i32 {size}", "i64 0")
    at = _inputs(slice_)
    for capture in slice_.captures:
        value, status = captures.with_status(capture)
        text.store(value, area, at)
        text.store(status, area, at + 8)
        at += 16


class _Backend:
    """The operations that slices have."""

    def __init__(self, slice_: Slice, maximum: int) -> None:
        self._slice = slice_
        self._text_room = maximum
        self.operations: Mapping[type, Callable[[Emitter, Any], None]] = {
            ops.Capture: self._capture,
            ops.CallBuiltin: self._read,
            ops.Return: self._return,
        }

    def signature(self, e: Emitter) -> str:
        """As bpf_loop calls it: the number of the step, and what was given to it."""
        return f'i64 @{e.name}(i64 %number, ptr %given) #0 section "{SECTION}{e.name}"'

    def prologue(self, e: Emitter) -> None:
        """Go on where the step before has ended."""
        e.entry[:0] = [
            "  %notes = load ptr, ptr %given, align 8",
            f"  %area = getelementptr i8, ptr %notes, i64 {MB_MEMORY_BYTES}",
            f"  %registers = getelementptr i8, ptr %area, i64 {_STATE}",
        ]
        state = e.value("load volatile i64, ptr %registers, align 8")
        heads = " ".join(
            f"i64 {number}, label %b{head}" for number, head in enumerate(self._slice.heads)
        )
        e.emit(f"switch i64 {state}, label %b0 [{heads}]")
        e.start("never")

    def raise_error(self, e: Emitter, site: int | None, message: bytes) -> None:
        """The handler will raise it."""

    def error_exit(self, e: Emitter) -> None:
        """The end of the handler."""
        e.emit("ret i64 1")

    def _return(self, e: Emitter, op: ops.Return) -> None:
        if op.value is None:
            e.emit("ret i64 1")
            return
        e.emit(f"store volatile i64 {e.get(op.value)}, ptr %registers, align 8")
        e.emit("ret i64 0")

    def _capture(self, e: Emitter, op: ops.Capture) -> None:
        at = _inputs(self._slice) + 16 * op.index
        value, status = (_load(e, "%area", at + offset) for offset in (0, 8))
        e.set(op.dest, value)
        if isinstance(self._slice.captures[op.index], Load):
            e.leave_if(e.value(f"icmp ne i64 {status}, 0"))

    # --- reads --------------------------------------------------------------------------------

    def _read(self, e: Emitter, op: ops.CallBuiltin) -> None:
        is_text = op.name in STRINGS
        room = (self._text_room + 7) & ~7 if is_text else 8
        piece = self._piece(e, room)
        address = e.get(op.arguments[0])
        data = _at(e, piece, PIECE_BYTES)
        _store(e, address, piece, _ADDRESS)
        if is_text:
            self._note_text(e, op, piece, data, address)
        else:
            self._note_number(e, op, piece, data, address)

    def _piece(self, e: Emitter, room: int) -> str:
        """The next piece, of at most `room` bytes; a mark and the end if there is no place."""
        position = _load(e, "%area", _POSITION)
        most = MB_MEMORY_BYTES - room - 2 * PIECE_BYTES
        full, on = e.label("full"), e.label("place")
        e.branch(e.value(f"icmp ugt i64 {position}, {most}"), full, on)
        e.start(full)
        self._mark_end(e, position)
        e.start(on)
        return _at(e, "%notes", position)

    def _mark_end(self, e: Emitter, position: str) -> None:
        """Room for it is kept behind every piece."""
        mark, out = e.label("mark"), e.label("out")
        last = MB_MEMORY_BYTES - PIECE_BYTES
        e.branch(e.value(f"icmp ugt i64 {position}, {last}"), out, mark)
        e.start(mark)
        piece = _at(e, "%notes", position)
        _store(e, "0", piece, _ADDRESS)
        _store(e, str(MB_MEMORY_CUT << 32), piece, _LENGTH)
        _store(e, e.value(f"add i64 {position}, {PIECE_BYTES}"), "%area", _POSITION)
        e.jump(out)
        e.start(out)
        e.emit("ret i64 1")

    def _note_number(
        self, e: Emitter, op: ops.CallBuiltin, piece: str, data: str, address: str
    ) -> None:
        space, size, signed = NUMBERS[op.name]
        helper = t.READ_USER if space == "user" else t.READ_KERNEL
        _store(e, "0", data, 0)
        result = _call(e, helper, f"ptr {data}", f"i32 {size}", f"i64 {address}")
        fault = e.value(f"icmp ne i64 {result}, 0")
        absent = e.value(f"select i1 {fault}, i64 {MB_MEMORY_ABSENT << 32}, i64 0")
        _store(e, e.value(f"or i64 {absent}, {size}"), piece, _LENGTH)
        self._advance(e, PIECE_BYTES + 8)
        if op.dest is not None:
            e.set(op.dest, _extended(e, _load(e, data, 0), size, signed=signed))
        e.leave_if(fault)

    def _note_text(
        self, e: Emitter, op: ops.CallBuiltin, piece: str, data: str, address: str
    ) -> None:
        helper = t.READ_USER_STR if STRINGS[op.name] == "user" else t.READ_KERNEL_STR
        room = str(self._text_room)  # with the NUL
        if len(op.arguments) > 1:
            wanted = e.get(op.arguments[1])
            less = e.value(f"icmp ult i64 {wanted}, {self._text_room - 1}")
            wanted = e.value(f"select i1 {less}, i64 {wanted}, i64 {self._text_room - 1}")
            room = e.value(f"add i64 {wanted}, 1")
        result = _call(e, helper, f"ptr {data}", f"i64 {room}", f"i64 {address}")
        whole = e.value(f"icmp ult i64 {result}, {room}")
        absent = e.value(f"icmp ugt i64 {result}, {self._text_room}")
        # without its NUL, if that may stand where there was no room for more
        cut = e.value(f"sub i64 {result}, 1")
        length = e.value(f"select i1 {whole}, i64 {result}, i64 {cut}")
        length = e.value(f"select i1 {absent}, i64 0, i64 {length}")
        flags = e.value(f"select i1 {whole}, i64 {MB_MEMORY_TEXT << 32}, i64 0")
        flags = e.value(f"select i1 {absent}, i64 {MB_MEMORY_ABSENT << 32}, i64 {flags}")
        _store(e, e.value(f"or i64 {length}, {flags}"), piece, _LENGTH)
        padded = e.value(f"and i64 {e.value(f'add i64 {length}, 7')}, -8")
        self._advance(e, e.value(f"add i64 {padded}, {PIECE_BYTES}"))
        e.leave_if(absent)

    def _advance(self, e: Emitter, by: int | str) -> None:
        position = _load(e, "%area", _POSITION)
        _store(e, e.value(f"add i64 {position}, {by}"), "%area", _POSITION)


# --- small pieces -----------------------------------------------------------------------------


def _at(e: Emitter, pointer: str, offset: int | str) -> str:
    return e.value(f"getelementptr i8, ptr {pointer}, i64 {offset}")


def _load(e: Emitter, pointer: str, offset: int) -> str:
    return e.value(f"load volatile i64, ptr {_at(e, pointer, offset)}, align 8")


def _store(e: Emitter, value: str, pointer: str, offset: int) -> None:
    e.emit(f"store volatile i64 {value}, ptr {_at(e, pointer, offset)}, align 8")


def _call(e: Emitter, helper: int, *arguments: str) -> str:
    return e.value(f"call i64 inttoptr (i64 {helper} to ptr)({', '.join(arguments)})")


def _extended(e: Emitter, value: str, size: int, *, signed: bool) -> str:
    """Its low bytes, extended to 64 bits."""
    if size >= 8:
        return value
    bits = 64 - 8 * size
    high = e.value(f"shl i64 {value}, {bits}")
    return e.value(f"{'ashr' if signed else 'lshr'} i64 {high}, {bits}")
