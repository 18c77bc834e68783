"""Built-ins that write to the memory of the process that was hit, while it stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.interpreter.faults import ScriptError
from bridge.ir.arithmetic import MASK

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.interpreter.machine import IrMachine, Item

_SIZES = {"char": 1, "short": 2, "int": 4, "long": 8, "pointer": 8}


def _write(machine: IrMachine, what: str, address: int, data: bytes) -> None:
    session = machine.session
    if session.goes_on or not session.host.write(session.pid, address & MASK, data):
        raise ScriptError(f"user {what} copy fault at {address & MASK:#x} [man error::fault]")


def _number(kind: str) -> Callable[..., None]:
    def write(machine: IrMachine, address: int, value: int) -> None:
        data = (value & MASK).to_bytes(8, "little")
        _write(machine, kind, address, data[: _SIZES[kind]])

    return write


def _set_user(machine: IrMachine, address: int, value: int, size: int) -> int:
    _write(machine, "memory", address, (value & MASK).to_bytes(8, "little")[:size])
    return value


def _text(machine: IrMachine, address: int, text: bytes) -> None:
    _write(machine, "string", address, text + b"\0")


def _text_n(machine: IrMachine, address: int, most: int, text: bytes) -> None:
    _text(machine, address, text[: max(most, 0)])


FUNCTIONS: dict[str, Callable[..., Item | None]] = {
    **{f"set_user_{kind}": _number(kind) for kind in _SIZES},
    "set_user_string": _text,
    "set_user_string_n": _text_n,
    "_set_user": _set_user,
}
"""By name."""
