"""The native run-time operations: every C function that handlers call, with its LLVM type.

Adding a built-in function is one C function `mb_do_NAME` (or `mb_do_NAME_N` for the form with N
parameters); it gets the session, the error site, where the result goes (an i64 or a string) and
the arguments. Context functions need nothing. The rule: types, numbers and offsets are those
that `csrc/runtime/*.cdef.h` declare.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from bridge import declared
from bridge.declared import OFFSETS, SIZES
from bridge.ir.program import CONTEXTS, REGISTERS

if TYPE_CHECKING:
    from bridge.script.builtins import Builtin

ACTIONS_OFFSET = OFFSETS["mb_session_head.actions"]
GLOBALS_OFFSET = OFFSETS["mb_session_head.globals"]
RAISED_OFFSET = OFFSETS["mb_session_head.raised"]

OK, RAISED, NEXT_OVERLOAD, ABORTED = (
    declared.MB_OK,
    declared.MB_RAISED,
    declared.MB_NEXT_OVERLOAD,
    declared.MB_ABORTED,
)
"""What a compiled function returns (enum mb_status)."""

NO_SITE = declared.MB_NO_SITE

ENTRY_SLOTS_OFFSET = OFFSETS["mb_entry.slot"]
"""Of the keys in a `struct mb_entry`."""

ITERATOR_WORDS = SIZES["mb_iterator"] // 8
ITERATOR_SLICES_OFFSET = OFFSETS["mb_iterator.slices"]

ORDERS = {
    "count": declared.MB_BY_COUNT,
    "sum": declared.MB_BY_SUM,
    "min": declared.MB_BY_MIN,
    "max": declared.MB_BY_MAX,
    "avg": declared.MB_BY_AVG,
    "variance": declared.MB_BY_VARIANCE,
    "key": declared.MB_BY_KEY,
    "value": declared.MB_BY_VALUE,
}
"""enum mb_order, by the words of ops.Order."""


def _context_number(name: str) -> int:
    if name in REGISTERS:
        return declared.MB_REGISTERS + REGISTERS.index(name)
    return int(getattr(declared, f"MB_{name.removesuffix('_ns').upper()}"))


CONTEXT_NUMBERS = {name: _context_number(name) for name in CONTEXTS}
"""enum mb_context."""


@cache
def signature(name: str) -> tuple[str, tuple[str, ...]]:
    """The LLVM result and parameter types of a run-time function, as csrc declares it."""
    from bridge._native import ffi, lib

    kind = ffi.typeof(getattr(lib, name))
    return _llvm_type(kind.result), tuple(_llvm_type(argument) for argument in kind.args)


def _llvm_type(kind: Any) -> str:  # noqa: ANN401 - cffi
    from bridge._native import ffi

    match kind.kind:
        case "void" | "pointer" as word:
            return {"void": "void", "pointer": "ptr"}[word]
        case _:
            return f"i{8 * ffi.sizeof(kind)}"


def declaration(name: str) -> str:
    """The LLVM declaration of a run-time function."""
    result, parameters = signature(name)
    return f"declare {result} @{name}({', '.join(parameters)}) nounwind"


def builtin_symbols(builtin: Builtin) -> tuple[str, str]:
    """The C functions that may implement a built-in: for its parameter count, or for any."""
    return f"mb_do_{builtin.name}_{len(builtin.parameters)}", f"mb_do_{builtin.name}"


def address_of(name: str) -> int | None:
    """Where a run-time function is in memory; None if the library has none of that name."""
    from bridge._native import ffi, lib

    try:
        return int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))
    except AttributeError:
        return None


def builtin_symbol(builtin: Builtin) -> str | None:
    """The C function of a built-in; None for context functions and those without any."""
    return next((s for s in builtin_symbols(builtin) if address_of(s) is not None), None)
