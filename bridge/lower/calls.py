"""Calls of functions and built-ins.

In a handler on a marker, what describes the hit (`pid()`, the clock) is captured; everywhere
else the run time answers when the call happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.program import Context, Value
from bridge.lower import expr
from bridge.lower.builder import VALUES
from bridge.script.analysis.types import Type
from bridge.script.builtins import Builtin, Effect

if TYPE_CHECKING:
    from bridge.ir.program import Reg
    from bridge.lower.builder import Builder
    from bridge.script.analysis.typed import FunctionInfo
    from bridge.script.syntax import ast


def lower_call(b: Builder, node: ast.Call) -> Reg | None:
    """The result of a call, None if it has none."""
    target = b.facts.calls[node]
    if isinstance(target, tuple):
        return _function(b, node, target)
    if target.effect is Effect.CONTEXT and b.expansion is not None:
        return _context(b, node, target)
    arguments = expr.lower_all(b, node.arguments)
    dest = _result(b, target.result)
    b.emit(ops.CallBuiltin(dest, target.name, arguments, b.site(node)))
    if dest is None:
        return _no_result(b, b.facts.types.get(node, Type.UNKNOWN))
    return dest


def _no_result(b: Builder, type_: Type) -> Reg | None:
    """What a built-in without a result is worth where a value is wanted."""
    if type_ is Type.LONG:
        return b.const(0)
    return b.string(b"") if type_ is Type.STRING else None


def _function(b: Builder, node: ast.Call, overloads: tuple[FunctionInfo, ...]) -> Reg | None:
    arguments = expr.lower_all(b, node.arguments)
    dest = _result(b, overloads[0].result)
    numbers = tuple(b.shared.functions[function] for function in overloads)
    b.emit(ops.Call(dest, numbers, arguments, b.site(node)))
    return dest


def _result(b: Builder, type_: Type) -> Reg | None:
    return b.reg(VALUES[type_]) if type_ in VALUES else None


def _context(b: Builder, node: ast.Call, builtin: Builtin) -> Reg:
    value = b.capture(Context(builtin.context))
    if builtin.scale == 1:
        return value
    dest = b.reg(Value.LONG)
    b.emit(ops.Arith(dest, "/", value, b.const(builtin.scale), b.site(node)))
    return dest
