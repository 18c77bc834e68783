"""Passes over the IR: run, one file per pass, then verify.

Tests verify between the passes, too (`EACH`): looking through the whole program costs as much
as a pass does.
Handlers that share their code share the result: a wildcard of thousands of places is one body.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.ir.passes import captures, constants, dead, fold, inline, shape
from bridge.ir.program import Handler, by_code, code_of
from bridge.ir.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.ir.passes.captures import Contexts
    from bridge.ir.program import IrProgram


EACH = "MARKBRIDGE_VERIFY"
"""The variable of the environment that has every pass checked."""


def optimise(program: IrProgram, contexts: Contexts) -> IrProgram:
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


def run(program: IrProgram, passes: Sequence[Callable[[IrProgram], IrProgram]]) -> IrProgram:
    """Run passes one after another and check what comes of them."""
    each = bool(os.environ.get(EACH))
    handlers = program.handlers
    program = replace(program, handlers=list(by_code(handlers).values()))
    if each:
        verify(program)
    at = {code: number for number, code in enumerate(by_code(handlers))}
    for step in passes:
        program = step(program)
        if each:
            verify(program)
    if not each:
        verify(program)
    made = [program.handlers[at[code_of(handler)]] for handler in handlers]
    return replace(program, handlers=list(map(_with_code, handlers, made)))


def _with_code(handler: Handler, made: Handler) -> Handler:
    """A handler with the code of another one."""
    if handler.expansion is made.expansion:
        return made
    return Handler(
        handler.point,
        handler.script_point,
        handler.expansion,
        made.captures,
        made.body,
        made.condition,
        handler.interruptible,
        handler.optional,
    )
