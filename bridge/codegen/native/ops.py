"""Native emitters: values, captures, scalar globals, calls, output, and leaving a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.codegen.llvm import PREDICATES, UnsupportedOperationError, signed
from bridge.codegen.native import runtime
from bridge.codegen.native.frame import Role, llvm_type, site_number
from bridge.ir import ops
from bridge.ir.program import (
    Capture,
    Computed,
    Context,
    Literal,
    Load,
    Value,
    capture_type,
    fault_text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.codegen.llvm import Emitter
    from bridge.codegen.native.frame import Emit, NativeBackend
    from bridge.ir.program import Reg
    from bridge.script.builtins import Builtin

_COMPUTED = {"+": "add", "-": "sub", "*": "mul", "&": "and", "|": "or", "^": "xor"}
_COMPUTED |= {"<<": "shl", ">>": "ashr", ">>>": "lshr"}

# --- values -----------------------------------------------------------------------------------


def const_string(b: NativeBackend, e: Emitter, op: ops.ConstString) -> None:
    """Dest = constant bytes."""
    text = op.value.split(b"\0", 1)[0][: b.program.limits.maxstringlen - 1]
    b.set_text(e, op.dest, e.constant(text))


def copy(b: NativeBackend, e: Emitter, op: ops.Copy) -> None:
    """Dest = source, of strings."""
    b.set_text(e, op.dest, b.text(e, op.source))


def compare(b: NativeBackend, e: Emitter, op: ops.Compare) -> None:
    """Dest = whether two strings compare so, bytewise."""
    b.used.add("strcmp")
    left, right = b.text(e, op.left), b.text(e, op.right)
    order = e.value(f"call i32 @strcmp(ptr {left}, ptr {right})")
    e.set_bool(op.dest, e.value(f"icmp {PREDICATES[op.op]} i32 {order}, 0"))


def concat(b: NativeBackend, e: Emitter, op: ops.Concat) -> None:
    """Dest = the parts one after another."""
    parts = b.arguments(e, op.parts)
    b.call(e, "mb_string_concat", "%session", b.buffer(op.dest), parts, str(len(op.parts)))


def match(b: NativeBackend, e: Emitter, op: ops.Match) -> None:
    """Dest = whether the regular expression occurs."""
    number = b.patterns.setdefault(op.pattern, len(b.patterns))
    e.set(op.dest, b.call(e, "mb_match", "%session", b.text(e, op.text), str(number)))


# --- captures ---------------------------------------------------------------------------------


def capture(b: NativeBackend, e: Emitter, op: ops.Capture) -> None:
    """Dest = what the record says."""
    wanted = b.captures[op.index]
    if capture_type(wanted) is Value.STRING:
        _capture_string(b, e, op, wanted)
        return
    if isinstance(wanted, Load):
        status = _record_slot(e, _offset(b, wanted) + 8)
        _fail_on_fault(b, e, op, wanted, e.value(f"icmp ne i64 {status}, 0"))
    e.set(op.dest, _captured_long(b, e, wanted))


def _offset(b: NativeBackend, wanted: Capture) -> int:
    if b.layout is None:
        raise UnsupportedOperationError(f"capture without a record in {b.function.name}")
    return b.layout.offset(wanted)


def _record_slot(e: Emitter, offset: int) -> str:
    at = e.value(f"getelementptr i8, ptr %record, i64 {offset}")
    return e.value(f"load i64, ptr {at}")


def _in_record(b: NativeBackend, wanted: Capture) -> bool:
    try:
        _offset(b, wanted)
    except KeyError:
        return False
    return True


def _captured_long(b: NativeBackend, e: Emitter, wanted: Capture) -> str:
    match wanted:
        case Context(name="realtime_ns"):
            return b.call(e, "mb_record_realtime", "%session", "%record")
        case Literal(value=value):
            return str(signed(value))
        case Computed(op=op, left=left, right=right) if not _in_record(b, wanted):
            first, second = _captured_long(b, e, left), _captured_long(b, e, right)
            if op in ("<<", ">>", ">>>"):
                second = e.value(f"and i64 {second}, 63")
            return e.value(f"{_COMPUTED[op]} i64 {first}, {second}")
        case _:
            return _record_slot(e, _offset(b, wanted))


def _knows_long(b: NativeBackend, wanted: Capture) -> bool:
    """Whether the number can be told from the record."""
    match wanted:
        case Literal() | Context(name="realtime_ns"):
            return True
        case Computed(left=left, right=right) if not _in_record(b, wanted):
            return _knows_long(b, left) and _knows_long(b, right)
        case _:
            return _in_record(b, wanted)


def _capture_string(b: NativeBackend, e: Emitter, op: ops.Capture, wanted: Capture) -> None:
    spare = b.temporary() if op.dest in b.views else b.buffer(op.dest)
    offset = str(_offset(b, wanted))
    text = b.call(e, "mb_capture_string", "%session", "%record", offset, spare)
    _fail_on_fault(b, e, op, wanted, e.value(f"icmp eq ptr {text}, null"))
    b.set_text(e, op.dest, text)


def _fail_on_fault(
    b: NativeBackend, e: Emitter, op: ops.Capture, wanted: Capture, fault: str
) -> None:
    what, address = "captured value fault", "0"
    failed, on = e.label("fault"), e.label("on")
    e.branch(fault, failed, on)
    e.start(failed)
    if isinstance(wanted, Load):
        what = fault_text(wanted)
        if _knows_long(b, wanted.address):
            address = _captured_long(b, e, wanted.address)
    b.call(
        e,
        "mb_raise_fault",
        "%session",
        site_number(op.site),
        e.constant(what.encode()),
        address,
    )
    e.jump(e.error_edge())
    e.start(on)


# --- scalar globals ---------------------------------------------------------------------------


def global_get(b: NativeBackend, e: Emitter, op: ops.GlobalGet) -> None:
    """Dest = a scalar global."""
    if e.type(op.dest) is Value.LONG:
        e.set(op.dest, e.value(f"load i64, ptr {b.global_slot(e, op.variable)}"))
    else:
        b.set_text(e, op.dest, b.global_pointer(e, op.variable))


def global_set(b: NativeBackend, e: Emitter, op: ops.GlobalSet) -> None:
    """A scalar global = source."""
    if e.type(op.source) is Value.LONG:
        value = e.get(op.source)
        e.emit(f"store i64 {value}, ptr {b.global_slot(e, op.variable)}")
    else:
        b.copy_text(e, b.global_pointer(e, op.variable), b.text(e, op.source))


def global_add(b: NativeBackend, e: Emitter, op: ops.GlobalAdd) -> None:
    """A scalar global += amount."""
    slot = b.global_slot(e, op.variable)
    before = e.value(f"load i64, ptr {slot}")
    after = e.value(f"add i64 {before}, {e.get(op.amount)}")
    e.emit(f"store i64 {after}, ptr {slot}")


# --- calls ------------------------------------------------------------------------------------


def call(b: NativeBackend, e: Emitter, op: ops.Call) -> None:
    """Try the overloads in order until one does not end in `next`."""
    result, done = _result_space(b, e, op), e.label("done")
    for number in op.overloads:
        status = _call_overload(b, e, op, number, result)
        _follow(b, e, op, status, done)
    b.raise_error(e, op.site, b"all functions exhausted")
    e.jump(e.error_edge())
    e.start(done)
    if op.dest is not None and e.type(op.dest) is Value.LONG:
        e.set(op.dest, e.value(f"load i64, ptr {result}"))


def _result_space(b: NativeBackend, e: Emitter, op: ops.Call) -> str:
    results = {b.program.functions[number].result for number in op.overloads}
    if op.dest is not None and e.type(op.dest) is Value.STRING:
        return b.buffer(op.dest)
    return b.temporary() if Value.STRING in results else e.alloca("i64")


def _call_overload(b: NativeBackend, e: Emitter, op: ops.Call, number: int, result: str) -> str:
    arguments = [
        f"i64 {e.get(reg)}" if e.type(reg) is Value.LONG else f"ptr {b.text(e, reg)}"
        for reg in op.arguments
    ]
    listed = ", ".join(["ptr %session", f"ptr {result}", *arguments])
    return e.value(f"call i32 @function_{number}({listed})")


def _follow(b: NativeBackend, e: Emitter, op: ops.Call, status: str, done: str) -> None:
    """Go where a call's status says; the code goes on where the next overload is tried."""
    failed, aborted, on = e.label("failed"), e.label("aborted"), e.label("next")
    e.emit(
        f"switch i32 {status}, label %{failed} [ i32 {runtime.OK}, label %{done} "
        f"i32 {runtime.NEXT_OVERLOAD}, label %{on} i32 {runtime.ABORTED}, label %{aborted} ]"
    )
    for label, edge in ((failed, e.error_edge()), (aborted, e.exit_edge())):
        e.start(label)
        b.call(e, "mb_error_called", "%session", str(op.site))
        e.jump(edge)
    e.start(on)


def call_builtin(b: NativeBackend, e: Emitter, op: ops.CallBuiltin) -> None:
    """A context function, or a C function of the run time."""
    builtin = find_builtin(op.name, len(op.arguments))
    if builtin.context:
        _call_context(b, e, op, builtin)
        return
    symbol = runtime.builtin_symbol(builtin)
    if symbol is None:
        raise UnsupportedOperationError(f"built-in {op.name}/{len(op.arguments)}")
    result = _builtin_result(b, e, op)
    arguments = b.arguments(e, op.arguments)
    status = b.call(e, symbol, "%session", str(op.site), result, arguments)
    _follow_builtin(e, status)
    if op.dest is None:
        return
    if e.type(op.dest) is Value.LONG:
        e.set(op.dest, e.value(f"load i64, ptr {result}"))
    else:
        b.copy_text(e, b.buffer(op.dest), result)


def _builtin_result(b: NativeBackend, e: Emitter, op: ops.CallBuiltin) -> str:
    """Space for the result; a text never goes straight into a register that is an argument."""
    if op.dest is not None and e.type(op.dest) is Value.LONG:
        return e.alloca("i64")
    return b.temporary()


def _follow_builtin(e: Emitter, status: str) -> None:
    failed, on = e.label("failed"), e.label("on")
    e.emit(
        f"switch i32 {status}, label %{failed} [ i32 {runtime.OK}, label %{on} "
        f"i32 {runtime.ABORTED}, label %{e.exit_edge()} ]"
    )
    e.start(failed)
    e.jump(e.error_edge())
    e.start(on)


def find_builtin(name: str, count: int) -> Builtin:
    """The table's entry for a call with so many arguments."""
    from bridge.script.builtins import BUILTINS

    found = BUILTINS.get((name, count))
    if found is None:
        found = next(
            (b for (key, most), b in BUILTINS.items() if key == name and most >= count), None
        )
    if found is None:
        raise UnsupportedOperationError(f"built-in {name}/{count}")
    return found


def _call_context(b: NativeBackend, e: Emitter, op: ops.CallBuiltin, builtin: Builtin) -> None:
    if op.dest is None:
        return
    number = str(runtime.CONTEXT_NUMBERS[builtin.context])
    if e.type(op.dest) is Value.STRING:
        b.call(e, "mb_context_string", "%session", number, b.buffer(op.dest))
        return
    value = b.call(e, "mb_context_long", "%session", number)
    if builtin.scale != 1:
        value = e.value(f"sdiv i64 {value}, {builtin.scale}")
    e.set(op.dest, value)


# --- output, limits, errors -------------------------------------------------------------------


def print_format(b: NativeBackend, e: Emitter, op: ops.PrintFormat) -> None:
    """Print a format."""
    arguments = b.arguments(e, op.arguments)
    site = site_number(op.site)
    status = b.call(e, "mb_print", "%session", str(op.format), arguments, site)
    _leave_if_failed(e, op, status)


def format_string(b: NativeBackend, e: Emitter, op: ops.FormatString) -> None:
    """Dest = the text of a format."""
    arguments = b.arguments(e, op.arguments)
    number, site = str(op.format), site_number(op.site)
    dest = b.buffer(op.dest)
    status = b.call(e, "mb_sprint", "%session", dest, number, arguments, site)
    _leave_if_failed(e, op, status)


def _leave_if_failed(e: Emitter, op: ops.PrintFormat | ops.FormatString, status: str) -> None:
    if op.site is not None:
        e.leave_if(e.value(f"icmp ne i32 {status}, 0"))


def tick(b: NativeBackend, e: Emitter, op: ops.Tick) -> None:
    """Count statements; nothing catches the error of too many."""
    at = e.value(f"getelementptr i8, ptr %session, i64 {runtime.ACTIONS_OFFSET}")
    left = e.value(f"sub i64 {e.value(f'load i64, ptr {at}')}, {op.count}")
    e.emit(f"store i64 {left}, ptr {at}")
    spent, on = e.label("spent"), e.label("on")
    e.branch(e.value(f"icmp sle i64 {left}, 0"), spent, on)
    e.start(spent)
    b.call(e, "mb_raise_actions", "%session", str(op.site))
    e.jump(e.exit_edge())
    e.start(on)


def caught(b: NativeBackend, e: Emitter, op: ops.Caught) -> None:
    """Dest = the message; the error is over."""
    dest = "null" if op.dest is None else b.buffer(op.dest)
    b.call(e, "mb_caught", "%session", dest)


# --- leaving ----------------------------------------------------------------------------------


def return_(b: NativeBackend, e: Emitter, op: ops.Return) -> None:
    """Leave with a value, or with 0 or "" where a value is due."""
    result = b.function.result
    if b.role is not Role.HANDLER and result is not None:
        _store_result(b, e, op.value, result)
    b.leave(e, str(runtime.OK))


def _store_result(b: NativeBackend, e: Emitter, value: Reg | None, result: Value) -> None:
    if result is Value.STRING:
        if value is None:
            e.emit("store i8 0, ptr %result")
        else:
            b.copy_text(e, "%result", b.text(e, value))
    else:
        number = "0" if value is None else e.get(value)
        e.emit(f"store {llvm_type(result)} {number}, ptr %result")


def next_overload(b: NativeBackend, e: Emitter, _op: ops.NextOverload) -> None:
    """Leave, and let the caller try the next one."""
    b.leave(e, str(runtime.NEXT_OVERLOAD))


TABLE: Mapping[type, Emit] = {
    ops.ConstString: const_string,
    ops.Copy: copy,
    ops.Compare: compare,
    ops.Concat: concat,
    ops.Match: match,
    ops.Capture: capture,
    ops.GlobalGet: global_get,
    ops.GlobalSet: global_set,
    ops.GlobalAdd: global_add,
    ops.Call: call,
    ops.CallBuiltin: call_builtin,
    ops.PrintFormat: print_format,
    ops.FormatString: format_string,
    ops.Tick: tick,
    ops.Caught: caught,
    ops.Return: return_,
    ops.NextOverload: next_overload,
}
"""An emitter for each operation that is not in native_arrays."""
