"""The passes change nothing that a script can see: programs before and after print the same."""

import random

import pytest

from bridge.diagnostics import Sink
from bridge.interpreter.interpret import HandlerHit, Interpreter, UnreadableMemory
from bridge.ir import program as ir_program
from bridge.ir.arithmetic import calculate
from bridge.ir.passes import optimise
from bridge.ir.program import (
    Argument,
    Computed,
    Context,
    IrProgram,
    Literal,
    Load,
    capture_text,
)
from bridge.ir.verify import verify
from bridge.lower import lower
from bridge.markers import MarkerAttachment
from bridge.script.analysis.analyse import analyse
from bridge.script.builtins import CONTEXTS
from bridge.script.options import AnalyseOptions
from bridge.source import SourceMap
from tests.support.random_programs.generate import script
from tests.support.random_programs.hits import NUMBERS, TEXTS, TIMES
from tests.support.scripts import DemoTargets

SEEDS = range(2000, 2040)


def _lowered(seed: int) -> IrProgram:
    sources, sink = SourceMap(), Sink()
    options = AnalyseOptions(defines={"MAXERRORS": "1000"})
    main = sources.add("a.stp", script(seed))
    typed = analyse(main, sources, DemoTargets(), sink, options)
    assert typed is not None, sink.errors
    return lower(typed, sources)


def _hits(program: IrProgram, seed: int) -> list[HandlerHit]:
    """The same hits for every form of a program; no memory can be read at them."""
    chance = random.Random(seed)
    values: dict[str, int | bytes] = {"$arg1": chance.choice(NUMBERS)}
    values["$arg2"] = chance.choice(NUMBERS)
    contexts: dict[str, int | bytes] = {
        name: chance.choice(TEXTS)[:15]
        if kind is ir_program.Value.STRING
        else chance.choice(TIMES)
        for name, kind in ir_program.CONTEXTS.items()
        if name != "memory"
    }
    contexts["pid"] = 42
    values |= {f"{name}()": value for name, value in contexts.items()}
    return [
        HandlerHit(number, [_value(c, values) for c in handler.captures], contexts)
        for number, handler in enumerate(program.handlers)
        if isinstance(handler.expansion.attachment, MarkerAttachment)
    ]


def _value(capture: object, values: dict[str, int | bytes]) -> int | bytes | UnreadableMemory:
    if isinstance(capture, Load):
        return UnreadableMemory(_address(capture.address, values))
    assert isinstance(capture, Argument | Context)
    return values[capture_text(capture)]


def _address(capture: object, values: dict[str, int | bytes]) -> int:
    match capture:
        case Literal(value=value):
            return value
        case Computed(op=op, left=left, right=right):
            result = calculate(op, _address(left, values), _address(right, values))
            assert result is not None
            return result
        case _:
            value = _value(capture, values)
            assert isinstance(value, int)
            return value


@pytest.mark.parametrize("seed", SEEDS)
def test_passes_keep_the_meaning(seed: int) -> None:
    before = _lowered(seed)
    verify(before)
    after = optimise(before, CONTEXTS)
    outcomes = [
        Interpreter(program, CONTEXTS).run_session(hits=_hits(program, seed))
        for program in (before, after)
    ]
    assert outcomes[0] == outcomes[1]
