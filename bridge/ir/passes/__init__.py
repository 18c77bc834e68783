"""Passes over the IR: verify -> run -> verify, one file per pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.ir.passes import captures, constants, dead, fold, inline, shape
from bridge.ir.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.ir.passes.captures import Contexts
    from bridge.ir.program import Program


def optimise(program: Program, contexts: Contexts) -> Program:
    """The standard passes; `contexts` says what the built-ins mean that describe a hit."""
    return run(
        program,
        (
            constants.run,
            shape.run,
            inline.run,
            lambda p: captures.run(p, contexts),
            fold.run,
            dead.run,
            shape.run,
        ),
    )


def run(program: Program, passes: Sequence[Callable[[Program], Program]]) -> Program:
    """Run passes one after another and check the program after each."""
    verify(program)
    for step in passes:
        program = step(program)
        verify(program)
    return program
