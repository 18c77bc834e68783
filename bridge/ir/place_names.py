"""pp() and its kin in the handler of one place -> the constants that they are there.

Handlers that share their code keep the calls, which a session in user space answers. A program
in the kernel is made for one place, and has no session to ask.
"""

from __future__ import annotations

import re
from dataclasses import replace
from platform import machine
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.markers import SYSTEM_CALL_FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.ir.ops import Op
    from bridge.ir.program import Handler

_FUNCTION = re.compile(r'(?:function|statement)\("([^"@]*)')
_CALL = re.compile(r'trace\("syscalls:sys_(?:enter|exit)_(\w+)')


def function_of(point: str) -> str:
    """The function that a probe point names, or whose system call its event is about."""
    found = _FUNCTION.search(point)
    if found is not None:
        return found[1]
    call = _CALL.search(point)
    return SYSTEM_CALL_FUNCTIONS.get(machine(), "sys_") + call[1] if call is not None else ""


_NAMES: dict[str, Callable[[str], str]] = {
    "pp": str,
    "ppfunc": function_of,
    "probefunc": function_of,
}


def at_place(handler: Handler) -> Handler:
    """The handler with its own names in it; itself where it asks for none."""
    if not any(_asks(op) for block in handler.body.blocks for op in block.ops):
        return handler
    blocks = [
        replace(block, ops=[_named(op, handler.point) for op in block.ops])
        for block in handler.body.blocks
    ]
    return replace(handler, body=replace(handler.body, blocks=blocks))


def _asks(op: Op) -> bool:
    return isinstance(op, ops.CallBuiltin) and op.name in _NAMES and not op.arguments


def _named(op: Op, point: str) -> Op:
    if not isinstance(op, ops.CallBuiltin) or op.dest is None or not _asks(op):
        return op
    return ops.ConstString(op.dest, _NAMES[op.name](point).encode("latin-1"))
