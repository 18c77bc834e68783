"""The native run-time operations: every C function that handlers call, with its LLVM type.

Adding a built-in function is one C function `mb_do_NAME` (or `mb_do_NAME_N` for the form with N
parameters) of `BUILTIN_SIGNATURE`; context functions need nothing. The rule: offsets into the
session are those of the head of `struct mb_session` in csrc/runtime/runtime.h.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.ir.program import CONTEXTS

if TYPE_CHECKING:
    from bridge.script.builtins import Builtin

ACTIONS_OFFSET = 0
GLOBALS_OFFSET = 8
RAISED_OFFSET = 16

OK, RAISED, NEXT_OVERLOAD, ABORTED = 0, 1, 2, 3
"""What a compiled function returns (enum mb_status)."""

NO_SITE = 0xFFFFFFFF

SIGNATURES: dict[str, tuple[str, tuple[str, ...]]] = {
    "mb_raise": ("i32", ("ptr", "i32", "ptr")),
    "mb_error_called": ("void", ("ptr", "i32")),
    "mb_raise_actions": ("i32", ("ptr", "i32")),
    "mb_caught": ("void", ("ptr", "ptr")),
    "mb_enter": ("ptr", ("ptr", "i64", "i32")),
    "mb_enter_handler": ("ptr", ("ptr", "i64")),
    "mb_leave": ("void", ("ptr", "ptr")),
    "mb_capture_string": ("ptr", ("ptr", "ptr", "i32", "ptr")),
    "mb_raise_fault": ("i32", ("ptr", "i32", "ptr", "i64")),
    "mb_clear_global": ("void", ("ptr", "i32")),
    "mb_match": ("i64", ("ptr", "ptr", "i32")),
    "mb_context_long": ("i64", ("ptr", "i32")),
    "mb_context_string": ("void", ("ptr", "i32", "ptr")),
    "mb_record_realtime": ("i64", ("ptr", "ptr")),
    "mb_string_copy": ("void", ("ptr", "ptr", "ptr")),
    "mb_string_concat": ("void", ("ptr", "ptr", "ptr", "i32")),
    "mb_array_get_long": ("i64", ("ptr", "ptr")),
    "mb_array_get_string": ("ptr", ("ptr", "ptr")),
    "mb_array_set_long": ("i32", ("ptr", "ptr", "ptr", "i64", "i32")),
    "mb_array_set_string": ("i32", ("ptr", "ptr", "ptr", "ptr", "i32")),
    "mb_array_add": ("i32", ("ptr", "ptr", "ptr", "i64", "i32")),
    "mb_array_has": ("i64", ("ptr", "ptr", "i32")),
    "mb_array_delete": ("void", ("ptr", "ptr", "i32")),
    "mb_array_sort": ("void", ("ptr", "i32", "i32", "i32", "i32", "i64")),
    "mb_iterate": ("void", ("ptr", "ptr", "i32", "i64", "i32")),
    "mb_iterate_next": ("ptr", ("ptr",)),
    "mb_stat_add_entry": ("i32", ("ptr", "ptr", "ptr", "i64", "i32")),
    "mb_stat_add_global": ("i32", ("ptr", "i32", "i64")),
    "mb_stat_get": ("i32", ("ptr", "i32", "ptr", "i32", "ptr", "i32")),
    "mb_histogram_get": ("i32", ("ptr", "i32", "ptr", "i64", "ptr", "i32")),
    "mb_histogram_print": ("i32", ("ptr", "i32", "ptr", "i32")),
    "mb_histogram_string": ("i32", ("ptr", "i32", "ptr", "ptr", "i32")),
    "mb_print": ("i32", ("ptr", "i32", "ptr", "i32")),
    "mb_sprint": ("i32", ("ptr", "ptr", "i32", "ptr", "i32")),
}
"""Result and parameter types of each function of csrc/runtime/runtime.cdef.h."""

BUILTIN_SIGNATURE: tuple[str, tuple[str, ...]] = ("i32", ("ptr", "i32", "ptr", "ptr"))
"""Session, error site, where the result goes (an i64 or a string), the arguments."""

ENTRY_SLOTS_OFFSET = 16
"""Of the keys in a `struct mb_entry`."""

ITERATOR_WORDS = 12
ITERATOR_SLICES_OFFSET = 24

ORDERS = {
    "count": 0,
    "sum": 1,
    "min": 2,
    "max": 3,
    "avg": 4,
    "variance": 5,
    "key": 6,
    "value": 7,
}
"""enum mb_order, by the words of ops.Order."""

CONTEXT_NUMBERS = {name: number for number, name in enumerate(CONTEXTS)}
"""enum mb_context."""


def signature(name: str) -> tuple[str, tuple[str, ...]]:
    """The LLVM result and parameter types of a run-time function."""
    return SIGNATURES.get(name, BUILTIN_SIGNATURE)


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
