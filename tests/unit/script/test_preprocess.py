"""Macros and conditionals."""

from __future__ import annotations

import pytest

from bridge.diagnostics import Sink
from bridge.script import errors
from bridge.script.options import AnalyseOptions
from bridge.script.syntax.conditions import compare_versions
from bridge.script.syntax.lex import Lexer
from bridge.script.syntax.preprocess import Preprocessor
from bridge.source import SourceMap

CONDITIONS = {"arch": "x86_64", "kernel_v": "6.1.0", "CONFIG_SMP": "y", "CONFIG_HZ": "250"}


def run(text: str, **options: object) -> str:
    lexer = Lexer(SourceMap().add("t.stp", text))
    given = AnalyseOptions(conditions=CONDITIONS, **options)  # type: ignore[arg-type] # as written
    tokens = Preprocessor(lexer, given, Sink())
    return " ".join(t.text for t in iter(tokens.next, None))


def refused(text: str) -> str:
    with pytest.raises(errors.Refused) as caught:
        run(text)
    return caught.value.diagnostic.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('%( arch == "x86*" %? a %: b %)', "a"),
        ('%( kernel_v >= "6.10" %? a %: b %)', "b"),
        ('%( kernel_v >= "6.1" %? a %)', "a"),
        ('%( CONFIG_SMP == "y" && CONFIG_HZ > 100 %? a %: b %)', "a"),
        ('%( 1 == 2 || "a" < "b" %? a %: b %)', "a"),
        ("%( guru_mode == 0 %? %( 1 == 2 %? x %: y %) %: b %)", "y"),
        ("%( 1 == 2 %? $ \x80 @f %: b %) c", "b c"),
        ('%( systemtap_v >= "4.0" %? new %: old %)', "new"),
    ],
)
def test_conditions(text: str, expected: str) -> None:
    assert run(text) == expected


def test_macro_with_parameters_sees_its_arguments_in_the_callers_context() -> None:
    text = "@define twice(x) %( @x + @x %) @define y %( 1 %) @twice(@twice(@y))"
    assert run(text) == "1 + 1 + 1 + 1"


def test_macro_without_parameters_leaves_the_bracket() -> None:
    assert run("@define f %( g %) @f(a, b)") == "g ( a , b )"


def test_brackets_nest_in_arguments_but_braces_do_not() -> None:
    assert run("@define f(a) %( <@a> %) @f(g(1, 2)[3, 4])") == "< g ( 1 , 2 ) [ 3 , 4 ] >"


def test_unknown_words_stay() -> None:
    assert run("@count(x)") == "@count ( x )"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%( 1 == 1 %? a", "incomplete conditional at end of file"),
        ("%? a", "incomplete conditional - missing '%('"),
        ("%( 1 == 1 %? a %: b %: c %)", "invalid conditional - duplicate '%:'"),
        ("%( 1 == 1 a %)", "expected '%?' marker for conditional"),
        ("%( 1 + 1 %? a %)", "expected comparison operator"),
        (
            "@define a %( 1 %) @define a %( 2 %)",
            "attempt to redefine macro '@a' in the same file",
        ),
        ("@define f(a, b) %( @a %) @f(1)", "too few parameters for macro '@f' (expected 2)"),
        ("@define f(a) %( @a %) @f(1, 2)", "too many parameters for macro '@f' (expected 1)"),
        (
            "@define f(a) %( @a %) @f",
            "expected '(' in invocation of macro '@f' taking 1 parameter",
        ),
        ("@define f %( 1", "incomplete macro definition - missing '%)'"),
        ("@define g %( @g %) @g", "macro expansion too large"),
    ],
)
def test_errors(text: str, message: str) -> None:
    assert refused(text) == message


def test_versions_compare_by_number() -> None:
    assert compare_versions("6.10", "6.9") > 0
    assert compare_versions("6.1", "6.1") == 0
    assert compare_versions("5.15.0-rc1", "5.15.0") > 0
