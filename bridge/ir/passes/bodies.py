"""A pass over functions -> a pass over programs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.ir.program import Capture, Function, IrProgram


def on_bodies(
    program: IrProgram, change: Callable[[Function, tuple[Capture, ...]], Function]
) -> IrProgram:
    """The program with every function, condition and handler body changed."""
    handlers = [
        replace(
            handler,
            body=change(handler.body, handler.captures),
            condition=handler.condition and change(handler.condition, ()),
        )
        for handler in program.handlers
    ]
    functions = [change(function, ()) for function in program.functions]
    return replace(program, functions=functions, handlers=handlers)
