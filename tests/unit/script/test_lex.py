"""The lexer: tokens, their places, pasted arguments."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bridge.script.syntax.lex import Lexer, evaluate, quote
from bridge.script.syntax.tokens import Token
from bridge.source import SourceMap
from tests.support.command import PATIENCE


def tokens(text: str, *arguments: str) -> list[Token]:
    lexer = Lexer(SourceMap().add("t.stp", text), arguments)
    return list(iter(lexer.next, None))


def texts(text: str, *arguments: str) -> list[str]:
    return [f"{t.kind[0]}:{t.text}" for t in tokens(text, *arguments)]


def test_kinds() -> None:
    assert texts('probe a1 0x1F "s" @count $x {') == [
        "k:probe",
        "i:a1",
        "n:0x1F",
        "s:s",
        "o:@count",
        "i:$x",
        "o:{",
    ]


@pytest.mark.parametrize("operator", ["<<<", ">>>", "<<=", ">>=", "=~", "!~", "->", "%(", "&&"])
def test_longest_operator_wins(operator: str) -> None:
    assert texts(f"a{operator}b") == ["i:a", f"o:{operator}", "i:b"]


def test_comments_are_white_space() -> None:
    assert texts("a # x\nb // y\nc /* z\n */ d /* open") == ["i:a", "i:b", "i:c", "i:d"]


def test_embedded_code_is_one_token() -> None:
    assert texts("%{ a { } %} b") == ["e: a { } ", "i:b"]


def test_strings_keep_the_escapes_of_c_only() -> None:
    assert texts(r'"a\n\q\"\x41"') == ['s:a\\nq"\\x41']
    assert evaluate(r"a\n\x41\101\\") == "a\nAA\\"


def test_an_open_string_is_junk_up_to_the_end_of_the_line() -> None:
    found = tokens('"abc\ndef')
    assert [t.kind for t in found] == ["junk", "identifier"]
    assert found[0].problem == "Could not find matching closing quote"


def test_arguments_are_pasted_as_characters_and_as_strings() -> None:
    assert texts("$1 @2 $# a$1", "1 + 2", 'x"y') == [
        "n:1",
        "o:+",
        "n:2",
        's:x"y',
        "n:2",
        "i:a$1",
    ]


def test_pasted_tokens_stand_where_the_argument_does() -> None:
    source = SourceMap().add("t.stp", "a $1 b")
    lexer = Lexer(source, ("x\ny",))
    spans = [t.span.start - source.base for t in iter(lexer.next, None)]
    assert spans == [0, 2, 2, 5]


def test_missing_and_nested_arguments_are_junk() -> None:
    assert tokens("$1")[0].problem == "command line argument out of range [1-0]"
    assert "nested" in tokens("$1", "$1")[0].problem


@pytest.mark.parametrize("text", ["plain", 'q"uo\\te', "tab\tnew\n", "\x01\xff"])
def test_quote_and_read_back(text: str) -> None:
    (token,) = tokens(quote(text))
    assert evaluate(token.text) == text


def test_a_text_ends_at_its_first_nul() -> None:
    assert texts("a b\0c d") == ["i:a", "i:b"]


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ('println("y") %: x', "%: x"),
        ("exit() %( 1 %? a %)", "%( 1 %? a %)"),
        ("a.b[1] @x(2)", "@x(2)"),
        ("n = 1; global m", "global m"),
        ("globals probes global", "global"),
        ('"a\\"%?" %? b', "%? b"),
        ("a # %( @x\n$# c", "$# c"),
        ("a /* %( */ / /* open", "/* open"),
        ("x % y %{ c %}", "%{ c %}"),
        ("a $b $2", "$2"),
        ('a "open\n %) ', "%) "),
        ("a @ # }\n// %{\n (é) \x01 ", ""),
        ("a" * 1000 + " a" * 1000 + "%?", "%?"),
    ],
)
def test_what_means_nothing_to_the_preprocessor_is_passed_over(text: str, rest: str) -> None:
    lexer = Lexer(SourceMap().add("t.stp", text))
    lexer.pass_over(lambda _: True)

    assert lexer._text[lexer._at :] == rest


PEAK = """
import resource, sys
from bridge.script.syntax.lex import Lexer
from bridge.source import SourceMap

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

many = 2_000_000
for text in ('"' + r"\\n" * many, "/**/" * many, "a " * many, "#\\n" * many):
    lexer = Lexer(SourceMap().add("t.stp", text))
    before = peak()
    lexer.pass_over(lambda _: True)
    lexer._at = 0
    lexer.next()
    print((peak() - before) // 1024)
"""


def test_a_long_text_takes_no_memory_for_each_of_its_pieces() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PEAK],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert [megabytes < 32 for megabytes in map(int, done.stdout.split())] == [True] * 4
