"""Built-ins that read memory: of the process that was hit, or ours if no hit is handled.

What is read of the kernel's at a hit the hit brings with it (`notes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bridge.interpreter.faults import ScriptError
from bridge.interpreter.text import buffer_quoted, int32
from bridge.ir.arithmetic import MASK, wrap
from bridge.ir.program import FAULT_ADDRESS, Literal, Load, Value, fault_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.interpreter.machine import IrMachine, Item

_QUOTED = f"Unable to access {{}} space data at {FAULT_ADDRESS}"
_HIGH, _LOW, _BEYOND = range(0xD800, 0xDC00), range(0xDC00, 0xE000), 0x110000
"""The two halves of surrogate pairs; the first number that is no character."""


def _fault(text: str, address: int) -> ScriptError:
    return ScriptError(text.replace(FAULT_ADDRESS, f"{address & MASK:#x}"))


def _unread(machine: IrMachine, text: str, address: int) -> ScriptError:
    """A fault, or that the hit does not bring the memory."""
    notes = machine.session.notes()
    if notes is None or notes.is_absent(address & MASK):
        return _fault(text, address)
    room = ": there was no room for more" if notes.is_cut else ""
    return _fault(f"the memory at {FAULT_ADDRESS} was not read at the hit{room}", address)


@dataclass(frozen=True, slots=True)
class _Space:
    """Whose memory is read, and what is said when it is not there."""

    name: str
    fault: str
    spare: int
    """How much less than MAXSTRINGLEN a string has."""

    def read(self, machine: IrMachine, address: int, size: int) -> bytes:
        return machine.session.read(address, size, self.name == "kernel")

    def exactly(self, machine: IrMachine, address: int, size: int, text: str) -> bytes:
        data = self.read(machine, address, size)
        if len(data) < size:
            raise _unread(machine, text, address)
        return data


_USER = _Space("user", fault_text(Load("user", Value.STRING, Literal(0))), 2)
_KERNEL = _Space("kernel", fault_text(Load("kernel", Value.STRING, Literal(0))), 1)


def _number(space: _Space, size: int, *, signed: bool = True) -> Callable[..., Item]:
    load = Load(space.name, Value.LONG, Literal(0), size=size, signed=signed)
    text = fault_text(load)

    def read(machine: IrMachine, address: int) -> int:
        data = space.exactly(machine, address, size, text)
        return wrap(int.from_bytes(data, "little", signed=signed))

    return read


# --- strings ----------------------------------------------------------------------------------


def _text(space: _Space, machine: IrMachine, address: int, most: int) -> bytes:
    """Up to a NUL, at most `most` bytes; of user memory one less than fits into a string."""
    if most <= 0 or most == MASK >> 1:
        return b""
    room = min(most, machine.session.program.limits.maxstringlen - space.spare)
    data = space.read(machine, address, room)
    text, end, _ = data.partition(b"\0")
    if not end and len(data) < room:
        raise _unread(machine, space.fault, address)
    return text


def _string_n(space: _Space) -> Callable[..., Item]:
    return partial(_text, space)


def _string(space: _Space) -> Callable[..., Item]:
    def read(machine: IrMachine, address: int) -> bytes:
        return _text(space, machine, address, machine.session.program.limits.maxstringlen)

    return read


def _wide_string(space: _Space, unit: int) -> Callable[..., Item]:
    """UTF-16 or UTF-32 as UTF-8; a surrogate without its partner is no character."""
    fault = space.fault.replace(" -14", "")

    def code_at(machine: IrMachine, address: int) -> int:
        return int.from_bytes(space.exactly(machine, address, unit, fault), "little")

    def read(machine: IrMachine, address: int) -> bytes:
        text, room = b"", machine.session.program.limits.maxstringlen - 1
        while len(text) < room and (code := code_at(machine, address)):
            if unit == 2 and code in _HIGH:
                low = code_at(machine, address + 2)
                if low in _LOW:
                    code, address = 0x10000 + (code - 0xD800 << 10) + low - 0xDC00, address + 2
            if code >= _BEYOND or code in _HIGH or code in _LOW:
                where = f"U+{code:X} at {address & MASK:#x}"
                raise ScriptError(f"invalid UTF-{8 * unit} character {where}")
            shown = chr(code).encode()
            if len(text) + len(shown) > room:
                break
            text, address = text + shown, address + unit
        return text

    return read


# --- buffers ----------------------------------------------------------------------------------


def _buffer(
    space: _Space, machine: IrMachine, address: int, size: int, most: int
) -> bytes | None:
    longest = machine.session.program.limits.maxstringlen - 1
    size = size if 0 < size < longest else longest
    data = space.read(machine, address, size)
    return buffer_quoted(data, most, longest) if len(data) == size else None


def _user_buffer(machine: IrMachine, address: int, size: int, most: int) -> bytes:
    if int32(most) <= 0:
        return b""
    found = _buffer(_USER, machine, address, size, most)
    return f"{address & MASK:#x}"[: int32(most) - 1].encode() if found is None else found


def _buffer_error(space: _Space) -> Callable[..., Item]:
    def read(machine: IrMachine, address: int, size: int, most: int) -> bytes:
        found = _buffer(space, machine, address, size, most) if int32(most) > 0 else None
        if found is None:
            raise _fault(_QUOTED.format(space.name), address)
        return found

    return read


_STRINGS: dict[str, Callable[[_Space], Callable[..., Item]]] = {
    "": _string,
    "_n": _string_n,
    "_utf16": partial(_wide_string, unit=2),
    "_utf32": partial(_wide_string, unit=4),
}
FUNCTIONS: dict[str, Callable[..., Item]] = {
    **{
        f"{space.name}_string{end}": make(space)
        for space in (_USER, _KERNEL)
        for end, make in _STRINGS.items()
    },
    **{
        f"{space.name}_{word}{8 * size}{'_error' * (space is _USER)}": _number(
            space, size, signed=word == "int"
        )
        for space in (_USER, _KERNEL)
        for word in ("int", "uint")
        for size in (1, 2, 4, 8)
    },
    **{
        f"kernel_{kind}": _number(_KERNEL, size)
        for kind, size in (("char", 1), ("short", 2), ("int", 4), ("long", 8))
    },
    "kernel_pointer": _number(_KERNEL, 8, signed=False),
    "user_buffer_quoted": _user_buffer,
    "user_buffer_quoted_error": _buffer_error(_USER),
    "kernel_buffer_quoted_error": _buffer_error(_KERNEL),
}
"""By name."""
