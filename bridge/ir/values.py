"""What registers are known to hold: a forward analysis over one function.

A known value is a constant, or a `Capture` expression (something that only depends on the hit).
It serves constant folding, the forming of captures and placement. One rule: unknown is always
right; a value is known at a place only if it is the same on every way to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.arithmetic import calculate, compare
from bridge.ir.liveness import live_at_start
from bridge.ir.operands import successors, writes
from bridge.ir.program import Capture, Computed, Literal, Reg, Value, capture_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.ir.ops import Op
    from bridge.ir.program import Function

Known = bytes | Capture
"""A string constant, or what a capture can express (integers are `Literal`)."""
State = dict[Reg, Known]

MAXIMUM_DEPTH = 16
"""How deep a capture expression may get."""


@dataclass(frozen=True, slots=True)
class Values:
    """The known registers at the start of every reachable block, where they are read later."""

    function: Function
    captures: tuple[Capture, ...]
    at_start: Mapping[int, State]

    def before(self, block: int) -> Iterator[State]:
        """The known registers before every operation of a block, and before its terminator.

        It is one dictionary that changes from step to step: long blocks would need many.
        """
        state = dict(self.at_start.get(block, {}))
        yield state
        for op in self.function.blocks[block].ops:
            apply(op, state, self.captures)
            yield state


def analyse(function: Function, captures: tuple[Capture, ...] = ()) -> Values:
    """Run the analysis to its fixed point; only registers that are still read are kept."""
    zero: dict[Value, Known] = {Value.LONG: Literal(0), Value.STRING: b""}
    first: State = {
        Reg(at): zero[type_]
        for at, type_ in enumerate(function.registers)
        if at >= function.parameters
    }
    live = live_at_start(function)
    starts: dict[int, State] = {0: {reg: first[reg] for reg in live[0] if reg in first}}
    pending = [0]
    while pending:
        number = pending.pop()
        for target, state in _leaving(function, number, starts[number], captures):
            needed = {reg: state[reg] for reg in live[target] if reg in state}
            merged = _merge(starts.get(target), needed)
            if merged is not None:
                starts[target] = merged
                pending.append(target)
    return Values(function, captures, starts)


def _leaving(
    function: Function, number: int, start: State, captures: tuple[Capture, ...]
) -> list[tuple[int, State]]:
    """The states on every edge out of a block."""
    block = function.blocks[number]
    state = dict(start)
    edges = []
    if block.on_error is not None:
        # an error may strike anywhere: only what the block never writes is known
        written = {reg for op in block.ops for reg in writes(op)}
        edges.append(
            (int(block.on_error), {r: v for r, v in start.items() if r not in written})
        )
    for op in block.ops:
        apply(op, state, captures)
    for reg in writes(block.terminator):
        state.pop(reg, None)
    edges += [(int(label), state) for label in successors(block.terminator)]
    return edges


def _merge(known: State | None, new: State) -> State | None:
    """What both say; None if that is nothing new."""
    if known is None:
        return new
    both = {reg: value for reg, value in known.items() if new.get(reg) == value}
    return both if len(both) < len(known) else None


def apply(op: Op, state: State, captures: tuple[Capture, ...]) -> None:
    """Bring a state behind an operation."""
    value = _evaluate(op, state, captures)
    for reg in writes(op):
        if value is None:
            state.pop(reg, None)
        else:
            state[reg] = value


def _evaluate(op: Op, state: State, captures: tuple[Capture, ...]) -> Known | None:
    match op:
        case ops.Const(value=number):
            return Literal(number)
        case ops.ConstString(value=text):
            return text
        case ops.Copy(source=source):
            return state.get(source)
        case ops.Capture(index=index):
            capture = captures[index]
            return capture if capture_type(capture) is Value.LONG else None
        case ops.Arith(op=word, left=left, right=right):
            return _arithmetic(word, state.get(left), state.get(right))
        case ops.Compare(op=word, left=left, right=right):
            return _comparison(word, state.get(left), state.get(right))
        case _:
            return None


def _arithmetic(word: str, left: Known | None, right: Known | None) -> Known | None:
    if left is None or right is None or isinstance(left, bytes) or isinstance(right, bytes):
        return None
    if isinstance(left, Literal) and isinstance(right, Literal):
        result = calculate(word, left.value, right.value)
        return None if result is None else Literal(result)
    if word in {"/", "%"} or max(depth(left), depth(right)) >= MAXIMUM_DEPTH:
        return None
    return Computed(word, left, right)


def _comparison(word: str, left: Known | None, right: Known | None) -> Known | None:
    match left, right:
        case Literal(value=a), Literal(value=b):
            return Literal(compare(word, a, b))
        case bytes(), bytes():
            return Literal(compare(word, left, right))
        case _:
            return None


def depth(capture: Capture) -> int:
    """How many operations a capture nests."""
    match capture:
        case Computed(left=left, right=right):
            return 1 + max(depth(left), depth(right))
        case _:
            return 1
