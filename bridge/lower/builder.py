"""The one mutable class of lowering: a function under construction.

Blocks are numbered when they are started, so their order is that of the script. Registers of
script variables are mutable; whoever keeps a register across the lowering of another expression
takes it through `Builder.hold`, which copies it if that expression assigns to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.ir import ops
from bridge.ir.program import (
    BasicBlock,
    Capture,
    ErrorSite,
    Format,
    Function,
    IrProgram,
    Label,
    Reg,
    Value,
    capture_text,
    capture_type,
)
from bridge.script.analysis.types import Type
from bridge.script.syntax import ast
from bridge.script.syntax.tokens import KEYWORDS, printable
from bridge.script.syntax.walk import walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.ir.ops import Op, Terminator
    from bridge.markers import Expansion
    from bridge.script.analysis.typed import Facts, FunctionInfo, GlobalVariable, LocalVariable
    from bridge.script.syntax.ast import Node
    from bridge.source import SourceMap, Span

VALUES = {Type.LONG: Value.LONG, Type.STRING: Value.STRING}
"""The register type of each value type of the language."""

QUEUED_STATEMENTS = 10
"""SystemTap counts statements in groups: this many at most before it looks at the limit."""


@dataclass(slots=True)
class Shared:
    """What all bodies of a program share: the program, and the numbers of things."""

    program: IrProgram
    sources: SourceMap
    globals: Mapping[GlobalVariable, int]
    functions: Mapping[FunctionInfo, int]
    formats: dict[Format, int] = field(default_factory=dict)
    sites: dict[str, int] = field(default_factory=dict)

    def format(self, format_: Format) -> int:
        """The number of a format; equal formats are one."""
        if format_ not in self.formats:
            self.formats[format_] = len(self.program.formats)
            self.program.formats.append(format_)
        return self.formats[format_]

    def site(self, node: Node) -> int:
        """The number of the error site of a node."""
        what, where = describe(self.sources.text(node.token)), self._place(node.token)
        text = f"{what} at {where}"
        if text not in self.sites:
            self.sites[text] = len(self.program.sites)
            self.program.sites.append(ErrorSite(text, node.token, what, where))
        return self.sites[text]

    def _place(self, span: Span) -> str:
        place = self.sources.place(span)
        return str(place) if place else "<nowhere>"


_IDENTIFIER = re.compile(r"[A-Za-z_$]")


def describe(text: str) -> str:
    """A token as SystemTap's messages name it: `operator '/'`."""
    if text in KEYWORDS:
        return "keyword"
    if text.startswith('"'):
        return f"string '{printable(text[1:-1])}'"
    if text[:1].isdigit():
        return f"number '{text}'"
    kind = "identifier" if _IDENTIFIER.match(text) else "operator"
    return f"{kind} '{printable(text)}'"


@dataclass(frozen=True, slots=True)
class Loop:
    """Where `break` and `continue` go, and how many iterations stay open after a `break`."""

    leave: Label
    again: Label
    keep: int


@dataclass(frozen=True, slots=True)
class Held:
    """A register, and where the code stood when it had the value that counts."""

    reg: Reg
    version: int
    block: BasicBlock
    at: int


@dataclass(slots=True)
class Builder:
    """A function or handler body under construction."""

    shared: Shared
    facts: Facts
    function: Function
    expansion: Expansion | None = None
    """The place of a handler on a marker; None where hits are not known (functions, timers)."""
    is_handler: bool = False
    captures: list[Capture] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)
    iterators: list[int] = field(default_factory=list)
    """The numbers of the iterations that are open here, outermost first."""
    on_error: Label | None = None
    _locals: dict[LocalVariable, Reg] = field(default_factory=dict)
    _versions: dict[Reg, int] = field(default_factory=dict)
    _order: list[int] = field(default_factory=list)
    _blocks: list[BasicBlock] = field(default_factory=list)
    _current: BasicBlock | None = None
    _pending: int = 0
    next_iterator: int = 0
    """The number of the next iteration; they are unique within the function."""

    # --- registers ----------------------------------------------------------------------------

    def reg(self, type_: Value, name: str = "") -> Reg:
        """A new register."""
        self.function.registers.append(type_)
        reg = Reg(len(self.function.registers) - 1)
        if name:
            self.function.names[reg] = name
        return reg

    def local(self, variable: LocalVariable) -> Reg:
        """The register of a local or a parameter."""
        if variable not in self._locals:
            self._locals[variable] = self.reg(VALUES[variable.type], variable.name)
        return self._locals[variable]

    def type_of(self, reg: Reg) -> Value:
        """The type of a register."""
        return self.function.registers[reg]

    def hold(self, reg: Reg) -> Held:
        """Remember the value that a register has here; get it later by `release`."""
        block = self._open()
        return Held(reg, self._versions.get(reg, 0), block, len(block.ops))

    def release(self, held: Held) -> Reg:
        """A register with the held value: the same one, unless it was assigned to since."""
        if self._versions.get(held.reg, 0) == held.version:
            return held.reg
        copy = self.reg(self.type_of(held.reg))
        held.block.ops.insert(held.at, ops.Copy(copy, held.reg))
        return copy

    # --- code ---------------------------------------------------------------------------------

    def emit(self, op: Op) -> None:
        """Add an operation to the current block."""
        dest = getattr(op, "dest", None)
        if dest is not None:
            self._versions[dest] = self._versions.get(dest, 0) + 1
        self._open().ops.append(op)

    def const(self, value: int) -> Reg:
        """A register with an integer."""
        dest = self.reg(Value.LONG)
        self.emit(ops.Const(dest, value))
        return dest

    def string(self, value: bytes) -> Reg:
        """A register with a string."""
        dest = self.reg(Value.STRING)
        self.emit(ops.ConstString(dest, value))
        return dest

    def capture(self, capture: Capture, site: int | None = None) -> Reg:
        """A register with a captured value; equal captures are taken once."""
        texts = [capture_text(known) for known in self.captures]
        text = capture_text(capture)
        if text not in texts:
            self.captures.append(capture)
            texts.append(text)
        dest = self.reg(capture_type(capture))
        self.emit(ops.Capture(dest, texts.index(text), site))
        return dest

    # --- blocks -------------------------------------------------------------------------------

    def label(self) -> Label:
        """A new block, to be started later."""
        self._blocks.append(BasicBlock([], ops.Return()))
        return Label(len(self._blocks) - 1)

    def start(self, label: Label) -> None:
        """Continue in a block; falls into it if the current one is still open."""
        if self._current is not None:
            self.terminate(ops.Jump(label))
        self._current = self._blocks[label]
        self._current.on_error = self.on_error
        self._order.append(label)

    def terminate(self, terminator: Terminator) -> None:
        """End the current block. Code that follows without a `start` is unreachable."""
        keys = terminator.keys if isinstance(terminator, ops.IterNext) else ()
        value = terminator.value if isinstance(terminator, ops.IterNext) else None
        for reg in (*keys, value):
            if reg is not None:
                self._versions[reg] = self._versions.get(reg, 0) + 1
        self._open().terminator = terminator
        self._current = None

    def _open(self) -> BasicBlock:
        if self._current is None:
            self.start(self.label())
        assert self._current is not None
        return self._current

    # --- statements ---------------------------------------------------------------------------

    def tick(self, count: int, node: Node, *, update: bool = False) -> None:
        """Count statements; `update` looks at the limit at once.

        Spec section 10, "one action": the counts queue up in the order of the code, across
        jumps.
        """
        self._pending += count
        if self._pending and (update or self._pending >= QUEUED_STATEMENTS):
            self.emit(ops.Tick(self._pending, self.site(_first_token(node))))
            self._pending = 0

    def site(self, node: Node) -> int:
        """The number of the error site of a node."""
        return self.shared.site(node)

    def open_iterator(self) -> int:
        """The number of a new iteration, which is open from here on."""
        self.iterators.append(self.next_iterator)
        self.next_iterator += 1
        return self.iterators[-1]

    def drop_iterators(self, keep: int = 0) -> None:
        """End the open iterations but the outermost `keep`, because the code leaves them."""
        for iterator in reversed(self.iterators[keep:]):
            self.emit(ops.IterDelete(iterator))

    def leave(self, terminator: Terminator) -> None:
        """Leave the function."""
        self.drop_iterators()
        self.terminate(terminator)

    def finish(self) -> Function:
        """The function, its blocks in the order in which they were started."""
        new = {old: Label(at) for at, old in enumerate(self._order)}
        blocks = [self._blocks[old] for old in self._order]
        for block in blocks:
            block.terminator = retarget(block.terminator, new)
            if block.on_error is not None:
                block.on_error = new[block.on_error]
        self.function.blocks = blocks
        return self.function


def _first_token(node: Node) -> Node:
    """A statement is named by its first token: `n` in `n++`."""
    if not isinstance(node, ast.ExprStmt):
        return node
    return min(walk(node.value), key=lambda inner: inner.token.start)


def retarget(terminator: Terminator, new: Mapping[int, Label]) -> Terminator:
    """The terminator with other block numbers."""
    match terminator:
        case ops.Jump(target):
            return ops.Jump(new[target])
        case ops.Branch(condition, then, orelse):
            return ops.Branch(condition, new[then], new[orelse])
        case ops.IterNext(iterator, keys, value, body, done):
            return ops.IterNext(iterator, keys, value, new[body], new[done])
        case ops.Return() | ops.NextOverload():
            return terminator
