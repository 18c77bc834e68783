"""Resolved bodies -> the same without what has no effect or can never run.

Rule: this runs before types are inferred, because SystemTap does it there: what is dropped may
contain type errors. Facts move along with the nodes that are rebuilt.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from bridge.markers import NoAccess
from bridge.script import errors
from bridge.script.analysis.derive import ScopedBlock
from bridge.script.analysis.fold import Folder, place_of
from bridge.script.analysis.infer import Inference
from bridge.script.analysis.lookup import lookup, parts
from bridge.script.analysis.program import Arity
from bridge.script.analysis.resolve import no_access
from bridge.script.analysis.typed import LocalVariable
from bridge.script.analysis.types import Type
from bridge.script.analysis.usage import Effects, usage
from bridge.script.printing.describe import describe
from bridge.script.syntax import ast
from bridge.script.syntax.walk import children, rebuild, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.markers import Result
    from bridge.script.analysis.lookup import Typed
    from bridge.script.analysis.program import Body, ResolvedScript

LEAST_ROUNDS = 20
MOST_VISITS = 2_000_000
"""So many nodes are looked at, where more than the least rounds are needed."""
_TARGETS = (ast.Target, ast.Cast, ast.AtVar)
_LEFT_SIDES = (ast.Name, ast.Index, *_TARGETS)
_LEAVING = (ast.Next, ast.Return, ast.Break, ast.Continue)

Beginnings = dict[ast.Node, ast.Node]
"""What an expression statement began with before it was changed; kept for messages."""


def optimise(program: ResolvedScript) -> None:
    """Drop what has no effect, then functions that nobody calls any more."""
    began: Beginnings | None = {}
    for bodies in _rounds(program):
        _forget_globals(program)
        for body in bodies:
            _forget(body)
        changed = [_Assignments(program, body, began).run() for body in bodies]
        if _failed(program):
            return
        effects = Effects(program)
        changed += [_statements(program, body, began, effects) for body in bodies]
        changed += [_Unused(program, body, began, effects).run() for body in bodies]
        Inference(program).look()
        if _failed(program):
            return
        changed.append(_fold(program, bodies))
        if _failed(program):
            return
        changed += [_Control(program, body, began).run() for body in bodies]
        changed.append(_drop_overloads(program))
        if not any(changed):
            break
        began = None  # what only this made superfluous goes without a word
        drop_unused(program)
    drop_unused(program)
    if not program.options.keep_idle:
        _drop_idle(program)


def _statements(
    program: ResolvedScript, body: Body, began: Beginnings | None, effects: Effects
) -> bool:
    """Drop idle statements; a function that has no others is reported."""
    changed = _Statements(program, body, began, effects).run()
    function = body.function
    if began is not None and function is not None and body.blocks:
        (scoped,) = body.blocks
        if not scoped.script.tapset and _empty(scoped.block):
            message = errors.Message(
                "idle-code", f"side-effect-free function '{function.name}'"
            )
            token = f"identifier '{function.name}'"
            program.sink.report(errors.warning(message, function.declaration.token, token))
    return changed


def _fold(program: ResolvedScript, bodies: list[Body]) -> bool:
    """Fold what is constant; whether there was anything."""
    effects = Effects(program, locals_=True)
    changed = [_Constants(program, body, effects).run() for body in bodies]
    return any(changed)


def _rounds(program: ResolvedScript) -> Iterator[list[Body]]:
    """All bodies, over and over; chains of dead assignments go by one a round."""
    visits = rounds = 0
    while rounds < LEAST_ROUNDS or visits < MOST_VISITS:
        bodies = _probes_first(program)
        yield bodies
        rounds += 1
        visits += sum(len(_nodes(body)) for body in bodies)


def _probes_first(program: ResolvedScript) -> list[Body]:
    """All bodies in the order in which SystemTap goes through them here."""
    return [*program.probes, *(b for b in program.bodies() if b.function is not None)]


def _failed(program: ResolvedScript) -> bool:
    return program.sink.failed


def reduce(program: ResolvedScript) -> None:
    """With -u, too: what nobody wants the value of, and what cannot be reached, is dropped."""
    for bodies in _rounds(program):
        effects = Effects(program)
        changed = [_Unused(program, body, None, effects).run() for body in bodies]
        changed += [_Control(program, body, None).run() for body in bodies]
        Inference(program).look()
        if _failed(program):
            return
        changed.append(_fold(program, bodies))
        drop_unused(program)
        if not any(changed):
            return


def drop_unused(program: ResolvedScript) -> None:
    """Forget functions that no probe reaches."""
    reached: set[int] = set()
    pending = list(program.probes)
    by_info = {id(body.function): body for body in program.functions.values()}
    while pending:
        body = pending.pop()
        for node in _nodes(body):
            found = body.facts.calls.get(node) if isinstance(node, ast.Call) else None
            for function in found if isinstance(found, tuple) else ():
                if id(function) not in reached:
                    reached.add(id(function))
                    pending.append(by_info[id(function)])
    program.functions = {
        declaration: body
        for declaration, body in program.functions.items()
        if id(body.function) in reached
    }


def _nodes(body: Body) -> list[ast.Node]:
    trees: list[ast.Node] = [block.block for block in body.blocks]
    trees += [condition.expr for condition in body.conditions]
    return [node for tree in trees for node in walk(tree)]


def _forget_globals(program: ResolvedScript) -> None:
    """Globals that are gone need no type."""
    used = usage(program.bodies())
    for variable in program.globals.values():
        if variable not in used.read and variable not in used.written:
            program.arities[variable] = Arity()


def _forget(body: Body) -> None:
    """Drop the locals that are gone, and what was called."""
    facts = body.facts
    nodes = _nodes(body)
    left = {id(facts.names[n]) for n in nodes if isinstance(n, ast.Name) and n in facts.names}
    facts.calls = {n: facts.calls[n] for n in nodes if isinstance(n, ast.Call)}
    parameters = body.function.parameters if body.function else ()
    left |= {id(p) for p in parameters}
    facts.locals = {k: v for k, v in facts.locals.items() if id(v) in left}


def _drop_idle(program: ResolvedScript) -> None:
    """Drop the user's probes that do nothing."""
    kept = []
    for body in program.probes:
        derived = body.derived
        own = derived is not None and not any(b.script.tapset for b in body.blocks)
        idle = all(_empty(b.block) for b in body.blocks) and _always(program, body)
        if derived is None or not own or not idle:
            kept.append(body)
            continue
        for place in body.places:
            name = place.expansion.point.partition("(")[0].partition(".")[0]
            message = errors.Message("idle-probe", f"Probe '{name}' has been elided")
            program.sink.report(errors.warning(message, place.at, place.token))
    program.probes = kept
    if not kept:
        program.sink.report(errors.semantic(errors.NO_PROBES))


def _always(program: ResolvedScript, body: Body) -> bool:
    """Whether a probe has no condition that could be false; to look at one is not idle."""
    folder = Folder(place_of(program, body.derived), program.sink.report)
    answers = [folder.expr(condition.expr) for condition in body.conditions]
    return all(isinstance(answer, ast.Number) and answer.value for answer in answers)


class _Sweep:
    """One pass over one body; `changed` says whether there is a reason for another round."""

    def __init__(self, program: ResolvedScript, body: Body, began: Beginnings | None) -> None:
        self._program = program
        self._body = body
        self._began = began
        self.changed = False

    def run(self) -> bool:
        """Rewrite the body; whether anything else may become superfluous by that."""
        body = self._body
        blocks = tuple(ScopedBlock(b.script, self._block(b.block)) for b in body.blocks)
        if any(a.block is not b.block for a, b in zip(blocks, body.blocks, strict=True)):
            body.blocks = blocks
            if body.function is not None:
                declaration = replace(body.function.declaration, body=blocks[0].block)
                body.function.declaration = declaration
        return self.changed

    def _block(self, block: ast.Block) -> ast.Block:
        changed = self._change(block)
        assert isinstance(changed, ast.Block)
        return changed

    def _change(self, node: ast.Node) -> ast.Node:
        new = rebuild(node, self._change)
        if new is not node:
            self._move(node, new)
        return self._replacement(node, new)

    def _replacement(self, old: ast.Node, new: ast.Node) -> ast.Node:
        """What stands for a node whose children are done; `old` is as it was."""
        del old
        return new

    def _move(self, old: ast.Node, new: ast.Node) -> None:
        facts = self._body.facts
        if isinstance(old, ast.Call) and isinstance(new, ast.Call) and old in facts.calls:
            facts.calls[new] = facts.calls[old]
        if isinstance(old, _TARGETS) and isinstance(new, _TARGETS):
            if old in facts.targets:
                facts.targets[new] = self._target(old, new)
            if old in facts.refused:
                facts.refused[new] = facts.refused[old]

    def _target(self, old: Typed, new: Typed) -> Result | str:
        """What a variable stands for whose indices may have become constants."""
        known = self._body.facts.targets[old]
        if parts(old.path) == parts(new.path):
            return known
        place = self._body.derived.expansion if self._body.derived is not None else None
        found = lookup(new, place, self._program.structures, self._program.statics)
        if isinstance(found, NoAccess):
            self._program.sink.report(no_access(new, found))
            return known
        return found

    def _warn(self, text: str, node: ast.Node) -> None:
        function = self._body.function
        translated = function is not None and function.declaration.code is not None
        if (
            self._began is not None
            and not self._body.blocks[0].script.tapset
            and not translated
        ):
            sink = self._program.sink
            message = errors.Message("idle-code", text)
            sink.report(errors.warning(message, node.token, describe(node)))


class _Assignments(_Sweep):
    """Assignments to locals that nobody reads become their value."""

    def __init__(self, program: ResolvedScript, body: Body, began: Beginnings | None) -> None:
        super().__init__(program, body, began)
        used = usage([body])
        self._read = used.read | used.changed

    def _replacement(self, old: ast.Node, new: ast.Node) -> ast.Node:
        match new:
            case ast.Assign(op=("=" | "<<<"), target=ast.Name() as target):
                named = self._body.facts.names.get(target)
                if isinstance(named, LocalVariable) and named not in self._read:
                    self._warn(f"Eliding assignment to '{target.id}'", new)
                    self.changed = True
                    return new.value
            case ast.Assign(target=target) if not isinstance(target, _LEFT_SIDES):
                message, token = errors.NO_LEFT_SIDE, describe(new)
                self._program.sink.report(errors.semantic(message, new.token, token))
            case ast.ExprStmt() if isinstance(old, ast.ExprStmt) and new is not old:
                if self._began is not None:
                    self._began[new] = _leftmost(old.value)
        return new


class _ByEffects(_Sweep):
    """A pass that asks what expressions do beside giving a value."""

    def __init__(
        self, program: ResolvedScript, body: Body, began: Beginnings | None, effects: Effects
    ) -> None:
        super().__init__(program, body, began)
        self._effects = effects

    def _acts(self, node: ast.Node | None) -> bool:
        return node is not None and self._effects.of(self._body.facts, node)


class _Statements(_ByEffects):
    """Statements without an effect are dropped."""

    def _replacement(self, old: ast.Node, new: ast.Node) -> ast.Node:
        match new:
            case ast.ExprStmt(value=value) if not self._acts(value):
                first = (self._began or {}).get(new) or _leftmost(value)
                self._warn("Eliding side-effect-free expression ", first)
                self.changed = True
            case ast.Block(body=body) if any(map(_empty, body)):
                return replace(new, body=tuple(s for s in body if not _empty(s)))
            case ast.If(condition=condition, then=then, orelse=orelse) if _empty(then):
                if orelse is not None and not _empty(orelse):
                    span, token = condition.span, condition.token
                    opposite = ast.Unary("!", condition, span=span, token=token)
                    return replace(new, condition=opposite, then=orelse, orelse=None)
                if not self._idle(new):
                    return ast.ExprStmt(condition, span=new.span, token=condition.token)
            case _ if not self._idle(new):
                return new
        return ast.Null(span=new.span, token=new.token)

    def _idle(self, node: ast.Node) -> bool:
        """Whether a statement controls nothing, and nothing happens in its own expressions."""
        match node:
            case ast.If(condition=condition, then=then, orelse=orelse):
                return (
                    _empty(then)
                    and (not orelse or _empty(orelse))
                    and not self._acts(condition)
                )
            case ast.Foreach(body=body):
                return _empty(body)
            case ast.While(condition=condition, body=body):
                return _empty(body) and not self._acts(condition)
            case ast.For(init=init, condition=condition, step=step, body=body):
                return _empty(body) and not any(map(self._acts, (init, condition, step)))
            case ast.Try(body=body, variable=variable):
                if _empty(body) and variable is not None:
                    self._body.facts.names[variable].type = Type.STRING
                return _empty(body)
        return False


class _Unused(_ByEffects):
    """Expressions whose value nobody wants become statements that do what is done in them."""

    def _replacement(self, old: ast.Node, new: ast.Node) -> ast.Node:
        if not isinstance(new, ast.ExprStmt):
            return new
        split = self._split(new)
        self.changed |= split is not new
        return split

    def _split(self, node: ast.ExprStmt) -> ast.Stmt:
        value = node.value
        at = {"span": value.span, "token": value.token}
        match value:
            case ast.Binary(op="||", left=left, right=right):
                opposite = ast.Unary("!", left, **at)
                return ast.If(opposite, self._alone(right), None, **at)
            case ast.Binary(op="&&", left=left, right=right):
                return ast.If(left, self._alone(right), None, **at)
            case ast.Ternary(condition=condition, then=then, orelse=orelse):
                return ast.If(condition, self._alone(then), self._alone(orelse), **at)
            case ast.Binary(left=left, right=right):
                return ast.Block((self._alone(left), self._alone(right)), **at)
            case ast.Unary(operand=operand):
                return self._alone(operand)
            case ast.Cast(value=operand, path=path):
                indices = (part.index for part in path if isinstance(part, ast.Element))
                return ast.Block(tuple(map(self._alone, (operand, *indices))), **at)
            case ast.Call(arguments=arguments) | ast.Print(arguments=arguments):
                if arguments and not self._effects.itself(self._body.facts, value):
                    return ast.Block(tuple(map(self._alone, arguments)), **at)
        return node

    def _alone(self, value: ast.Expr) -> ast.Stmt:
        return self._split(ast.ExprStmt(value, span=value.span, token=value.token))


class _Constants(_ByEffects):
    """What is computed from constants, and what they decide, is put in."""

    def __init__(self, program: ResolvedScript, body: Body, effects: Effects) -> None:
        super().__init__(program, body, None, effects)
        self._folder = Folder(
            place_of(program, body.derived),
            program.sink.report,
            idle=lambda value: not self._acts(value),
            moved=self._move,
        )

    def run(self) -> bool:
        """Rewrite the body; where its condition is never true, nothing but a `next` is left."""
        body = self._body
        answers = [self._folder.expr(condition.expr) for condition in body.conditions]
        never = any(isinstance(a, ast.Number) and a.value == 0 for a in answers)
        if not never:
            return super().run()
        if all(isinstance(s, ast.Next) for b in body.blocks for s in b.block.body):
            return False
        body.blocks = tuple(ScopedBlock(b.script, _only_next(b.block)) for b in body.blocks)
        return True

    def _change(self, node: ast.Node) -> ast.Node:
        new = self._folder.fold(node)
        self.changed |= self._folder.changed
        return new


class _Control(_Sweep):
    """What follows a `next`, `return`, `break` or `continue` in a block is dropped.

    SystemTap does not look into the last statement of a block.
    """

    def _change(self, node: ast.Node) -> ast.Node:
        if not isinstance(node, ast.Block):
            return super()._change(node)
        kept: list[ast.Stmt] = []
        for statement in node.body[:-1]:
            kept.append(cast("ast.Stmt", self._change(statement)))
            if isinstance(statement, _LEAVING):
                self.changed = True
                break
        else:
            kept += node.body[-1:]
        if len(kept) == len(node.body) and all(map(operator.is_, kept, node.body)):
            return node
        return replace(node, body=tuple(kept))


def _drop_overloads(program: ResolvedScript) -> bool:
    """Forget overloads behind one that never goes on to the next; whether there were any."""
    goes_on = {
        id(body.function): any(map(_goes_on, _nodes(body))) or "STAP_NEXT;" in _code(body)
        for body in program.functions.values()
    }
    changed = False
    for body in program.bodies():
        for node, found in body.facts.calls.items():
            if isinstance(found, tuple):
                ends = (i for i, f in enumerate(found) if not goes_on.get(id(f), False))
                kept = found[: next(ends, len(found)) + 1]
                if len(kept) < len(found):
                    body.facts.calls[node] = kept
                    changed = True
    return changed


def _goes_on(node: ast.Node) -> bool:
    return isinstance(node, ast.Next)


def _code(body: Body) -> str:
    return (body.function.declaration.code if body.function else None) or ""


def _leftmost(node: ast.Node) -> ast.Node:
    """The innermost node at the very beginning of an expression."""
    while True:
        below = next((c for c in children(node) if c.span.start == node.span.start), None)
        if below is None:
            return node
        node = below


def _only_next(block: ast.Block) -> ast.Block:
    return replace(block, body=(ast.Next(span=block.span, token=block.token),))


def _empty(node: ast.Stmt) -> bool:
    return isinstance(node, ast.Null) or (isinstance(node, ast.Block) and not node.body)
