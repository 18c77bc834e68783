"""Typed bodies -> what is still wrong: loops, l-values, values that cannot be used.

SystemTap finds these when it generates code (its pass 3). Spec: sections 3, 4 and 5.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bridge.markers import (
    Access,
    Kind,
    MarkerAttachment,
    Variable,
    is_argument_only,
    is_field_only,
)
from bridge.script import errors
from bridge.script.analysis.lookup import lookup
from bridge.script.analysis.typed import FunctionInfo, GlobalVariable
from bridge.script.analysis.types import Type
from bridge.script.analysis.usage import Effects, callers, reaching, usage
from bridge.script.printing.describe import describe
from bridge.script.syntax import ast
from bridge.script.syntax.lex import escape_problem
from bridge.script.syntax.regex import regex_problem
from bridge.script.syntax.walk import children, walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.markers import Result
    from bridge.script.analysis.program import Body, ResolvedScript


MOST_KEYS = 9
"""How many keys an array may have (spec section 6)."""


def check_conditions(program: ResolvedScript) -> None:
    """Report conditions of probes that do something."""
    effects = Effects(program)
    for body in program.probes:
        for condition in body.conditions:
            nodes = walk(condition.expr)
            if any(isinstance(node, ast.Assign | ast.Step) for node in nodes):
                message = errors.Message(
                    "impure-condition", "probe condition must not modify any variables"
                )
                _refuse(program, message, condition.expr)
            elif effects.of(body.facts, condition.expr):
                message = errors.Message(
                    "impure-condition", "probe condition must not include impure embedded-C"
                )
                _refuse(program, message, condition.expr)


def check_iteration(program: ResolvedScript) -> None:
    """Report arrays that are modified while a `foreach` goes over them."""
    writers = _Writers(program)
    for body in program.bodies():
        for block in body.blocks:
            _iterate(program, body, writers, block.block, ())


_IN_PROGRAMS = frozenset({Kind.USDT, Kind.FUNCTION, Kind.FUNCTION_RETURN})
"""Kinds of markers at whose hits a process is in its own code."""


class _Writers:
    """The functions that modify a global, themselves or by what they call."""

    def __init__(self, program: ResolvedScript) -> None:
        self._program = program
        self._known: dict[object, frozenset[FunctionInfo]] = {}

    def of(self, variable: object) -> frozenset[FunctionInfo]:
        """The functions that modify the global."""
        if variable not in self._known:
            own = self._direct.get(variable, ())
            self._known[variable] = reaching(own, self._callers)
        return self._known[variable]

    @cached_property
    def _callers(self) -> Mapping[FunctionInfo, Sequence[FunctionInfo]]:
        return callers(self._program)

    @cached_property
    def _direct(self) -> Mapping[object, Sequence[FunctionInfo]]:
        found: dict[object, list[FunctionInfo]] = {}
        for body in self._program.functions.values():
            if body.function is not None:
                nodes = (n for b in body.blocks for n in walk(b.block))
                for variable in {v for n in nodes if (v := written(body, n))}:
                    found.setdefault(variable, []).append(body.function)
        return found


def written(body: Body, node: ast.Node) -> object:
    """The global that a node assigns to or deletes from, as a whole or an element."""
    match node:
        case ast.Assign(target=target) | ast.Step(operand=target) | ast.Delete(target=target):
            name = target.base if isinstance(target, ast.Index) else target
            found = body.facts.names.get(name) if isinstance(name, ast.Name) else None
            return found if isinstance(found, GlobalVariable) else None
    return None


def _iterate(
    program: ResolvedScript,
    body: Body,
    writers: _Writers,
    node: ast.Node,
    arrays: tuple[object, ...],
) -> None:
    match node:
        case ast.Foreach(array=array):
            name = array if isinstance(array, ast.Name) else None
            if name is not None and name in body.facts.names:
                arrays = (*arrays, body.facts.names[name])
        case ast.Assign(target=ast.Index() as index) | ast.Step(operand=ast.Index() as index):
            _modified(program, body, index, arrays)
        case ast.Delete(target=ast.Index() as index):
            _modified(program, body, index, arrays)
        case ast.Call() if arrays:
            found = body.facts.calls.get(node)
            for function in found if isinstance(found, tuple) else ():
                for variable in arrays:
                    if function in writers.of(variable):
                        assert isinstance(variable, GlobalVariable)
                        message = errors.Message(
                            "modified-in-foreach",
                            f"function call modifies var '{variable.name}'"
                            " during 'foreach' iteration",
                        )
                        _refuse(program, message, node)
    for child in children(node):
        _iterate(program, body, writers, child, arrays)


def _modified(
    program: ResolvedScript, body: Body, index: ast.Index, arrays: tuple[object, ...]
) -> None:
    if isinstance(index.base, ast.Name) and body.facts.names.get(index.base) in arrays:
        message = errors.Message(
            "modified-in-foreach",
            f"variable '{index.base.id}' modified during 'foreach' iteration",
        )
        _refuse(program, message, index)


def _refuse(program: ResolvedScript, message: errors.Message, node: ast.Node) -> None:
    program.sink.report(errors.semantic(message, node.token, describe(node)))


def check_patterns(program: ResolvedScript) -> None:
    """Report regular expressions that are none."""
    for body in program.bodies():
        for block in body.blocks:
            for node in walk(block.block):
                if isinstance(node, ast.Regex):
                    problem = regex_problem(node.pattern.raw)
                    if problem:
                        _refuse(
                            program,
                            errors.Message(
                                "bad-regular-expression", f"regex compilation error{problem}"
                            ),
                            node.pattern,
                        )


def check(program: ResolvedScript) -> None:
    """Report what is wrong; of each kind only the first."""
    checker = _Checker(program)
    used = usage(program.bodies())
    kept = used.read | used.written
    for variable in program.referenced:
        if variable in kept and isinstance(variable.declaration.initial, ast.String):
            checker.literal(variable.declaration.initial)
    for body in program.bodies():
        checker.body(body)


class _Checker:
    def __init__(self, program: ResolvedScript) -> None:
        self._program = program
        self._body: Body | None = None
        self._seen: set[str] = set()

    def body(self, body: Body) -> None:
        self._body = body
        function = body.function
        if function is not None and function.declaration.body is None:
            self._embedded(function.declaration)
        for block in body.blocks:
            self._node(block.block, loop=False)
        self._one_record(body)

    def _one_record(self, body: Body) -> None:
        """A tracepoint is read by its arguments or by the fields of its record."""
        targets = body.facts.targets
        if not targets:
            return
        nodes = (n for block in body.blocks for n in walk(block.block) if n in targets)
        read = [(n, v) for n in nodes if (v := _base(targets[n])) is not None]
        arguments = [variable for _, variable in read if is_argument_only(variable)]
        for node, variable in read:
            if arguments and is_field_only(variable):
                message = errors.Message(
                    "field-and-argument",
                    f"the field ${variable.name} of this tracepoint's record cannot be read"
                    f" where its argument ${arguments[0].name} is",
                )
                self._report(message, node)

    def literal(self, node: ast.String) -> None:
        """SystemTap's C compiler refuses escapes that are no byte."""
        problem = escape_problem(node.raw)
        if problem is not None and not self._program.options.assume_types:
            self._report(errors.Message("bad-escape", problem), node)

    def _embedded(self, function: ast.Function) -> None:
        if not self._program.options.assume_types:
            self._refused(function)

    def _refused(self, function: ast.Function) -> None:
        message = errors.Message(
            "unsupported-embedded-c",
            f"function '{function.name}' is embedded C, which is not supported",
        )
        refusal = self._program.refusals.get(function)
        if refusal is None:
            self._report(message, function)
        elif (message := message.with_end(f": {refusal.reason}")) not in self._seen:
            self._seen.add(message)
            self._program.sink.report(
                errors.semantic(message, refusal.span, describe(function))
            )

    def _dimensions(self, node: ast.Index) -> None:
        """SystemTap's own limit shows only when its C is compiled."""
        if len(node.keys) > MOST_KEYS and not self._program.options.assume_types:
            self._report(
                errors.Message(
                    "too-many-keys", f"array index has more than {MOST_KEYS} dimensions"
                ),
                node,
            )

    def _report(self, message: errors.Message, node: ast.Node) -> None:
        if message not in self._seen:
            self._seen.add(message)
            self._program.sink.report(errors.semantic(message, node.token, describe(node)))

    def _type(self, node: ast.Expr) -> Type:
        assert self._body is not None
        return self._body.facts.types.get(node, Type.UNKNOWN)

    def _node(self, node: ast.Node, loop: bool) -> None:
        match node:
            case ast.Break() if not loop:
                self._report(
                    errors.Message("outside-loop", "cannot 'break' outside loop"), node
                )
            case ast.Continue() if not loop:
                self._report(
                    errors.Message("outside-loop", "cannot 'continue' outside loop"), node
                )
            case ast.Print():
                self._print(node)
            case ast.String():
                self.literal(node)
            case ast.Index():
                self._dimensions(node)
            case ast.EmbeddedExpr() if not self._program.options.assume_types:
                self._report(
                    errors.Message("unsupported-embedded-c", "embedded C is not supported"),
                    node,
                )
            case ast.Assign(target=target) | ast.Step(operand=target):
                self._left_side(node, target)
        inside = loop or isinstance(node, ast.For | ast.While | ast.Foreach)
        for child in children(node):
            self._value(node, child)
            if not (isinstance(node, ast.Regex) and child is node.pattern):
                self._node(child, inside)  # a pattern has escapes of its own

    def _print(self, node: ast.Print) -> None:
        for argument in node.arguments:
            if isinstance(argument, ast.Histogram):
                continue
            if self._type(argument) not in (Type.LONG, Type.STRING):
                message = errors.Message(
                    "unprintable", "print format actual argument evaluation type unsupported"
                )
                self._report(message, argument)

    def _left_side(self, node: ast.Expr, target: ast.Expr) -> None:
        match target:
            case ast.Name():
                return
            case ast.Target() | ast.Cast() | ast.AtVar():
                self._write(node, target)
            case ast.Index(base=ast.Name()):
                return
            case ast.Index():
                self._report(
                    errors.Message(
                        "not-assignable", "Assignment to read-only histogram bucket"
                    ),
                    node,
                )
            case _:
                self._report(errors.NO_LEFT_SIDE, node)

    def _write(self, node: ast.Expr, target: ast.Target | ast.Cast | ast.AtVar) -> None:
        derived = self._body.derived if self._body else None
        if derived is not None and derived.expansion.serves_text:
            return  # `$value` is what a reader of the file gets
        if not self._program.options.guru:
            self._report(
                errors.Message(
                    "needs-guru", "write to target variable not permitted; need stap -g"
                ),
                node,
            )
        elif not self._program.options.assume_types:
            text = f"this cannot be written: {self._why_not_written(target)}"
            self._report(errors.Message("unsupported-write", text), node)

    def _why_not_written(self, node: ast.Target | ast.Cast | ast.AtVar) -> str:
        """What is against an assignment that writes.py left."""
        derived = self._body.derived if self._body else None
        found: Result | None = None
        place = derived.expansion.attachment if derived is not None else None
        if derived is not None:
            known = self._program.structures, self._program.statics
            found = lookup(node, derived.expansion, *known)
        if isinstance(found, Access) and found.bits:
            return "it is a bit-field, which its neighbours would be written with"
        if not isinstance(place, MarkerAttachment):
            return "only what a process has in its memory at a hit of its own can be"
        kind = place.marker.kind
        if isinstance(node, ast.Target) and node.name == "$return" and not node.path:
            return (
                "the result of a function is in a register, and a BPF program cannot change"
                " registers"
            )
        if kind not in _IN_PROGRAMS or (isinstance(found, Access) and found.space == "kernel"):
            return "no BPF program may write to the kernel's memory or registers"
        return (
            "it is in a register of the program or has no address, and a BPF program cannot"
            " change registers"
        )

    def _value(self, parent: ast.Node, child: ast.Node) -> None:
        """A function without a result is no value."""
        if not isinstance(child, ast.Call) or isinstance(parent, ast.Print):
            return
        if isinstance(parent, ast.ExprStmt | ast.For) and child is not _condition(parent):
            return
        if self._type(child) is Type.UNKNOWN:
            self._report(errors.Message("no-value", "return value type unsupported"), child)


def _base(found: Result | str) -> Variable | None:
    """The variable of the place that a target expression starts with."""
    match found:
        case Variable():
            return found
        case Access(base=Variable() as base):
            return base
    return None


def _condition(node: ast.Node) -> ast.Expr | None:
    return node.condition if isinstance(node, ast.For) else None
