"""Text -> ir.IrProgram: the reader of what `dump.dump` prints.

Made for tests and for looking at programs by hand; blank lines and lines that start with `#`
are skipped. What is not understood is a `ReadError` with its line number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridge.ir import ops
from bridge.ir.optext import read_op
from bridge.ir.program import (
    BasicBlock,
    ErrorSite,
    Function,
    Handler,
    IrProgram,
    Label,
    Reg,
    Value,
)
from bridge.ir.terms import parse_term, unquote

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.ir.ops import Op

_TERMINATORS = (ops.Jump, ops.Branch, ops.IterNext, ops.Return, ops.NextOverload)
_BLOCK = re.compile(r"b\d+:(?: on_error b(\d+))?")
_REGISTER = re.compile(r"%(?:([^\s.:]+)\.)?(\d+):(\w+)")


class ReadError(ValueError):
    """A line that is not IR."""


@dataclass(slots=True)
class _Draft:
    """A handler as far as it was read."""

    point: str
    values: dict[str, Any] = field(default_factory=dict)
    captures: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class _Reader:
    """The program so far, and the function and handler that are being read."""

    program: IrProgram = field(default_factory=IrProgram)
    drafts: list[_Draft] = field(default_factory=list)
    function: Function | None = None
    ops: list[Op] = field(default_factory=list)
    on_error: Label | None = None

    def line(self, line: str) -> None:
        """Read one line."""
        word, _, rest = line.partition(" ")
        block = _BLOCK.fullmatch(line)
        if block:
            self.ops = []
            self.on_error = Label(int(block[1])) if block[1] else None
        elif word in _WORDS:
            _WORDS[word](self, rest)
        else:
            self._operation(line)

    def _operation(self, line: str) -> None:
        op = read_op(line)
        if isinstance(op, _TERMINATORS):
            self._open().blocks.append(BasicBlock(self.ops, op, self.on_error))
        else:
            self.ops.append(op)

    def _open(self) -> Function:
        if self.function is None:
            raise ValueError("outside a function")
        return self.function

    def begin_function(self, name: str) -> Function:
        """Start a function; its signature and registers follow."""
        self.function = Function(unquote(name), 0, [], None, [])
        return self.function

    def limits(self, rest: str) -> None:
        """The limits."""
        self.program.limits = parse_term(rest)

    def signature(self, rest: str) -> None:
        """Number of parameters, result type, place of the declaration."""
        count, result, *site = rest.split()
        self._open().site = int(site[0][1:]) if site else None
        self._open().parameters = int(count)
        self._open().result = None if result == "none" else Value(result)

    def registers(self, rest: str) -> None:
        """Types and names of the registers."""
        for name, number, type_ in _REGISTER.findall(rest):
            self._open().registers.append(Value(type_))
            if name:
                self._open().names[Reg(int(number))] = name

    def handler(self, rest: str) -> None:
        """Start a handler."""
        self.drafts.append(_Draft(unquote(rest.partition(" ")[2])))

    def finish(self) -> IrProgram:
        """The program with its handlers."""
        self.program.handlers = [
            Handler(point=d.point, captures=tuple(d.captures), **d.values) for d in self.drafts
        ]
        return self.program

    def set(self, name: str, value: object) -> None:
        """Set a field of the handler."""
        self.drafts[-1].values[name] = value


def _numbered(add: Callable[[_Reader, str], object]) -> Callable[[_Reader, str], object]:
    return lambda reader, rest: add(reader, rest.partition(" ")[2])


_WORDS: dict[str, Callable[[_Reader, str], object]] = {
    "limits": _Reader.limits,
    "global": _numbered(lambda r, t: r.program.globals.append(parse_term(t))),
    "site": _numbered(lambda r, t: r.program.sites.append(ErrorSite(unquote(t)))),
    "function": _numbered(lambda r, t: r.program.functions.append(r.begin_function(t))),
    "handler": _Reader.handler,
    "script": lambda r, t: r.set("script_point", unquote(t)),
    "at": lambda r, t: r.set("expansion", parse_term(t)),
    "interruptible": lambda r, _: r.set("interruptible", True),
    "optional": lambda r, _: r.set("optional", True),
    "captures": _numbered(lambda r, t: r.drafts[-1].captures.append(parse_term(t))),
    "condition": lambda r, t: r.set("condition", r.begin_function(t)),
    "body": lambda r, t: r.set("body", r.begin_function(t)),
    "signature": _Reader.signature,
    "registers": _Reader.registers,
}


def read(text: str) -> IrProgram:
    """The program that `dump` printed."""
    reader = _Reader()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            _line(reader, line.strip())
        except (ValueError, KeyError, IndexError) as error:
            raise ReadError(f"line {number}: {error}") from error
    return reader.finish()


_FORMAT_LINE = re.compile(r"format \d+ (Format\(.*\))")


def _line(reader: _Reader, line: str) -> None:
    # `format 3 Format(…)` declares, `%1 = format 3 …` is an operation
    declared = _FORMAT_LINE.fullmatch(line)
    if declared:
        reader.program.formats.append(parse_term(declared[1]))
    else:
        reader.line(line)
