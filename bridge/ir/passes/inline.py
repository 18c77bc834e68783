"""Small functions become part of the handlers on markers that call them.

So what they read of the hit can be captured, and the handler may run in the kernel. Error sites
keep the chain of calls in their text. Functions that recurse, iterate or fall through to an
overload stay as they are, and so does everything if MAXNESTING was set lower than the calls
need.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.liveness import live_at_start
from bridge.ir.operands import map_registers, retarget, with_site
from bridge.ir.passes.captures import NUMBERS, STRINGS
from bridge.ir.program import BasicBlock, IrProgram, Label, Reg, Value
from bridge.markers import MarkerAttachment

if TYPE_CHECKING:
    from bridge.ir.ops import Op
    from bridge.ir.program import Function, Handler

MAXIMUM_OPERATIONS = 60
"""How large a function may be to be inlined."""
MAXIMUM_CALLS = 64
"""How many calls of one handler are inlined, besides those that lead to a read of memory."""
MAXIMUM_READING_CALLS = 256
"""How many calls of one handler are inlined that lead to a read of memory."""


def run(program: IrProgram) -> IrProgram:
    """Inline into all handlers on markers."""
    program = replace(program, sites=list(program.sites))
    small = {
        number
        for number in range(len(program.functions))
        if _chain(program, number) and _is_small(program.functions[number])
    }
    known = {site.text: number for number, site in enumerate(program.sites)}
    reading = {number for number in small if _reads(program, number)}
    handlers = [
        _handler(
            program, handler, known, (reading, MAXIMUM_READING_CALLS), (small, MAXIMUM_CALLS)
        )
        if isinstance(handler.expansion.attachment, MarkerAttachment)
        else handler
        for handler in program.handlers
    ]
    return replace(program, handlers=handlers)


def flatten(program: IrProgram, body: Function) -> Function:
    """A body without the calls of functions that can stand in it, however large they are.

    Error sites stay those of the functions.
    """
    plain = {
        number
        for number in range(len(program.functions))
        if _chain(program, number) and not _falls_through(program.functions[number])
    }
    for _ in range(MAXIMUM_READING_CALLS):
        found = _first_call(body, plain)
        if found is None:
            break
        body = _Inlining(program, body, *found, None).run()
    return body


def _falls_through(function: Function) -> bool:
    return any(isinstance(b.terminator, ops.NextOverload) for b in function.blocks)


def _is_small(function: Function) -> bool:
    found = [op for block in function.blocks for op in block.ops]
    return (
        len(found) <= MAXIMUM_OPERATIONS
        and not any(isinstance(op, ops.IterBegin) for op in found)
        and not _falls_through(function)
    )


def _callees(function: Function) -> set[int]:
    return {
        number
        for block in function.blocks
        for op in block.ops
        if isinstance(op, ops.Call)
        for number in op.overloads
    }


def _chain(program: IrProgram, start: int) -> bool:
    """Whether calls from a function end within MAXNESTING, so that one fewer is invisible."""
    level, depth = {start}, 1
    while level:
        if depth > min(program.limits.maxnesting, len(program.functions)):
            return False
        level = {n for number in level for n in _callees(program.functions[number])}
        depth += 1
    return True


def _reads(program: IrProgram, start: int) -> bool:
    """Whether a function or one that it calls reads memory."""
    seen: set[int] = set()
    pending = {start}
    while pending:
        number = pending.pop()
        seen.add(number)
        if any(_is_read(op) for block in program.functions[number].blocks for op in block.ops):
            return True
        pending |= _callees(program.functions[number]) - seen
    return False


def _is_read(op: Op) -> bool:
    return isinstance(op, ops.CallBuiltin) and (op.name in NUMBERS or op.name in STRINGS)


def _handler(
    program: IrProgram, handler: Handler, known: dict[str, int], *rounds: tuple[set[int], int]
) -> Handler:
    body = handler.body
    for functions, most in rounds:
        for _ in range(most):
            found = _first_call(body, functions)
            if found is None:
                break
            body = _Inlining(program, body, *found, known).run()
    return replace(handler, body=body)


def _first_call(function: Function, small: set[int]) -> tuple[int, int] | None:
    for number, block in enumerate(function.blocks):
        for at, op in enumerate(block.ops):
            if isinstance(op, ops.Call) and len(op.overloads) == 1 and op.overloads[0] in small:
                return number, at
    return None


@dataclass(slots=True)
class _Inlining:
    """One call: operation `at` of block `number` of `function`, to be replaced."""

    program: IrProgram
    function: Function
    number: int
    at: int
    known: dict[str, int] | None
    """The numbers of the program's error sites by their texts; None: they get no new ones."""

    def run(self) -> Function:
        """The function with the callee's blocks behind its own."""
        block = self.function.blocks[self.number]
        call = block.ops[self.at]
        assert isinstance(call, ops.Call)
        callee = self.program.functions[call.overloads[0]]
        first = Label(len(self.function.blocks))
        after = Label(first + len(callee.blocks))
        head = replace(
            block,
            ops=[*block.ops[: self.at], *self._entry(call, callee)],
            terminator=ops.Jump(first),
        )
        inner = [
            replace(
                self._block(call, callee, b, first, after),
                on_error=block.on_error if b.on_error is None else Label(first + b.on_error),
            )
            for b in callee.blocks
        ]
        rest = replace(block, ops=block.ops[self.at + 1 :])
        blocks = [*self.function.blocks, *inner]
        blocks[self.number] = head
        return replace(
            self.function,
            blocks=[*blocks, rest],
            registers=[*self.function.registers, *callee.registers],
            names={
                **self.function.names,
                **{self._reg(reg): name for reg, name in callee.names.items()},
            },
        )

    def _reg(self, reg: Reg) -> Reg:
        return Reg(len(self.function.registers) + reg)

    def _entry(self, call: ops.Call, callee: Function) -> list[Op]:
        """Parameters get their arguments, locals that may be read first their 0 or ""."""
        entry: list[Op] = [
            ops.Copy(self._reg(Reg(at)), argument) for at, argument in enumerate(call.arguments)
        ]
        locals_ = [reg for reg in sorted(live_at_start(callee)[0]) if reg >= callee.parameters]
        return entry + [_zero(self._reg(reg), callee.registers[reg]) for reg in locals_]

    def _block(
        self, call: ops.Call, callee: Function, block: BasicBlock, first: Label, after: Label
    ) -> BasicBlock:
        inner = [self._op(call, op) for op in block.ops]
        terminator = block.terminator
        if isinstance(terminator, ops.Return):
            inner += self._result(call, callee, terminator)
            return BasicBlock(inner, ops.Jump(after))
        moved = retarget(terminator, lambda label: Label(first + label))
        return BasicBlock(inner, map_registers(moved, self._reg))

    def _result(self, call: ops.Call, callee: Function, end: ops.Return) -> list[Op]:
        if call.dest is None or callee.result is None or end.value is None:
            return []
        return [ops.Copy(call.dest, self._reg(end.value))]

    def _op(self, call: ops.Call, op: Op) -> Op:
        moved = map_registers(op, self._reg)
        site = getattr(moved, "site", None)
        return moved if site is None else with_site(moved, self._site(site, call.site))

    def _site(self, inner: int, call: int) -> int:
        if self.known is None:
            return inner
        sites = self.program.sites
        text = _called(sites[inner].text, sites[call].text)
        if text not in self.known:
            self.known[text] = len(sites)
            sites.append(replace(sites[inner], text=text))
        return self.known[text]


def _called(inner: str, call: str) -> str:
    """`operator '/' at a.stp:1:9 (called from identifier 'f' at a.stp:5:3)`."""
    nearest, *outer = call.split(" (called from ", 1)
    chain = f" (called from {outer[0]}" if outer else ""
    return f"{inner} (called from {nearest}){chain}"


def _zero(reg: Reg, type_: Value) -> Op:
    return ops.Const(reg, 0) if type_ is Value.LONG else ops.ConstString(reg, b"")
