"""Built-ins that read memory: of the process that was hit, or ours if no hit is handled.

The kernel's memory is never read while a handler runs, only at the hit, as a capture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.interpreter.faults import ScriptError
from bridge.interpreter.text import buffer_quoted, int32
from bridge.ir.arithmetic import MASK, wrap
from bridge.ir.program import FAULT_ADDRESS, Literal, Load, Value, fault_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.interpreter.machine import Item, Machine

_USER_STRING = fault_text(Load("user", Value.STRING, Literal(0)))
_KERNEL_STRING = fault_text(Load("kernel", Value.STRING, Literal(0)))
_QUOTED = f"Unable to access {{}} space data at {FAULT_ADDRESS}"
_HIGH, _LOW, _BEYOND = range(0xD800, 0xDC00), range(0xDC00, 0xE000), 0x110000
"""The two halves of surrogate pairs; the first number that is no character."""


def _fault(text: str, address: int) -> ScriptError:
    return ScriptError(text.replace(FAULT_ADDRESS, f"{address & MASK:#x}"))


def _refused(text: str) -> Callable[..., Item]:
    """A function whose memory is never there."""

    def function(_: Machine, address: int, *__: int) -> Item:
        raise _fault(text, address)

    return function


def _exactly(machine: Machine, address: int, size: int, text: str) -> bytes:
    data = machine.session.read(address, size)
    if len(data) < size:
        raise _fault(text, address)
    return data


def _number(space: str, size: int, *, signed: bool = True) -> Callable[..., Item]:
    load = Load(space, Value.LONG, Literal(0), size=size, signed=signed)
    text = fault_text(load)

    def read(machine: Machine, address: int) -> int:
        data = _exactly(machine, address, size, text)
        return wrap(int.from_bytes(data, "little", signed=signed))

    return read if space == "user" else _refused(text)


# --- strings ----------------------------------------------------------------------------------


def _user_string_n(machine: Machine, address: int, most: int) -> bytes:
    """Up to a NUL, at most `most` bytes, and one less than fits into a string."""
    if most <= 0 or most == MASK >> 1:
        return b""
    room = min(most, machine.session.program.limits.maxstringlen - 2)
    data = machine.session.read(address, room)
    text, end, _ = data.partition(b"\0")
    if not end and len(data) < room:
        raise _fault(_USER_STRING, address)
    return text


def _user_string(machine: Machine, address: int) -> bytes:
    return _user_string_n(machine, address, machine.session.program.limits.maxstringlen)


def _wide_string(unit: int) -> Callable[..., Item]:
    """UTF-16 or UTF-32 as UTF-8; a surrogate without its partner is no character."""
    fault = _USER_STRING.replace(" -14", "")

    def code_at(machine: Machine, address: int) -> int:
        return int.from_bytes(_exactly(machine, address, unit, fault), "little")

    def read(machine: Machine, address: int) -> bytes:
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


def _buffer(machine: Machine, address: int, size: int, most: int) -> bytes | None:
    longest = machine.session.program.limits.maxstringlen - 1
    size = size if 0 < size < longest else longest
    data = machine.session.read(address, size)
    return buffer_quoted(data, most, longest) if len(data) == size else None


def _user_buffer(machine: Machine, address: int, size: int, most: int) -> bytes:
    if int32(most) <= 0:
        return b""
    found = _buffer(machine, address, size, most)
    return f"{address & MASK:#x}"[: int32(most) - 1].encode() if found is None else found


def _user_buffer_error(machine: Machine, address: int, size: int, most: int) -> bytes:
    found = _buffer(machine, address, size, most) if int32(most) > 0 else None
    if found is None:
        raise _fault(_QUOTED.format("user"), address)
    return found


FUNCTIONS: dict[str, Callable[..., Item]] = {
    "user_string": _user_string,
    "user_string_n": _user_string_n,
    "user_string_utf16": _wide_string(2),
    "user_string_utf32": _wide_string(4),
    **{
        f"kernel_string{end}": _refused(_KERNEL_STRING)
        for end in ("", "_n", "_utf16", "_utf32")
    },
    **{
        f"{space}_{word}{8 * size}{'_error' * (space == 'user')}": _number(
            space, size, signed=word == "int"
        )
        for space in ("user", "kernel")
        for word in ("int", "uint")
        for size in (1, 2, 4, 8)
    },
    **{
        f"kernel_{kind}": _number("kernel", size)
        for kind, size in (("char", 1), ("short", 2), ("int", 4), ("long", 8))
    },
    "kernel_pointer": _number("kernel", 8, signed=False),
    "user_buffer_quoted": _user_buffer,
    "user_buffer_quoted_error": _user_buffer_error,
    "kernel_buffer_quoted_error": _refused(_QUOTED.format("kernel")),
}
"""By name."""
