"""Typed -> ir.IrProgram: globals, functions, handlers, limits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.program import Array, Function, Handler, IrProgram, Scalar, Value
from bridge.lower.builder import VALUES, Builder, Shared
from bridge.lower.expr import lower_expr
from bridge.lower.limits import limits_of
from bridge.lower.stmt import default_result, lower_stmt
from bridge.markers import Begin, End, Error, MarkerAttachment
from bridge.script.analysis.types import Type

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from bridge.ir.program import Global
    from bridge.script.analysis.typed import FunctionInfo, GlobalVariable, ProbeInfo, Typed
    from bridge.script.syntax import ast
    from bridge.source import SourceMap


def lower(typed: Typed, sources: SourceMap) -> IrProgram:
    """The IR of a checked script; `sources` names the places in messages."""
    program = IrProgram(limits=limits_of(typed))
    program.globals = [
        _global(variable, program.limits.maxmapentries) for variable in typed.globals
    ]
    shared = Shared(
        program,
        sources,
        {variable: number for number, variable in enumerate(typed.globals)},
        {function: number for number, function in enumerate(typed.functions)},
    )
    program.functions = [_function(shared, function) for function in typed.functions]
    program.handlers = list(_handlers(shared, typed.probes))
    return program


def _global(variable: GlobalVariable, entries: int) -> Global:
    value = VALUES.get(variable.type)
    stat = variable.stat if variable.type is Type.STAT else None
    if variable.keys is None:
        return Scalar(variable.name, value, _initial(variable), stat)
    return Array(
        variable.name,
        tuple(VALUES[key] for key in variable.keys),
        value,
        variable.size or entries,
        variable.wrap,
        variable.size is not None,
        stat,
    )


def _initial(variable: GlobalVariable) -> int | bytes | None:
    match variable.type, variable.initial:
        case Type.STAT, _:
            return None
        case _, str(text):
            return text.encode("latin-1")
        case _, int(number):
            return number
        case Type.STRING, None:
            return b""
        case _:
            return 0


def _function(shared: Shared, info: FunctionInfo) -> Function:
    function = Function(info.name, len(info.parameters), [], VALUES.get(info.result), [])
    function.site = shared.site(info.declaration)
    b = Builder(shared, info.facts, function)
    for parameter in info.parameters:
        b.local(parameter)
    assert info.declaration.body is not None, "embedded C has no IR"
    _body(b, (info.declaration.body,))
    b.leave(ops.Return(default_result(b)))
    return b.finish()


def _body(b: Builder, blocks: tuple[ast.Block, ...]) -> None:
    b.start(b.label())
    for block in blocks:
        lower_stmt(b, block)
    b.tick(0, blocks[-1], update=True)


def _handlers(shared: Shared, probes: Sequence[ProbeInfo]) -> Iterator[Handler]:
    """The handlers; probes that share their facts share the code, and so do equal ones."""
    known: dict[int, Handler] = {}
    equal: dict[Hashable, Handler] = {}
    for number, probe in enumerate(probes):
        made = known.get(id(probe.facts))
        if made is None:
            made = _handler(shared, probe, number)
            first = equal.setdefault(_code(made), made)
            known[id(probe.facts)] = first
            if first is made:
                yield made
                continue
            made = first
        yield replace(
            made,
            point=probe.point,
            script_point=probe.script_point,
            expansion=probe.expansion,
            optional=probe.optional,
        )


def _code(handler: Handler) -> Hashable:
    """What handlers have in common that do the same: at a wildcard's places, many do."""
    marker = isinstance(handler.expansion.attachment, MarkerAttachment)
    functions = tuple(f and _text(f) for f in (handler.body, handler.condition))
    return marker, handler.interruptible, handler.captures, functions


def _text(function: Function) -> Hashable:
    blocks = tuple((tuple(b.ops), b.terminator, b.on_error) for b in function.blocks)
    return blocks, tuple(function.registers), tuple(function.names.items())


def _handler(shared: Shared, probe: ProbeInfo, number: int) -> Handler:
    b = Builder(shared, probe.facts, Function(f"probe {number}", 0, [], None, []))
    b.is_handler = True
    if isinstance(probe.expansion.attachment, MarkerAttachment):
        b.expansion = probe.expansion
    _body(b, probe.bodies)
    b.leave(ops.Return())
    return Handler(
        probe.point,
        probe.script_point,
        probe.expansion,
        tuple(b.captures),
        b.finish(),
        _condition(shared, probe, number),
        isinstance(probe.expansion.attachment, Begin | End | Error),
        probe.optional,
        probe.span,
    )


def _condition(shared: Shared, probe: ProbeInfo, number: int) -> Function | None:
    if probe.condition is None:
        return None
    function = Function(f"condition {number}", 0, [], Value.LONG, [])
    b = Builder(shared, probe.facts, function)
    b.start(b.label())
    b.leave(ops.Return(lower_expr(b, probe.condition)))
    return b.finish()
