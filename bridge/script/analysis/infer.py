"""Resolved bodies -> types of all expressions and variables, by unification to a fixed point.

Rule: every visit gets the type that the context wants (UNKNOWN: any) and may resolve the
node's, its variable's, or find that they disagree. Messages and their order are SystemTap's;
of each kind only the first is reported. Spec: systemtap-language section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.markers import Pretty, Variable
from bridge.script import errors
from bridge.script.analysis.typed import Facts, FunctionInfo, GlobalVariable, LocalVariable
from bridge.script.analysis.types import Type
from bridge.script.builtins import Builtin
from bridge.script.errors import Refused
from bridge.script.printing.describe import describe
from bridge.script.syntax import ast
from bridge.script.syntax.format import argument_types, parse_format

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.diagnostics import Diagnostic
    from bridge.markers import Expansion
    from bridge.script.analysis.program import Body, ResolvedScript

UNKNOWN, LONG, STRING, STAT = Type.UNKNOWN, Type.LONG, Type.STRING, Type.STAT
Declared = GlobalVariable | LocalVariable | FunctionInfo
_VALUES = (LONG, STRING)
MAX_WORK, ALWAYS_PASSES = 1_000_000, 20
"""How many expressions are visited, all passes together; a chain of types needs many."""
_PER_BODY = 10
COMPARISONS = frozenset({"<", ">", "<=", ">=", "==", "!="})


def declared_type(declared: Declared) -> Type:
    """The type of a variable's value, or of what a function returns."""
    return declared.result if isinstance(declared, FunctionInfo) else declared.type


def _declare(declared: Declared, type_: Type) -> None:
    if isinstance(declared, FunctionInfo):
        declared.result = type_
    else:
        declared.type = type_


def word(type_: Type) -> str:
    """The type as messages write it."""
    return "stats" if type_ is STAT else type_.value


class Inference:
    """One run over a program."""

    def __init__(self, program: ResolvedScript) -> None:
        self._program = program
        self._facts = Facts()
        self._function: FunctionInfo | None = None
        self._point = ""
        self._place: Expansion | None = None
        self._new = 0
        self._left = 0
        self._open = 0
        self._work = 0
        self._final = False
        self._looking = False
        self._disagreed = False
        self._seen: set[str] = set()
        self._told: set[ast.Expr] = set()
        self._origins: dict[tuple[Declared, int], ast.Node] = {}
        self._visitors: dict[type[ast.Node], Callable[..., None]] = {
            ast.Number: self._number,
            ast.String: self._string,
            ast.Name: self._name,
            ast.Target: self._target,
            ast.Cast: self._target,
            ast.AtVar: self._target,
            ast.Unary: self._unary,
            ast.Step: self._unary,
            ast.Binary: self._binary,
            ast.Regex: self._regex,
            ast.In: self._in,
            ast.Ternary: self._ternary,
            ast.Assign: self._assign,
            ast.Index: self._index,
            ast.Call: self._call,
            ast.Print: self._print,
            ast.StatOp: self._stat_op,
            ast.Histogram: self._histogram,
            ast.AtOperator: self._untyped,
            ast.AtLiteral: self._untyped,
            ast.AtRegister: self._untyped,
            ast.EmbeddedExpr: self._embedded,
            ast.Block: self._block,
            ast.ExprStmt: self._expr_statement,
            ast.If: self._if,
            ast.For: self._for,
            ast.While: self._while,
            ast.Foreach: self._foreach,
            ast.Return: self._return,
            ast.Delete: self._delete,
            ast.Try: self._try,
        }

    def run(self, bodies: Sequence[Body] | None = None) -> None:
        """Infer everything; errors go to the sink."""
        open_ = list(self._program.bodies() if bodies is None else bodies)
        passes = 0
        while self._work < MAX_WORK or passes < ALWAYS_PASSES:
            passes += 1
            new, left, unsettled = 0, 0, []
            for body in open_:
                self._body(body)
                new, left = new + self._new, left + self._left
                if not self._settled(body):
                    unsettled.append(body)
            if bodies is None:
                left += self._globals()
            if not new and (not left or self._final):
                return
            self._final = self._final or not new
            open_ = unsettled
        too_long = errors.semantic(
            errors.Message(
                "types-too-complex", "the types of this script take too long to infer"
            )
        )
        self._report("too-long", too_long)

    def look(self) -> None:
        """Infer what can be, before anything unreachable is dropped; report what disagrees."""
        self._looking = True
        bodies = self._program.bodies()
        new = 1
        while new and self._work < MAX_WORK:
            new = 0
            for body in bodies:
                self._body(body)
                new += self._new
        if self._disagreed:
            self._final = True
            for body in bodies:
                self._body(body)

    def _settled(self, body: Body) -> bool:
        """Whether the last visit found all types known, so that no other can change any."""
        function = body.function
        known = function is None or function.result is not UNKNOWN
        return known and not (self._new or self._left or self._open)

    def _body(self, body: Body) -> None:
        self._new = self._left = self._open = 0
        self._work += _PER_BODY + len(body.facts.types) + len(body.facts.names)
        self._facts, self._function = body.facts, body.function
        derived = body.derived
        self._point = derived.script_point if derived else ""
        self._place = derived.expansion if derived else None
        try:
            for condition in body.conditions:
                self._visit(condition.expr, LONG)
            for block in body.blocks:
                self._visit(block.block, UNKNOWN)
            if self._looking:
                return
            for name, local in self._facts.locals.items():
                self._local(body.declared.get(name), local)
            self._function = None
            for condition in body.conditions:
                self._visit(condition.expr, LONG)
        except Refused as refused:
            self._report("thrown", refused.diagnostic)
            self._left += 1

    def _local(self, first: ast.Name | None, local: LocalVariable) -> None:
        if first is None:
            return
        if local.type is UNKNOWN:
            self._unresolved(first)
        elif local.type is STAT:
            self._left += 1
            if self._final:
                message = errors.Message(
                    "local-statistic", "stat locals not supported, missing global declaration? "
                )
                self._report("stat-local", _at(message, first))

    def _globals(self) -> int:
        """Look at the declarations; how many have no type yet."""
        self._left = 0
        for variable in self._program.named_globals():
            if self._program.arities[variable].count < 0:
                continue
            if variable.type is UNKNOWN:
                self._unresolved(variable.declaration)
            if variable.keys is None and variable.wrap:
                message = errors.Message(
                    "wrapping-scalar", "wrapping not supported for scalars"
                )
                self._report("wrap", _at(message, variable.declaration))
        return self._left

    def _visit(self, node: ast.Node, want: Type) -> None:
        visitor = self._visitors.get(type(node))
        if visitor is not None:
            visitor(node, want)

    # --- results

    def _type(self, node: ast.Expr) -> Type:
        match node:
            case ast.Number():
                return LONG
            case ast.String():
                return STRING
        return self._facts.types.get(node, UNKNOWN)

    def _resolve(
        self,
        node: ast.Expr,
        type_: Type,
        declared: Declared | None = None,
        index: int = -1,
    ) -> None:
        self._facts.types[node] = type_
        self._resolved(node, declared, index)

    def _resolved(self, node: ast.Node, declared: Declared | None, index: int = -1) -> None:
        self._new += 1
        if declared is not None:
            self._origins[declared, index] = node

    def _ensure(self, node: ast.Expr, type_: Type) -> None:
        if self._type(node) is UNKNOWN:
            self._resolve(node, type_)

    def _report(self, kind: str, diagnostic: Diagnostic) -> None:
        if kind not in self._seen:
            self._seen.add(kind)
            self._program.sink.report(diagnostic)

    def _disagree(self, kind: str, diagnostic: Diagnostic) -> None:
        """Types that disagree are told when all is known that can be."""
        self._disagreed = True
        if self._final:
            self._report(kind, diagnostic)

    def _unresolved(self, node: ast.Node) -> None:
        self._left += 1
        if self._final and not self._disagreed:
            self._report(
                "unresolved", _at(errors.Message("unresolved-type", "unresolved type "), node)
            )

    def _invalid(self, node: ast.Node, type_: Type) -> None:
        self._left += 1
        if self._final:
            operator = describe(node).startswith("operator")
            message = "invalid operator" if operator else f"invalid type {word(type_)}"
            self._report("invalid", _at(errors.Message("invalid-type", message), node))

    def _sides(self, node: ast.Expr, left: ast.Expr, right: ast.Expr) -> None:
        one, two = self._type(left), self._type(right)
        if UNKNOWN not in (one, two) and one is not two:
            self._left += 1
            message = _mismatched(
                f"type mismatch: left and right sides don't agree ({word(one)} vs {word(two)})"
            )
            self._disagree("sides", _at(message, node))

    def _mismatch(self, node: ast.Node, wanted: Type, found: Type) -> None:
        self._left += 1
        message = f"type mismatch: expected {word(wanted)}"
        if found is not UNKNOWN:
            message += f" but found {word(found)}"
        self._disagree("mismatch", _at(_mismatched(message), node))

    def _conflict(
        self, node: ast.Node, type_: Type, declared: Declared, index: int = -1
    ) -> None:
        self._left += 1
        if self._function is not None and index == -1:
            parameters = self._function.parameters
            index = next((i for i, p in enumerate(parameters) if p is declared), -1)
        origin = self._origins.get((declared, index))
        inferred = word(declared_type(declared))
        if origin is None:
            message = _mismatched(f"type mismatch: expected {word(type_)} but found {inferred}")
            self._disagree("conflict-plain", _at(message, node))
            return
        number = f"index {index} " if index >= 0 else ""
        of_index = f" of index {index}" if index >= 0 else ""
        first = errors.Message(
            "first-here", f"type{of_index} was first inferred here ({inferred})"
        )
        message = _mismatched(f"{number}type mismatch ({word(type_)})")
        self._disagree("conflict", errors.chained(_at(message, node), [_at(first, origin)]))

    def _unify(
        self, node: ast.Expr, declared: Declared, want: Type, accept_unknown: bool = False
    ) -> None:
        """Bring together the node's type, its variable's, and the wanted one."""
        while True:
            own, theirs = self._type(node), declared_type(declared)
            if own is not UNKNOWN and own is theirs and want in (UNKNOWN, own):
                return
            if UNKNOWN not in (own, theirs) and own is not theirs:
                return self._conflict(node, own, declared)
            if want is not UNKNOWN and own not in (UNKNOWN, want):
                return self._conflict(node, want, declared)
            if want is not UNKNOWN and theirs not in (UNKNOWN, want):
                return self._conflict(node, want, declared)
            if own is UNKNOWN and want is not UNKNOWN:
                self._resolve(node, want)
            elif own is UNKNOWN and theirs is not UNKNOWN:
                self._resolve(node, theirs)
            elif own is not UNKNOWN:
                _declare(declared, own)
                self._resolved(node, declared)
            else:
                self._open += 1
                if not accept_unknown:
                    self._unresolved(node)
                return None

    # --- expressions

    def _number(self, node: ast.Number, want: Type) -> None:
        self._facts.types[node] = LONG
        if want not in (UNKNOWN, LONG):
            self._mismatch(node, want, LONG)

    def _string(self, node: ast.String, want: Type) -> None:
        self._facts.types[node] = STRING
        if want not in (UNKNOWN, STRING):
            self._mismatch(node, want, STRING)

    def _name(self, node: ast.Name, want: Type) -> None:
        declared = self._facts.names.get(node)
        if declared is not None:
            self._unify(node, declared, want)

    def _target(self, node: ast.Target | ast.AtVar | ast.Cast, want: Type) -> None:
        if _is_no_structure(node):
            self._left += 1
            if self._final:
                self._report(
                    "unresolved-target",
                    _at(
                        errors.Message("unresolved-target", "unknown type in dereference"), node
                    ),
                )
        else:
            for component in node.path:
                if isinstance(component, ast.Element):
                    self._visit(component.index, LONG)
        if isinstance(node, ast.Cast):
            self._visit(node.value, LONG)
        if self._looking or _is_no_structure(node):
            return
        found = self._facts.targets.get(node)
        if found is None:
            self._untyped(node, want)
            return
        text = isinstance(found, str | Pretty) or (
            isinstance(found, Variable) and found.type.value == "string"
        )
        type_ = STRING if text else LONG
        if want not in (UNKNOWN, type_):
            self._mismatch(node, want, type_)
        self._ensure(node, type_)

    def _untyped(self, node: ast.Expr, want: Type) -> None:
        """What only a place with type information could resolve."""
        if self._looking:
            return None
        if (
            isinstance(node, ast.AtOperator)
            and node.op == "entry"
            and not (self._place is not None and self._place.returns)
        ):
            inner = _at(
                errors.Message(
                    "entry-outside-return",
                    "internal error: @entry is only valid in .return probes",
                ),
                node,
            )
            outer = errors.semantic(
                errors.Message(
                    "while-processing-probe", f"while processing probe {self._point}"
                )
            )
            raise Refused(errors.chained(outer, [inner]))
        if self._program.options.assume_types:
            return self._assumed(node, want)
        self._left += 1
        refused = self._facts.refused.get(node)
        if refused is not None:
            self._told_once(node, refused)
        elif self._final:
            match node:
                case ast.AtVar():
                    message = "unresolved @var() expression"
                case ast.Cast(type=None):
                    message = "unknown type in dereference"
                case ast.AtOperator(op=op) if op not in {"entry"}:
                    message = f"unexpected @{op}"
                case _:
                    message = "unresolved target-symbol expression"
            self._report(
                "unresolved-target", _at(errors.Message("unresolved-target", message), node)
            )
        return None

    def _told_once(self, node: ast.Expr, refused: Diagnostic) -> None:
        """What the place has not is told at once, however many there are."""
        if node not in self._told:
            self._told.add(node)
            self._program.sink.report(refused)

    def _assumed(self, node: ast.Expr, want: Type) -> None:
        """The type that it has, if it is there: a number, or the text of a pretty print."""
        type_ = LONG
        match node:
            case ast.AtOperator(op="entry", operand=operand):
                self._visit(operand, want)
                type_ = self._type(operand)
            case ast.Cast(value=value):
                self._visit(value, LONG)
            case ast.AtOperator(op="enumname"):
                type_ = STRING
        pretty = isinstance(node, ast.Target | ast.Cast | ast.AtVar) and node.pretty
        lists = isinstance(node, ast.Target) and node.name.startswith("$$")
        file = (
            isinstance(node, ast.Target)
            and node.name == "$value"
            and self._place is not None
            and self._place.serves_text
        )
        if pretty or lists or file:
            type_ = STRING
        if type_ is UNKNOWN:
            self._unresolved(node)
        else:
            if want not in (UNKNOWN, type_):
                self._mismatch(node, want, type_)
            self._ensure(node, type_)

    def _embedded(self, node: ast.EmbeddedExpr, _want: Type) -> None:
        self._ensure(node, STRING if "/* string */" in node.code else LONG)

    def _unary(self, node: ast.Unary | ast.Step, want: Type) -> None:
        if want in (STAT, STRING):
            self._invalid(node, want)
        self._visit(node.operand, LONG)
        self._ensure(node, LONG)

    def _binary(self, node: ast.Binary, want: Type) -> None:
        if node.op == ".":
            if want not in (UNKNOWN, STRING):
                self._invalid(node, want)
            self._visit(node.left, STRING)
            self._visit(node.right, STRING)
            self._ensure(node, STRING)
            return
        if want in (STAT, STRING):
            self._invalid(node, want)
        if node.op in COMPARISONS:
            self._visit(node.left, self._type(node.right))
            self._visit(node.right, self._type(node.left))
        else:
            self._visit(node.left, LONG)
            self._visit(node.right, LONG)
        self._sides(node, node.left, node.right)
        self._ensure(node, LONG)

    def _regex(self, node: ast.Regex, want: Type) -> None:
        if want in (STAT, STRING):
            self._invalid(node, want)
        self._visit(node.left, STRING)
        self._visit(node.pattern, STRING)
        self._ensure(node, LONG)

    def _in(self, node: ast.In, want: Type) -> None:
        if isinstance(node.array, ast.Name):
            declared = self._facts.names.get(node.array)
            if isinstance(declared, GlobalVariable):
                self._unify(node.array, declared, UNKNOWN)
                self._keys(node.keys, declared, node)
        else:
            self._bucket(node.array, node.keys, node)
        if want in (STRING, STAT):
            self._mismatch(node, want, LONG)
        self._ensure(node, LONG)

    def _ternary(self, node: ast.Ternary, want: Type) -> None:
        self._visit(node.condition, LONG)
        own = self._type(node)
        sub = own if want is UNKNOWN else want
        self._visit(node.then, sub)
        self._visit(node.orelse, sub)
        if own is UNKNOWN:
            for type_ in (sub, self._type(node.then), self._type(node.orelse)):
                if type_ is not UNKNOWN:
                    self._resolve(node, type_)
                    return
        elif own is not sub:
            self._mismatch(node, sub, own)

    def _assign(self, node: ast.Assign, want: Type) -> None:
        if want is STAT:
            self._invalid(node, want)
        if node.op == "<<<":
            if want is STRING:
                self._invalid(node, want)
            self._visit(node.target, STAT)
            self._visit(node.value, LONG)
            self._ensure(node, LONG)
            return
        for side in (node.target, node.value):
            if self._type(side) is STAT:
                self._invalid(side, STAT)
                return
        if node.op == "=":
            self._plain_assign(node, want)
            return
        type_ = STRING if node.op == ".=" else LONG
        if want not in (UNKNOWN, type_):
            self._invalid(node, want)
        self._visit(node.target, type_)
        self._visit(node.value, type_)
        if node.op != ".=":
            self._sides(node, node.target, node.value)
        self._ensure(node, type_)

    def _plain_assign(self, node: ast.Assign, want: Type) -> None:
        sub = self._type(node) if want is UNKNOWN else want
        self._visit(node.target, self._type(node.value) if sub is UNKNOWN else sub)
        self._visit(node.value, self._type(node.target) if sub is UNKNOWN else sub)
        left = self._type(node.target)
        if sub is not UNKNOWN:
            self._ensure(node, sub)
        elif left is not UNKNOWN:
            self._resolve(node, left)
        self._sides(node, node.target, node.value)

    # --- arrays and statistics

    def _index(self, node: ast.Index, want: Type) -> None:
        if not isinstance(node.base, ast.Name):
            self._bucket(node.base, node.keys, node)
            self._ensure(node, LONG)
            if want not in (UNKNOWN, LONG):
                self._mismatch(node, want, LONG)
            return
        declared = self._facts.names.get(node.base)
        if not isinstance(declared, GlobalVariable):
            return
        self._unify(node, declared, want)
        self._facts.types[node.base] = declared.type
        self._keys(node.keys, declared, node)

    def _bucket(
        self, histogram: ast.Histogram, keys: Sequence[ast.Expr | None], node: ast.Node
    ) -> None:
        if len(keys) != 1 or keys[0] is None:
            self._unresolved(node)
        else:
            self._visit(keys[0], LONG)
            if self._type(keys[0]) is not LONG:
                self._unresolved(node)
        self._visit(histogram, UNKNOWN)

    def _keys(
        self, keys: Sequence[ast.Expr | None], declared: GlobalVariable, node: ast.Node
    ) -> None:
        if declared.keys is None or len(keys) != len(declared.keys):
            self._unresolved(node)
            return
        for at, key in enumerate(keys):
            if key is not None:
                self._key(key, declared, at)

    def _key(self, key: ast.Expr, declared: GlobalVariable, at: int) -> None:
        assert declared.keys is not None
        formal = declared.keys[at]
        self._visit(key, formal)
        actual = self._type(key)
        if actual in _VALUES and formal is UNKNOWN:
            formal = actual
            declared.keys = (*declared.keys[:at], actual, *declared.keys[at + 1 :])
            self._resolved(key, declared, at)
        if actual is STAT:
            self._invalid(key, actual)
        if UNKNOWN not in (actual, formal) and formal is not actual:
            self._conflict(key, actual, declared, at)
        if actual is UNKNOWN:
            self._unresolved(key)

    def _stat_op(self, node: ast.StatOp, want: Type) -> None:
        self._visit(node.stat, STAT)
        if want not in (UNKNOWN, LONG):
            self._mismatch(node, want, LONG)
        self._ensure(node, LONG)

    def _histogram(self, node: ast.Histogram, _want: Type) -> None:
        self._visit(node.stat, STAT)
        self._facts.types[node] = STAT

    # --- calls

    def _call(self, node: ast.Call, want: Type) -> None:
        found = self._facts.calls.get(node)
        if isinstance(found, Builtin):
            self._builtin(node, found, want)
            return
        for function in found or ():
            self._unify(node, function, want, accept_unknown=True)
            if self._type(node) is STAT:
                self._invalid(node, STAT)
            for at, argument in enumerate(node.arguments):
                self._argument(argument, function.parameters[at], at)

    def _argument(self, argument: ast.Expr, parameter: LocalVariable, at: int) -> None:
        formal = parameter.type
        self._visit(argument, formal)
        actual = self._type(argument)
        if actual in _VALUES and formal is UNKNOWN:
            formal = parameter.type = actual
            self._resolved(argument, parameter, at)
        if actual is STAT:
            self._invalid(argument, actual)
        if UNKNOWN not in (actual, formal) and formal is not actual:
            self._conflict(argument, actual, parameter, at)
        if actual is UNKNOWN:
            self._unresolved(argument)

    def _builtin(self, node: ast.Call, builtin: Builtin, want: Type) -> None:
        result = builtin.result
        if UNKNOWN not in (want, result) and want is not result:
            message = _mismatched(
                f"type mismatch: expected {word(want)} but found {word(result)}"
            )
            self._left += 1
            self._disagree("conflict-plain", _at(message, node))
        if result is not UNKNOWN:
            self._ensure(node, result)
        elif want in _VALUES:
            # a function without a result is 0 or "" where a value is wanted
            self._ensure(node, want)
        for argument, formal in zip(node.arguments, builtin.parameters, strict=False):
            self._visit(argument, formal)
            actual = self._type(argument)
            if actual is UNKNOWN:
                self._unresolved(argument)
            elif actual is not formal:
                self._mismatch(argument, formal, actual)

    def _print(self, node: ast.Print, want: Type) -> None:
        streams = not node.name.startswith("s")
        result = LONG if streams else STRING
        if want not in (UNKNOWN, result):
            self._mismatch(node, want, result)
        if node.format is not None:
            self._formatted(node, node.format)
        else:
            printed = [self._printed(argument) for argument in node.arguments]
            if not all(printed):
                self._unresolved(node)
                return
        self._ensure(node, result)

    def _printed(self, argument: ast.Expr) -> bool:
        self._visit(argument, UNKNOWN)
        if self._type(argument) is UNKNOWN:
            self._unresolved(argument)
            return False
        return True

    def _formatted(self, node: ast.Print, format_: ast.String) -> None:
        wanted = argument_types(parse_format(format_.raw))
        if len(wanted) != len(node.arguments):
            raise Refused(_at(_COUNT_OF_VALUES, node))
        for type_, argument in zip(wanted, node.arguments, strict=True):
            self._exactly(type_, argument)

    def _exactly(self, wanted: Type, argument: ast.Expr) -> None:
        self._visit(argument, wanted)
        found = self._type(argument)
        if found is UNKNOWN:
            self._resolve(argument, wanted)
        elif found is not wanted:
            self._mismatch(argument, wanted, found)

    # --- statements

    def _block(self, node: ast.Block, _want: Type) -> None:
        for statement in node.body:
            self._visit(statement, UNKNOWN)

    def _expr_statement(self, node: ast.ExprStmt, _want: Type) -> None:
        self._visit(node.value, UNKNOWN)

    def _if(self, node: ast.If, _want: Type) -> None:
        self._visit(node.condition, LONG)
        self._visit(node.then, UNKNOWN)
        if node.orelse is not None:
            self._visit(node.orelse, UNKNOWN)

    def _for(self, node: ast.For, _want: Type) -> None:
        parts = ((node.init, UNKNOWN), (node.condition, LONG), (node.step, UNKNOWN))
        for part, want in parts:
            if part is not None:
                self._visit(part, want)
        self._visit(node.body, UNKNOWN)

    def _while(self, node: ast.While, _want: Type) -> None:
        self._visit(node.condition, LONG)
        self._visit(node.body, UNKNOWN)

    def _foreach(self, node: ast.Foreach, _want: Type) -> None:
        wanted = UNKNOWN
        if isinstance(node.array, ast.Name):
            declared = self._facts.names.get(node.array)
            if isinstance(declared, GlobalVariable):
                self._keys(node.keys, declared, node)
                self._keys([*node.slices] or [None] * len(node.keys), declared, node)
                self._unify(node.array, declared, UNKNOWN)
                wanted = declared.type
        else:
            self._bucket(node.array, node.keys, node)
            wanted = LONG
        if node.value is not None:
            if wanted is STAT:
                self._invalid(node.value, wanted)
            elif wanted is not UNKNOWN:
                self._exactly(wanted, node.value)
            else:
                self._visit(node.value, UNKNOWN)
        by = node.sort.by if node.sort else "key"
        if wanted not in (UNKNOWN, STAT) and by not in {"key", "value"}:
            self._invalid(node.array, wanted)
        if node.limit is not None:
            self._visit(node.limit, LONG)
        self._visit(node.body, UNKNOWN)

    def _return(self, node: ast.Return, _want: Type) -> None:
        function = self._function
        if function is None:
            return
        result = function.result
        if node.value is None:
            if result is not UNKNOWN:
                self._conflict(node, UNKNOWN, function)
            return
        self._visit(node.value, result)
        actual = self._type(node.value)
        if UNKNOWN not in (result, actual) and result is not actual:
            self._conflict(node.value, actual, function)
        if result is UNKNOWN and actual in _VALUES:
            function.result = actual
            self._resolved(node.value, function)
        if actual is STAT:
            self._invalid(node.value, actual)

    def _delete(self, node: ast.Delete, _want: Type) -> None:
        match node.target:
            case ast.Index():
                self._visit(node.target, UNKNOWN)
            case ast.Name() as name:
                declared = self._facts.names.get(name)
                if declared is not None:
                    self._unify(name, declared, UNKNOWN)
            case other:
                raise Refused(
                    _at(
                        errors.Message("not-deletable", "invalid operand of delete expression"),
                        other,
                    )
                )

    def _try(self, node: ast.Try, _want: Type) -> None:
        self._visit(node.body, UNKNOWN)
        if node.variable is not None:
            declared = self._facts.names.get(node.variable)
            if declared is not None:
                self._caught(node.variable, declared)
        self._visit(node.handler, UNKNOWN)

    def _caught(self, name: ast.Name, declared: GlobalVariable | LocalVariable) -> None:
        if self._type(name) is UNKNOWN:
            self._resolve(name, STRING)
        if declared.type is UNKNOWN:
            declared.type = STRING
            self._resolved(name, declared)
        elif declared.type is not STRING:
            self._conflict(name, STRING, declared)
        self._visit(name, STRING)


def _is_no_structure(node: ast.Expr) -> bool:
    """Whether `value->member` is asked of what can be no address of a structure."""
    return (
        isinstance(node, ast.Cast)
        and node.type is None
        and isinstance(node.value, ast.Number | ast.String | ast.Print | ast.Step)
    )


_COUNT_OF_VALUES = errors.Message(
    "format-arguments", "Wrong number of args to formatted print operator"
)


def _mismatched(text: str) -> errors.Message:
    return errors.Message("type-mismatch", text)


def _at(message: errors.Message, node: ast.Node) -> Diagnostic:
    return errors.semantic(message, node.token, describe(node))
