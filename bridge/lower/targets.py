"""What a place offers: `$arg1`, `$$name`, `$next->pid` -> captures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.ir import ops
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
from bridge.markers import Access, ValueType, Variable
from bridge.script import ast

if TYPE_CHECKING:
    from bridge.ir.program import Reg
    from bridge.lower.builder import Builder

_VALUES = {ValueType.LONG: Value.LONG, ValueType.STRING: Value.STRING}
_ALL = {"$$vars", "$$parms"}


def lower_target(b: Builder, node: ast.Expr) -> Reg:
    """The value of a target expression."""
    if not isinstance(node, ast.Target):
        raise AssertionError(f"not lowered: {node}")  # noqa: TRY004 - a bug of ours, no type error
    found = b.facts.targets.get(node)
    if isinstance(found, str):
        return b.string(found.encode())
    if isinstance(found, Variable):
        return b.capture(_argument(found))
    if isinstance(found, Access):
        return b.capture(access_capture(found), b.site(node))
    assert node.name in _ALL, f"unresolved {node.name}"
    return _all_variables(b)


def _argument(variable: Variable) -> Argument:
    return Argument(variable.name, _VALUES[variable.type])


def access_capture(access: Access) -> Capture:
    """The loads that follow a path of members."""
    address: Capture = _argument(access.base)
    for offset in access.offsets[:-1]:
        address = Load(access.space, Value.LONG, _plus(address, offset), signed=False)
    if access.offsets:
        address = _plus(address, access.offsets[-1])
    if access.size == 0:
        return address
    value = Load(access.space, Value.LONG, address, size=access.size, signed=access.signed)
    return _bits(value, access) if access.bits else value


def _plus(base: Capture, offset: int) -> Capture:
    return Computed("+", base, Literal(offset)) if offset else base


def _bits(word: Capture, access: Access) -> Capture:
    up = Computed("<<", word, Literal(64 - access.shift - access.bits))
    return Computed(">>" if access.signed else ">>>", up, Literal(64 - access.bits))


def _all_variables(b: Builder) -> Reg:
    """`$$vars`: `arg1=0x1 arg2=0x2`, in the order of the marker."""
    assert b.expansion is not None
    pieces: list[bytes | Conversion] = []
    regs = []
    for variable in b.expansion.variables:
        pieces.append(f"{' ' if pieces else ''}{variable.name}=".encode())
        regs.append(b.capture(_argument(variable)))
        is_long = variable.type is ValueType.LONG
        pieces.append(Conversion("x", "#") if is_long else Conversion("s"))
    dest = b.reg(Value.STRING)
    b.emit(ops.FormatString(dest, b.shared.format(Format(tuple(pieces))), tuple(regs)))
    return dest
