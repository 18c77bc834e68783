"""Runs one function of the IR: a stack of frames, one operation after another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from bridge.interpreter.arrays import OrderedArray, matches
from bridge.interpreter.faults import ScriptError, UnreadableMemory
from bridge.interpreter.functions import FUNCTIONS
from bridge.interpreter.patterns import search
from bridge.interpreter.printf import PRINT_BYTES, format_bytes
from bridge.interpreter.statistics import RunningStatistic, histogram_text
from bridge.ir import ops
from bridge.ir.arithmetic import MASK, calculate, compare, wrap
from bridge.ir.program import FAULT_ADDRESS, Load, Reg, Scalar, Value, fault_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bridge.interpreter.arrays import Key
    from bridge.interpreter.session import InterpreterSession
    from bridge.ir.ops import Op, Terminator
    from bridge.ir.program import BasicBlock, Function, Handler, Label

Item = int | bytes


@dataclass(slots=True)
class _Iteration:
    """A walk along an array; `keys` are those ahead, the next one last.

    Nothing but another sort can change the array meanwhile. The walk then goes on behind the
    entry where it is, wherever that is now.
    """

    array: OrderedArray
    limit: int | None
    slices: Sequence[Item | None]
    visited: int = 0
    keys: list[Key] = field(default_factory=list)
    sorted: int = -1
    at: Key | None = None

    def ahead(self) -> list[Key]:
        """The keys that are ahead now."""
        if self.sorted != self.array.sorted:
            self.sorted = self.array.sorted
            self.keys = list(self.array.entries)[::-1]
            if self.at is not None:
                del self.keys[self.keys.index(self.at) :]
        return self.keys


@dataclass(slots=True)
class _Frame:
    """One running function; `call` and `overload` say what it was called by."""

    function: Function
    registers: list[Item]
    block: BasicBlock
    at: int = 0
    call: ops.Call | None = None
    overload: int = 0
    arguments: tuple[Item, ...] = ()
    iterations: dict[int, _Iteration] = field(default_factory=dict)
    caught: bytes = b""


@dataclass(slots=True)
class IrMachine:
    """The run of one handler (or condition) from its start to its end."""

    session: InterpreterSession
    handler: Handler | None = None
    captures: Sequence[Item | UnreadableMemory] = ()
    point: bytes = b""
    script_point: bytes = b""
    actions: int = 1 << 62
    frames: list[_Frame] = field(default_factory=list)
    result: Item | None = None

    def run(self, function: Function) -> Item | None:
        """Run to the end; a ScriptError that nothing caught comes out."""
        self._push(function, (), None, 0)
        while self.frames:
            try:
                self._step()
            except ScriptError as error:
                self._unwind(error)
        return self.result

    # --- frames -------------------------------------------------------------------------------

    def _push(
        self, function: Function, arguments: tuple[Item, ...], call: ops.Call | None, at: int
    ) -> None:
        if len(self.frames) > self.session.program.limits.maxnesting:
            raise ScriptError("MAXNESTING exceeded")
        registers: list[Item] = [0 if t is Value.LONG else b"" for t in function.registers]
        registers[: len(arguments)] = arguments
        frame = _Frame(function, registers, function.blocks[0], 0, call, at, arguments)
        self.frames.append(frame)

    def _step(self) -> None:
        """Run the top frame up to a call, or to the end of its block."""
        frame = self.frames[-1]
        while frame.at < len(frame.block.ops):
            op = frame.block.ops[frame.at]
            frame.at += 1
            self._run(frame, op)
            if self.frames[-1] is not frame:
                return
        self._leave_block(frame, frame.block.terminator)

    def _run(self, frame: _Frame, op: Op) -> None:
        try:
            _EXECUTORS[type(op)](self, frame, op)
        except ScriptError as error:
            if error.site is None:
                error.site = getattr(op, "site", None)
            raise

    def _unwind(self, error: ScriptError) -> None:
        while self.frames:
            frame = self.frames[-1]
            label = frame.block.on_error
            if label is not None and not error.final:
                frame.caught = self.session.cut(error.message)
                self._go(frame, label)
                return
            self.frames.pop()
            if frame.call is not None:
                error.chain.append(frame.call.site)
        raise error

    def _go(self, frame: _Frame, label: Label) -> None:
        frame.block = frame.function.blocks[label]
        frame.at = 0

    def _leave_block(self, frame: _Frame, terminator: Terminator) -> None:
        match terminator:
            case ops.Jump(target):
                self._go(frame, target)
            case ops.Branch(condition, then, orelse):
                self._go(frame, then if frame.registers[condition] else orelse)
            case ops.IterNext():
                self._next(frame, terminator)
            case ops.Return(value):
                self._return(None if value is None else frame.registers[value])
            case ops.NextOverload():
                self._next_overload(frame)

    def _return(self, value: Item | None) -> None:
        frame = self.frames.pop()
        self.result = value
        if frame.call is not None and frame.call.dest is not None and value is not None:
            self.frames[-1].registers[frame.call.dest] = value

    def _next_overload(self, frame: _Frame) -> None:
        self.frames.pop()
        call = frame.call
        assert call is not None
        if frame.overload + 1 >= len(call.overloads):
            raise ScriptError("all functions exhausted", call.site)
        function = self.session.program.functions[call.overloads[frame.overload + 1]]
        self._push(function, frame.arguments, call, frame.overload + 1)

    def _next(self, frame: _Frame, op: ops.IterNext) -> None:
        iteration = frame.iterations[op.iterator]
        key = _advance(iteration)
        if key is None:
            del frame.iterations[op.iterator]
            self._go(frame, op.done)
            return
        for reg, item in zip(op.keys, key, strict=True):
            frame.registers[reg] = item
        if op.value is not None:
            frame.registers[op.value] = iteration.array.get(key)
        self._go(frame, op.body)

    def fault(self, index: int, address: int) -> ScriptError:
        """The error of memory that a capture could not read."""
        capture = self.handler.captures[index] if self.handler else None
        if not isinstance(capture, Load):
            return ScriptError("captured value fault")
        return ScriptError(fault_text(capture).replace(FAULT_ADDRESS, f"{address & MASK:#x}"))

    # --- globals ------------------------------------------------------------------------------

    def array(self, number: int) -> OrderedArray:
        """A global that is an array."""
        return cast("OrderedArray", self.session.globals[number])

    def statistic(self, number: int, keys: Sequence[Item], *, make: bool) -> RunningStatistic:
        """A statistic; an absent one is made, or stands for an empty one."""
        found = self.session.globals[number]
        if isinstance(found, RunningStatistic):
            return found
        array = self.array(number)
        key = tuple(keys)
        if make:
            return array.statistic(key)
        entry = array.entries.get(key)
        assert array.declaration.stat is not None
        return (
            entry
            if isinstance(entry, RunningStatistic)
            else RunningStatistic(array.declaration.stat)
        )


def _advance(iteration: _Iteration) -> Key | None:
    """The next key; entries that do not match the slice count against the limit."""
    while keys := iteration.ahead():
        if iteration.limit is not None and iteration.visited >= iteration.limit:
            return None
        iteration.at = key = keys.pop()
        iteration.visited += 1
        if not iteration.slices or matches(key, iteration.slices):
            return key
    return None


# --- operations -------------------------------------------------------------------------------


def _values(frame: _Frame, regs: Iterable[Reg]) -> tuple[Item, ...]:
    return tuple(frame.registers[reg] for reg in regs)


def _pattern(frame: _Frame, regs: Iterable[Reg | None]) -> tuple[Item | None, ...]:
    return tuple(None if reg is None else frame.registers[reg] for reg in regs)


def _long(frame: _Frame, reg: Reg) -> int:
    value = frame.registers[reg]
    assert isinstance(value, int)
    return value


def _text(frame: _Frame, reg: Reg) -> bytes:
    value = frame.registers[reg]
    assert isinstance(value, bytes)
    return value


def _const(m: IrMachine, f: _Frame, op: ops.Const | ops.ConstString) -> None:
    value = op.value
    f.registers[op.dest] = m.session.cut(value) if isinstance(value, bytes) else value


def _copy(_: IrMachine, f: _Frame, op: ops.Copy) -> None:
    f.registers[op.dest] = f.registers[op.source]


def _arith(_: IrMachine, f: _Frame, op: ops.Arith) -> None:
    result = calculate(op.op, _long(f, op.left), _long(f, op.right))
    if result is None:
        raise ScriptError("division by 0")
    f.registers[op.dest] = result


def _compare(_: IrMachine, f: _Frame, op: ops.Compare) -> None:
    left, right = f.registers[op.left], f.registers[op.right]
    if isinstance(left, int):
        f.registers[op.dest] = compare(op.op, left, _long(f, op.right))
    else:
        assert isinstance(right, bytes)
        f.registers[op.dest] = compare(op.op, left, right)


def _concat(m: IrMachine, f: _Frame, op: ops.Concat) -> None:
    f.registers[op.dest] = m.session.cut(b"".join(_text(f, part) for part in op.parts))


def _match(m: IrMachine, f: _Frame, op: ops.Match) -> None:
    found = search(op.pattern, _text(f, op.text))
    m.session.match_failed = found is None
    if found:
        m.session.match = found
    f.registers[op.dest] = int(found is not None)


def _capture(m: IrMachine, f: _Frame, op: ops.Capture) -> None:
    value = m.captures[op.index]
    if isinstance(value, UnreadableMemory):
        raise m.fault(op.index, value.address)
    f.registers[op.dest] = m.session.cut(value) if isinstance(value, bytes) else value


def _global_get(m: IrMachine, f: _Frame, op: ops.GlobalGet) -> None:
    f.registers[op.dest] = cast("Item", m.session.globals[op.variable])


def _global_set(m: IrMachine, f: _Frame, op: ops.GlobalSet) -> None:
    m.session.globals[op.variable] = f.registers[op.source]


def _global_add(m: IrMachine, f: _Frame, op: ops.GlobalAdd) -> None:
    old = m.session.globals[op.variable]
    assert isinstance(old, int)
    m.session.globals[op.variable] = wrap(old + _long(f, op.amount))


def _array_get(m: IrMachine, f: _Frame, op: ops.ArrayGet) -> None:
    f.registers[op.dest] = m.array(op.variable).get(_values(f, op.keys))


def _array_set(m: IrMachine, f: _Frame, op: ops.ArraySet) -> None:
    m.array(op.variable).set(_values(f, op.keys), f.registers[op.source])


def _array_add(m: IrMachine, f: _Frame, op: ops.ArrayAdd) -> None:
    array, key = m.array(op.variable), _values(f, op.keys)
    old = array.get(key)
    assert isinstance(old, int)
    array.set(key, wrap(old + _long(f, op.amount)))


def _array_has(m: IrMachine, f: _Frame, op: ops.ArrayHas) -> None:
    f.registers[op.dest] = int(bool(m.array(op.variable).matching(_pattern(f, op.keys))))


def _delete(m: IrMachine, f: _Frame, op: ops.ArrayDelete) -> None:
    declaration = m.session.program.globals[op.variable]
    if isinstance(declaration, Scalar):
        m.session.reset(op.variable)
    elif not op.keys:
        m.array(op.variable).entries.clear()
    else:
        array = m.array(op.variable)
        for key in array.matching(_pattern(f, op.keys)):
            del array.entries[key]


def _stat_add(m: IrMachine, f: _Frame, op: ops.StatAdd) -> None:
    m.statistic(op.variable, _values(f, op.keys), make=True).add(_long(f, op.source))


def _stat_get(m: IrMachine, f: _Frame, op: ops.StatGet) -> None:
    found = m.statistic(op.variable, _values(f, op.keys), make=False)
    f.registers[op.dest] = found.read(op.op)


def _histogram_get(m: IrMachine, f: _Frame, op: ops.HistogramGet) -> None:
    found = m.statistic(op.variable, _values(f, op.keys), make=False)
    if found.count == 0:
        raise ScriptError("empty aggregate")
    bucket = _long(f, op.bucket)
    if not 0 <= bucket < len(found.histogram):
        raise ScriptError("histogram index out of range")
    f.registers[op.dest] = found.histogram[bucket]


def _histogram_text(m: IrMachine, f: _Frame, op: ops.HistogramText) -> None:
    found = m.statistic(op.variable, _values(f, op.keys), make=False)
    text = histogram_text(found, m.session.program.limits.hist_elision)
    if op.dest is None:
        m.session.write(text)
    else:
        f.registers[op.dest] = m.session.cut(text)


def _iterate(m: IrMachine, f: _Frame, op: ops.IterBegin) -> None:
    array = m.array(op.variable)
    limit = None if op.limit is None else _long(f, op.limit)
    if op.order is not None:
        array.sort(op.order, limit)
    f.iterations[op.iterator] = _Iteration(array, limit, _pattern(f, op.slices))


def _drop(_: IrMachine, f: _Frame, op: ops.IterDelete) -> None:
    f.iterations.pop(op.iterator, None)


def _call(m: IrMachine, f: _Frame, op: ops.Call) -> None:
    function = m.session.program.functions[op.overloads[0]]
    m._push(function, _values(f, op.arguments), op, 0)  # noqa: SLF001 - part of the machine


def _builtin(m: IrMachine, f: _Frame, op: ops.CallBuiltin) -> None:
    result: Item | None
    if op.name in m.session.contexts:
        result = m.session.context(op.name)
    else:
        result = FUNCTIONS[op.name](m, *_values(f, op.arguments))
    if op.dest is not None:
        assert result is not None
        f.registers[op.dest] = m.session.cut(result) if isinstance(result, bytes) else result


def _print(m: IrMachine, f: _Frame, op: ops.PrintFormat) -> None:
    format_ = m.session.program.formats[op.format]
    m.session.write(
        format_bytes(format_, _values(f, op.arguments), PRINT_BYTES, m.session.read)
    )


def _format(m: IrMachine, f: _Frame, op: ops.FormatString) -> None:
    format_ = m.session.program.formats[op.format]
    widest = m.session.program.limits.maxstringlen - 1
    text = format_bytes(format_, _values(f, op.arguments), widest, m.session.read, nul=True)
    f.registers[op.dest] = m.session.cut(text)


def _tick(m: IrMachine, _: _Frame, op: ops.Tick) -> None:
    m.actions -= op.count
    if m.actions <= 0:
        raise ScriptError("MAXACTION exceeded", final=True)


def _caught(_: IrMachine, f: _Frame, op: ops.Caught) -> None:
    if op.dest is not None:
        f.registers[op.dest] = f.caught


_EXECUTORS: dict[type, Callable[..., None]] = {
    ops.Const: _const,
    ops.ConstString: _const,
    ops.Copy: _copy,
    ops.Arith: _arith,
    ops.Compare: _compare,
    ops.Concat: _concat,
    ops.Match: _match,
    ops.Capture: _capture,
    ops.GlobalGet: _global_get,
    ops.GlobalSet: _global_set,
    ops.GlobalAdd: _global_add,
    ops.ArrayGet: _array_get,
    ops.ArraySet: _array_set,
    ops.ArrayAdd: _array_add,
    ops.ArrayHas: _array_has,
    ops.ArrayDelete: _delete,
    ops.StatAdd: _stat_add,
    ops.StatGet: _stat_get,
    ops.HistogramGet: _histogram_get,
    ops.HistogramText: _histogram_text,
    ops.IterBegin: _iterate,
    ops.IterDelete: _drop,
    ops.Call: _call,
    ops.CallBuiltin: _builtin,
    ops.PrintFormat: _print,
    ops.FormatString: _format,
    ops.Tick: _tick,
    ops.Caught: _caught,
}
