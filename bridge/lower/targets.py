"""What a place offers: `$arg1`, `$$name`, `$next->pid`, `@cast(p, "node")->val` -> values.

What depends on nothing but the hit is a capture; an address that the handler computes is read
with a built-in, which a later pass makes a capture if its address turns out to be one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.passes.captures import LOADED_AT
from bridge.ir.program import (
    Argument,
    Capture,
    Computed,
    Conversion,
    Format,
    Literal,
    Load,
    Value,
)
from bridge.lower import expr
from bridge.markers import Access, Enumerator, Loaded, Pretty, Shown, ValueType, Variable
from bridge.script.analysis.lookup import computed
from bridge.script.syntax import ast

if TYPE_CHECKING:
    from bridge.ir.program import Label, Reg
    from bridge.lower.builder import Builder
    from bridge.script.analysis.lookup import Typed

_VALUES = {ValueType.LONG: Value.LONG, ValueType.STRING: Value.STRING}
_CONVERSIONS = {
    "d": Conversion("d"),
    "u": Conversion("u"),
    "x": Conversion("p"),
    "#x": Conversion("x", "#"),
    "c": Conversion("c", "#"),
    "text": Conversion("s"),
}
WORD_BITS = 64


def lower_target(b: Builder, node: ast.Expr) -> Reg:
    """The value of a target expression."""
    if not isinstance(node, ast.Target | ast.AtVar | ast.Cast):
        raise AssertionError(f"not lowered: {node}")  # noqa: TRY004 - a bug of ours, no type error
    found = b.facts.targets.get(node)
    match found:
        case str():
            return b.string(found.encode())
        case Variable():
            return b.capture(_argument(found))
        case Enumerator(value=value):
            return b.const(value)
        case Access(base=Variable(), indices=()):
            return b.capture(access_capture(found), b.site(node))
        case Access():
            return _Way(b, node).value(found)
        case Pretty():
            return _Way(b, node).text(found)
        case _:
            raise AssertionError(f"unresolved {node}")


def _argument(variable: Variable) -> Argument:
    return Argument(variable.name, _VALUES[variable.type])


def access_capture(access: Access) -> Capture:
    """The loads that follow a path of members."""
    assert isinstance(access.base, Variable)
    value: Capture = _argument(access.base)
    for offset in access.offsets[:-1]:
        value = Load(access.space, Value.LONG, _plus(value, offset), signed=False)
    if access.offsets:
        value = _plus(value, access.offsets[-1])
    if access.size:
        value = Load(access.space, Value.LONG, value, size=access.size, signed=access.signed)
    return _bits(value, access) if access.bits else value


def _plus(base: Capture, offset: int) -> Capture:
    return Computed("+", base, Literal(offset)) if offset else base


def _bits(word: Capture, access: Access) -> Capture:
    up = Computed("<<", word, Literal(WORD_BITS - access.shift - access.bits))
    down = Literal(WORD_BITS - access.bits)
    return Computed(">>" if access.signed else ">>>", up, down)


class _Way:
    """The code that follows ways of one expression; its operands are evaluated once."""

    def __init__(self, b: Builder, node: Typed) -> None:
        self._b = b
        self._node = node
        wanted = [*([node.value] if isinstance(node, ast.Cast) else []), *computed(node.path)]
        regs = expr.lower_all(b, wanted)
        self._cast = regs[0] if isinstance(node, ast.Cast) else None
        self._indices = regs[1:] if isinstance(node, ast.Cast) else regs

    # --- values ---

    def value(self, access: Access | Variable) -> Reg:
        """The value at the end of a way."""
        b = self._b
        if isinstance(access, Variable):
            return b.capture(_argument(access))
        if isinstance(access.base, Variable) and not access.indices:
            return b.capture(access_capture(access), b.site(self._node))
        value, offsets = self._start(access)
        for level, offset in enumerate(offsets):
            if level:
                value = self._read(access.space, value, 8, signed=False)
            value = self._add(value, offset)
            for index in access.indices:
                if index.level == level:
                    scaled = self._operation("*", self._indices[index.number], index.scale)
                    value = self._sum(value, scaled)
        if access.size:
            value = self._read(access.space, value, access.size, signed=access.signed)
        return self._bits(value, access) if access.bits else value

    def _start(self, access: Access) -> tuple[Reg, tuple[int, ...]]:
        """What a way starts with, and the offsets from there."""
        match access.base:
            case None:
                assert self._cast is not None
                return self._cast, access.offsets
            case Loaded(path=""):
                return self._b.const(0), access.offsets
            case Loaded() as base:
                return self._loaded(base, access.offsets[0]), (0, *access.offsets[1:])
            case base:
                return self._b.capture(_argument(base)), access.offsets

    def _loaded(self, base: Loaded, address: int) -> Reg:
        b = self._b
        dest = b.reg(Value.LONG)
        words = (b.string(os.fsencode(base.path)), b.const(address), b.const(int(base.fixed)))
        b.emit(ops.CallBuiltin(dest, LOADED_AT, words, b.site(self._node)))
        return dest

    def _read(self, space: str, address: Reg, size: int, *, signed: bool) -> Reg:
        b = self._b
        dest = b.reg(Value.LONG)
        name = f"{space}_{'int' if signed else 'uint'}{8 * size}{'_error' * (space == 'user')}"
        b.emit(ops.CallBuiltin(dest, name, (address,), b.site(self._node)))
        return dest

    def _add(self, value: Reg, offset: int) -> Reg:
        return self._operation("+", value, offset) if offset else value

    def _operation(self, op: str, left: Reg, right: int) -> Reg:
        dest = self._b.reg(Value.LONG)
        self._b.emit(ops.Arith(dest, op, left, self._b.const(right)))
        return dest

    def _sum(self, left: Reg, right: Reg) -> Reg:
        dest = self._b.reg(Value.LONG)
        self._b.emit(ops.Arith(dest, "+", left, right))
        return dest

    def _bits(self, word: Reg, access: Access) -> Reg:
        up = self._operation("<<", word, WORD_BITS - access.shift - access.bits)
        if access.signed:
            return self._operation(">>", up, WORD_BITS - access.bits)
        # there is no unsigned shift: clear what the signed one drags in
        down = self._operation(">>", up, WORD_BITS - access.bits)
        return self._operation("&", down, (1 << access.bits) - 1)

    # --- pretty prints ---

    def text(self, pretty: Pretty) -> Reg:
        """The text of a pretty print; "ERROR" where memory cannot be read."""
        b = self._b
        dest = b.reg(Value.STRING)
        outer, failed, after = b.on_error, b.label(), b.label()
        b.on_error = failed
        b.start(b.label())
        pieces: list[bytes | Conversion] = []
        held = []
        for piece in pretty.pieces:
            if isinstance(piece, str):
                pieces.append(piece.encode("utf-8", "surrogateescape"))
            else:
                pieces.append(_CONVERSIONS[piece.form])
                held.append(b.hold(self._shown(piece, failed)))
        values = tuple(b.release(one) for one in held)
        b.emit(ops.FormatString(dest, b.shared.format(Format(tuple(pieces))), values))
        b.terminate(ops.Jump(after))
        b.on_error = outer
        b.start(failed)
        b.emit(ops.Caught(None))
        b.emit(ops.ConstString(dest, b"ERROR"))
        b.start(after)
        return dest

    def _shown(self, shown: Shown, failed: Label) -> Reg:
        value = self.value(shown.access)
        if shown.form != "text":
            return value
        space = shown.access.space if isinstance(shown.access, Access) else "user"
        return self._quoted(value, space, failed)

    def _quoted(self, address: Reg, space: str, failed: Label) -> Reg:
        """`user_string_quoted(address)`."""
        b = self._b
        dest = b.reg(Value.STRING)
        null, there, bad, after = b.label(), b.label(), b.label(), b.label()
        b.terminate(ops.Branch(address, there, null))
        b.start(null)
        b.emit(ops.ConstString(dest, b"NULL"))
        b.terminate(ops.Jump(after))
        b.on_error = bad
        b.start(there)
        text = b.reg(Value.STRING)
        b.emit(ops.CallBuiltin(text, f"{space}_string", (address,), b.site(self._node)))
        b.emit(ops.CallBuiltin(dest, "string_quoted", (text,), b.site(self._node)))
        b.terminate(ops.Jump(after))
        b.on_error = failed
        b.start(bad)
        b.emit(ops.Caught(None))
        pointer = b.shared.format(Format((Conversion("p"),)))
        b.emit(ops.FormatString(dest, pointer, (address,)))
        b.start(after)
        return dest
