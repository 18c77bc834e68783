"""Native emitters: arrays, statistics, histograms, iteration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.codegen.native import runtime
from bridge.codegen.native.frame import mask_of, site_number
from bridge.ir import ops
from bridge.ir.program import Array, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.codegen.llvm import Emitter
    from bridge.codegen.native.frame import Emit, NativeBackend
    from bridge.ir.program import Reg

# --- arrays -----------------------------------------------------------------------------------


def array_get(b: NativeBackend, e: Emitter, op: ops.ArrayGet) -> None:
    """Dest = array[keys]."""
    array, keys = b.global_pointer(e, op.variable), b.keys(e, op.keys)
    if e.type(op.dest) is Value.LONG:
        e.set(op.dest, b.call(e, "mb_array_get_long", array, keys))
    else:
        b.set_text(e, op.dest, b.call(e, "mb_array_get_string", array, keys))


def array_set(b: NativeBackend, e: Emitter, op: ops.ArraySet) -> None:
    """array[keys] = source."""
    array, keys = b.global_pointer(e, op.variable), b.keys(e, op.keys)
    is_long = e.type(op.source) is Value.LONG
    value = e.get(op.source) if is_long else b.text(e, op.source)
    name = "mb_array_set_long" if is_long else "mb_array_set_string"
    b.call_checked(e, name, "%session", array, keys, value, site_number(op.site))


def array_add(b: NativeBackend, e: Emitter, op: ops.ArrayAdd) -> None:
    """array[keys] += amount."""
    array, keys = b.global_pointer(e, op.variable), b.keys(e, op.keys)
    amount, site = e.get(op.amount), site_number(op.site)
    b.call_checked(e, "mb_array_add", "%session", array, keys, amount, site)


def array_has(b: NativeBackend, e: Emitter, op: ops.ArrayHas) -> None:
    """Dest = whether an entry matches."""
    array, keys = b.global_pointer(e, op.variable), b.keys(e, op.keys)
    e.set(op.dest, b.call(e, "mb_array_has", array, keys, mask_of(op.keys)))


def array_delete(b: NativeBackend, e: Emitter, op: ops.ArrayDelete) -> None:
    """Remove the entries that match, or empty the global."""
    if not op.keys:
        b.call(e, "mb_clear_global", "%session", str(op.variable))
        return
    array, keys = b.global_pointer(e, op.variable), b.keys(e, op.keys)
    b.call(e, "mb_array_delete", array, keys, mask_of(op.keys))


# --- statistics -------------------------------------------------------------------------------


def _optional_keys(b: NativeBackend, e: Emitter, keys: Sequence[Reg]) -> str:
    return b.keys(e, keys) if keys else "null"


def stat_add(b: NativeBackend, e: Emitter, op: ops.StatAdd) -> None:
    """Statistic <<< source."""
    value = e.get(op.source)
    if isinstance(b.program.globals[op.variable], Array):
        array, keys = b.global_pointer(e, op.variable), b.keys(e, op.keys)
        arguments = ("%session", array, keys, value, site_number(op.site))
        b.call_checked(e, "mb_stat_add_entry", *arguments)
    else:
        b.call(e, "mb_stat_add_global", "%session", str(op.variable), value)


def stat_get(b: NativeBackend, e: Emitter, op: ops.StatGet) -> None:
    """Dest = an extractor."""
    keys, result = _optional_keys(b, e, op.keys), e.alloca("i64")
    extractor = str(ops.STAT_READS.index(op.op))
    arguments = (str(op.variable), keys, extractor, result, site_number(op.site))
    b.call_checked(e, "mb_stat_get", "%session", *arguments)
    e.set(op.dest, e.value(f"load i64, ptr {result}"))


def histogram_get(b: NativeBackend, e: Emitter, op: ops.HistogramGet) -> None:
    """Dest = the count of a bucket."""
    keys, result = _optional_keys(b, e, op.keys), e.alloca("i64")
    arguments = (str(op.variable), keys, e.get(op.bucket), result, site_number(op.site))
    b.call_checked(e, "mb_histogram_get", "%session", *arguments)
    e.set(op.dest, e.value(f"load i64, ptr {result}"))


def histogram_text(b: NativeBackend, e: Emitter, op: ops.HistogramText) -> None:
    """Print a histogram, or keep its text."""
    keys, site = _optional_keys(b, e, op.keys), site_number(op.site)
    if op.dest is None:
        b.call_checked(e, "mb_histogram_print", "%session", str(op.variable), keys, site)
    else:
        arguments = (str(op.variable), keys, b.buffer(op.dest), site)
        b.call_checked(e, "mb_histogram_string", "%session", *arguments)


# --- iteration --------------------------------------------------------------------------------


def _iterator(op: ops.IterBegin | ops.IterNext) -> str:
    return f"%iterator{op.iterator}"


def iter_begin(b: NativeBackend, e: Emitter, op: ops.IterBegin) -> None:
    """Sort, and start."""
    iterator = _iterator(op)
    line = f"  {iterator} = alloca [{runtime.ITERATOR_WORDS} x i64], align 8"
    if line not in e.entry:
        e.entry.append(line)
    limit = "0" if op.limit is None else e.get(op.limit)
    limited = str(int(op.limit is not None))
    array = b.global_pointer(e, op.variable)
    for number, reg in enumerate(op.slices):
        if reg is not None:
            _store_slice(b, e, iterator, number, reg)
    if op.order is not None:
        by, down = str(runtime.ORDERS[op.order.by]), str(int(op.order.descending))
        b.call(e, "mb_array_sort", array, by, str(op.order.key), down, limited, limit)
    b.call(e, "mb_iterate", iterator, array, limited, limit, mask_of(op.slices))


def _store_slice(b: NativeBackend, e: Emitter, iterator: str, number: int, reg: Reg) -> None:
    """Slices keep the values that they had when the loop began."""
    if e.type(reg) is Value.LONG:
        value = e.get(reg)
    else:
        kept = b.temporary()
        b.copy_text(e, kept, b.text(e, reg))
        value = e.value(f"ptrtoint ptr {kept} to i64")
    offset = runtime.ITERATOR_SLICES_OFFSET + 8 * number
    at = e.value(f"getelementptr i8, ptr {iterator}, i64 {offset}")
    e.emit(f"store i64 {value}, ptr {at}")


def iter_next(b: NativeBackend, e: Emitter, op: ops.IterNext) -> None:
    """Fetch the next entry into registers, or end."""
    entry = b.call(e, "mb_iterate_next", _iterator(op))
    fetch = e.label("fetch")
    ended = e.value(f"icmp eq ptr {entry}, null")
    e.branch(ended, e.block_label(op.done), fetch)
    e.start(fetch)
    registers = op.keys if op.value is None else (*op.keys, op.value)
    for number, reg in enumerate(registers):
        _fetch(b, e, entry, number, reg)
    e.jump(e.block_label(op.body))


def _fetch(b: NativeBackend, e: Emitter, entry: str, number: int, reg: Reg) -> None:
    offset = runtime.ENTRY_SLOTS_OFFSET + 8 * number
    at = e.value(f"getelementptr i8, ptr {entry}, i64 {offset}")
    if e.type(reg) is Value.LONG:
        e.set(reg, e.value(f"load i64, ptr {at}"))
        return
    text = e.value(f"load ptr, ptr {at}")
    missing = e.value(f"icmp eq ptr {text}, null")
    e_text = e.value(f"select i1 {missing}, ptr {e.constant(b'')}, ptr {text}")
    b.copy_text(e, b.buffer(reg), e_text)


def iter_delete(_b: NativeBackend, _e: Emitter, _op: ops.IterDelete) -> None:
    """Nothing: an iterator is a part of the frame."""


TABLE: Mapping[type, Emit] = {
    ops.ArrayGet: array_get,
    ops.ArraySet: array_set,
    ops.ArrayAdd: array_add,
    ops.ArrayHas: array_has,
    ops.ArrayDelete: array_delete,
    ops.StatAdd: stat_add,
    ops.StatGet: stat_get,
    ops.HistogramGet: histogram_get,
    ops.HistogramText: histogram_text,
    ops.IterBegin: iter_begin,
    ops.IterNext: iter_next,
    ops.IterDelete: iter_delete,
}
"""An emitter for each operation on arrays and statistics."""
