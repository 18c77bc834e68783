"""Bodies of handlers that run in the kernel: the BPF side of `codegen.llvm`.

A body becomes an inlined function whose parameters are the control words and its captures: a
LONG as value and status, a STRING as a buffer of STRING_BYTES, padded with NULs, and a status.
One rule: what an error leaves behind is its site and message in the control map, and the engine
ends the session with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.codegen.bpf import text as t
from bridge.codegen.bpf.globals import (
    BUCKETS,
    COUNT,
    LOG_BUCKETS,
    MAX,
    MIN,
    STRING_BYTES,
    SUM,
    bucket_count,
)
from bridge.codegen.bpf.object import Control, error_word
from bridge.codegen.llvm import PREDICATES, Emitter, lower_function
from bridge.ir import ops
from bridge.ir.program import Array, Load, Reg, Value, capture_type, fault_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bridge.codegen.bpf.captures import Captures
    from bridge.codegen.bpf.globals import GlobalMaps
    from bridge.codegen.bpf.object import KernelGlobal
    from bridge.codegen.bpf.text import ProgramText
    from bridge.ir.program import Buckets, Global, Handler, IrProgram

NO_EXIST = 1
"""BPF_NOEXIST: make an entry, do not replace one."""
RACES = 8
"""How often a minimum or maximum tries again when another CPU changed it."""
_WORDS = STRING_BYTES // 8


def handler_text(program: IrProgram, number: int, name: str, globals_: GlobalMaps) -> str:
    """The function of one handler."""
    handler = program.handlers[number]
    return lower_function(handler.body, name, _Backend(number, handler, globals_))


def call_handler(
    text: ProgramText, captures: Captures, handler: Handler, name: str, control: str
) -> None:
    """Capture what a handler needs and call it."""
    arguments = ", ".join([f"ptr {control}", *_arguments(text, captures, handler)])
    text.emit(f"call void @{name}({arguments})")


def gate_text(number: int, handler: Handler, name: str, globals_: GlobalMaps) -> str:
    """The function of a handler's gate (`gate.gate`)."""
    return lower_function(handler.body, name, _Gate(number, handler, globals_))


def call_gate(text: ProgramText, captures: Captures, handler: Handler, name: str) -> str:
    """Capture what a gate needs and call it; the i64 that it returns."""
    arguments = ", ".join(["ptr null", *_arguments(text, captures, handler)])
    return text.value(f"call i64 @{name}({arguments})")


def _arguments(text: ProgramText, captures: Captures, handler: Handler) -> Iterator[str]:
    for capture in handler.captures:
        if capture_type(capture) is Value.LONG:
            value, status = captures.with_status(capture)
            yield from (f"i64 {value}", f"i64 {status}")
        else:
            buffer = text.stack(STRING_BYTES)
            text.zero(buffer, STRING_BYTES)
            written = captures.string(capture, buffer, STRING_BYTES)
            fault = text.value(f"icmp eq i64 {written}, 0")
            yield from (f"ptr {buffer}", f"i64 {text.value(f'zext i1 {fault} to i64')}")
        if isinstance(capture, Load):
            yield f"i64 {captures.value(capture.address)}"


class _Backend:
    """The operations that handlers in the kernel may have."""

    result = "void"

    def __init__(self, number: int, handler: Handler, globals_: GlobalMaps) -> None:
        self._number = number
        self._handler = handler
        self._globals = globals_
        self._scratch: dict[str, str] = {}

    @property
    def operations(self) -> Mapping[type, Callable[[Emitter, Any], None]]:
        """One emitter per operation."""
        return {
            ops.Capture: self._capture,
            ops.ConstString: self._const_string,
            ops.Copy: self._copy_string,
            ops.Compare: self._compare_strings,
            ops.GlobalAdd: self._global_add,
            ops.ArrayAdd: self._array_add,
            ops.StatAdd: self._stat_add,
            ops.ArrayGet: self._array_get,
            ops.ArraySet: self._array_set,
            ops.ArrayHas: self._array_has,
            ops.ArrayDelete: self._array_delete,
            ops.Tick: self._tick,
            ops.Return: self._return,
        }

    # --- the function -------------------------------------------------------------------------

    def signature(self, e: Emitter) -> str:
        """Control words and captures come in."""
        parameters = ["ptr %control"]
        for number, capture in enumerate(self._handler.captures):
            kind = "i64" if capture_type(capture) is Value.LONG else "ptr"
            parameters += [f"{kind} %c{number}", f"i64 %f{number}"]
            if isinstance(capture, Load):
                parameters.append(f"i64 %a{number}")
        head = f"internal {self.result} @{e.name}"
        return f"{head}({', '.join(parameters)}) alwaysinline #0"

    def prologue(self, e: Emitter) -> None:
        """Buffers for STRING registers, empty at first."""
        for number, type_ in enumerate(e.function.registers):
            if type_ is Value.STRING:
                buffer = f"%r{number}"
                e.entry.append(f"  {buffer} = alloca [{STRING_BYTES} x i8], align 8")
                _zero(e, buffer, STRING_BYTES)

    def raise_error(self, e: Emitter, site: int | None, message: bytes) -> None:
        """Keep the first error for the engine."""
        word = error_word(self._number, site, self._globals.message(message))
        pointer = _at(e, "%control", 8 * Control.ERROR)
        e.value(f"cmpxchg ptr {pointer}, i64 0, i64 {word} monotonic monotonic")

    def error_exit(self, e: Emitter) -> None:
        """An error ends the handler."""
        e.emit("ret void")

    def _return(self, e: Emitter, op: ops.Return) -> None:
        e.emit("ret void")

    def _tick(self, e: Emitter, op: ops.Tick) -> None:
        """Bodies in the kernel have no loops, so they cannot reach MAXACTION."""

    # --- values -------------------------------------------------------------------------------

    def _capture(self, e: Emitter, op: ops.Capture) -> None:
        value, status = f"%c{op.index}", f"%f{op.index}"
        source = self._handler.captures[op.index]
        if isinstance(source, Load):
            failed = e.value(f"icmp ne i64 {status}, 0")
            address = e.value(f"select i1 {failed}, i64 %a{op.index}, i64 0")
            pointer = _at(e, "%control", 8 * Control.ERROR_ADDRESS)
            e.value(f"cmpxchg ptr {pointer}, i64 0, i64 {address} monotonic monotonic")
            e.fail_if(failed, op.site, fault_text(source).encode())
        if e.type(op.dest) is Value.LONG:
            e.set(op.dest, value)
        else:
            _copy(e, e.slot(op.dest), value)

    def _const_string(self, e: Emitter, op: ops.ConstString) -> None:
        data = op.value.split(b"\0")[0]
        assert len(data) < STRING_BYTES, data
        data = data.ljust(STRING_BYTES, b"\0")
        for word in range(_WORDS):
            number = int.from_bytes(data[8 * word : 8 * word + 8], "little", signed=True)
            _store(e, str(number), e.slot(op.dest), 8 * word)

    def _copy_string(self, e: Emitter, op: ops.Copy) -> None:
        _copy(e, e.slot(op.dest), e.slot(op.source))

    def _compare_strings(self, e: Emitter, op: ops.Compare) -> None:
        """The first words that differ decide, compared as big-endian numbers."""
        left = right = "0"
        for word in reversed(range(_WORDS)):
            a = _load(e, e.slot(op.left), 8 * word)
            b = _load(e, e.slot(op.right), 8 * word)
            same = e.value(f"icmp eq i64 {a}, {b}")
            left = e.value(f"select i1 {same}, i64 {left}, i64 {a}")
            right = e.value(f"select i1 {same}, i64 {right}, i64 {b}")
        left, right = _big_endian(e, left), _big_endian(e, right)
        predicate = PREDICATES[op.op].replace("s", "u")
        e.set_bool(op.dest, e.value(f"icmp {predicate} i64 {left}, {right}"))

    # --- entries ------------------------------------------------------------------------------

    def _buffer(self, e: Emitter, purpose: str, size: int) -> str:
        key = f"{purpose}{size}"
        if key not in self._scratch:
            self._scratch[key] = e.alloca(f"[{size} x i8]")
        return self._scratch[key]

    def _key(self, e: Emitter, variable: KernelGlobal, keys: tuple[Reg, ...]) -> str:
        size = (variable.key_bytes + 7) & ~7
        buffer = self._buffer(e, "key", size)
        if not keys:
            _store(e, "0", buffer, 0)
        at = 0
        for reg in keys:
            if e.type(reg) is Value.LONG:
                _store(e, e.get(reg), buffer, at)
                at += 8
            else:
                _copy(e, _at(e, buffer, at), e.slot(reg))
                at += STRING_BYTES
        return buffer

    def _map(self, e: Emitter, variable: KernelGlobal) -> str:
        """The map, or null if it is reached through a map of maps that is empty."""
        if variable.outer is None:
            return _map(e, variable.map)
        index = self._buffer(e, "zero", 8)
        _store(e, "0", index, 0)
        return _lookup(e, _map(e, variable.outer), index)

    def _entry(self, e: Emitter, number: int, keys: tuple[Reg, ...], site: int | None) -> str:
        """The entry with these keys, made if it is missing; the code goes on only with one."""
        variable = self._globals[number]
        key = self._key(e, variable, keys)
        map_ = self._map(e, variable)
        result = e.alloca("ptr")
        if variable.outer is not None:
            _leave_if_null(e, map_)
        found = _lookup(e, map_, key)
        e.emit(f"store ptr {found}, ptr {result}")
        done = e.label("entry")
        if isinstance(variable.declaration, Array):
            make = e.label("make")
            e.branch(e.value(f"icmp eq ptr {found}, null"), make, done)
            e.start(make)
            self._make_entry(e, variable, (map_, key, result), site, done)
        else:
            e.jump(done)
        e.start(done)
        entry = e.value(f"load ptr, ptr {result}")
        _leave_if_null(e, entry)
        return entry

    def _make_entry(
        self,
        e: Emitter,
        variable: KernelGlobal,
        where: tuple[str, str, str],
        site: int | None,
        done: str,
    ) -> None:
        map_, key, result = where
        if variable.template is not None:
            fresh = _map(e, variable.template, t.MAP_VALUE)
        else:
            fresh = self._buffer(e, "fresh", variable.value_bytes)
            _zero(e, fresh, variable.value_bytes)
        code = e.value(
            f"call i64 inttoptr (i64 {t.UPDATE} to ptr)"
            f"(ptr {map_}, ptr {key}, ptr {fresh}, i64 {NO_EXIST})"
        )
        entry = _lookup(e, map_, key)
        e.emit(f"store ptr {entry}, ptr {result}")
        missing = e.value(f"icmp eq ptr {entry}, null")
        e.fail_if(missing, site, _overflow(variable.declaration))
        mine = e.label("mine")
        e.branch(e.value(f"icmp eq i64 {code}, 0"), mine, done)
        e.start(mine)
        counter = _at(e, "%control", 8 * Control.SEQUENCE)
        _store(e, e.value(f"atomicrmw add ptr {counter}, i64 1 monotonic"), entry, 0)
        e.jump(done)

    def _add(self, e: Emitter, entry: str, offset: int, amount: str) -> None:
        e.value(f"atomicrmw add ptr {_at(e, entry, offset)}, i64 {amount} monotonic")

    def _global_add(self, e: Emitter, op: ops.GlobalAdd) -> None:
        self._add(e, self._entry(e, op.variable, (), None), COUNT, e.get(op.amount))

    def _array_add(self, e: Emitter, op: ops.ArrayAdd) -> None:
        self._add(e, self._entry(e, op.variable, op.keys, op.site), COUNT, e.get(op.amount))

    # --- statistics ---------------------------------------------------------------------------

    def _stat_add(self, e: Emitter, op: ops.StatAdd) -> None:
        entry = self._entry(e, op.variable, op.keys, op.site)
        value = e.get(op.source)
        stat = self._globals[op.variable].declaration.stat
        assert stat is not None
        self._add(e, entry, COUNT, "1")
        self._add(e, entry, SUM, value)
        self._extreme(e, _at(e, entry, MIN), value, "slt")
        self._extreme(e, _at(e, entry, MAX), value, "sgt")
        if stat.buckets is not None:
            bucket = _bucket(e, stat.buckets, value)
            offset = e.value(f"shl i64 {bucket}, 3")
            pointer = _at(e, _at(e, entry, BUCKETS), offset)
            e.value(f"atomicrmw add ptr {pointer}, i64 1 monotonic")

    def _extreme(self, e: Emitter, pointer: str, value: str, better: str) -> None:
        """Replace by compare and exchange while the value is better than what is there."""
        done = e.label("kept")
        for _ in range(RACES):
            old = e.value(f"load volatile i64, ptr {pointer}, align 8")
            try_, again = e.label("try"), e.label("again")
            e.branch(e.value(f"icmp {better} i64 {value}, {old}"), try_, done)
            e.start(try_)
            pair = e.value(f"cmpxchg ptr {pointer}, i64 {old}, i64 {value} monotonic monotonic")
            seen = e.value(f"extractvalue {{ i64, i1 }} {pair}, 0")
            e.branch(e.value(f"icmp eq i64 {seen}, {old}"), done, again)
            e.start(again)
        lost = _at(e, "%control", 8 * Control.CONTENDED)
        e.value(f"atomicrmw add ptr {lost}, i64 1 monotonic")
        e.jump(done)
        e.start(done)

    # --- resident arrays ----------------------------------------------------------------------

    def _find(self, e: Emitter, number: int, keys: tuple[Reg | None, ...]) -> str:
        variable = self._globals[number]
        exact = tuple(reg for reg in keys if reg is not None)
        assert len(exact) == len(keys), "wildcards are not placed in the kernel"
        return _lookup(e, self._map(e, variable), self._key(e, variable, exact))

    def _array_get(self, e: Emitter, op: ops.ArrayGet) -> None:
        entry = self._find(e, op.variable, op.keys)
        is_long = e.type(op.dest) is Value.LONG
        if is_long:
            e.set(op.dest, "0")
        else:
            _zero(e, e.slot(op.dest), STRING_BYTES)
        there, done = e.label("there"), e.label("done")
        e.branch(e.value(f"icmp eq ptr {entry}, null"), done, there)
        e.start(there)
        if is_long:
            e.set(op.dest, _load(e, entry, COUNT))
        else:
            _copy(e, e.slot(op.dest), _at(e, entry, COUNT))
        e.jump(done)
        e.start(done)

    def _array_set(self, e: Emitter, op: ops.ArraySet) -> None:
        entry = self._entry(e, op.variable, op.keys, op.site)
        if e.type(op.source) is Value.LONG:
            _store(e, e.get(op.source), entry, COUNT)
        else:
            _copy(e, _at(e, entry, COUNT), e.slot(op.source))

    def _array_has(self, e: Emitter, op: ops.ArrayHas) -> None:
        entry = self._find(e, op.variable, op.keys)
        e.set_bool(op.dest, e.value(f"icmp ne ptr {entry}, null"))

    def _array_delete(self, e: Emitter, op: ops.ArrayDelete) -> None:
        variable = self._globals[op.variable]
        exact = tuple(reg for reg in op.keys if reg is not None)
        assert len(exact) == len(op.keys), "wildcards are not placed in the kernel"
        key = self._key(e, variable, exact)
        e.value(
            f"call i64 inttoptr (i64 {t.DELETE} to ptr)(ptr {_map(e, variable.map)}, ptr {key})"
        )


class _Gate(_Backend):
    """The operations that gates have: those without effect, which cannot fail."""

    result = "i64"

    def _return(self, e: Emitter, op: ops.Return) -> None:
        e.emit(f"ret i64 {0 if op.value is None else e.get(op.value)}")


def _overflow(declaration: Global) -> bytes:
    assert isinstance(declaration, Array)
    if declaration.sized:
        return b"Array overflow, check size limit (%d)" % declaration.size
    return b"Array overflow, check MAXMAPENTRIES"


# --- small pieces -----------------------------------------------------------------------------


def _at(e: Emitter, pointer: str, offset: int | str) -> str:
    return e.value(f"getelementptr i8, ptr {pointer}, i64 {offset}")


def _load(e: Emitter, pointer: str, offset: int) -> str:
    return e.value(f"load i64, ptr {_at(e, pointer, offset)}, align 8")


def _store(e: Emitter, value: str, pointer: str, offset: int) -> None:
    e.emit(f"store i64 {value}, ptr {_at(e, pointer, offset)}, align 8")


def _zero(e: Emitter, pointer: str, size: int) -> None:
    e.emit(f"call void @llvm.memset.p0.i64(ptr align 8 {pointer}, i8 0, i64 {size}, i1 false)")


def _copy(e: Emitter, destination: str, source: str) -> None:
    e.emit(
        f"call void @llvm.memcpy.p0.p0.i64(ptr align 8 {destination}, ptr align 8 {source},"
        f" i64 {STRING_BYTES}, i1 false)"
    )


def _map(e: Emitter, number: int, kind: int = t.MAP_FD) -> str:
    word = e.value(f"call i64 @llvm.bpf.pseudo(i64 {kind}, i64 {number})")
    return e.value(f"inttoptr i64 {word} to ptr")


def _lookup(e: Emitter, map_: str, key: str) -> str:
    return e.value(f"call ptr inttoptr (i64 {t.LOOKUP} to ptr)(ptr {map_}, ptr {key})")


def _leave_if_null(e: Emitter, pointer: str) -> None:
    """What cannot happen at run time, but the verifier wants it said."""
    null, on = e.label("null"), e.label("on")
    e.branch(e.value(f"icmp eq ptr {pointer}, null"), null, on)
    e.start(null)
    e.emit("ret void")
    e.start(on)


def _big_endian(e: Emitter, value: str) -> str:
    """Bytes reversed, by shifts: the order in which strings compare."""
    result = "0"
    for byte in range(8):
        low = e.value(f"lshr i64 {value}, {8 * byte}")
        masked = e.value(f"and i64 {low}, 255")
        shifted = e.value(f"shl i64 {masked}, {56 - 8 * byte}")
        result = e.value(f"or i64 {result}, {shifted}")
    return result


def _bucket(e: Emitter, buckets: Buckets, value: str) -> str:
    """The number of the bucket that a value falls into."""
    if buckets.kind == "log":
        return _log_bucket(e, value)
    last = bucket_count(buckets) - 1
    distance = e.value(f"sub i64 {value}, {buckets.low}")
    number = e.value(f"add i64 {e.value(f'udiv i64 {distance}, {buckets.step}')}, 1")
    below = e.value(f"icmp slt i64 {distance}, 0")
    number = e.value(f"select i1 {below}, i64 0, i64 {number}")
    return _at_most(e, number, last)


def _log_bucket(e: Emitter, value: str) -> str:
    """64 for 0, then one further for each bit that the value takes, down if it is negative."""
    negative = e.value(f"icmp slt i64 {value}, 0")
    left = e.value(f"select i1 {negative}, i64 {e.value(f'sub i64 0, {value}')}, i64 {value}")
    bits = e.value(f"zext i1 {e.value(f'icmp ne i64 {value}, 0')} to i64")
    for step in (32, 16, 8, 4, 2, 1):
        high = e.value(f"lshr i64 {left}, {step}")
        more = e.value(f"icmp ne i64 {high}, 0")
        left = e.value(f"select i1 {more}, i64 {high}, i64 {left}")
        wider = e.value(f"add i64 {bits}, {step}")
        bits = e.value(f"select i1 {more}, i64 {wider}, i64 {bits}")
    above = e.value(f"add i64 {bits}, {LOG_BUCKETS // 2}")
    below = e.value(f"sub i64 {LOG_BUCKETS // 2}, {bits}")
    number = e.value(f"select i1 {negative}, i64 {below}, i64 {above}")
    return _at_most(e, number, LOG_BUCKETS - 1)


def _at_most(e: Emitter, number: str, last: int) -> str:
    """Clamped as an unsigned number, which is also what the verifier has to see."""
    too_large = e.value(f"icmp ugt i64 {number}, {last}")
    return e.value(f"select i1 {too_large}, i64 {last}, i64 {number}")
