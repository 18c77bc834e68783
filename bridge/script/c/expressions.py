"""Expressions of embedded C -> the script language.

Rule: arithmetic has C's types and conversions; what reads memory reads the kernel's, by its own
types; what writes anywhere but to a local variable is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.script.c import calls, kernel
from bridge.script.c import tree as c
from bridge.script.c.types import common, converted, offset_of, promoted, size_of
from bridge.script.c.values import (
    CKind,
    CValue,
    CVariable,
    address,
    as_string,
    cast_path,
    number,
    read,
    string,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.script.c.scope import CScope

_COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">="})
_TOP, _MOST = "0x8000000000000000", "0x7fffffffffffffff"


class CExpressions:
    """Translates the expressions of one body."""

    def __init__(self, scope: CScope) -> None:
        self.scope = scope

    # --- what a value is

    def number(self, expr: c.Expr) -> str:
        """The expression as a number."""
        return read(self.value(expr), expr.at)

    def condition(self, expr: c.Expr) -> str:
        """The expression as a truth value; a text is true where it is one."""
        value = self.value(expr)
        if value.kind is not CKind.TEXT:
            return read(value, expr.at)
        if value.variable is not None and value.variable.text:
            return f'({value.text} != "")'
        return f"(({value.offset}) >= 0)"

    def assigned(self, expr: c.Expr, type_: c.CType) -> str:
        """The expression as a number of the type."""
        value = self.value(expr)
        return converted(read(value, expr.at), type_, value.type)

    def value(self, expr: c.Expr) -> CValue:
        """The expression."""
        translate: Callable[[CExpressions, Any], CValue] = _TRANSLATORS[type(expr)]
        return translate(self, expr)

    def literal(self, expr: c.Number) -> CValue:
        """`c.Number`."""
        signed = expr.value - (1 << 64) if expr.value >= 1 << 63 else expr.value
        return number(str(signed) if signed >= 0 else f"({signed})", expr.type)

    def literal_text(self, expr: c.Text) -> CValue:
        """`c.Text`."""
        return string(expr.raw)

    def type_argument(self, expr: c.TypeArgument) -> CValue:
        """`c.TypeArgument`."""
        raise c.Unsupported("a type where a value is needed", expr.at)

    def call(self, expr: c.Call) -> CValue:
        """`c.Call`."""
        return calls.call(self, expr)

    # --- names

    def name(self, expr: c.Name) -> CValue:
        """`c.Name`."""
        name = expr.name
        if name.startswith("STAP_ARG_"):
            return self.scope.argument(name.removeprefix("STAP_ARG_"), expr.at)
        if (variable := self.scope.find(name)) is not None:
            return self.of_variable(variable)
        if name == "current":
            return number(kernel.CURRENT, c.Pointer(c.Struct("task_struct")))
        if name in kernel.GLOBALS:
            return CValue(CKind.PATH, f'@var("{name}", "kernel")', c.UNKNOWN)
        if name in kernel.NUMBERS:
            return number(*kernel.NUMBERS[name])
        if name in self.scope.enumerators:
            return number(str(self.scope.enumerators[name]), c.INT)
        if name == "STAP_RETVALUE":
            raise c.Unsupported("the function has no declared result", expr.at)
        if name in self.scope.variables:
            return self.of_variable(self.scope.of_file(name, expr.at))
        if name.isupper():
            return number(f'@enum("{name}")', c.INT)
        raise c.Unsupported(f"`{name}` is not known here", expr.at)

    @staticmethod
    def of_variable(variable: CVariable) -> CValue:
        """What a local variable is."""
        if variable.text:
            return CValue(CKind.TEXT, variable.name, variable.type, "0", variable)
        if variable.base:
            return CValue(CKind.TEXT, variable.base, variable.type, variable.name, variable)
        if isinstance(variable.type, c.Struct):
            return CValue(CKind.LOCAL, variable.name, variable.type, "0", variable)
        return CValue(CKind.NUMBER, variable.name, variable.type, "0", variable)

    # --- operators

    def unary(self, expr: c.Unary) -> CValue:
        """`c.Unary`."""
        match expr.op:
            case "++" | "--":
                return self._step(expr)
            case "&":
                return address(self.value(expr.operand), expr.at)
            case "*":
                return self.pointed(self.value(expr.operand), "0", expr.at)
            case "!":
                return number(f"(!{self.condition(expr.operand)})", c.INT)
        value = self.value(expr.operand)
        type_ = promoted(value.type)
        operand = converted(read(value, expr.at), type_, value.type)
        if expr.op == "+":
            return number(operand, type_)
        return number(converted(f"({expr.op}({operand}))", type_), type_)

    def _step(self, expr: c.Unary) -> CValue:
        value = self.value(expr.operand)
        if value.variable is None or value.variable.text:
            raise c.Unsupported("only local variables can be changed", expr.at)
        op, back = ("+", "-") if expr.op == "++" else ("-", "+")
        size = 1 if value.kind is CKind.TEXT else self._stride(value.type, expr.at)
        name, type_ = value.variable.name, value.type
        changed = f"({name} = {converted(f'{name} {op} {size}', type_)})"
        result = converted(f"{changed} {back} {size}", type_) if expr.post else changed
        result = f"({result})" if expr.post else result
        if value.kind is CKind.TEXT:
            return string(value.text, result)
        return number(result, type_)

    def binary(self, expr: c.Binary) -> CValue:
        """`c.Binary`."""
        if expr.op == ",":
            raise c.Unsupported("the comma operator", expr.at)
        if expr.op in {"&&", "||"}:
            both = f" {expr.op} ".join(map(self.condition, (expr.left, expr.right)))
            return number(f"({both})", c.INT)
        left, right = self.value(expr.left), self.value(expr.right)
        if CKind.TEXT in {left.kind, right.kind}:
            return self._with_text(expr, left, right)
        if expr.op in {"+", "-"} and isinstance(self._decayed(left), c.Pointer):
            return self._moved(expr, left, right)
        if expr.op == "+" and isinstance(self._decayed(right), c.Pointer):
            return self._moved(expr, right, left)
        return self.arithmetic(expr.op, left, right, expr.at)

    @staticmethod
    def _decayed(value: CValue) -> c.CType:
        match value:
            case CValue(kind=CKind.MEMORY, type=c.Array(of=of)):
                return c.Pointer(of)
            case _:
                return value.type

    def arithmetic(self, op: str, left: CValue, right: CValue, at: int) -> CValue:
        """An operation on two numbers, in the type that C gives it."""
        if op in {"<<", ">>"}:
            return self._shift(op, left, right, at)
        type_ = common(self._decayed(left), self._decayed(right))
        first = converted(read(left, at), type_, left.type)
        second = converted(read(right, at), type_, right.type)
        wide = type_ == c.ULONG
        if op in _COMPARISONS:
            if wide and op not in {"==", "!="}:
                first, second = f"({first} ^ {_TOP})", f"({second} ^ {_TOP})"
            return number(f"({first} {op} {second})", c.INT)
        if op in {"/", "%"} and wide and not second.isdigit():
            raise c.Unsupported(f"`{op}` of two unsigned numbers of 64 bits", at)
        if op in {"/", "%"} and wide:
            return number(_divided(op, first, int(second), at), type_)
        return number(converted(f"({first} {op} {second})", type_), type_)

    @staticmethod
    def _shift(op: str, left: CValue, right: CValue, at: int) -> CValue:
        type_ = promoted(left.type)
        operand = converted(read(left, at), type_, left.type)
        count = read(right, at)
        if op == ">>" and type_ == c.ULONG:
            return number(f"_c_shifted({operand}, {count})", type_)
        return number(converted(f"({operand} {op} {count})", type_), type_)

    def _moved(self, expr: c.Binary, pointer: CValue, other: CValue) -> CValue:
        type_ = self._decayed(pointer)
        assert isinstance(type_, c.Pointer)
        other_type = self._decayed(other)
        base = read(pointer, expr.at)
        if isinstance(other_type, c.Pointer):
            if expr.op != "-":
                raise c.Unsupported("the sum of two pointers", expr.at)
            size = self.element(type_, expr.at)
            return number(f"(({base} - {read(other, expr.at)}) / {size})", c.LONG)
        distance = self.scaled(read(other, expr.at), type_, expr.at)
        return number(f"({base} {expr.op} {distance})", type_)

    def scaled(self, count: str, pointer: c.Pointer, at: int) -> str:
        """So many elements in bytes."""
        size = self.element(pointer, at)
        return count if size == "1" else f"({count}) * {size}"

    def element(self, pointer: c.Pointer, at: int) -> str:
        """The size of what a pointer points to."""
        if isinstance(pointer.to, c.Unknown):
            raise c.Unsupported("arithmetic with a pointer whose type is not declared", at)
        return self.size_text(pointer.to)

    def _stride(self, type_: c.CType, at: int) -> str:
        return self.element(type_, at) if isinstance(type_, c.Pointer) else "1"

    def size_text(self, type_: c.CType) -> str:
        """The size of a type in bytes; the kernel's own types tell theirs."""
        size = size_of(type_, self.scope.layouts)
        if size is not None:
            return str(size)
        assert isinstance(type_, c.Struct)
        return f'(&@cast(0, "{type_.name}", "kernel")[1])'

    def _with_text(self, expr: c.Binary, left: CValue, right: CValue) -> CValue:
        """Arithmetic with places in strings, and their comparison with NULL."""
        if left.kind is not CKind.TEXT:
            left, right = right, left
            if expr.op not in {"+", "==", "!="}:
                raise c.Unsupported("this operation with a text", expr.at)
        if right.kind is CKind.TEXT:
            if left.text != right.text or expr.op not in {"-", *_COMPARISONS}:
                raise c.Unsupported("this operation with two texts", expr.at)
            return number(f"({left.offset} {expr.op} {right.offset})", c.LONG)
        if expr.op in {"+", "-"}:
            return string(left.text, f"({left.offset} {expr.op} {read(right, expr.at)})")
        if expr.op in {"==", "!="} and read(right, expr.at) == "0":
            if left.variable is not None and left.variable.text:
                return number(f'({left.text} {expr.op} "")', c.INT)
            test = "<" if expr.op == "==" else ">="
            return number(f"({left.offset} {test} 0)", c.INT)
        raise c.Unsupported("this operation with a text", expr.at)

    def ternary(self, expr: c.Ternary) -> CValue:
        """`c.Ternary`."""
        condition = self.condition(expr.condition)
        yes, no = self.value(expr.yes), self.value(expr.no)
        if CKind.TEXT in {yes.kind, no.kind}:
            if yes.offset != "0" or no.offset != "0" or yes.kind is not no.kind:
                raise c.Unsupported("a choice of places in texts", expr.at)
            return string(f"({condition} ? {yes.text} : {no.text})")
        pointers = [t for t in (yes.type, no.type) if isinstance(t, c.Pointer)]
        typed = [t for t in pointers if t.to != c.VOID]
        known: list[c.CType] = [*typed, *pointers, common(yes.type, no.type)]
        type_ = known[0]
        first = converted(read(yes, expr.at), type_, yes.type)
        second = converted(read(no, expr.at), type_, no.type)
        return number(f"({condition} ? {first} : {second})", type_)

    def cast(self, expr: c.Cast) -> CValue:
        """`c.Cast`."""
        value = self.value(expr.operand)
        if isinstance(expr.type, c.TypeOf):
            expr = c.Cast(expr.at, self.type_of(expr.type), expr.operand)
        if value.kind is CKind.TEXT:
            if isinstance(expr.type, c.Pointer):
                return value
            raise c.Unsupported("a text as a number", expr.at)
        if isinstance(expr.type, c.Void):
            return value
        if isinstance(expr.type, c.Struct):
            raise c.Unsupported("a cast to a structure", expr.at)
        return number(converted(read(value, expr.at), expr.type, value.type), expr.type)

    def type_of(self, type_: c.TypeOf) -> c.CType:
        """What `typeof(x)` stands for."""
        match self.value(type_.of):
            case CValue(type=c.Unknown()):
                raise c.Unsupported("the type of a member of the kernel's types", type_.of.at)
            case CValue(type=found):
                return found

    def size(self, expr: c.SizeOf) -> CValue:
        """`c.SizeOf`."""
        operand = expr.operand
        if isinstance(operand, c.TypeOf):
            return number(self.size_text(self.type_of(operand)), c.ULONG)
        if isinstance(operand, c.Int | c.Void | c.Struct | c.Pointer | c.Array | c.Unknown):
            return number(self.size_text(operand), c.ULONG)
        match self.value(operand):
            case CValue(variable=CVariable(text=True, type=c.Array(count=count))) if count:
                return number(str(count), c.ULONG)
            case CValue(type=c.Unknown()):
                raise c.Unsupported("the size of a member of the kernel's types", expr.at)
            case CValue(type=type_):
                return number(self.size_text(type_), c.ULONG)

    # --- memory

    def pointed(self, value: CValue, index: str, at: int) -> CValue:
        """`value[index]`, where value is a pointer or an array."""
        if value.kind is CKind.TEXT:
            where = index if value.offset == "0" else f"({value.offset} + {index})"
            where = value.offset if index == "0" else where
            found = number(f"stringat({value.text}, {where})", c.CHAR)
            return CValue(found.kind, found.text, found.type, where, None)
        if value.kind is CKind.PATH:
            return CValue(CKind.PATH, f"{value.text}[{index}]", c.UNKNOWN)
        type_ = self._decayed(value)
        if not isinstance(type_, c.Pointer) or isinstance(type_.to, c.Void):
            raise c.Unsupported("this is no pointer to something that can be read", at)
        if isinstance(type_.to, c.Unknown):
            raise c.Unsupported("the type that this points to is not declared", at)
        base = read(value, at)
        if isinstance(type_.to, c.Struct) and type_.to.name not in self.scope.layouts:
            element = f"[{index}]" if index != "0" else ""
            return CValue(CKind.PATH, cast_path(base, type_.to.name) + element, type_.to)
        where = base if index == "0" else f"({base} + {self.scaled(index, type_, at)})"
        return CValue(CKind.MEMORY, where, type_.to)

    def index(self, expr: c.Index) -> CValue:
        """`c.Index`."""
        base = self.value(expr.base)
        if isinstance(base.type, c.Array) and base.kind is CKind.NUMBER:
            raise c.Unsupported("an array as a local variable", expr.at)
        return self.pointed(base, self.number(expr.index), expr.at)

    def member(self, expr: c.Member) -> CValue:
        """`c.Member`."""
        if isinstance(expr.base, c.Name) and (known := self._known_member(expr.base, expr)):
            return known
        base = self.value(expr.base)
        if base.kind is CKind.LOCAL:
            return self._local_member(base, expr)
        if base.type == c.LONG and expr.name == "tv64":
            return base  # ktime_t was a union until Linux 4.10
        if base.kind is CKind.PATH:
            if (
                base.type == c.UNKNOWN
                and base.text.endswith("->tstamp")
                and expr.name == "tv64"
            ):
                return base
            return CValue(CKind.PATH, f"{base.text}->{expr.name}", c.UNKNOWN)
        type_: c.CType = base.type
        where = base.text
        if expr.arrow:
            decayed = self._decayed(base)
            type_ = decayed.to if isinstance(decayed, c.Pointer) else c.VOID
            where = read(base, expr.at)
        if not isinstance(type_, c.Struct):
            raise c.Unsupported(f"`{expr.name}` of what is no structure", expr.at)
        if type_.name not in self.scope.layouts:
            known_type = kernel.MEMBERS.get((type_.name, expr.name), c.UNKNOWN)
            return CValue(
                CKind.PATH, f"{cast_path(where, type_.name)}->{expr.name}", known_type
            )
        offset, member = offset_of(type_.name, expr.name, self.scope.layouts, expr.at)
        return CValue(CKind.MEMORY, f"({where} + {offset})" if offset else where, member)

    def _known_member(self, base: c.Name, expr: c.Member) -> CValue | None:
        """Members of `THIS`, the old name of the arguments, and of the current task."""
        match base.name, expr.name:
            case "THIS", "__retvalue":
                return self.name(c.Name(expr.at, "STAP_RETVALUE"))
            case "THIS", name:
                plain = name.removeprefix("l_")  # what SystemTap 1.8 called it
                name = name if name in self.scope.parameters else plain
                return self.scope.argument(name, expr.at)
            case "current", "comm":
                return string("execname()")
            case "current", name if name in kernel.OF_CURRENT:
                return number(kernel.OF_CURRENT[name], c.INT)
        return None

    def _local_member(self, base: CValue, expr: c.Member) -> CValue:
        assert base.variable is not None
        variable = self.scope.member(base.variable, expr.name, expr.at)
        return self.of_variable(variable)

    # --- assignment

    def assign(self, expr: c.Assign) -> CValue:
        """`c.Assign`."""
        target = self.value(expr.target)
        variable = target.variable
        if variable is None:
            raise c.Unsupported(_refusal(target), expr.target.at)
        value = self.value(expr.value)
        if expr.op != "=":
            value = self._compound(expr, target, value)
        return self.store(variable, value, expr.at)

    def _compound(self, expr: c.Assign, target: CValue, value: CValue) -> CValue:
        if target.kind is CKind.TEXT:
            if expr.op in {"+", "-"} and target.offset != "0":
                text = f"({target.offset} {expr.op} {read(value, expr.at)})"
                return string(target.text, text)
            raise c.Unsupported("this operation with a text", expr.at)
        if isinstance(target.type, c.Pointer):
            distance = self.scaled(read(value, expr.at), target.type, expr.at)
            return number(f"({target.text} {expr.op} {distance})", target.type)
        return self.arithmetic(expr.op, target, value, expr.at)

    def store(self, variable: CVariable, value: CValue, at: int) -> CValue:
        """`variable = value`, as an expression."""
        if isinstance(variable.type, c.Array):
            reason = "a string is written with snprintf, strlcpy and the like, not assigned to"
            raise c.Unsupported(reason, at)
        if isinstance(variable.type, c.Struct):
            raise c.Unsupported("the assignment of a whole structure", at)
        null = value.kind is CKind.NUMBER and value.text == "0"
        if value.kind is CKind.TEXT:
            self._points_into(variable, value.text, at)
            if variable.text:
                return string(f"({variable.name} = {as_string(value, at)})")
            return string(value.text, f"({variable.name} = {value.offset})")
        if null and variable.text:
            return string(f'({variable.name} = "")')
        if null and variable.base:
            return string(variable.base, f"({variable.name} = -1)")
        if variable.base or variable.text:
            raise c.Unsupported(f"`{variable.name}` holds a text and an address", at)
        variable.decided = variable.decided or not null
        text = converted(read(value, at), variable.type, value.type)
        return number(f"({variable.name} = {text})", variable.type)

    @staticmethod
    def _points_into(variable: CVariable, text: str, at: int) -> None:
        """A `char *` into one string is an offset; into several, a copy of the text."""
        if variable.decided:
            raise c.Unsupported(f"`{variable.name}` holds a text and an address", at)
        if not isinstance(variable.type, c.Pointer):
            raise c.Unsupported("a text is assigned to what is no pointer", at)
        if text.startswith('"') or variable.base not in {"", text}:
            variable.base, variable.text = "", True
        elif not variable.text:
            variable.base = text


_TRANSLATORS: dict[type, Callable[[CExpressions, Any], CValue]] = {
    c.Name: CExpressions.name,
    c.Number: CExpressions.literal,
    c.Text: CExpressions.literal_text,
    c.Unary: CExpressions.unary,
    c.Binary: CExpressions.binary,
    c.Assign: CExpressions.assign,
    c.Ternary: CExpressions.ternary,
    c.Cast: CExpressions.cast,
    c.SizeOf: CExpressions.size,
    c.Index: CExpressions.index,
    c.Member: CExpressions.member,
    c.Call: CExpressions.call,
    c.TypeArgument: CExpressions.type_argument,
}


def _divided(op: str, first: str, by: int, at: int) -> str:
    """Unsigned division by a positive constant."""
    if by == 0:
        raise c.Unsupported("division by zero", at)
    if by == 1:
        return first if op == "/" else "0"
    # halved, it is not negative; the quotient is at most one too small
    half = f"(((({first} >> 1) & {_MOST}) / {by}) << 1)"
    rest = f"({first} - {half} * {by})"
    more = f"(({rest} ^ {_TOP}) >= ({by} ^ {_TOP}))"
    return f"({half} + {more})" if op == "/" else f"({rest} - {more} * {by})"


def _refusal(target: CValue) -> str:
    if target.kind in {CKind.PATH, CKind.MEMORY}:
        return "this writes to memory of the kernel, which a script cannot do here"
    return "only local variables can be assigned to"
