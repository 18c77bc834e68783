"""Dead code: operations that only write what nobody reads, unused captures, idle conditions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.liveness import live_at_end, live_at_start
from bridge.ir.operands import is_removable, map_registers, reads, writes
from bridge.ir.passes.bodies import on_bodies
from bridge.ir.program import BasicBlock, Reg

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.ir.liveness import Live
    from bridge.ir.ops import Op
    from bridge.ir.program import Capture, Function, Handler, IrProgram


def run(program: IrProgram) -> IrProgram:
    """Remove what is dead, to the end, and number what is left."""
    program = on_bodies(program, lambda function, _: _registers(_function(function)))
    return replace(program, handlers=[_handler(handler) for handler in program.handlers])


def _function(function: Function) -> Function:
    while True:
        live = live_at_start(function)
        blocks = [_block(block, live) for block in function.blocks]
        if all(len(a.ops) == len(b.ops) for a, b in zip(blocks, function.blocks, strict=True)):
            return function
        function = replace(function, blocks=blocks)


def _block(block: BasicBlock, live: Mapping[int, Live]) -> BasicBlock:
    caught: Live = live[block.on_error] if block.on_error is not None else frozenset()
    now = set(live_at_end(block, live) | caught)
    kept: list[Op] = []
    for op in reversed(block.ops):
        if is_removable(op) and not now.intersection(writes(op)):
            continue
        kept.append(op)
        now = (now - set(writes(op))) | set(reads(op)) | caught
    return replace(block, ops=kept[::-1])


def _registers(function: Function) -> Function:
    """Only registers that are used, in their old order; parameters stay."""
    used = set(range(function.parameters))
    for block in function.blocks:
        for op in (*block.ops, block.terminator):
            used.update(reads(op), writes(op))
    order = sorted(used)
    new = {Reg(old): Reg(at) for at, old in enumerate(order)}
    blocks = [
        replace(
            block,
            ops=[map_registers(op, new.__getitem__) for op in block.ops],
            terminator=map_registers(block.terminator, new.__getitem__),
        )
        for block in function.blocks
    ]
    names = {new[reg]: name for reg, name in function.names.items() if reg in new}
    types = [function.registers[old] for old in order]
    return replace(function, blocks=blocks, registers=types, names=names)


def _handler(handler: Handler) -> Handler:
    """Only captures that are used, in their old order; no condition that always holds."""
    used = sorted(
        {
            op.index
            for block in handler.body.blocks
            for op in block.ops
            if isinstance(op, ops.Capture)
        }
    )
    new = {old: at for at, old in enumerate(used)}
    blocks = [
        replace(block, ops=[_renumber(op, new) for op in block.ops])
        for block in handler.body.blocks
    ]
    captures: tuple[Capture, ...] = tuple(handler.captures[old] for old in used)
    return replace(
        handler,
        captures=captures,
        body=replace(handler.body, blocks=blocks),
        condition=None if _always(handler.condition) else handler.condition,
    )


def _always(condition: Function | None) -> bool:
    """Whether a condition is a constant other than 0."""
    match condition and condition.blocks:
        case [BasicBlock(ops=[ops.Const(dest, value)], terminator=ops.Return(result))]:
            return dest == result and value != 0
        case _:
            return False


def _renumber(op: Op, new: Mapping[int, int]) -> Op:
    return replace(op, index=new[op.index]) if isinstance(op, ops.Capture) else op
