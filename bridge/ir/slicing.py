"""A handler -> its slice: what decides which memory it reads, and at which addresses.

A handler in user space comes too late for memory whose address is known only while it runs.
The slice runs at the hit, in the kernel, and notes all that it reads; the handler then takes
its reads from there. It has the handler's numbers, branches and loops, and none of its effects.
What it cannot know (globals, strings) may decide whether the handler reads, not where: then the
slice reads on both ways. One rule: reading too much is harmless, a read that is missed is an
error.

Of the body of a slice only these operations are left: Const, Copy, Arith, Compare, Capture,
CallBuiltin of `READS`; Jump, Branch, Return. It ends at a Return without a value; one with a
value says that it goes on at `heads[value]`, so that a step of it has no loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.dominators import meeting_points, order, region
from bridge.ir.liveness import live_at_start
from bridge.ir.operands import map_registers, reads, retarget, successors, writes
from bridge.ir.passes.captures import NUMBERS, STRINGS
from bridge.ir.passes.inline import flatten
from bridge.ir.program import (
    BasicBlock,
    Function,
    Label,
    Load,
    Reg,
    Value,
    capture_text,
    capture_type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.ir.ops import Op, Terminator
    from bridge.ir.program import Capture, Handler, IrProgram

READS = frozenset(NUMBERS) | frozenset(STRINGS)
"""Built-ins whose memory a slice can note."""
CONSTANTS = frozenset({"target", "stp_pid"})
"""Built-ins that give the same all the session long."""
ROUNDS = 64
"""How often a slice goes around a loop whose end it cannot see."""
MAXIMUM_OPERATIONS = 20_000
_BACKWARD_CALLS = "it is in a function that calls itself"


@dataclass(frozen=True, slots=True)
class Slice:
    """What runs at the hit. Register 0 of the body is where it goes on."""

    body: Function
    heads: tuple[int, ...]
    captures: tuple[Capture, ...]
    refused: Mapping[int, str]
    """The error sites of reads that it cannot make, and why."""
    later: frozenset[int]
    """Those of them whose address the handler knows when it runs."""


def slice_of(
    program: IrProgram,
    handler: Handler,
    wanted: Callable[[Op], bool],
    constants: Mapping[str, int] | None = None,
) -> Slice:
    """The slice of a handler, for the reads that are `wanted`.

    `constants` are the results of CONSTANTS; without, it is only good to see what it refuses.
    """
    return _Slicing(program, handler, wanted, constants or dict.fromkeys(CONSTANTS, 0)).run()


@dataclass(slots=True)
class _Fork:
    """A block that goes one of two ways by what the slice does not know, up to `join`."""

    block: int
    ways: tuple[int, int]
    join: int
    regions: tuple[frozenset[int], frozenset[int]]


@dataclass(slots=True)
class _Slicing:
    program: IrProgram
    handler: Handler
    wanted: Callable[[Op], bool]
    constants: Mapping[str, int]
    blocks: list[BasicBlock] = field(default_factory=list)
    registers: list[Value] = field(default_factory=list)
    end: int = 0
    unknown: dict[Reg, str] = field(default_factory=dict)
    """Registers that the slice does not know, and what they come from."""
    refused: dict[int, str] = field(default_factory=dict)
    later: set[int] = field(default_factory=set)
    forks: dict[int, _Fork] = field(default_factory=dict)
    fronts: set[int] = field(default_factory=set)
    """Blocks that stand in front of a meeting point, and look for ways that are still to go."""

    def run(self) -> Slice:
        body = flatten(self.program, self.handler.body)
        self.registers = list(body.registers)
        self._copy(body)
        self._find_unknown()
        self._refuse()
        self._keep_needed()
        self._join_forks()
        self._drop_idle()
        heads = self._cut_loops()
        return self._made(body, heads)

    # --- the handler's blocks -----------------------------------------------------------------

    def _copy(self, body: Function) -> None:
        """Its blocks with one end, which errors that nothing catches go to as well."""
        self.end = len(body.blocks)
        end = Label(self.end)
        for block in body.blocks:
            terminator = block.terminator
            if isinstance(terminator, ops.Return | ops.NextOverload):
                terminator = ops.Jump(end)
            on_error = block.on_error
            if any(map(self._can_fail, block.ops)):
                on_error = end if on_error is None else on_error
            else:
                on_error = None
            made = [self._constant(op) for op in block.ops]
            self.blocks.append(BasicBlock(made, terminator, on_error))
        self.blocks.append(BasicBlock([], ops.Return()))

    def _constant(self, op: Op) -> Op:
        match op:
            case ops.CallBuiltin(dest=dest, name=name, arguments=()) if (
                dest is not None and name in self.constants
            ):
                return ops.Const(dest, self.constants[name])
            case _:
                return op

    def _can_fail(self, op: Op) -> bool:
        match op:
            case ops.CallBuiltin(name=name):
                return name in READS
            case ops.Capture(index=index):
                return isinstance(self.handler.captures[index], Load)
            case ops.Arith(op=word):
                return word in {"/", "%"}
            case _:
                return False

    def _edges(self) -> list[tuple[int, ...]]:
        return [tuple(map(int, _targets(block))) for block in self.blocks]

    # --- what is known ------------------------------------------------------------------------

    def _source(self, op: Op | Terminator) -> str:
        """What makes an operation's results unknown; "" if they are known with its operands."""
        match op:
            case ops.Const() | ops.Jump() | ops.Branch() | ops.Return():
                return ""
            case ops.Copy() | ops.Compare() | ops.Arith():
                strings = [r for r in reads(op) if self.registers[r] is Value.STRING]
                return "a string" if strings else ""
            case ops.Capture(index=index):
                capture = self.handler.captures[index]
                is_long = capture_type(capture) is Value.LONG
                return "" if is_long else capture_text(capture)
            case ops.CallBuiltin(name=name):
                return "" if name in NUMBERS else f"{name}()"
            case _:
                return self._outside(op)

    def _outside(self, op: Op | Terminator) -> str:
        """What an operation gives that a slice does not have."""
        match op:
            case ops.GlobalGet(variable=variable) | ops.ArrayGet(variable=variable):
                return f"the global `{self.program.globals[variable].name}`"
            case ops.ArrayHas(variable=variable) | ops.StatGet(variable=variable):
                return f"the global `{self.program.globals[variable].name}`"
            case ops.Call(overloads=overloads):
                return f"the function `{self.program.functions[overloads[0]].name}`"
            case ops.IterNext():
                return "the keys of an array"
            case _:
                return "what the handler computes"

    def _find_unknown(self) -> None:
        while self._spread() or self._spread_by_forks():
            pass

    def _spread(self) -> bool:
        """What is computed from something unknown is unknown, too."""
        before = len(self.unknown)
        changed = True
        while changed:
            size = len(self.unknown)
            for block in self.blocks:
                for op in (*block.ops, block.terminator):
                    self._spread_over(op)
            changed = size != len(self.unknown)
        return len(self.unknown) != before

    def _spread_over(self, op: Op | Terminator) -> None:
        source = self._source(op)
        for reg in () if source else reads(op):
            source = source or self.unknown.get(reg, "")
        if source:
            for reg in writes(op):
                self.unknown.setdefault(reg, source)

    def _spread_by_forks(self) -> bool:
        """What differs by the way taken is unknown where the ways have met."""
        before = len(self.unknown)
        edges = self._edges()
        joins = meeting_points(edges, self.end)
        live = live_at_start(self._relevant())
        self.forks = {}
        for number, block in enumerate(self.blocks):
            source = self._undecided(block.terminator)
            if not source:
                continue
            one, other = map(int, successors(block.terminator))
            regions = (
                region(edges, one, joins[number]),
                region(edges, other, joins[number]),
            )
            self.forks[number] = _Fork(number, (one, other), joins[number], regions)
            for reg in live[joins[number]]:
                if any(self._writes(at, reg) for at in regions[0] | regions[1]):
                    self.unknown.setdefault(reg, source)
        return len(self.unknown) != before

    def _undecided(self, terminator: Terminator) -> str:
        """What decides a branch that the slice cannot decide; "" if it can."""
        match terminator:
            case ops.Branch(condition=condition):
                return self.unknown.get(condition, "")
            case ops.IterNext():
                return "the keys of an array"
            case _:
                return ""

    def _writes(self, number: int, reg: Reg) -> bool:
        return any(reg in writes(op) for op in self.blocks[number].ops)

    def _relevant(self) -> Function:
        """The blocks with nothing but what the slice keeps, for what is live in it."""
        needed = self._needed()
        blocks = []
        for block in self.blocks:
            kept = [op for op in block.ops if self._is_kept(op, needed)]
            terminator = block.terminator
            if self._undecided(terminator):
                one, other = successors(terminator)
                # without its condition: which way it goes does not matter here
                terminator = ops.Branch(_NOTHING, one, other)
            blocks.append(BasicBlock(kept, terminator, block.on_error))
        return Function("", 0, [*self.registers, Value.LONG], None, blocks)

    # --- what is kept -------------------------------------------------------------------------

    def _is_wanted(self, op: Op) -> bool:
        return isinstance(op, ops.CallBuiltin) and op.name in READS and self.wanted(op)

    def _needed(self) -> set[Reg]:
        """What addresses, and the branches that the slice follows, are computed from."""
        needed: set[Reg] = set()
        size = -1
        while size != len(needed):
            size = len(needed)
            for block in self.blocks:
                if isinstance(block.terminator, ops.Branch):
                    needed.add(block.terminator.condition)
                for op in block.ops:
                    if self._is_wanted(op) or needed.intersection(writes(op)):
                        needed.update(reads(op))
            needed -= set(self.unknown)
        return needed

    def _is_kept(self, op: Op, needed: set[Reg]) -> bool:
        known = not self._source(op) and not any(reg in self.unknown for reg in reads(op))
        if self._is_wanted(op):
            assert isinstance(op, ops.CallBuiltin)
            return op.arguments[0] not in self.unknown
        return known and bool(needed.intersection(writes(op)))

    def _refuse(self) -> None:
        for block in self.blocks:
            for op in block.ops:
                self._refuse_op(op)
        for fork in self.forks.values():
            if all(fork.block in part for part in fork.regions):
                for number in fork.regions[0] | fork.regions[1]:
                    self._refuse_all(number, "the slice does not see how its loop ends")

    def _refuse_op(self, op: Op) -> None:
        if isinstance(op, ops.Call):
            for inner in _all_reads(self.program, op):
                if self._is_wanted(inner):
                    self.refused.setdefault(inner.site, _BACKWARD_CALLS)
                    self.later.add(inner.site)
        elif self._is_wanted(op):
            assert isinstance(op, ops.CallBuiltin)
            source = self.unknown.get(op.arguments[0], "")
            if source:
                self.refused.setdefault(op.site, f"its address depends on {source}")
                self.later.add(op.site)

    def _refuse_all(self, number: int, reason: str) -> None:
        for op in self.blocks[number].ops:
            if self._is_wanted(op):
                assert isinstance(op, ops.CallBuiltin)
                self.refused.setdefault(op.site, reason)
                if op.arguments[0] not in self.unknown:
                    self.later.discard(op.site)

    def _keep_needed(self) -> None:
        needed = self._needed()
        for number, block in enumerate(self.blocks):
            kept = [self._reduced(op, needed) for op in block.ops if self._is_kept(op, needed)]
            self.blocks[number] = replace(block, ops=kept)

    def _reduced(self, op: Op, needed: set[Reg]) -> Op:
        """A read without a result that decides nothing, or a length that is not known."""
        if not isinstance(op, ops.CallBuiltin):
            return op
        known = tuple(reg for reg in op.arguments if reg not in self.unknown)
        dest = op.dest if op.dest in needed and op.name in NUMBERS else None
        return replace(op, dest=dest, arguments=known)

    # --- ways that it does not know -----------------------------------------------------------

    def _join_forks(self) -> None:
        """Where it does not know the way it takes one, and behind it the other."""
        edges = self._edges()
        places = order(edges)
        before: dict[int, int] = {}
        """The block that is now in front of a meeting point."""
        for number in sorted(self.forks, key=lambda n: places.get(n, 0)):
            self._join(self.forks[number], before)
        for number, block in enumerate(self.blocks):
            if number not in self.fronts:
                self.blocks[number] = _redirected(block, before)

    def _join(self, fork: _Fork, before: dict[int, int]) -> None:
        reading = [self._reads_in(part) for part in fork.regions]
        looping = [fork.block in part for part in fork.regions]
        first, second = fork.ways
        if not any(reading):
            self._go(fork.block, ops.Jump(Label(fork.join)))
        elif all(looping):
            self._go(fork.block, ops.Jump(Label(self.end)))
        elif any(looping):
            again, out = (first, second) if looping[0] else (second, first)
            both = reading[looping.index(False)]
            self._go_around(fork, again, out, before if both else None)
        elif all(reading):
            self._go(fork.block, ops.Jump(Label(first)), self._owe(second, fork.join, before))
        else:
            self._go(fork.block, ops.Jump(Label(first if reading[0] else second)))

    def _reads_in(self, part: frozenset[int]) -> bool:
        return any(self._is_wanted(op) for number in part for op in self.blocks[number].ops)

    def _go(self, number: int, terminator: Terminator, *last: Op) -> None:
        block = self.blocks[number]
        self.blocks[number] = replace(block, ops=[*block.ops, *last], terminator=terminator)

    def _register(self) -> Reg:
        self.registers.append(Value.LONG)
        return Reg(len(self.registers) - 1)

    def _new(self, made: list[Op], terminator: Terminator) -> int:
        self.blocks.append(BasicBlock(made, terminator))
        return len(self.blocks) - 1

    def _owe(self, way: int, join: int, before: dict[int, int]) -> Op:
        """The operation that makes the slice go back for `way` when it gets to `join`."""
        owed = self._register()
        onward = before.get(join, join)
        paid = self._new([ops.Const(owed, 0)], ops.Jump(Label(way)))
        before[join] = self._new([], ops.Branch(owed, Label(paid), Label(onward)))
        self.fronts.add(before[join])
        return ops.Const(owed, 1)

    def _go_around(
        self, fork: _Fork, again: int, out: int, before: dict[int, int] | None
    ) -> None:
        """A loop that the slice leaves only after ROUNDS."""
        count, one, most, more = (self._register() for _ in range(4))
        last: list[Op] = [
            ops.Const(one, 1),
            ops.Arith(count, "+", count, one),
            ops.Const(most, ROUNDS),
            ops.Compare(more, "<=", count, most),
        ]
        way = again
        if before is not None:
            way = self._new([self._owe(again, fork.join, before)], ops.Jump(Label(out)))
        self._go(fork.block, ops.Branch(more, Label(way), Label(out)), *last)

    # --- its form -----------------------------------------------------------------------------

    def _drop_idle(self) -> None:
        """End where nothing is read any more."""
        edges = self._edges()
        busy: set[int] = {
            n for n, b in enumerate(self.blocks) if self._reads_in(frozenset({n}))
        }
        size = -1
        while size != len(busy):
            size = len(busy)
            busy |= {n for n, targets in enumerate(edges) if busy.intersection(targets)}
        for number in range(len(self.blocks)):
            if number not in busy:
                self.blocks[number] = BasicBlock([], ops.Return())

    def _cut_loops(self) -> list[int]:
        """Edges that go back end a step; returns the blocks that one may begin with."""
        places = order(self._edges())
        heads = [0]
        cuts: dict[int, int] = {}
        state = self._register()
        for number in sorted(places):
            back = {
                target: self._cut(target, heads, cuts, state)
                for target in map(int, _targets(self.blocks[number]))
                if places[target] <= places[number]
            }
            self.blocks[number] = _redirected(self.blocks[number], back)
        return heads

    def _cut(self, target: int, heads: list[int], cuts: dict[int, int], state: Reg) -> int:
        if target not in cuts:
            if target not in heads:
                heads.append(target)
            value = heads.index(target)
            cuts[target] = self._new([ops.Const(state, value)], ops.Return(state))
        return cuts[target]

    def _made(self, body: Function, heads: list[int]) -> Slice:
        """With registers and captures numbered anew; register 0 is where it goes on."""
        numbers = {Reg(len(self.registers) - 1): Reg(0)}
        captures: dict[int, int] = {}

        def number(reg: Reg) -> Reg:
            return numbers.setdefault(reg, Reg(len(numbers)))

        blocks = []
        for block in self.blocks:
            made: list[Op] = []
            for op in block.ops:
                if isinstance(op, ops.Capture):
                    index = captures.setdefault(op.index, len(captures))
                    op = replace(op, index=index)  # noqa: PLW2901 - the same, elsewhere
                made.append(map_registers(op, number))
            blocks.append(
                BasicBlock(made, map_registers(block.terminator, number), block.on_error)
            )
        registers = [Value.LONG] * len(numbers)
        function = Function(f"slice of {body.name}", 0, registers, Value.LONG, blocks)
        used = tuple(self.handler.captures[index] for index in captures)
        return Slice(function, tuple(heads), used, self.refused, frozenset(self.later))


_NOTHING = Reg(-1)
"""A register that nothing writes."""


def _targets(block: BasicBlock) -> tuple[Label, ...]:
    found = successors(block.terminator)
    return found if block.on_error is None else (*found, block.on_error)


def _redirected(block: BasicBlock, changes: Mapping[int, int]) -> BasicBlock:
    def change(label: Label) -> Label:
        return Label(changes.get(int(label), int(label)))

    on_error = None if block.on_error is None else change(block.on_error)
    return replace(block, terminator=retarget(block.terminator, change), on_error=on_error)


def _all_reads(program: IrProgram, call: ops.Call) -> Sequence[ops.CallBuiltin]:
    from bridge.ir.kernel import operations
    from bridge.ir.reach import reachable

    return [
        op
        for number in call.overloads
        for function in reachable(program, program.functions[number])
        for op in operations(function)
        if isinstance(op, ops.CallBuiltin) and op.name in READS
    ]
