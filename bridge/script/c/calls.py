"""Calls in embedded C: the kernel's functions that only read, texts, and helper functions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.script.c import HELPER, kernel
from bridge.script.c import tree as c
from bridge.script.c.types import converted, offset_of
from bridge.script.c.values import CKind, CValue, as_string, cast_path, number, read, string

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.script.c.expressions import CExpressions

GLOBAL, SET_GLOBAL = "STAP_GLOBAL_GET_", "STAP_GLOBAL_SET_"
"""Before the name of a script's global (stap(1), embedded C)."""
CONVERSION = re.compile(r"%([-+ #0]*)(\d+)?(\.\d+)?(hh|h|ll|l|z|j|t)?([diuxXocsp%])|%.?")


def call(expressions: CExpressions, expr: c.Call) -> CValue:
    """A call as an expression."""
    name = expr.name
    if name in expressions.scope.functions:
        return _helper(expressions, expr)
    if name in _FORMS:
        return _FORMS[name](expressions, expr)
    if name in kernel.OF_CURRENT_CALLS and expr.arguments == (c.Name(_first(expr), "current"),):
        return number(kernel.OF_CURRENT_CALLS[name], c.INT)
    if name in kernel.SAME and expr.arguments:
        return expressions.value(expr.arguments[-1])
    if name in kernel.SWAPPED:
        return _swapped(expressions, expr)
    if name in kernel.CALLS:
        return _of_kernel(expressions, expr)
    if name.startswith(GLOBAL) and not expr.arguments:
        return number(name.removeprefix(GLOBAL))
    raise c.Unsupported(
        f"`{name}` cannot be called: code of the kernel does not run here", expr.at
    )


def _first(expr: c.Call) -> int:
    return expr.arguments[0].at if expr.arguments else 0


def _of_kernel(expressions: CExpressions, expr: c.Call) -> CValue:
    text, type_ = kernel.CALLS[expr.name]
    arguments = [expressions.number(argument) for argument in expr.arguments]
    needed = max((int(n) + 1 for n in re.findall(r"\{(\d)\}", text)), default=0)
    _count(expr, needed, needed)
    if expr.name in {"likely", "unlikely"}:
        arguments = [expressions.condition(expr.arguments[0])]
    return number(text.format(*arguments), type_)


def _count(expr: c.Call, least: int, most: int) -> None:
    if not least <= len(expr.arguments) <= most:
        raise c.Unsupported(f"`{expr.name}` takes {least} arguments", expr.at)


def _helper(expressions: CExpressions, expr: c.Call) -> CValue:
    function = expressions.scope.functions[expr.name]
    _count(expr, len(function.parameters), len(function.parameters))
    arguments = [
        expressions.assigned(argument, parameter.type)
        for argument, parameter in zip(expr.arguments, function.parameters, strict=True)
    ]
    return number(f"{HELPER}{expr.name}({', '.join(arguments)})", function.result)


def _swapped(expressions: CExpressions, expr: c.Call) -> CValue:
    _count(expr, 1, 1)
    size = kernel.SWAPPED[expr.name]
    function = {2: "ntohs", 4: "ntohl", 8: "ntohll"}[size]
    type_ = c.Int(size, False)
    return number(f"{function}({expressions.assigned(expr.arguments[0], type_)})", type_)


# --- types as arguments


def _type(expr: c.Call, at: int) -> c.Struct:
    found = expr.arguments[at]
    if isinstance(found, c.TypeArgument) and isinstance(found.type, c.Struct):
        return found.type
    raise c.Unsupported(f"`{expr.name}` needs a structure here", found.at)


def _path(expr: c.Expr) -> str:
    """`a.b` as it stands after the arrow of a path."""
    match expr:
        case c.Name(name=name):
            return name
        case c.Member(base=base, name=name):
            return f"{_path(base)}->{name}"
        case _:
            raise c.Unsupported("this is no name of a member", expr.at)


def _offset(expressions: CExpressions, structure: c.Struct, member: c.Expr) -> str:
    layouts = expressions.scope.layouts
    if structure.name in layouts:
        return str(offset_of(structure.name, _path(member), layouts, member.at)[0])
    return f"(&{cast_path('0', structure.name)}->{_path(member)})"


def _container_of(expressions: CExpressions, expr: c.Call) -> CValue:
    _count(expr, 3, 3)
    structure = _type(expr, 1)
    offset = _offset(expressions, structure, expr.arguments[2])
    text = f"({expressions.number(expr.arguments[0])} - {offset})"
    return number(text, c.Pointer(structure))


def _offsetof(expressions: CExpressions, expr: c.Call) -> CValue:
    _count(expr, 2, 2)
    return number(_offset(expressions, _type(expr, 0), expr.arguments[1]), c.ULONG)


def _first_entry(expressions: CExpressions, expr: c.Call) -> CValue:
    _count(expr, 3, 3)
    structure = _type(expr, 1)
    head = expressions.number(expr.arguments[0])
    offset = _offset(expressions, structure, expr.arguments[2])
    text = f"({cast_path(head, 'list_head')}->next - {offset})"
    return number(text, c.Pointer(structure))


def _deref(expressions: CExpressions, expr: c.Call) -> CValue:
    """`deref(size, address)`, and `kderef`: SystemTap's run time."""
    _count(expr, 2, 2)
    size, where = expr.arguments
    if not isinstance(size, c.Number) or size.value not in {1, 2, 4, 8}:
        raise c.Unsupported("the size of this read is not 1, 2, 4 or 8", size.at)
    pointer = number(expressions.number(where), c.Pointer(c.Int(size.value, False)))
    return expressions.pointed(pointer, "0", expr.at)


def _per_cpu(expressions: CExpressions, expr: c.Call) -> CValue:
    """`per_cpu_ptr(pointer, cpu)`, `this_cpu_ptr(pointer)`: what a processor has there."""
    _count(expr, *((1, 1) if expr.name.startswith("this") else (2, 2)))
    base = expressions.value(expr.arguments[0])
    which = expressions.number(expr.arguments[1]) if len(expr.arguments) > 1 else "cpu()"
    offset = f'kernel_long(&@var("__per_cpu_offset", "kernel") + 8 * {which})'
    return number(f"({read(base, expr.at)} + {offset})", base.type)


# --- texts


def _text(expressions: CExpressions, expr: c.Expr) -> str:
    return as_string(expressions.value(expr), expr.at)


def _strlen(expressions: CExpressions, expr: c.Call) -> CValue:
    _count(expr, 1, 1)
    return number(f"strlen({_text(expressions, expr.arguments[0])})", c.ULONG)


def _strcmp(expressions: CExpressions, expr: c.Call) -> CValue:
    _count(expr, 2, 2)
    left, right = (_text(expressions, argument) for argument in expr.arguments)
    return number(f"_c_strcmp({left}, {right})", c.INT)


def _strncmp(expressions: CExpressions, expr: c.Call) -> CValue:
    _count(expr, 3, 3)
    count = expressions.number(expr.arguments[2])
    left, right = (f"substr({_text(expressions, a)}, 0, {count})" for a in expr.arguments[:2])
    return number(f"_c_strcmp({left}, {right})", c.INT)


def _strchr(expressions: CExpressions, expr: c.Call) -> CValue:
    _count(expr, 2, 2)
    where, wanted = expressions.value(expr.arguments[0]), expressions.number(expr.arguments[1])
    if where.kind is not CKind.TEXT:
        raise c.Unsupported("`strchr` of what is no text of the script", expr.at)
    function = "_c_strrchr" if expr.name == "strrchr" else "_c_strchr"
    return string(where.text, f"{function}({where.text}, {where.offset}, {wanted})")


def _strstr(expressions: CExpressions, expr: c.Call) -> CValue:
    _count(expr, 2, 2)
    where, wanted = expressions.value(expr.arguments[0]), _text(expressions, expr.arguments[1])
    if where.kind is not CKind.TEXT:
        raise c.Unsupported("`strstr` of what is no text of the script", expr.at)
    return string(where.text, f"_c_strstr({where.text}, {where.offset}, {wanted})")


def _strtol(expressions: CExpressions, expr: c.Call) -> CValue:
    _count(expr, 3, 3)
    text, base = _text(expressions, expr.arguments[0]), expressions.number(expr.arguments[2])
    return number(f"strtol({text}, {base})", c.LONG)


# --- formats


def format_arguments(expressions: CExpressions, arguments: Sequence[c.Expr], at: int) -> str:
    """A format and its values as arguments of `printf` or `sprintf` in the language."""
    if not arguments or not isinstance(arguments[0], c.Text):
        raise c.Unsupported("the format is no literal", at)
    format_, values = arguments[0], list(arguments[1:])
    made: list[str] = []

    def conversion(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%%"
        if found[5] is None or found[5] in "%" or (found[5] == "o" and found[3]):
            raise c.Unsupported(f"the conversion `{found[0]}` of a format", format_.at)
        if not values:
            raise c.Unsupported("the format has more conversions than values", format_.at)
        made.append(_converted_value(expressions, found, values.pop(0)))
        return f"%{found[1]}{found[2] or ''}{found[3] or ''}{_letter(found[5])}"

    text = CONVERSION.sub(conversion, format_.raw)
    if values:
        raise c.Unsupported("the format has fewer conversions than values", at)
    return ", ".join([text, *made])


def _letter(letter: str) -> str:
    return "d" if letter == "i" else letter


_WIDTHS = {"hh": 1, "h": 2, "l": 8, "ll": 8, "z": 8, "j": 8, "t": 8, None: 4}


def _converted_value(expressions: CExpressions, found: re.Match[str], expr: c.Expr) -> str:
    if found[5] == "s":
        return _text(expressions, expr)
    value = expressions.value(expr)
    text = read(value, expr.at)
    if found[5] in {"p", "c"}:
        return text
    type_ = c.Int(_WIDTHS[found[4]], found[5] in {"d", "i"})
    return converted(text, type_, value.type)


def _path_text(expressions: CExpressions, expr: c.Call) -> CValue:
    """`d_path(path, buffer, size)` and its kin: a text, without the buffer."""
    function, needed = _PATHS[expr.name]
    _count(expr, needed, needed)
    return string(function.format(expressions.number(expr.arguments[0])))


_PATHS = {
    "d_path": ("fullpath_struct_path({})", 3),
    "d_absolute_path": ("fullpath_struct_path({})", 3),
    "file_path": ("fullpath_struct_file(task_current(), {})", 3),
    "dentry_path_raw": ('("/" . reverse_path_walk({}))', 3),
}


def _is_error(expressions: CExpressions, expr: c.Call) -> CValue:
    """`IS_ERR(x)`: a text is none."""
    _count(expr, 1, 1)
    if expressions.value(expr.arguments[0]).kind is CKind.TEXT:
        return number("0", c.INT)
    return _of_kernel(expressions, expr)


def _no_value(_expressions: CExpressions, expr: c.Call) -> CValue:
    raise c.Unsupported(f"`{expr.name}` has no value here", expr.at)


_FORMS: dict[str, Callable[[CExpressions, c.Call], CValue]] = {
    "container_of": _container_of,
    "list_entry": _container_of,
    "list_first_entry": _first_entry,
    "rb_entry": _container_of,
    "hlist_entry": _container_of,
    "offsetof": _offsetof,
    "per_cpu_ptr": _per_cpu,
    **dict.fromkeys(_PATHS, _path_text),
    "IS_ERR": _is_error,
    "IS_ERR_OR_NULL": _is_error,
    "this_cpu_ptr": _per_cpu,
    "deref": _deref,
    "kderef": _deref,
    "strlen": _strlen,
    "strcmp": _strcmp,
    "strncmp": _strncmp,
    "strchr": _strchr,
    "strrchr": _strchr,
    "strstr": _strstr,
    "simple_strtol": _strtol,
    "simple_strtoul": _strtol,
    "snprintf": _no_value,
    "sprintf": _no_value,
    "printk": _no_value,
    "STAP_PRINTF": _no_value,
    "_stp_printf": _no_value,
}
TEXT_FUNCTIONS = tuple(name for name in _FORMS if name.startswith(("str", "simple_str")))
"""Functions that look at a text."""
