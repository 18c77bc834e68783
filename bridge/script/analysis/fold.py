"""A body at one place of attachment -> the same body with what is known there put in.

`@defined`, `$$name`-like constants, registers. Where a place has variables, what constants make
unreachable goes at once, too: an untaken branch may name variables that are not there.
Elsewhere that waits until names are resolved and types looked at, as in SystemTap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.ir.place_names import function_of
from bridge.markers import (
    ARGUMENT_REGISTERS,
    REGISTER,
    RESULT_REGISTERS,
    Enumerator,
    Kind,
    MarkerAttachment,
    Never,
    NoAccess,
    ValueType,
    Variable,
    full_register,
    ordinal,
)
from bridge.script import errors
from bridge.script.analysis import embedded
from bridge.script.analysis.constants import Constants, number
from bridge.script.analysis.lookup import lookup, no_statics, target
from bridge.script.syntax import ast
from bridge.script.syntax.lex import evaluate, quote
from bridge.script.syntax.walk import rebuild
from bridge.source import machine_text, script_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.diagnostics import Diagnostic
    from bridge.markers import Expansion, Listed, Scope
    from bridge.script.analysis.derive import Derived
    from bridge.script.analysis.lookup import Statics, Structures
    from bridge.script.analysis.program import ResolvedScript


@dataclass(frozen=True, slots=True)
class BodyContext:
    """Where a body runs (`expansion` None: a function, which has no variables of its own).

    `assume`: what cannot be looked up is taken as there. `written` and `shown`: what pn() and
    pp() give. `shared`: the body runs at other places, too, which are called otherwise.
    """

    expansion: Expansion | None
    structures: Structures
    assume: bool = False
    written: str = ""
    shown: str = ""
    statics: Statics = no_statics
    shared: bool = False


def place_of(program: ResolvedScript, derived: Derived | None) -> BodyContext:
    """The place of a probe of a program, or of its functions."""
    assume = program.options.assume_types
    if derived is None:
        return BodyContext(None, program.structures, assume, statics=program.statics)
    own = script_text(derived.expansion.own_name)
    if not derived.alias and not isinstance(
        derived.expansion.attachment, MarkerAttachment | Never
    ):
        own = derived.written  # SystemTap puts `?` and the condition there, too
    return BodyContext(
        derived.expansion,
        program.structures,
        assume,
        derived.written,
        own,
        program.statics,
        derived.shared,
    )


class Folder(Constants):
    """Folds bodies for one place.

    `constants`: whether constants are folded, too; else `@defined` stays as it is.
    """

    def __init__(
        self,
        place: BodyContext,
        report: Callable[[Diagnostic], None],
        *,
        constants: bool = True,
        idle: Callable[[ast.Expr], bool] | None = None,
        moved: Callable[[ast.Node, ast.Node], None] | None = None,
    ) -> None:
        super().__init__(report, idle, moved)
        self._place = place
        self._expansion = place.expansion
        self._constants = constants

    def fold(self, node: ast.Node) -> ast.Node:
        """The node as it is at the place."""
        if isinstance(node, ast.AtOperator) and node.op == "defined":
            if not self._constants:
                return node
            new = self._defined(node)
            self._replaced(node, new)
            return new
        return self._known_here(
            super().fold(node) if self._constants else rebuild(node, self.fold)
        )

    def _known_here(self, node: ast.Node) -> ast.Node:
        match node:
            case ast.Target():
                return self._target(node)
            case ast.AtLiteral(op="enum"):
                return self._enum(node)
            case ast.Call():
                return self._asked(node)
            case ast.EmbeddedExpr(code=code) | ast.AtLiteral(op="const", literals=(code, *_)):
                return self._embedded(node, code)
        return node

    def _embedded(self, node: ast.Expr, code: str) -> ast.Expr:
        """C that is understood, in the language."""
        return node if self._place.assume else embedded.expression(code, node) or node

    def _defined(self, node: ast.AtOperator) -> ast.Node:
        operand = node.operand
        match operand:
            case ast.Target():
                known = self._known(operand)
            case ast.Cast(type=str()) | ast.AtVar():
                place = self._place
                found = lookup(operand, self._expansion, place.structures, place.statics)
                known = not isinstance(found, NoAccess)
            case ast.AtLiteral(op="enum"):
                known = isinstance(self._enum(operand), ast.Number)
            case _:
                known = isinstance(operand, ast.Number | ast.String)
        if not known and not self._place.assume and isinstance(operand, ast.Target):
            self._undecided(operand)
        return number(int(known or self._place.assume), node)

    def _undecided(self, node: ast.Target) -> None:
        """Refuse to say that something is not there where not all can be seen."""
        place = self._expansion
        if place is None or not place.reasons:
            return
        if node.name[1:] not in {variable.name for variable in place.variables}:
            message = errors.Message(
                "undecided-defined",
                f"cannot tell whether target variable '{node.name}' is defined",
            )
            refused = errors.semantic(message, node.token, f"identifier '{node.name}'")
            self._report(errors.chained(refused, place.reasons))

    def _known(self, node: ast.Target) -> bool:
        if self._expansion is None:
            return False
        return _constant(node, self._expansion) is not None or not isinstance(
            target(node, self._expansion), NoAccess
        )

    def _enum(self, node: ast.AtLiteral) -> ast.Expr:
        """`@enum("NAME")` as its number."""
        scope = self._expansion.scope if self._expansion is not None else None
        if scope is not None:
            found = scope.enumerator(machine_text(node.literals[0]))
            if isinstance(found, Enumerator):
                return number(found.value, node)
        return node

    def _call(self, node: ast.Call) -> ast.Node:
        """Calls that the place itself answers."""
        if self._expansion is None:
            return node
        names = ("pn",) if self._place.shared else (*_POINT_NAMES, "pn")
        if not node.arguments and node.name in names:
            own = self._place.written if node.name == "pn" else self._place.shown
            text = quote(_POINT_NAMES.get(node.name, str)(own))[1:-1]
            return ast.String(evaluate(text), text, span=node.span, token=node.token)
        match node.arguments:
            case () if node.name == "returnval":
                return self._result(node)
            case (ast.String(value=name),) if node.name in _REGISTERS:
                full, bits = full_register(name)
                return self._register(node, full, (bits, _REGISTERS[node.name]))
            case (ast.Number(value=index),) if node.name in ARGUMENT_FUNCTIONS:
                argument = self._argument(node, index)
                return narrowed(argument, ARGUMENT_FUNCTIONS[node.name]) if argument else node
            case (ast.Target() as argument, *_) if node.name in _READERS:
                # a field that is text already
                found = target(argument, self._expansion)
                if isinstance(found, Variable) and found.type is ValueType.STRING:
                    return argument
        return node

    def _argument(self, node: ast.Call, index: int) -> ast.Expr | None:
        """What has the argument of a number; None where nothing does.

        Where a function is not entered (a copy that was inlined, a statement), that is the
        parameter of that number: no register was given its value by a call. A parameter that
        is nowhere has what is in the register, as in SystemTap.
        """
        assert self._expansion is not None
        kept = self._expansion.entered.get(ordinal(index), "")
        if kept.endswith("()"):  # a system call returns
            return ast.Call(kept[:-2], (), span=node.span, token=node.token)
        names = [ordinal(index) if ordinal(index) in self._expansion.renamed else f"arg{index}"]
        if self._expansion.scope is not None:
            listed = self._expansion.scope.listed()
            names += [one.name for one in listed if index > 0 and one.number == index]
            for registers in ARGUMENT_REGISTERS.values():
                names += [REGISTER + name for name in registers[max(index - 1, 0) : index]]
        for name in names:
            found = ast.Target(f"${name}", span=node.span, token=node.token)
            if not isinstance(target(found, self._expansion), NoAccess):
                return found
        return None

    def _asked(self, node: ast.Call) -> ast.Node:
        """The same; what a place that is only assumed would answer is a number."""
        known = self._expansion is None or not isinstance(self._expansion.attachment, Never)
        if known or not self._place.assume or node.name not in ASKING:
            return self._call(node)
        return ast.Target("$assumed", span=node.span, token=node.token)

    def _result(self, node: ast.Call) -> ast.Node:
        """`returnval()`."""
        assert self._expansion is not None
        match self._expansion.attachment:
            case MarkerAttachment(marker=marker) if marker.sites:
                return self._register(node, RESULT_REGISTERS[marker.machine], (64, True))
            case MarkerAttachment(marker=marker) if marker.kind is Kind.KERNEL_RETURN:
                return self._register(node, "result", (64, True))
            case MarkerAttachment() if "return" in self._expansion.renamed:
                return ast.Target("$return", span=node.span, token=node.token)
            case _:
                return node

    def _register(self, node: ast.Call, name: str, width: tuple[int, bool]) -> ast.Node:
        """A register of the place; the call itself where it has none of the name."""
        value = ast.Target(f"${REGISTER}{name}", span=node.span, token=node.token)
        if isinstance(target(value, self._expansion), NoAccess):
            return node
        return narrowed(value, width)

    def _target(self, node: ast.Target) -> ast.Node:
        if self._expansion is None:
            return node
        text = _constant(node, self._expansion)
        if text is not None:
            return ast.String(text, text, span=node.span, token=node.token)
        if self._expansion.members_list:
            return node
        if node.name in _LISTS and not node.path:
            return _listing(node, self._expansion)
        if node.name == "$$return" and not node.path and self._expansion.entry is not None:
            return _result(node, self._expansion)
        return node


_READERS = frozenset({"kernel_string", "user_string", "kernel_string_n", "user_string_n"})
_REGISTERS = {"register": True, "u_register": False}
"""Whether the function extends the sign of half a register."""
FULL = (64, True)
"""The bits of a value and their sign, where all count."""
ARGUMENT_FUNCTIONS = {
    **dict.fromkeys(("int_arg", "s32_arg"), (32, True)),
    **dict.fromkeys(("uint_arg", "u32_arg"), (32, False)),
    **dict.fromkeys(
        [
            "long_arg",
            "ulong_arg",
            "longlong_arg",
            "ulonglong_arg",
            "pointer_arg",
            "s64_arg",
            "u64_arg",
        ],
        (64, True),
    ),
}


ASKING = frozenset({"returnval", *_REGISTERS, *ARGUMENT_FUNCTIONS})
"""The functions that a place answers, besides those that give its names."""


_POINT_NAMES: dict[str, Callable[[str], str]] = {
    "pp": lambda point: point,
    "ppfunc": function_of,
    "probefunc": function_of,
}


def narrowed(value: ast.Expr, width: tuple[int, bool]) -> ast.Expr:
    """The low bits of a value, sign- or zero-extended."""
    bits, signed = width
    if bits == 64:
        return value

    def binary(op: str, left: ast.Expr, right: int) -> ast.Expr:
        return ast.Binary(op, left, number(right, value), span=value.span, token=value.token)

    if not signed:
        return binary("&", value, (1 << bits) - 1)
    return binary(">>", binary("<<", value, 64 - bits), 64 - bits)


_LISTS: dict[str, Callable[[Listed], bool]] = {
    "$$vars": lambda _: True,
    "$$parms": lambda listed: listed.parameter,
    "$$args": lambda listed: listed.parameter,
    "$$locals": lambda listed: not listed.parameter,
}


def is_there(node: ast.Target, expansion: Expansion) -> bool:
    """Whether a target variable is a value at a place, and no constant of it."""
    if _constant(node, expansion) is not None:
        return False
    if node.name in _LISTS and not node.path and not expansion.members_list:
        return True
    return not isinstance(target(node, expansion), NoAccess)


def _constant(node: ast.Target, expansion: Expansion) -> str | None:
    """The text of a `$$name` that the place offers as a constant."""
    if not node.name.startswith("$$") or node.path:
        return None
    strings = expansion.strings
    found = strings.get(node.name, strings.get(node.name[2:]))
    return None if found is None else script_text(found)


def _listing(node: ast.Target, expansion: Expansion) -> ast.Node:
    """`$$parms` as the sprintf that prints all variables."""
    if expansion.scope is not None:
        return _listed(node, expansion, expansion.scope)
    pieces, arguments = [], []
    dollar = "$" if expansion.dollars else ""
    for variable in _listable(expansion.variables):
        letter = '\\"%s\\"' if variable.type is ValueType.STRING else "%#x"
        name = script_text(variable.name)
        pieces.append(f"{dollar}{name}={letter}")
        arguments.append(ast.Target(f"${name}", span=node.span, token=node.token))
    return _sprintf(node, pieces, arguments)


def _listable(variables: Sequence[Variable]) -> Sequence[Variable]:
    """Of a tracepoint its arguments, where they are known; its fields are something else."""
    once = [variable for variable in variables if not variable.alias]
    return [variable for variable in once if variable.raw is not None] or once


def _listed(node: ast.Target, expansion: Expansion, scope: Scope) -> ast.Node:
    """The same by debug information, which also knows what cannot be shown."""
    pieces: list[str] = []
    arguments: list[ast.Expr] = []
    for listed in scope.listed():
        if not _LISTS[node.name](listed):
            continue
        name = script_text(listed.name)
        shown = ast.Target(f"${name}", (), node.pretty, span=node.span, token=node.token)
        if listed.mark and not node.pretty:
            pieces.append(f"{name}={listed.mark}")
        elif isinstance(target(shown, expansion), NoAccess):
            pieces.append(f"{name}=?")
        else:
            pieces.append(f"{name}={'%s' if node.pretty else '%#x'}")
            arguments.append(shown)
    return _sprintf(node, pieces, arguments)


def _result(node: ast.Target, expansion: Expansion) -> ast.Node:
    """`$$return`: the result of a function, or nothing."""
    shown = ast.Target("$return", (), node.pretty, span=node.span, token=node.token)
    if isinstance(target(shown, expansion), NoAccess):
        return ast.String("", "", span=node.span, token=node.token)
    return _sprintf(node, [f"return={'%s' if node.pretty else '%#x'}"], [shown])


def _sprintf(
    node: ast.Target, pieces: Sequence[str], arguments: Sequence[ast.Expr]
) -> ast.Node:
    text = " ".join(pieces)
    format_ = ast.String(text, text, span=node.span, token=node.token)
    return ast.Print(
        "sprintf", tuple(arguments), format=format_, span=node.span, token=node.token
    )
