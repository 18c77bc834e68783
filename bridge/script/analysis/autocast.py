"""Values whose type is known by where they come from -> `value->member` without a cast.

The type goes with assignments, through variables, `?:` and what functions return, as in
SystemTap; a variable that gets values of two types has none. One rule: this only adds to
`Facts.targets`; what stays unresolved is reported when types are inferred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.markers import ENTERED, Access, NoAccess, Variable
from bridge.script import errors
from bridge.script.analysis.lookup import parts
from bridge.script.analysis.resolve import no_access
from bridge.script.syntax import ast
from bridge.script.syntax.walk import walk
from bridge.source import machine_text

if TYPE_CHECKING:
    from bridge.diagnostics import Diagnostic
    from bridge.markers import Structure
    from bridge.script.analysis.program import Body, ResolvedScript
    from bridge.script.analysis.typed import FunctionInfo, GlobalVariable, LocalVariable

    Holder = GlobalVariable | LocalVariable | FunctionInfo

MOST_ROUNDS = 64


def resolve_autocasts(program: ResolvedScript) -> None:
    """Find out what `value->member` stands for wherever the type of the value is known."""
    pass_ = _Pass(program)
    if any(_is_autocast(node) for body in program.bodies() for node in _nodes(body)):
        pass_.run()


def _nodes(body: Body) -> list[ast.Node]:
    return [node for block in body.blocks for node in walk(block.block)]


def _is_autocast(node: ast.Node) -> bool:
    return isinstance(node, ast.Cast) and node.type is None


class _Pass:
    """Types of variables and of what functions return, until nothing new is known."""

    def __init__(self, program: ResolvedScript) -> None:
        self._program = program
        self._known: dict[Holder, Structure | None] = {}
        self._failed: set[ast.Cast] = set()
        self._changed = False

    def run(self) -> None:
        bodies = [(body, _nodes(body)) for body in self._program.bodies()]
        for _ in range(MOST_ROUNDS):
            self._changed = False
            for body, nodes in bodies:
                for node in reversed(nodes):  # what is inside comes first
                    self._visit(body, node)
            if not self._changed:
                return

    def _visit(self, body: Body, node: ast.Node) -> None:
        match node:
            case ast.Assign(op="=", target=ast.Name() as name, value=value):
                variable = body.facts.names.get(name)
                if variable is not None:
                    self._learn(variable, self._of(body, value))
            case ast.Return(value=value) if value is not None and body.function is not None:
                self._learn(body.function, self._of(body, value))
            case ast.Cast(type=None) if node not in body.facts.targets:
                self._resolve(body, node)

    def _learn(self, holder: Holder, type_: Structure | None) -> None:
        if type_ is None:
            return
        known = self._known.get(holder, type_)
        new = known if known == type_ else None
        if holder not in self._known or self._known[holder] != new:
            self._known[holder] = new
            self._changed = True

    def _resolve(self, body: Body, node: ast.Cast) -> None:
        type_ = self._of(body, node.value)
        if type_ is None or node in self._failed:
            return
        found = type_.access(parts(node.path), address_of=node.address_of, pretty=node.pretty)
        self._changed = True
        if isinstance(found, NoAccess):
            self._failed.add(node)
            if self._program.options.assume_types:
                return
            self._program.sink.report(self._refused(node, found))
        else:
            body.facts.targets[node] = found

    def _refused(self, node: ast.Cast, found: NoAccess) -> Diagnostic:
        if found.part == 0 and found.message.startswith("invalid access"):
            message = errors.Message(
                "unresolved-target", "autocast variable '' may not be used as a structure"
            )
            return errors.semantic(message, node.token, "operator '->'")
        return no_access(node, found)

    def _of(self, body: Body, node: ast.Expr) -> Structure | None:
        """The type of an expression's value, if it is known."""
        match node:
            case ast.Target() | ast.AtVar() | ast.Cast():
                return self._of_target(body, node)
            case ast.Name():
                variable = body.facts.names.get(node)
                return None if variable is None else self._known.get(variable)
            case ast.Assign(op="=", value=value):
                return self._of(body, value)
            case ast.AtOperator(op="entry", operand=operand):
                return self._of(body, operand)
            case ast.Ternary(then=then, orelse=orelse):
                one, two = self._of(body, then), self._of(body, orelse)
                return one if one == two else None
            case ast.Call():
                found = body.facts.calls.get(node)
                return self._known.get(found[0]) if isinstance(found, tuple) else None
            case _:
                return None

    def _of_target(
        self, body: Body, node: ast.Target | ast.AtVar | ast.Cast
    ) -> Structure | None:
        found = body.facts.targets.get(node)
        if isinstance(found, Variable) and isinstance(node, ast.Target):
            place = body.derived.expansion if body.derived is not None else None
            name = machine_text(node.name[1:])
            if place is not None and name.startswith(ENTERED):
                place, name = place.entry, name.removeprefix(ENTERED)
            if place is None or place.members is None:
                return None
            found = place.members.access(name, ())
        return found.structure if isinstance(found, Access) else None
