"""Embedded C whose meaning is known -> the same in the language.

There is no C compiler in a run. What scripts embed is often one line, and of a few kinds: the
table says which, as tokens with places for arguments, and what each is in the language. Rule:
a body is understood as a whole or not at all; what is not understood is refused at its call.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, cast

from bridge.diagnostics import Sink
from bridge.script.options import AnalyseOptions
from bridge.script.syntax import ast
from bridge.script.syntax.parse import parse
from bridge.script.syntax.walk import transform
from bridge.source import SourceMap

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILT_IN = "%"
"""What the names of calls begin with that mean a built-in function, whatever is defined."""


class Form(NamedTuple):
    """One statement of C, and what it is in the language; `{}` is what the place holds."""

    c: str
    meaning: str


FORMS = (
    Form("STAP_RETVALUE = <number> ;", "return {}"),
    Form("THIS -> __retvalue = <number> ;", "return {}"),
    Form("STAP_RETURN ( <number> ) ;", "return {}"),
    Form("STAP_RETURN ( <text> ) ;", "return {}"),
    Form("strlcpy ( STAP_RETVALUE , <text> , MAXSTRINGLEN ) ;", "return {}"),
    Form("strncpy ( STAP_RETVALUE , <text> , MAXSTRINGLEN ) ;", "return {}"),
    Form("strlcpy ( THIS -> __retvalue , <text> , MAXSTRINGLEN ) ;", "return {}"),
    Form("snprintf ( STAP_RETVALUE , MAXSTRINGLEN , <format> ) ;", "return sprintf({})"),
    Form("STAP_PRINTF ( <format> ) ;", "printf({})"),
    Form("_stp_printf ( <format> ) ;", "printf({})"),
    Form("STAP_ERROR ( <literal> ) ;", "error({})"),
)
NUMBERS = {
    "jiffies": "local_clock_ns() / 4000000",
    "HZ": "250",
    "current -> pid": "tid()",
    "task_pid_nr ( current )": "tid()",
    "current -> tgid": "pid()",
    "task_tgid_nr ( current )": "pid()",
    "smp_processor_id ( )": "cpu()",
    "raw_smp_processor_id ( )": "cpu()",
    "ktime_get_ns ( )": "ktime_get_ns()",
    "get_cycles ( )": "get_cycles()",
    "( long ) current": "task_current()",
    "( unsigned long ) current": "task_current()",
}
"""Numbers that C code reads of the kernel."""
TEXTS = {"current -> comm": "execname()"}
"""Texts that it reads."""
_COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">="})
OPERATORS = frozenset({"+", "-", "*", "&", "|", "^", "&&", "||", "!", "(", ")"}) | _COMPARISONS
"""What means the same in C for arguments, which have 64 bits, and small literals."""
_CASTS = frozenset({"( int64_t )", "( long )", "( long long )"})
_SMALL = 1 << 15
_TOKEN = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|[A-Za-z_]\w*|\d\w*|->|<<|>>|&&|\|\||[=!<>]=|\S',
    re.DOTALL,
)
_LITERAL = re.compile(r"(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)[uUlL]*")
_CONVERSION = re.compile(r"%([-+ #0]*\d*(?:\.\d+)?)(ll|l)?([diuxXs%])|%")


def tokens(code: str) -> list[str]:
    """The tokens of C code, without comments."""
    found = _TOKEN.findall(code)
    return [token for token in found if not token.startswith(("/*", "//"))]


def function_body(declaration: ast.Function) -> ast.Block | None:
    """The body of a function whose embedded C is understood; its places are the function's."""
    assert declaration.code is not None
    names = frozenset(parameter.name for parameter in declaration.parameters)
    statements = _statements(tokens(declaration.code), names)
    if statements is None:
        return None
    values = [s for s in statements if s.startswith("return ")]
    if len(values) > 1 or (values and declaration.result is None):
        return None
    if not values and declaration.result is not None:
        values = ["return 0" if declaration.result == "long" else 'return ""']
    text = "; ".join([*(s for s in statements if s not in values), *values])
    parameters = ", ".join(sorted(names))
    function = _parsed(f"function f({parameters}) {{ {text} }}")
    assert function.body is not None
    return cast("ast.Block", _placed(function.body, declaration))


def expression(code: str, node: ast.Expr) -> ast.Expr | None:
    """An embedded expression that is understood, in the place of `node`."""
    words, text = tokens(code), "/* string */" in code
    meaning = _text(words, frozenset()) if text else _number(words, frozenset())
    if meaning is None:
        return None
    body = _parsed(f"function f() {{ return {meaning} }}").body
    assert body is not None
    assert isinstance(body.body[0], ast.Return)
    value = body.body[0].value
    assert value is not None
    return cast("ast.Expr", _placed(value, node))


@cache
def _parsed(text: str) -> ast.Function:
    sources, sink = SourceMap(), Sink()
    script = parse(sources.add("C", text), sources, sink, AnalyseOptions(), tapset=True)
    assert script is not None, text
    (function,) = script.definitions
    assert isinstance(function, ast.Function)
    return function


def _placed(tree: ast.Node, at: ast.Node) -> ast.Node:
    """The tree with all its places where the C code is, and its calls as built-in ones."""

    def change(node: ast.Node) -> ast.Node:
        if isinstance(node, ast.Call):
            node = replace(node, name=f"{BUILT_IN}{node.name}")
        return replace(node, span=at.span, token=at.token)

    return transform(tree, change)


# --- statements -------------------------------------------------------------------------------


def _statements(words: Sequence[str], names: frozenset[str]) -> list[str] | None:
    found: list[str] = []
    while words:
        for form in FORMS:
            end, meaning = _match(form, words, names)
            if meaning is not None:
                found.append(meaning)
                words = words[end:]
                break
        else:
            return None
    return found


def _match(form: Form, words: Sequence[str], names: frozenset[str]) -> tuple[int, str | None]:
    """Where the statement ends, and its meaning in the language if it has the form."""
    before, _, rest = form.c.partition(" <")
    kind, _, after = rest.partition("> ")
    first, last = before.split(), after.split()
    if list(words[: len(first)]) != first:
        return 0, None
    start = len(first)
    end = _end(words, start, last[0])
    if list(words[end : end + len(last)]) != last:
        return 0, None
    meaning = _PLACES[kind](words[start:end], names)
    return end + len(last), None if meaning is None else form.meaning.format(meaning)


def _end(words: Sequence[str], start: int, stop: str) -> int:
    """Where a token is outside of all parentheses."""
    depth = 0
    for at in range(start, len(words)):
        if depth == 0 and words[at] == stop:
            return at
        depth += (words[at] == "(") - (words[at] == ")")
    return len(words)


# --- what stands in a place -------------------------------------------------------------------


def _argument(words: Sequence[str], names: frozenset[str]) -> str | None:
    """`STAP_ARG_x` or `THIS->x`."""
    match list(words):
        case [word] if word.startswith("STAP_ARG_"):
            name = word.removeprefix("STAP_ARG_")
        case ["THIS", "->", name]:
            pass
        case _:
            return None
    return name if name in names else None


def _literal(word: str) -> int | None:
    found = _LITERAL.fullmatch(word)
    if found is None:
        return None
    text = found[1]
    return int(text, 8) if text.startswith("0") and text.isdigit() else int(text, 0)


def _number(words: Sequence[str], names: frozenset[str]) -> str | None:
    """One number of the kernel, a literal, or arithmetic with the arguments."""
    words = _without_cast(words)
    if (known := NUMBERS.get(" ".join(words))) is not None:
        return known
    match list(words):
        case [word] if (value := _literal(word)) is not None and value < 1 << 63:
            return str(value)
        case ["-", word] if (value := _literal(word)) is not None and value < 1 << 63:
            return f"-{value}"
        case ["strlen", "(", *inner, ")"]:
            text = _argument(inner, names)
            return None if text is None else f"strlen({text})"
    return _arithmetic(words, names)


def _without_cast(words: Sequence[str]) -> Sequence[str]:
    whole = " ".join(words)
    if whole in NUMBERS:
        return words
    for cast_ in _CASTS:
        if whole.startswith(f"{cast_} "):
            return whole.removeprefix(f"{cast_} ").split(" ")
    return words


def _arithmetic(words: Sequence[str], names: frozenset[str]) -> str | None:
    found: list[str] = []
    at = 0
    arguments = literals = 0
    while at < len(words):
        width = 3 if words[at] == "THIS" else 1
        name = _argument(words[at : at + width], names)
        value = _literal(words[at])
        if name is not None:
            arguments += 1
            found.append(name)
            at += width
            continue
        if value is not None and value < _SMALL:
            literals += 1
            found.append(str(value))
        elif words[at] in OPERATORS:
            found.append(words[at])
        else:
            return None
        at += 1
    text = " ".join(found)
    # a < b == c is grouped in another way in C
    compared = sum(word in _COMPARISONS for word in found)
    # literals alone have 32 bits
    wide = bool(arguments) or literals <= 2
    return text if wide and compared <= 1 and _is_expression(text) else None


def _is_expression(text: str) -> bool:
    sources, sink = SourceMap(), Sink()
    source = sources.add("C", f"function f() {{ return {text} }}")
    return parse(source, sources, sink, AnalyseOptions(), tapset=True) is not None


def _text(words: Sequence[str], names: frozenset[str]) -> str | None:
    known = TEXTS.get(" ".join(words))
    return known or _string(words, names) or _argument(words, names)


def _string(words: Sequence[str], _names: frozenset[str]) -> str | None:
    """One literal, which is one in the language, too."""
    return words[0] if len(words) == 1 and words[0].startswith('"') else None


def _message(words: Sequence[str], names: frozenset[str]) -> str | None:
    """A literal that is a format without conversions."""
    literal = _string(words, names)
    return None if literal is None or "%" in literal else literal


def _format(words: Sequence[str], names: frozenset[str]) -> str | None:
    """A format and what it prints: numbers of 64 bits, and texts."""
    format_, *values = _split(words)
    literal = _string(format_, names)
    if literal is None:
        return None
    conversions = [c for c in _CONVERSION.finditer(literal) if c[3] != "%"]
    if len(conversions) != len(values):
        return None
    printed: list[str | None] = [_CONVERSION.sub(r"%\1\3", literal)]
    for conversion, value in zip(conversions, values, strict=True):
        printed.append(_printed(conversion, value, names))
    return ", ".join(p for p in printed if p is not None) if all(printed) else None


def _printed(
    conversion: re.Match[str], value: Sequence[str], names: frozenset[str]
) -> str | None:
    if conversion[3] == "s":
        return None if conversion[2] else _text(value, names)
    # %d prints 32 bits, which is right for the kernel's own small numbers only
    if conversion[3] is None or not (conversion[2] or " ".join(value) in NUMBERS):
        return None
    return _number(value, names)


def _split(words: Sequence[str]) -> list[list[str]]:
    """The arguments of a call."""
    found: list[list[str]] = [[]]
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if word == "," and depth == 0:
            found.append([])
        else:
            found[-1].append(word)
    return found


_PLACES = {"number": _number, "text": _text, "literal": _message, "format": _format}
