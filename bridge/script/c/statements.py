"""Statements of embedded C -> the script language, and whole functions.

In: a body's tree. Out: the text of a function body in the language. A body is translated twice:
the first pass learns how each `char *` is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.script.c import kernel
from bridge.script.c import tree as c
from bridge.script.c.calls import SET_GLOBAL, format_arguments
from bridge.script.c.expressions import CExpressions
from bridge.script.c.scope import RESULT
from bridge.script.c.types import constant, converted
from bridge.script.c.values import CKind, CValue, CVariable, as_string, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.script.c.scope import CScope


class Jumps:
    """The labels of one body: `name` has the number of the label that is wanted, or 0."""

    def __init__(self, name: str, body: c.Block) -> None:
        self.name = name
        self.labels: dict[str, int] = {}
        self.parts: list[list[c.Statement]] = [[]]
        """What stands in front of the first label, and behind each."""
        self.at = 0
        """The part that is translated."""
        self.back = False
        """Whether a `goto` goes back."""
        for item in body.items:
            if isinstance(item, c.Label):
                self.labels[item.name] = len(self.parts)
                self.parts.append([])
            else:
                self.parts[-1].append(item)


class CStatements:
    """Translates the statements of one body into lines of the language."""

    def __init__(self, scope: CScope) -> None:
        self.scope = scope
        self.expressions = CExpressions(scope)
        self.lines: list[str] = []
        self._inside: list[str] = []
        """What `break` and `continue` belong to: loops, and the flags of switches."""
        self._jumps: Jumps | None = None
        """The labels of the body, while their parts are translated."""

    def statement(self, node: c.Statement | None) -> None:
        """One statement."""
        if node is not None:
            translate: Callable[[CStatements, Any], None] = _TRANSLATORS[type(node)]
            translate(self, node)

    def declaration(self, node: c.Declaration) -> None:
        """Local variables."""
        for variable in node.variables:
            self._declare(variable)

    def case(self, node: c.Case) -> None:
        """A case is part of its switch."""
        raise c.Unsupported("a case outside of its switch", node.at)

    def return_(self, node: c.Return) -> None:
        """`return`."""
        self._return(node.value, node.at)

    def evaluate(self, node: c.Evaluate) -> None:
        """An expression for its effects."""
        self._evaluate(node.value)

    def block(self, node: c.Block) -> None:
        """Statements in braces."""
        self.scope.blocks.append({})
        own = self._jumps is None and not self._inside
        if own and any(isinstance(item, c.Label) for item in node.items):
            self._labelled(node)
        else:
            for item in node.items:
                self.statement(item)
        self.scope.blocks.pop()

    # --- goto

    def _labelled(self, node: c.Block) -> None:
        """A body with labels: parts that run where nothing or their own label is wanted.

        Each part is a loop that runs once, so that `goto` can leave it; a jump back goes once
        more over the parts.
        """
        jumps = self._jumps = Jumps(self.scope.fresh("goto"), node)
        once, again = self.scope.fresh("once"), self.scope.fresh("again")
        kept, self.lines = self.lines, []
        for number, part in enumerate(jumps.parts):
            jumps.at = number
            wanted = f"{jumps.name} == {number}"
            test = f"!{jumps.name} || {wanted}" if number else f"!{jumps.name}"
            self.lines += [f"if ({test})", f"for ({once} = 1; {once}; {once} = 0)", "{"]
            self.lines.append(f"{jumps.name} = 0")
            for item in part:
                self.statement(item)
            self.lines.append("}")
        self._jumps = None
        made, self.lines = self.lines, [*kept, f"{jumps.name} = 0"]
        if jumps.back:
            loop = f"for ({again} = 1; {again}; {again} = {jumps.name} != 0)"
            made = [loop, "{", *made, "}"]
        self.lines += made

    def goto(self, node: c.Goto) -> None:
        """`goto`: the innermost loop ends, and those around it look (`_left`)."""
        jumps = self._jumps
        if jumps is None or node.name not in jumps.labels:
            raise c.Unsupported(
                f"`{node.name}` is no label of the function's own block", node.at
            )
        number = jumps.labels[node.name]
        jumps.back = jumps.back or number <= jumps.at
        self.lines += [f"{jumps.name} = {number}", "break"]

    def label(self, node: c.Label) -> None:
        """Labels of the function's own block are not seen here."""
        raise c.Unsupported(f"the label `{node.name}` inside of another statement", node.at)

    def _left(self, begin: int) -> None:
        """Behind a loop of the lines from `begin`: a jump out of it goes on."""
        if self._jumps is not None:
            jump = f"{self._jumps.name} = "
            if any(line.startswith(jump) for line in self.lines[begin:]):
                self.lines += [f"if ({self._jumps.name})", "break"]

    def _nested(self, node: c.Statement | None) -> None:
        self.lines.append("{")
        self.statement(node)
        self.lines.append("}")

    # --- variables

    def _declare(self, declared: c.Declared) -> None:
        value = declared.value
        if isinstance(value, tuple):
            raise c.Unsupported("values in braces", declared.at)
        # the value is looked at before the name is known, so that it may be an outer one's
        variable = self.scope.declare(declared)
        if variable.text and isinstance(variable.type, c.Array):
            text = as_string(self.expressions.value(value), declared.at) if value else '""'
            self.lines.append(f"{variable.name} = {text}")
        elif isinstance(variable.type, c.Struct):
            if value is not None:
                raise c.Unsupported("a structure with a first value", declared.at)
        elif isinstance(value, c.Call) and value.name in _WRITERS:
            self._counted(variable, value)
        elif value is not None:
            self.lines.append(
                self._stored(variable, self.expressions.value(value), declared.at)
            )
        else:
            self.lines.append(f"{variable.name} = {chr(34) * 2 if variable.text else 0}")

    def _stored(self, variable: CVariable, value: CValue, at: int) -> str:
        found = self.expressions.store(variable, value, at)
        return found.offset if found.kind is CKind.TEXT and not variable.text else found.text

    # --- expressions for their effects

    def _evaluate(self, expr: c.Expr) -> None:
        match expr:
            case c.Cast(type=c.Void(), operand=operand):
                self._evaluate(operand)
            case c.Binary(op=",", left=left, right=right):
                self._evaluate(left)
                self._evaluate(right)
            case c.Call(name=name) if name in kernel.IGNORED:
                pass
            case c.Call(name=name) if name in _EFFECTS:
                _EFFECTS[name](self, expr)
            case c.Call(name=name, arguments=(argument,)) if name.startswith(SET_GLOBAL):
                text = self.expressions.number(argument)
                self.lines.append(f"{name.removeprefix(SET_GLOBAL)} = {text}")
            case c.Assign(target=target, op="=", value=c.Call(name=name) as call) if (
                name in _WRITERS
            ):
                variable = self.expressions.value(target).variable
                if variable is None:
                    raise c.Unsupported("only local variables can be assigned to", expr.at)
                self._counted(variable, call)
            case c.Assign():
                self._assign(expr)
            case c.Unary(op="++" | "--", operand=operand, at=at):
                self._evaluate(c.Assign(at, expr.op[0], operand, c.Number(at, 1, c.INT)))
            case _:
                self._plain(expr)

    def _plain(self, expr: c.Expr) -> None:
        value = self.expressions.value(expr)
        if value.kind is not CKind.TEXT:
            self.lines.append(f"({read(value, expr.at)})")

    def _assign(self, expr: c.Assign) -> None:
        match expr.target:
            case c.Index(base=base, index=index):
                self._character(expr, base, index)
            case c.Unary(op="*", operand=operand):
                self._character(expr, operand, c.Number(expr.at, 0, c.INT))
            case _:
                value = self.expressions.value(expr)
                text = value.offset if value.kind is CKind.TEXT else value.text
                is_copy = value.kind is CKind.TEXT and value.offset == "0"
                self.lines.append(value.text if is_copy else text)

    def _character(self, expr: c.Assign, base: c.Expr, index: c.Expr) -> None:
        """`text[index] = character`; nought ends the text."""
        target = self._buffer(base, expr.target.at)
        if expr.op != "=":
            raise c.Unsupported("this operation on a character of a text", expr.at)
        where = self.expressions.number(index)
        value = self.expressions.number(expr.value)
        if value == "0":
            self.lines.append(f"{target} = substr({target}, 0, {where})")
        else:
            self.lines.append(f"{target} = _c_put({target}, {where}, {value})")

    def _buffer(self, expr: c.Expr, at: int) -> str:
        """The array of characters that is written to, or the result."""
        value = self.expressions.value(expr)
        if value.kind is CKind.TEXT and value.variable is not None and value.variable.text:
            return value.variable.name
        if value.kind is CKind.TEXT:
            raise c.Unsupported("this writes to a text that is no array of its own", at)
        raise c.Unsupported(
            "this writes to memory of the kernel, which a script cannot do here", at
        )

    # --- functions with effects

    def print(self, expr: c.Call) -> None:
        """`STAP_PRINTF(...)`."""
        self.lines.append(
            f"printf({format_arguments(self.expressions, expr.arguments, expr.at)})"
        )

    def warn(self, expr: c.Call) -> None:
        """`printk(...)`: to standard error, not to the kernel's log."""
        arguments = format_arguments(self.expressions, expr.arguments, expr.at)
        self.lines.append(f"warn(sprintf({arguments}))")

    def error(self, expr: c.Call) -> None:
        """`STAP_ERROR(...)`: the handler ends with the message."""
        arguments = format_arguments(self.expressions, expr.arguments, expr.at)
        self.lines.append(f"error(sprintf({arguments}))")

    def stap_return(self, expr: c.Call) -> None:
        """`STAP_RETURN(value)`."""
        self._return(expr.arguments[0] if expr.arguments else None, expr.at)

    def write(self, expr: c.Call) -> None:
        """A function that writes a text: the new text of its buffer."""
        target = self._buffer(expr.arguments[0], expr.at) if expr.arguments else ""
        self.lines.append(f"{target} = {_WRITERS[expr.name](self, expr, target)}")

    def _counted(self, variable: CVariable, expr: c.Call) -> None:
        self.write(expr)
        target = self._buffer(expr.arguments[0], expr.at)
        self.lines.append(f"{variable.name} = {converted(f'strlen({target})', variable.type)}")

    def clock(self, expr: c.Call) -> None:
        """`getnstimeofday(&ts)`: the members of a local structure."""
        match expr.arguments:
            case (c.Unary(op="&", operand=c.Name(name=name)),):
                variable = self.scope.find(name)
            case _:
                variable = None
        if variable is None or not isinstance(variable.type, c.Struct):
            raise c.Unsupported(f"`{expr.name}` needs a local structure", expr.at)
        for member, text in kernel.CLOCKS[expr.name].items():
            self.lines.append(f"{self.scope.member(variable, member, expr.at).name} = {text}")

    # --- control flow

    def if_(self, node: c.If) -> None:
        """`if`."""
        self.lines.append(f"if ({self.expressions.condition(node.condition)})")
        self._nested(node.yes)
        if node.no is not None:
            self.lines.append("else")
            self._nested(node.no)

    def loop(self, node: c.Loop) -> None:
        """`while`, `do` and `for`."""
        begin = len(self.lines)
        self.scope.blocks.append({})
        self.statement(node.start)
        condition = (
            "1" if node.condition is None else self.expressions.condition(node.condition)
        )
        flag = self.scope.fresh("first") if node.first else ""
        if flag:
            self.lines.append(f"{flag} = 1")
            condition = f"{flag} || {condition}"
        step = _step(self, node.step)
        self.lines.append(f"for (; {condition}; {step})" if step else f"while ({condition})")
        self._inside.append("")
        self.lines.append("{")
        if flag:
            self.lines.append(f"{flag} = 0")
        self.statement(node.body)
        self.lines.append("}")
        self._inside.pop()
        self.scope.blocks.pop()
        self._left(begin)

    def switch(self, node: c.Switch) -> None:
        """`matched` stays set from case to case; the loop runs once, for `break`."""
        begin = len(self.lines)
        value = self.expressions.value(node.value)
        chosen, matched, once, again = (
            self.scope.fresh(name) for name in ("switch", "matched", "once", "again")
        )
        self.lines += [
            f"{chosen} = {read(value, node.at)}",
            f"{matched} = 0",
            f"{again} = 0",
            f"for ({once} = 1; {once}; {once} = 0)",
            "{",
        ]
        self._inside.append(again)
        self._cases(node, chosen, matched)
        self._inside.pop()
        self.lines.append("}")
        if self._inside:
            self.lines.append(f"if ({again}) {{")
            self.leave(c.Leave(node.at, "continue"))
            self.lines.append("}")
        self._left(begin)

    def _cases(self, node: c.Switch, chosen: str, matched: str) -> None:
        values = [
            constant(item.value, self.scope.enumerators)
            for item in node.items
            if isinstance(item, c.Case) and item.value is not None
        ]
        others = " && ".join(f"{chosen} != {value}" for value in values) or "1"
        started = False
        self.scope.blocks.append({})
        for item in node.items:
            if isinstance(item, c.Case):
                if started:
                    self.lines.append("}")
                test = others
                if item.value is not None:
                    test = f"{chosen} == {constant(item.value, self.scope.enumerators)}"
                self.lines += [f"if ({matched} || ({test}))", "{", f"{matched} = 1"]
                started = True
            elif started or isinstance(item, c.Declaration):
                self.statement(item)
        if started:
            self.lines.append("}")
        self.scope.blocks.pop()

    def leave(self, node: c.Leave) -> None:
        """`break` and `continue`."""
        if not self._inside:
            raise c.Unsupported(f"`{node.word}` outside of a loop", node.at)
        flag = self._inside[-1]
        if node.word == "continue" and flag:
            self.lines += [f"{flag} = 1", "break"]
        else:
            self.lines.append(node.word)

    def _return(self, value: c.Expr | None, at: int) -> None:
        result = self.scope.result
        if value is None:
            self.lines.append(f"return {RESULT}" if result else "return")
        elif result is None:
            raise c.Unsupported("the function has no declared result", at)
        elif result == "string":
            self.lines.append(f"return {as_string(self.expressions.value(value), at)}")
        else:
            self.lines.append(f"return {self.expressions.number(value)}")

    def iterate(self, node: c.Iterate) -> None:
        """`list_for_each_entry(entry, head, member)`, and its kin."""
        begin = len(self.lines)
        self._iterate(node)
        self._left(begin)

    def _iterate(self, node: c.Iterate) -> None:
        if node.name in kernel.MASKS:
            self._processors(node)
            return
        arguments = _as_list(node)
        if node.name.endswith("_safe"):
            arguments.pop(1)
        needed = 2 if node.name == "list_for_each" else 3
        if len(arguments) < needed:
            raise c.Unsupported(f"`{node.name}` takes {needed} arguments", node.at)
        variable = self.expressions.value(arguments[0]).variable
        if variable is None or not isinstance(variable.type, c.Pointer):
            raise c.Unsupported("the loop needs a local pointer", node.at)
        offset = "0"
        if needed == 3:
            entry = c.TypeArgument(node.at, variable.type.to)
            inner = c.Call(node.at, "offsetof", (entry, arguments[2]))
            offset = self.expressions.number(inner)
        kind = "hlist" if node.name.startswith("hlist") else "list"
        head, at = self.scope.fresh("head"), self.scope.fresh("at")
        first, following = _LINKS[kind]
        end = "0" if kind == "hlist" else head
        self.lines += [
            f"{head} = {self.expressions.number(arguments[1])}",
            f"for ({at} = {first.format(head)}; {at} != {end}; {at} = {following.format(at)})",
            "{",
            f"{variable.name} = {at} - {offset}",
        ]
        variable.decided = True
        self._inside.append("")
        self.statement(node.body)
        self._inside.pop()
        self.lines.append("}")

    def _processors(self, node: c.Iterate) -> None:
        """`for_each_online_cpu(cpu)`: the numbers that the mask has."""
        variable = None
        if len(node.arguments) == 1:
            variable = self.expressions.value(node.arguments[0]).variable
        if variable is None or not isinstance(variable.type, c.Int):
            raise c.Unsupported("the loop needs a local number", node.at)
        name, mask = variable.name, f'&@var("{kernel.MASKS[node.name]}", "kernel")'
        variable.decided = True
        self.lines += [
            f'for ({name} = 0; {name} < @var("nr_cpu_ids", "kernel"); {name}++)',
            f"if (_c_bit({mask}, {name})) {{",
        ]
        self._inside.append("")
        self.statement(node.body)
        self._inside.pop()
        self.lines.append("}")


def _as_list(node: c.Iterate) -> list[c.Expr]:
    """The arguments of the loop, as those of `list_for_each_entry`."""
    arguments, at = list(node.arguments), node.at
    if node.name == "for_each_process" and len(arguments) == 1:
        tasks = c.Member(at, c.Name(at, "init_task"), "tasks", False)
        return [*arguments, c.Unary(at, "&", tasks), c.Name(at, "tasks")]
    if node.name == "for_each_thread" and len(arguments) == 2:
        signal = c.Member(at, arguments[0], "signal", True)
        head = c.Unary(at, "&", c.Member(at, signal, "thread_head", False))
        return [arguments[1], head, c.Name(at, "thread_node")]
    return arguments


_LINKS = {
    "list": (
        '@cast({}, "list_head", "kernel")->next',
        '@cast({}, "list_head", "kernel")->next',
    ),
    "hlist": (
        '@cast({}, "hlist_head", "kernel")->first',
        '@cast({}, "hlist_node", "kernel")->next',
    ),
}
"""The first link behind a head, and the one behind a link."""
_TRANSLATORS: dict[type, Callable[[CStatements, Any], None]] = {
    c.Declaration: CStatements.declaration,
    c.Evaluate: CStatements.evaluate,
    c.Block: CStatements.block,
    c.If: CStatements.if_,
    c.Loop: CStatements.loop,
    c.Switch: CStatements.switch,
    c.Case: CStatements.case,
    c.Leave: CStatements.leave,
    c.Return: CStatements.return_,
    c.Goto: CStatements.goto,
    c.Label: CStatements.label,
    c.Iterate: CStatements.iterate,
}


def _step(statements: CStatements, expr: c.Expr | None) -> str:
    """The step of a `for`, as one expression of the language."""
    if expr is None:
        return ""
    if isinstance(expr, c.Binary) and expr.op == ",":
        raise c.Unsupported("the comma operator in the step of a loop", expr.at)
    value = statements.expressions.value(expr)
    return value.offset if value.kind is CKind.TEXT else value.text


# --- functions that write texts: the new text of the buffer


def _sized(text: str, size: c.Expr, statements: CStatements) -> str:
    match size:
        case c.Name(name="MAXSTRINGLEN"):
            return text
        case _:
            return f"substr({text}, 0, {statements.expressions.number(size)} - 1)"


def _snprintf(statements: CStatements, expr: c.Call, _target: str) -> str:
    if len(expr.arguments) < 3:
        raise c.Unsupported(f"`{expr.name}` takes a buffer, a size and a format", expr.at)
    made = format_arguments(statements.expressions, expr.arguments[2:], expr.at)
    return _sized(f"sprintf({made})", expr.arguments[1], statements)


def _sprintf(statements: CStatements, expr: c.Call, _target: str) -> str:
    return f"sprintf({format_arguments(statements.expressions, expr.arguments[1:], expr.at)})"


def _source(statements: CStatements, expr: c.Call, count: int) -> str:
    if len(expr.arguments) != count:
        raise c.Unsupported(f"`{expr.name}` takes {count} arguments", expr.at)
    source = expr.arguments[1]
    return as_string(statements.expressions.value(source), source.at)


def _strlcpy(statements: CStatements, expr: c.Call, _target: str) -> str:
    return _sized(_source(statements, expr, 3), expr.arguments[2], statements)


def _strncpy(statements: CStatements, expr: c.Call, _target: str) -> str:
    text = _source(statements, expr, 3)
    match expr.arguments[2]:
        case c.Name(name="MAXSTRINGLEN"):
            return text
        case count:
            return f"substr({text}, 0, {statements.expressions.number(count)})"


def _strcpy(statements: CStatements, expr: c.Call, _target: str) -> str:
    return _source(statements, expr, 2)


def _strcat(statements: CStatements, expr: c.Call, target: str) -> str:
    return f"{target} . {_source(statements, expr, 2)}"


def _strlcat(statements: CStatements, expr: c.Call, target: str) -> str:
    return _sized(f"({target} . {_source(statements, expr, 3)})", expr.arguments[2], statements)


def _strncat(statements: CStatements, expr: c.Call, target: str) -> str:
    text, count = _source(statements, expr, 3), statements.expressions.number(expr.arguments[2])
    return f"{target} . substr({text}, 0, {count})"


def _memset(statements: CStatements, expr: c.Call, _target: str) -> str:
    if len(expr.arguments) != 3 or statements.expressions.number(expr.arguments[1]) != "0":
        raise c.Unsupported("`memset` with anything but 0", expr.at)
    return '""'


_WRITERS: dict[str, Callable[[CStatements, c.Call, str], str]] = {
    "snprintf": _snprintf,
    "scnprintf": _snprintf,
    "sprintf": _sprintf,
    "strlcpy": _strlcpy,
    "strscpy": _strlcpy,
    "strncpy": _strncpy,
    "memcpy": _strncpy,
    "strcpy": _strcpy,
    "strcat": _strcat,
    "strlcat": _strlcat,
    "strncat": _strncat,
    "memset": _memset,
}
TEXT_FUNCTIONS = tuple(_WRITERS)
"""Functions that write a text."""
_EFFECTS: dict[str, Callable[[CStatements, c.Call], None]] = {
    "STAP_PRINTF": CStatements.print,
    "_stp_printf": CStatements.print,
    "printk": CStatements.warn,
    "STAP_ERROR": CStatements.error,
    "STAP_RETURN": CStatements.stap_return,
    **dict.fromkeys(_WRITERS, CStatements.write),
    **dict.fromkeys(kernel.CLOCKS, CStatements.clock),
}
