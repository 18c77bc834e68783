"""Names of a body -> what they stand for: locals, globals, functions, target variables.

Rule: the first error of a statement is reported and the next statement is looked at, as in
SystemTap. Spec: systemtap-language section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.markers import NoAccess
from bridge.script import errors
from bridge.script.analysis.embedded import BUILT_IN
from bridge.script.analysis.lookup import lookup
from bridge.script.analysis.typed import FunctionInfo, GlobalVariable, LocalVariable
from bridge.script.analysis.types import Type
from bridge.script.builtins import BUILTINS, REFUSED, Builtin
from bridge.script.errors import Refused
from bridge.script.printing.describe import describe
from bridge.script.syntax import ast
from bridge.script.syntax.parse import PRINTERS
from bridge.script.syntax.walk import children
from bridge.suggest import LONGEST, among, distance, similar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.diagnostics import Diagnostic
    from bridge.script.analysis.program import Body, ResolvedScript

MOST_SUGGESTED = 50
"""So many unknown functions of a program get suggestions, which take their time."""


class Resolver:
    """Resolves one body."""

    def __init__(self, program: ResolvedScript, body: Body) -> None:
        self._program = program
        self._body = body
        self._facts = body.facts
        self._script = program.scripts[0]
        self._condition = False

    def run(self) -> None:
        """Resolve all blocks and conditions; errors go to the sink."""
        for block in self._body.blocks:
            self._script = block.script
            self._statement(block.block)
        self._condition = True
        for condition in self._body.conditions:
            self._script = condition.script
            self._attempt(condition.expr)

    def _attempt(self, node: ast.Node) -> None:
        try:
            self._visit(node)
        except Refused as refused:
            self._program.sink.report(refused.diagnostic)

    def _statement(self, block: ast.Block) -> None:
        for statement in block.body:
            self._attempt(statement)

    def _visit(self, node: ast.Node) -> None:  # noqa: C901 - one case per kind
        match node:
            case ast.Block():
                self._statement(node)
            case ast.Name():
                self._name(node)
            case ast.Index():
                self._index(node)
            case ast.In():
                self._in(node)
            case ast.Foreach():
                self._foreach(node)
            case ast.Delete():
                self._delete(node)
            case ast.Call():
                self._call(node)
            case ast.Target() | ast.AtVar() | ast.Cast():
                self._target(node)
            case ast.AtOperator(op=("probewrite" | "defined")):
                self._asked(node)
            case _:
                for child in children(node):
                    self._visit(child)

    def _asked(self, node: ast.AtOperator) -> None:
        """What is only asked for need not be there."""
        if node.op != "defined":
            return
        if not isinstance(node.operand, ast.Target | ast.AtVar | ast.Cast):
            self._visit(node.operand)
            return
        for child in children(node.operand):
            self._visit(child)

    # --- variables

    def _name(self, node: ast.Name) -> None:
        found = self._find(node, 0)
        if found is None:
            if self._condition:
                message = errors.Message(
                    "impure-condition", "probe condition must not reference undeclared global"
                )
                raise self._refused(message, node)
            found = LocalVariable(node.id, Type.UNKNOWN)
            self._facts.locals[node.id] = found
            self._body.declared[node.id] = node
        self._facts.names[node] = found

    def _array(self, node: ast.Name, count: int, at: ast.Node) -> None:
        found = self._find(node, count)
        if found is None:
            message = errors.Message(
                "unresolved-array",
                f"unresolved arity-{count} global array {node.id}, missing global declaration?",
            )
            raise self._refused(message, at)
        self._facts.names[node] = found

    def _find(self, node: ast.Name, count: int) -> LocalVariable | GlobalVariable | None:
        if not self._condition:
            local = self._facts.locals.get(node.id)
            if local is not None:
                if count != 0 and self._is_parameter(local):
                    return self._global(node, count)
                if count > 0:
                    raise self._arity_error(node, count, 0, self._body.declared.get(node.id))
                return local
        return self._global(node, count)

    def _is_parameter(self, local: LocalVariable) -> bool:
        function = self._body.function
        return function is not None and any(local is p for p in function.parameters)

    def _global(self, node: ast.Name, count: int) -> GlobalVariable | None:
        known = self._program.globals
        found = known.get((self._script.name, node.id)) or known.get(("", node.id))
        if found is None:
            library = self._program.library.global_(node.id)
            if library is None:
                return None
            script, declaration = library
            self._program.choose(script)
            found = self._program.declare(script, declaration)
        self._set_arity(found, node, count)
        self._program.referenced[found] = None
        return found

    def _set_arity(self, variable: GlobalVariable, node: ast.Name, count: int) -> None:
        if count < 0:
            return
        arity = self._program.arities[variable]
        if count == 0 and variable.size is not None:
            raise self._refused(
                errors.Message("inconsistent-keys", "inconsistent arity"), variable.declaration
            )
        if arity.count >= 0 and arity.count != count:
            message = errors.Message(
                "inconsistent-keys", f"inconsistent arity ({arity.count} vs {count})"
            )
            chain = []
            if arity.span is not None:
                first = errors.Message("first-here", f"arity {arity.count} first inferred here")
                chain.append(errors.semantic(first, arity.span, arity.token))
            raise Refused(errors.semantic(message, node.token, describe(node), chain))
        if arity.count < 0:
            arity.count, arity.span, arity.token = count, node.token, describe(node)
            variable.keys = (Type.UNKNOWN,) * count if count else None

    def _arity_error(
        self, node: ast.Name, count: int, old: int, first: ast.Name | None
    ) -> Refused:
        chain = []
        if first is not None:
            here = errors.Message("first-here", f"arity {old} first inferred here")
            chain.append(errors.semantic(here, first.token, describe(first)))
        message = errors.Message("inconsistent-keys", f"inconsistent arity ({old} vs {count})")
        return Refused(errors.semantic(message, node.token, describe(node), chain))

    # --- arrays

    def _index(self, node: ast.Index, wildcards: bool = False) -> None:
        for key in node.keys:
            if key is not None:
                self._visit(key)
            elif not wildcards:
                raise self._refused(
                    errors.Message("wildcard-index", "wildcard not allowed in array index"),
                    node,
                )
        if isinstance(node.base, ast.Name):
            self._array(node.base, len(node.keys), node)
        else:
            self._visit(node.base)

    def _in(self, node: ast.In) -> None:
        for key in node.keys:
            if key is not None:
                self._visit(key)
        if isinstance(node.array, ast.Name):
            self._array(node.array, len(node.keys), node.array)
        else:
            self._visit(node.array)

    def _foreach(self, node: ast.Foreach) -> None:
        for key in node.keys:
            self._visit(key)
        for slice_ in node.slices:
            if slice_ is not None:
                self._visit(slice_)
        if isinstance(node.array, ast.Name):
            self._array(node.array, len(node.keys), node.array)
            if node.slices and len(node.slices) != len(node.keys):
                found = self._facts.names[node.array]
                name = found.label if isinstance(found, GlobalVariable) else found.name
                message = errors.Message(
                    "unresolved-array",
                    f"unresolved arity-{len(node.slices)} global array {name},"
                    " missing global declaration?",
                )
                raise self._refused(message, node.array)
        else:
            self._visit(node.array)
        for child in (node.value, node.limit, node.body):
            if child is not None:
                self._visit(child)

    def _delete(self, node: ast.Delete) -> None:
        match node.target:
            case ast.Index() as index:
                self._index(index, wildcards=True)
            case ast.Name() as name:
                found = self._find(name, -1)
                if found is None:
                    raise self._refused(
                        errors.Message(
                            "unresolved-array", "unresolved array in delete statement"
                        ),
                        name,
                    )
                self._facts.names[name] = found
            case other:
                self._visit(other)

    # --- functions

    def _call(self, node: ast.Call) -> None:
        if self._condition:
            raise self._refused(
                errors.Message(
                    "impure-condition", "probe condition must not reference function"
                ),
                node,
            )
        for argument in node.arguments:
            self._visit(argument)
        if node.name.startswith(BUILT_IN):
            name = node.name.removeprefix(BUILT_IN)
            self._facts.calls[node] = BUILTINS[name, len(node.arguments)]
            return
        found, other = self._functions(node)
        builtin = builtin_for(node)
        known = not self._program.options.assume_types
        if builtin is not None and known and not any(map(self._is_own, found)):
            # embedded C whose meaning is known by its name
            found = []
        if found:
            bodies = [self._program.function(script, function) for script, function in found]
            infos = tuple(body.function for body in bodies if body.function is not None)
            self._facts.calls[node] = infos
            self._privileged(node, infos)
            return
        if builtin is not None:
            self._facts.calls[node] = builtin
            self._allowed(node, guru=builtin.guru)
            return
        arities = [n for name, n in BUILTINS if name == node.name]
        if other is not None or arities:
            takes = len(other.parameters) if other is not None else arities[-1]
            message = errors.Message(
                "argument-count",
                f"arity mismatch found (function '{node.name}' takes {takes} args)",
            )
            raise self._refused(message, node)
        if node.name in REFUSED:
            text = f"function {node.name}() is refused: {REFUSED[node.name]}"
            raise self._refused(errors.Message("refused-function", text), node)
        near = among(self._similar(node.name))
        message = errors.Message(
            "unresolved-function", f"unresolved function {node.name}{near}"
        )
        raise self._refused(message, node, self._meant(node.name))

    def _is_own(self, found: tuple[ast.Script, ast.Function]) -> bool:
        """Whether a function has a body that is preferred to a built-in one of its name."""
        script, function = found
        if function.code is None:
            return True
        return not script.tapset and self._program.translated(function) is not None

    def _privileged(self, node: ast.Call, functions: Sequence[FunctionInfo]) -> None:
        """Embedded C that asks for guru mode may be called from the library only."""
        guru = any("/* guru */" in (f.declaration.code or "") for f in functions)
        self._allowed(node, guru=guru)

    def _allowed(self, node: ast.Call, *, guru: bool) -> None:
        if guru and not (self._program.options.guru or self._script.tapset):
            raise self._refused(
                errors.Message("needs-guru", "function may not be used unless -g is specified"),
                node,
            )

    def _functions(
        self, node: ast.Call
    ) -> tuple[Sequence[tuple[ast.Script, ast.Function]], ast.Function | None]:
        """The functions that a call may run, in order; one of another arity for the message."""
        count = len(node.arguments)
        known = self._program.functions_named(node.name)
        seen = {definition for _, definition in known}
        library = [x for x in self._program.library.functions(node.name) if x[1] not in seen]
        visible = [
            (script, function)
            for script, function in (*known, *library)
            if not function.private or script.name == self._script.name
        ]
        found = [x for x in visible if len(x[1].parameters) == count]
        for script, _ in found:
            self._program.choose(script)
        other = next((function for _, function in reversed(visible)), None)
        return sorted(found, key=_priority), other

    def _meant(self, name: str) -> str:
        """A hint at what is like the name among all that can be called.

        SystemTap's own list of similar names has no printing functions.
        """
        if self._program.suggested > MOST_SUGGESTED or len(name) > LONGEST:
            return ""
        known = self._function_names() | {known for known, _ in BUILTINS} | PRINTERS.keys()
        (nearest,) = similar(name, known - {name}, 1) or ("",)
        close = nearest and distance(name, nearest) <= max(2, 2 * (len(name) // 3))
        return f"did you mean `{nearest}`?" if close else ""

    def _similar(self, name: str) -> Sequence[str]:
        """Functions of a like name, for the first few of the unknown ones."""
        self._program.suggested += 1
        if self._program.suggested > MOST_SUGGESTED:
            return ()
        return similar(name, self._function_names() - {name})

    def _function_names(self) -> set[str]:
        names = {
            definition.name
            for script in self._program.scripts
            for definition in script.definitions
            if isinstance(definition, ast.Function)
        }
        if self._program.options.own_tapset:
            names |= {name for name, _ in BUILTINS}
        return names | set(self._program.library.function_names())

    # --- target variables

    def _target(self, node: ast.Target | ast.AtVar | ast.Cast) -> None:
        for child in children(node):
            self._visit(child)
        derived = self._body.derived
        if isinstance(node, ast.Cast):
            if node.type is None:
                return  # when types are known (`autocast`)
        elif isinstance(node, ast.Target) and derived is None:
            return
        place = derived.expansion if derived is not None else None
        found = lookup(node, place, self._program.structures, self._program.statics)
        if not isinstance(found, NoAccess):
            self._facts.targets[node] = found
            self._program.tell_moved(found, node)
        elif not self._program.options.assume_types:
            reasons = (*place.reasons, *place.lacking) if place is not None else ()
            self._facts.refused[node] = errors.chained(no_access(node, found), reasons)

    def _refused(self, message: errors.Message, node: ast.Node, hint: str = "") -> Refused:
        return Refused(errors.semantic(message, node.token, describe(node), hint=hint))


def no_access(node: ast.Target | ast.AtVar | ast.Cast, found: NoAccess) -> Diagnostic:
    """That there is no such thing, at the part of the path that is to blame."""
    message = errors.Message("unresolved-target", found.message)
    part = len(node.path) - 1 if found.part == -2 else found.part
    if part < 0 or part >= len(node.path):
        return errors.semantic(message, node.token, describe(node))
    blamed = node.path[part]
    sign = "->" if isinstance(blamed, ast.Member) else "["
    return errors.semantic(message, blamed.token, f"operator '{sign}'")


def _priority(found: tuple[ast.Script, ast.Function]) -> int:
    script, function = found
    if function.priority is not None:
        return function.priority
    return 1 if script.tapset else 0


def builtin_for(node: ast.Call) -> Builtin | None:
    """The built-in function of a call's name and number of arguments."""
    return BUILTINS.get((node.name, len(node.arguments)))
