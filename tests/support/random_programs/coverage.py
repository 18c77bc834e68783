"""Counts what the interpreter executes: every operation of the IR, in every variant.

`watching()` counts while it is entered; `expected()` lists the variants that random programs
must reach. A variant is a text such as `Arith / least minus-one` or `StatGet avg entry empty`.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any, get_args

from bridge.interpreter import machine as reference
from bridge.interpreter.faults import ScriptError, UnreadableMemory
from bridge.interpreter.statistics import RunningStatistic
from bridge.ir import ops
from bridge.ir.program import (
    Array,
    Conversion,
    Scalar,
    Value,
    capture_type,
)
from bridge.markers import Begin, End, Error, MarkerAttachment, Timer
from bridge.script.builtins import BUILTINS as TABLE
from bridge.script.builtins import KERNEL_STACK, Effect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LEAST, MOST = -(1 << 63), (1 << 63) - 1
CLASSES = ("least", "minus-one", "negative", "zero", "one", "positive", "most")
_NAMED = {LEAST: "least", -1: "minus-one", 0: "zero", 1: "one", MOST: "most"}
SIZES = ("none", "number", "star")
LETTERS = "diuoxXpcbmMs"
FLAGS = ("", "0", "+", "-", " ", "#")
UNFORESEEN = {"randint", "get_loadavg_index", "sprint_loadavg", "env_var", "tz_gmtoff"}
UNFORESEEN |= {
    "pid2execname",
    "_process_pages",
    "tz_name",
    "symname",
    "symdata",
    "modname",
    "uaddr",
}
UNFORESEEN |= {b.name for b in TABLE.values() if b.effect is Effect.PROCESS}
UNFORESEEN |= {b.name for b in TABLE.values() if KERNEL_STACK in b.reads}
UNFORESEEN |= {"switch_file", "system", "printk", "ftrace", "raise"}
"""Built-ins that chance, the machine or the moment decide, or that act on the machine."""
BUILTINS = sorted({name for name, _ in TABLE} - UNFORESEEN)


def _class(value: int) -> str:
    return _NAMED.get(value) or ("negative" if value < 0 else "positive")


def _kind(value: object) -> str:
    return "string" if isinstance(value, bytes) else "long"


# --- what an operation does, told from the state before it ------------------------------------


def _key(m: Any, f: Any, op: Any) -> tuple[Any, ...]:
    return tuple(None if reg is None else f.registers[reg] for reg in op.keys)


def _arith(_: Any, f: Any, op: ops.Arith) -> str:
    return f"{op.op} {_class(f.registers[op.left])} {_class(f.registers[op.right])}"


def _compare(_: Any, f: Any, op: ops.Compare) -> str:
    return f"{op.op} {_kind(f.registers[op.left])}"


def _typed(_: Any, f: Any, op: Any) -> str:
    return _kind(f.registers[op.source])


def _concat(m: Any, f: Any, op: ops.Concat) -> str:
    length = sum(len(f.registers[part]) for part in op.parts)
    return "cut" if length >= m.session.program.limits.maxstringlen else "whole"


def _match(m: Any, f: Any, op: ops.Match) -> str:
    found = reference.search(op.pattern, f.registers[op.text])
    return "found" if found else "missed"


def _capture(m: Any, _: Any, op: ops.Capture) -> str:
    capture = m.handler.captures[op.index]
    fault = " unreadable" if isinstance(m.captures[op.index], UnreadableMemory) else ""
    return f"{type(capture).__name__} {capture_type(capture).name.lower()}{fault}"


def _global(m: Any, _: Any, op: Any) -> str:
    return _kind(m.session.globals[op.variable])


def _array_get(m: Any, f: Any, op: ops.ArrayGet) -> str:
    array = m.array(op.variable)
    kind = "long" if array.declaration.value is Value.LONG else "string"
    return f"{kind} {'present' if _key(m, f, op) in array.entries else 'absent'}"


def _making(m: Any, f: Any, op: Any) -> str:
    """What becomes of an entry that is wanted."""
    array = m.session.globals[op.variable]
    if isinstance(array, RunningStatistic):
        return "scalar"
    if _key(m, f, op) in array.entries:
        return "old"
    if len(array.entries) < array.declaration.size:
        return "new"
    return "recycles" if array.declaration.wrap else "overflows"


def _pattern(keys: tuple[Any, ...]) -> str:
    wild = sum(key is None for key in keys)
    return "whole" if wild == len(keys) else "slice" if wild else "exact"


def _has(m: Any, f: Any, op: ops.ArrayHas) -> str:
    key = _key(m, f, op)
    return f"{_pattern(key)} {'yes' if m.array(op.variable).matching(key) else 'no'}"


def _delete(m: Any, f: Any, op: ops.ArrayDelete) -> str:
    declaration = m.session.program.globals[op.variable]
    kind = "statistic" if declaration.stat else _value_kind(declaration)
    if isinstance(declaration, Scalar):
        return f"scalar {kind}"
    return f"array {_pattern(_key(m, f, op)) if op.keys else 'whole'} {kind}"


def _value_kind(declaration: Scalar | Array) -> str:
    type_ = declaration.type if isinstance(declaration, Scalar) else declaration.value
    return "string" if type_ is Value.STRING else "long"


def _statistic(m: Any, f: Any, op: Any) -> str:
    """Where the statistic is, and whether there is anything in it."""
    place = (
        "scalar" if isinstance(m.session.globals[op.variable], RunningStatistic) else "entry"
    )
    found = m.statistic(op.variable, [f.registers[reg] for reg in op.keys], make=False)
    if place == "entry" and _key(m, f, op) not in m.array(op.variable).entries:
        return "absent"
    return f"{place} {'filled' if found.count else 'empty'}"


def _stat_get(m: Any, f: Any, op: ops.StatGet) -> str:
    return f"{op.op} {_statistic(m, f, op)}"


def _shape(m: Any, op: Any) -> str:
    return str(m.session.program.globals[op.variable].stat.buckets.kind)


def _histogram_get(m: Any, f: Any, op: ops.HistogramGet) -> str:
    if "filled" not in _statistic(m, f, op):
        return f"{_shape(m, op)} empty"
    found = m.statistic(op.variable, [f.registers[reg] for reg in op.keys], make=False)
    inside = 0 <= f.registers[op.bucket] < len(found.histogram)
    return f"{_shape(m, op)} {'inside' if inside else 'outside'}"


def _histogram_text(m: Any, f: Any, op: ops.HistogramText) -> str:
    filled = "filled" if "filled" in _statistic(m, f, op) else "empty"
    return f"{_shape(m, op)} {'printed' if op.dest is None else 'stored'} {filled}"


def _limit(f: Any, op: ops.IterBegin) -> str:
    if op.limit is None:
        return "unlimited"
    limit = f.registers[op.limit]
    return "none" if limit <= 0 else "selected" if limit <= 30 else "all"


def _iterate(m: Any, f: Any, op: ops.IterBegin) -> Iterator[str]:
    declaration = m.session.program.globals[op.variable]
    kind = "statistic" if declaration.stat else _value_kind(declaration)
    order = "unordered"
    if op.order is not None:
        by = op.order.by
        if by in {"key", "value"}:
            by += f" {_ordered_kind(declaration, op.order)}"
        order = f"{by} {'down' if op.order.descending else 'up'}"
    yield f"{order}, {_limit(f, op)}"
    yield f"of {kind}"
    if op.slices:
        yield f"sliced, {_limit(f, op)}"


def _ordered_kind(declaration: Array, order: ops.Order) -> str:
    type_ = declaration.keys[order.key] if order.by == "key" else declaration.value
    return "statistic" if type_ is None else type_.name.lower()


def _call(m: Any, f: Any, op: ops.Call) -> str:
    depth = "too deep" if len(m.frames) > m.session.program.limits.maxnesting else "plain"
    return "overloaded" if depth == "plain" and len(op.overloads) > 1 else depth


def _format(m: Any, _: Any, op: Any) -> Iterator[str]:
    for piece in m.session.program.formats[op.format].pieces:
        if isinstance(piece, Conversion):
            yield f"%{piece.flag}{piece.letter}"
            width, precision = _size(piece.width), _size(piece.precision)
            yield f"%{piece.letter} width {width} precision {precision}"
        else:
            yield "text"


def _size(size: int | str | None) -> str:
    return "none" if size is None else "star" if size == "*" else "number"


def _tick(m: Any, _: Any, op: ops.Tick) -> str:
    return "too many" if m.actions <= op.count else "within"


def _caught(_: Any, __: Any, op: ops.Caught) -> str:
    return "unnamed" if op.dest is None else "named"


def _next(m: Any, f: Any, op: ops.IterNext) -> str:
    return f"{'keys' if op.value is None else 'keys and value'}"


def _branch(_: Any, f: Any, op: ops.Branch) -> str:
    return "then" if f.registers[op.condition] else "orelse"


def _return(_: Any, f: Any, op: ops.Return) -> str:
    return "nothing" if op.value is None else _kind(f.registers[op.value])


def _next_overload(_: Any, f: Any, __: ops.NextOverload) -> str:
    return "another" if f.overload + 1 < len(f.call.overloads) else "exhausted"


_DESCRIBE: dict[type, Callable[[Any, Any, Any], str | Iterator[str]]] = {
    ops.Arith: _arith,
    ops.Compare: _compare,
    ops.Copy: _typed,
    ops.Concat: _concat,
    ops.Match: _match,
    ops.Capture: _capture,
    ops.GlobalGet: _global,
    ops.GlobalSet: _global,
    ops.ArrayGet: _array_get,
    ops.ArraySet: lambda m, f, op: f"{_typed(m, f, op)} {_making(m, f, op)}",
    ops.ArrayAdd: _making,
    ops.ArrayHas: _has,
    ops.ArrayDelete: _delete,
    ops.StatAdd: _making,
    ops.StatGet: _stat_get,
    ops.HistogramGet: _histogram_get,
    ops.HistogramText: _histogram_text,
    ops.IterBegin: _iterate,
    ops.Call: _call,
    ops.CallBuiltin: lambda _, __, op: op.name,
    ops.PrintFormat: _format,
    ops.FormatString: _format,
    ops.Tick: _tick,
    ops.Caught: _caught,
    ops.IterNext: _next,
    ops.Branch: _branch,
    ops.Return: _return,
    ops.NextOverload: _next_overload,
}


def _variants(m: Any, f: Any, op: Any) -> Iterable[str]:
    name = type(op).__name__
    describe = _DESCRIBE.get(type(op))
    if describe is None:
        return (name,)
    found = describe(m, f, op)
    return [f"{name} {v}" for v in ((found,) if isinstance(found, str) else found)]


# --- counting ---------------------------------------------------------------------------------


@contextmanager
def watching(counts: Counter[str]) -> Iterator[None]:
    """Count what the interpreter executes meanwhile."""
    executors = reference._EXECUTORS
    before = dict(executors)
    leave, unwind, run = (
        reference.IrMachine._leave_block, reference.IrMachine._unwind, reference.IrMachine.run,
    )  # fmt: skip

    def watched(execute: Callable[..., None]) -> Callable[..., None]:
        def counted(m: Any, f: Any, op: Any) -> None:
            counts.update(_variants(m, f, op))
            execute(m, f, op)

        return counted

    def leave_block(m: Any, f: Any, op: Any) -> None:
        counts.update(_variants(m, f, op))
        leave(m, f, op)

    def counted_unwind(m: Any, error: ScriptError) -> None:
        catching = any(frame.block.on_error is not None for frame in m.frames)
        counts[
            "error " + ("final" if error.final else "caught" if catching else "uncaught")
        ] += 1
        unwind(m, error)

    def counted_run(m: Any, function: Any) -> Any:
        result = run(m, function)
        counts[_handler(m, result)] += 1
        return result

    executors.update({kind: watched(execute) for kind, execute in before.items()})
    reference.IrMachine._leave_block = leave_block  # type: ignore[method-assign]
    reference.IrMachine._unwind = counted_unwind  # type: ignore[method-assign]
    reference.IrMachine.run = counted_run  # type: ignore[method-assign]
    try:
        yield
    finally:
        executors.update(before)
        reference.IrMachine._leave_block = leave  # type: ignore[method-assign]
        reference.IrMachine._unwind = unwind  # type: ignore[method-assign]
        reference.IrMachine.run = run  # type: ignore[method-assign]


_KINDS = {
    Begin: "begin",
    End: "end",
    Error: "error",
    Timer: "timer",
    MarkerAttachment: "marker",
}


def _handler(m: Any, result: object) -> str:
    if m.handler is None:
        return f"condition {'holds' if result else 'fails'}"
    return f"handler {_KINDS[type(m.handler.expansion.attachment)]}"


# --- what must be reached ---------------------------------------------------------------------

_ORDERS = (
    "unordered", "key long up", "key long down", "key string up", "key string down",
    "value long up", "value long down", "value string up", "value string down",
    "value statistic up", "value statistic down",
    *(f"{part} {way}" for part in ("count", "sum", "min", "max", "avg", "variance")
      for way in ("up", "down")),
)  # fmt: skip
_FIXED = """
Const|ConstString|Copy long|Copy string|Concat whole|Concat cut|Match found|Match missed
Capture Argument long|Capture Context long|Capture Context string|Capture Load string
Capture Load string unreadable|Capture Load long|Capture Load long unreadable
GlobalGet long|GlobalGet string|GlobalSet long|GlobalSet string|GlobalAdd
ArrayGet long present|ArrayGet long absent|ArrayGet string present|ArrayGet string absent
ArrayHas exact yes|ArrayHas exact no|ArrayHas slice yes|ArrayHas slice no|ArrayHas whole yes
ArrayHas whole no|ArrayDelete scalar long|ArrayDelete scalar string|ArrayDelete scalar statistic
StatAdd scalar|StatAdd old|StatAdd new|StatAdd recycles|StatAdd overflows
HistogramGet log inside|HistogramGet log outside|HistogramGet log empty
HistogramGet linear inside|HistogramGet linear outside|HistogramGet linear empty
IterDelete|Call plain|Call overloaded|Call too deep|Tick within|Tick too many
Caught named|Caught unnamed|Jump|Branch then|Branch orelse|IterNext keys|IterNext keys and value
Return nothing|Return long|Return string|NextOverload another|NextOverload exhausted
error caught|error uncaught|error final|condition holds|condition fails
handler begin|handler end|handler error|handler timer|handler marker
"""


def expected() -> list[str]:
    """Every variant that random programs must execute."""
    wanted = [variant for line in _FIXED.split("\n") for variant in line.split("|") if variant]
    wanted += [f"Arith {' '.join(x)}" for x in product(ops.ARITHMETIC, CLASSES, CLASSES)]
    wanted += [f"Compare {' '.join(x)}" for x in product(ops.COMPARISONS, ("long", "string"))]
    for kind, what in (
        ("long", ("old", "new", "recycles", "overflows")),
        ("string", ("old", "new", "recycles", "overflows")),
    ):
        wanted += [f"ArraySet {kind} {way}" for way in what]
    wanted += [f"ArrayAdd {way}" for way in ("old", "new", "recycles", "overflows")]
    wanted += [
        f"ArrayDelete array {' '.join(x)}"
        for x in product(("whole", "exact"), ("long", "string", "statistic"))
    ]
    wanted += ["ArrayDelete array slice long"]
    places = ("scalar filled", "scalar empty", "entry filled", "absent")
    wanted += [f"StatGet {' '.join(x)}" for x in product(ops.STAT_READS, places)]
    wanted += [
        f"HistogramText {' '.join(x)}"
        for x in product(("log", "linear"), ("printed", "stored"), ("filled", "empty"))
    ]
    limits = ("unlimited", "none", "selected", "all")
    wanted += [f"IterBegin {', '.join(x)}" for x in product(_ORDERS, limits)]
    wanted += [f"IterBegin sliced, {limit}" for limit in limits]
    wanted += [f"IterBegin of {kind}" for kind in ("long", "string", "statistic")]
    wanted += [f"CallBuiltin {name}" for name in BUILTINS]
    for name in ("PrintFormat", "FormatString"):
        wanted += [f"{name} %{flag}{letter}" for flag, letter in product(FLAGS, LETTERS)]
        wanted += [
            f"{name} %{x[0]} width {x[1]} precision {x[2]}"
            for x in product(LETTERS, SIZES, SIZES)
        ]
        wanted.append(f"{name} text")
    return sorted(set(wanted))


def missing(counts: Counter[str]) -> list[str]:
    """The expected variants that were not executed."""
    return [variant for variant in expected() if not counts[variant]]


def operations() -> set[str]:
    """The names of all operations."""
    return {kind.__name__ for kind in (*get_args(ops.Op), *get_args(ops.Terminator))}


def table(counts: Counter[str]) -> str:
    """The counts as a table, in the order of their names."""
    names = sorted({*expected(), *counts})
    return "\n".join(f"{counts[name]:>10,}  {name}" for name in names)
