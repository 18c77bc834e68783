"""`@entry(e)` in the probe of a function's return -> a probe where the function is entered.

That one saves the value by thread and depth of nesting, and the return takes it back: both are
ordinary code over two arrays, as in SystemTap. A variable of the function that a return names
without `@entry` means its value at the entry, with a warning. Spec: section 13.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.markers import ordinal
from bridge.script import errors
from bridge.script.analysis.derive import Derived, ScopedBlock
from bridge.script.analysis.fold import (
    ARGUMENT_FUNCTIONS,
    FULL,
    BodyContext,
    Folder,
    is_there,
    narrowed,
)
from bridge.script.printing.describe import describe
from bridge.script.printing.print_tree import expr_text
from bridge.script.syntax import ast
from bridge.script.syntax.walk import rebuild

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.markers import Expansion
    from bridge.script.analysis.program import ResolvedScript

_OWN = frozenset({"$return", "$$return"})
"""What a return has of its own."""
_PREFIX = "__entry_tvar_"


def save_entries(program: ResolvedScript, derived: Derived) -> list[Derived]:
    """The probe, and before it the one that saves for it what it needs of the entry."""
    entry = derived.expansion.entry
    if entry is None or program.options.assume_types:
        return [derived]
    saver = _Saver(program, entry, derived.expansion.entered)
    bodies = tuple(ScopedBlock(b.script, saver.block(b)) for b in derived.bodies)
    if not saver.saved:
        return [replace(derived, bodies=bodies) if saver.without else derived]
    first = derived.bodies[0]
    taken = ScopedBlock(first.script, _block(saver.taken, first.block))
    saving = replace(
        derived, expansion=entry, bodies=tuple(saver.saved), conditions=derived.conditions
    )
    return [saving, replace(derived, bodies=(taken, *bodies))]


@dataclass
class _Saver:
    """The bodies of one return probe while `@entry` is taken out of them."""

    program: ResolvedScript
    entry: Expansion
    entered: Mapping[str, str]
    """What the return has of the call itself."""
    without: bool = False
    """Whether something is taken from there."""
    saved: list[ScopedBlock] = field(default_factory=list)
    """What the probe at the entry runs."""
    taken: list[ast.Stmt] = field(default_factory=list)
    """What the return runs first."""
    _names: dict[str, str] = field(default_factory=dict)
    _script: ast.Script | None = None

    def block(self, scoped: ScopedBlock) -> ast.Block:
        """A body with the saved values in place of `@entry`."""
        self._script = scoped.script
        return rebuild(scoped.block, self._change)

    def _change(self, node: ast.Node) -> ast.Node:
        match node:
            case ast.AtOperator(op="defined", operand=operand):
                return self._defined(node, operand)
            case ast.AtOperator(op="entry", operand=operand):
                return self._save(operand, node)
            case ast.Ternary(condition=condition):
                chosen = self._chosen(condition, node.then, node.orelse)
                return rebuild(node, self._change) if chosen is None else self._change(chosen)
            case ast.If(condition=condition) if isinstance(node.orelse, ast.Stmt):
                chosen = self._chosen(condition, node.then, node.orelse)
                return rebuild(node, self._change) if chosen is None else self._change(chosen)
            case ast.Target(name=name) if name not in _OWN and self._is_of_entry(node):
                message = errors.Message(
                    "value-of-entry",
                    f"confusing usage, value is captured as @entry({expr_text(node)}) in"
                    " .return probe [man stapprobes] RETURN PROBES",
                )
                self.program.sink.report(errors.warning(message, node.token, describe(node)))
                return self._save(node, node)
            case _:
                return rebuild(node, self._change)

    def _chosen(self, condition: ast.Expr, then: ast.Node, orelse: ast.Node) -> ast.Node | None:
        """The branch that `@defined(@entry(...))` leaves: of the other one nothing is saved."""
        if not (isinstance(condition, ast.AtOperator) and condition.op == "defined"):
            return None
        known = self._change(condition)
        if not isinstance(known, ast.Number):
            return None
        return then if known.value else orelse

    def _is_of_entry(self, node: ast.Target) -> bool:
        """Whether it is there at the entry, and no constant of the place."""
        return is_there(node, self.entry)

    def _defined(self, node: ast.AtOperator, operand: ast.Expr) -> ast.Node:
        """`@defined` asks for the entry, too, and saves nothing."""
        if isinstance(operand, ast.AtOperator) and operand.op == "entry":
            operand = operand.operand
        elif isinstance(operand, ast.Target) and operand.name in _OWN:
            return node
        asked = replace(node, operand=operand)
        program = self.program
        place = BodyContext(self.entry, program.structures, statics=program.statics)
        return Folder(place, program.sink.report).fold(asked)

    def _kept(self, value: ast.Expr) -> ast.Expr | None:
        """What stands for a plain argument where the return has it still."""
        narrow = FULL
        match value:
            case ast.Target(name=dollar, path=(), pretty="", address_of=False):
                name = dollar[1:]
            case ast.Call(name=function, arguments=(ast.Number(value=index),)) if (
                function in ARGUMENT_FUNCTIONS
            ):
                name = self.entry.renamed.get(ordinal(index), f"arg{index}")
                narrow = ARGUMENT_FUNCTIONS[function]
            case _:
                return None
        found = self.entered.get(self.entry.renamed.get(name, name))
        if found is None:
            return None
        if found.endswith("()"):
            kept: ast.Expr = ast.Call(found[:-2], (), span=value.span, token=value.token)
        else:
            kept = ast.Target(f"${found}", span=value.span, token=value.token)
        return narrowed(kept, narrow)

    def _save(self, value: ast.Expr, at: ast.Expr) -> ast.Expr:
        kept = self._kept(value)
        if kept is not None:
            self.without = True
            return kept
        text = expr_text(value)
        build = _Build(at)
        if text not in self._names:
            number = sum(key[1].startswith(_PREFIX) for key in self.program.globals) // 2
            self._names[text] = f"{_PREFIX}{number}"
            self._declare(self._names[text], value, build)
        return build.name(f"{self._names[text]}_tmp")

    def _declare(self, name: str, value: ast.Expr, build: _Build) -> None:
        assert self._script is not None
        for one in (name, f"{name}_ctr"):
            self.program.declare(self.program.scripts[0], build.declaration(one))
        save = build.assign(build.saved(name, build.step("++", name, prefix=True)), value)
        self.saved.append(ScopedBlock(self._script, _block([save], value)))
        take = build.assign(build.name(f"{name}_tmp"), build.saved(name, build.depth(name)))
        self.taken += [
            take,
            build.delete(build.saved(name, build.step("--", name, prefix=False))),
            build.unless(build.depth(name), build.delete(build.depth(name))),
        ]


def _block(body: list[ast.Stmt], at: ast.Node) -> ast.Block:
    return ast.Block(tuple(body), span=at.span, token=at.token)


@dataclass(frozen=True)
class _Build:
    """Nodes at the place of an expression."""

    at: ast.Expr

    def name(self, id_: str) -> ast.Name:
        return ast.Name(id_, span=self.at.span, token=self.at.token)

    def tid(self) -> ast.Expr:
        return ast.Call("tid", (), span=self.at.span, token=self.at.token)

    def depth(self, name: str) -> ast.Index:
        """`counter[tid()]`"""
        return self._index(f"{name}_ctr", self.tid())

    def saved(self, name: str, depth: ast.Expr) -> ast.Index:
        """`array[tid(), depth]`"""
        return self._index(name, self.tid(), depth)

    def step(self, op: str, name: str, *, prefix: bool) -> ast.Expr:
        return ast.Step(op, self.depth(name), prefix, span=self.at.span, token=self.at.token)

    def assign(self, target: ast.Expr, value: ast.Expr) -> ast.Stmt:
        whole = ast.Assign("=", target, value, span=self.at.span, token=self.at.token)
        return ast.ExprStmt(whole, span=self.at.span, token=self.at.token)

    def delete(self, target: ast.Expr) -> ast.Stmt:
        return ast.Delete(target, span=self.at.span, token=self.at.token)

    def unless(self, condition: ast.Expr, then: ast.Stmt) -> ast.Stmt:
        negated = ast.Unary("!", condition, span=self.at.span, token=self.at.token)
        return ast.If(negated, then, None, span=self.at.span, token=self.at.token)

    def declaration(self, name: str) -> ast.Global:
        return ast.Global(
            name, False, False, None, None, span=self.at.span, token=self.at.token
        )

    def _index(self, name: str, *keys: ast.Expr) -> ast.Index:
        return ast.Index(self.name(name), keys, span=self.at.span, token=self.at.token)
