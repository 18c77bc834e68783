"""A handler -> a small function that says what a hit is to it, before anything is done.

A handler in user space often begins with a choice: `if (pid() != target()) next`. The gate
makes this choice in the kernel, so that a hit which the handler leaves at once sends no record,
and stops nobody. It is the handler's own code without all that it does: it follows the branches
that depend on captures alone. One rule: where it cannot tell, the hit is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.kernel import STRING_BYTES, is_short, operations
from bridge.ir.operands import is_removable, reads, successors, writes
from bridge.ir.program import BasicBlock, Function, Load, Reg, Value, capture_type
from bridge.ir.reach import reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.ir.ops import Op, Terminator
    from bridge.ir.program import Handler, IrProgram, Label


class Wanted(IntEnum):
    """What a hit is to a handler: nothing, something to do, something to read at the hit."""

    NOTHING = 0
    RECORD = 1
    HOLD = 2


def gate(
    program: IrProgram,
    handler: Handler,
    constants: Mapping[str, int],
    needs: Callable[[Op], bool],
) -> Handler:
    """The handler's gate: its body returns a `Wanted`, and cannot fail.

    `constants` are results of built-ins that stay the same for a session; `needs` says which
    operations need the process to stand still.
    """
    return _Gate(program, handler, constants, needs).made()


@dataclass(slots=True)
class _Gate:
    program: IrProgram
    handler: Handler
    constants: Mapping[str, int]
    needs: Callable[[Op], bool]
    _unknown: set[Reg] = field(default_factory=set)
    """Registers that something writes which the gate does not do."""
    _holding: set[int] = field(default_factory=set)
    """Blocks from which a read can be reached."""
    _order: dict[int, int] = field(default_factory=dict)
    """A place for each block, so that whatever goes back is part of a loop."""

    def made(self) -> Handler:
        body = self.handler.body
        self._order = _order(body)
        self._find_unknown(body)
        self._find_holding(body)
        state = Reg(len(body.registers))
        registers = [*body.registers, Value.LONG]
        blocks = _reached([self._block(n, state) for n in range(len(body.blocks))])
        used = sorted({op.index for b in blocks for op in b.ops if isinstance(op, ops.Capture)})
        for block in blocks:
            block.ops = [
                ops.Capture(op.dest, used.index(op.index))
                if isinstance(op, ops.Capture)
                else op
                for op in block.ops
            ]
        function = Function(f"gate of {body.name}", 0, registers, Value.LONG, blocks)
        captures = tuple(self.handler.captures[index] for index in used)
        return replace(self.handler, captures=captures, body=function, condition=None)

    # --- what is known ------------------------------------------------------------------------

    def _find_unknown(self, body: Function) -> None:
        """What is computed from something unknown is unknown, too."""
        found = -1
        while found != len(self._unknown):
            found = len(self._unknown)
            for block in body.blocks:
                for op in (*block.ops, block.terminator):
                    if not self._is_pure(op) or self._unknown.intersection(reads(op)):
                        self._unknown.update(writes(op))

    def _is_pure(self, op: Op | Terminator) -> bool:
        """Whether the gate can do it, too."""
        match op:
            case ops.Jump() | ops.Branch() | ops.Return() | ops.Const() | ops.Copy():
                return True
            case ops.Compare() | ops.Tick():
                return True
            case ops.CallBuiltin(name=name, arguments=()):
                return name in self.constants
            case ops.Capture(index=index):
                return self._is_safe(index)
            case ops.ConstString(value=value):
                return len(value) <= STRING_BYTES
            case ops.Arith(op=name):
                return name not in {"/", "%"}
            case _:
                return False

    def _is_safe(self, index: int) -> bool:
        """Whether a capture cannot fail, and is all there."""
        capture = self.handler.captures[index]
        if isinstance(capture, Load):
            return False
        if capture_type(capture) is Value.LONG:
            return True
        keeps = self.program.limits.maxstringlen > STRING_BYTES
        return keeps and is_short(capture, self.handler)

    def _find_holding(self, body: Function) -> None:
        for number, block in enumerate(body.blocks):
            if any(self._may_read(op) for op in block.ops):
                self._holding.add(number)
        found = -1
        while found != len(self._holding):
            found = len(self._holding)
            for number, block in enumerate(body.blocks):
                if self._holding.intersection(map(int, _targets(block))):
                    self._holding.add(number)

    def _may_read(self, op: Op) -> bool:
        if not isinstance(op, ops.Call):
            return self.needs(op)
        return any(
            self.needs(inner)
            for number in op.overloads
            for function in reachable(self.program, self.program.functions[number])
            for inner in operations(function)
        )

    # --- the blocks ---------------------------------------------------------------------------

    def _block(self, number: int, state: Reg) -> BasicBlock:
        block = self.handler.body.blocks[number]
        made: list[Op] = []
        for op in block.ops:
            if self._may_read(op) or not (self._is_pure(op) or block.on_error is None):
                return self._answer(number, state)
            if not self._is_pure(op):
                if not is_removable(op):
                    made.append(ops.Const(state, Wanted.RECORD))
            elif not self._unknown.intersection(writes(op)):
                made += self._copy(op)
        match block.terminator:
            case ops.Return():
                return BasicBlock(made, ops.Return(state))
            case ops.Jump() | ops.Branch() as terminator if self._follows(number, terminator):
                return BasicBlock(made, terminator)
            case _:
                return self._answer(number, state)

    def _follows(self, number: int, terminator: ops.Jump | ops.Branch) -> bool:
        """Whether the gate knows where to go on, and never goes back."""
        if self._unknown.intersection(reads(terminator)):
            return False
        here = self._order.get(number, 0)
        return all(self._order[int(target)] > here for target in successors(terminator))

    def _answer(self, number: int, state: Reg) -> BasicBlock:
        wanted = Wanted.HOLD if number in self._holding else Wanted.RECORD
        return BasicBlock([ops.Const(state, wanted)], ops.Return(state))

    def _copy(self, op: Op) -> list[Op]:
        match op:
            case ops.Tick():
                return []
            case ops.CallBuiltin(dest=dest, name=name):
                return [] if dest is None else [ops.Const(dest, self.constants[name])]
            case _:
                return [op]


def _targets(block: BasicBlock) -> tuple[Label, ...]:
    found = successors(block.terminator)
    return found if block.on_error is None else (*found, block.on_error)


def _order(body: Function) -> dict[int, int]:
    """Reverse postorder: only edges that close a loop go back in it."""
    left: list[int] = []
    seen = {0}
    path = [(0, list(_targets(body.blocks[0])))]
    while path:
        number, rest = path[-1]
        if not rest:
            left.append(number)
            path.pop()
            continue
        target = int(rest.pop())
        if target not in seen:
            seen.add(target)
            path.append((target, list(_targets(body.blocks[target]))))
    return {number: place for place, number in enumerate(reversed(left))}


def _reached(blocks: list[BasicBlock]) -> list[BasicBlock]:
    """The same, with nothing in those that the gate never gets to."""
    seen, pending = {0}, [0]
    while pending:
        for target in map(int, successors(blocks[pending.pop()].terminator)):
            if target not in seen:
                seen.add(target)
                pending.append(target)
    nothing = ops.Return(None)
    return [b if n in seen else BasicBlock([], nothing) for n, b in enumerate(blocks)]
