"""ir.IrProgram -> text, the golden form of tests: `read.read(dump(program)) == program`.

One line per declaration and per operation. Numbers are the truth, names beside them are for the
reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.ir.optext import Naming, show_op
from bridge.ir.program import Limits, Reg
from bridge.ir.terms import quote, term

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.ir.program import Function, Handler, IrProgram


def dump(program: IrProgram) -> str:
    """The program as text, ending in a newline."""
    return "\n".join(_lines(program)) + "\n"


def _lines(program: IrProgram) -> Iterator[str]:
    if program.limits != Limits():
        yield f"limits {term(program.limits)}"
    yield from (f"global {n} {term(g)}" for n, g in enumerate(program.globals))
    yield from (f"format {n} {term(f)}" for n, f in enumerate(program.formats))
    yield from (f"site {n} {quote(s.text)}" for n, s in enumerate(program.sites))
    names = {n: g.name for n, g in enumerate(program.globals)}
    for number, function in enumerate(program.functions):
        yield ""
        yield f"function {number} {quote(function.name)}"
        yield from _function(function, names)
    for number, handler in enumerate(program.handlers):
        yield ""
        yield from _handler(number, handler, names)


def _handler(number: int, handler: Handler, names: dict[int, str]) -> Iterator[str]:
    yield f"handler {number} {quote(handler.point)}"
    yield f"  script {quote(handler.script_point)}"
    yield f"  at {term(handler.expansion)}"
    if handler.interruptible:
        yield "  interruptible"
    if handler.optional:
        yield "  optional"
    yield from (f"  captures {n} {term(c)}" for n, c in enumerate(handler.captures))
    if handler.condition:
        yield f"  condition {quote(handler.condition.name)}"
        yield from _function(handler.condition, names)
    yield f"  body {quote(handler.body.name)}"
    yield from _function(handler.body, names)


def _function(function: Function, names: dict[int, str]) -> Iterator[str]:
    result = function.result.value if function.result else "none"
    types = " ".join(_register(function, n) for n in range(len(function.registers)))
    site = f" !{function.site}" if function.site is not None else ""
    yield f"    signature {function.parameters} {result}{site}"
    yield f"    registers {types}".rstrip()
    naming = Naming({int(reg): name for reg, name in function.names.items()}, names)
    for number, block in enumerate(function.blocks):
        error = f" on_error b{block.on_error}" if block.on_error is not None else ""
        yield f"  b{number}:{error}"
        yield from (f"    {show_op(op, naming)}" for op in block.ops)
        yield f"    {show_op(block.terminator, naming)}"


def _register(function: Function, number: int) -> str:
    name = function.names.get(Reg(number))
    shown = f"{name}.{number}" if name else str(number)
    return f"%{shown}:{function.registers[number].value}"
