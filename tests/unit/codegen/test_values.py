"""What expressions give, natively: the cases at the edges of 64 bits and of 512 bytes."""

from __future__ import annotations

from typing import Any

import pytest

MIN = "-9223372036854775808"

EXPRESSIONS = [
    ("-m", MIN),
    ("m / -1", MIN),
    ("m % -1", "0"),
    ("m - 1", "9223372036854775807"),
    ("m * m", "0"),
    ("-7 / n", "-3"),
    ("-7 % n", "-1"),
    ("1 << (n + 62)", "1"),
    ("1 << -1 * n", "4611686018427387904"),
    ("m >> 63", "-1"),
    ("m >>> 63", "1"),
    ("m < 0 ? 5 : 6", "5"),
    ("m < n && n < 3", "1"),
    ("!n || n == 2", "1"),
    ("~n", "-3"),
    ("(n | 4) ^ 1 & 3", "7"),
]


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS)
def test_expressions(native: Any, expression: str, expected: str) -> None:
    script = f"""global m = {MIN}, n = 2
    probe oneshot {{ m += n - n n += m - m println({expression}) }}"""
    assert native(script).output == f"{expected}\n"


@pytest.mark.parametrize(("length", "kept"), [(510, 510), (511, 511), (512, 511), (513, 511)])
def test_strings_are_cut(native: Any, length: int, kept: int) -> None:
    script = f"""
    global g, a
    probe oneshot {{
        s = sprintf("%{length}d", 7)
        g = s . ""
        a[s] = s . "x"
        foreach (k in a)
            println(strlen(s), " ", strlen(g), " ", strlen(k), " ", strlen(a[k]))
    }}"""
    longer = min(kept + 1, 511)
    assert native(script).output == f"{kept} {kept} {kept} {longer}\n"


def test_comparisons_of_strings_are_bytewise(native: Any) -> None:
    script = r'probe oneshot { s = "\351" println(s > "z", "ab" < s, s == "\351", "" < s) }'
    assert native(script).output == "1111\n"


def test_a_string_may_be_put_into_itself(native: Any) -> None:
    script = """
    function twice(s) { s = s . s return s }
    probe oneshot { s = "ab" s = s . s . "c" s = substr(s, 1, 3) s = twice(s) println(s) }"""
    assert native(script).output == "babbab\n"


def test_printf_with_stars(native: Any) -> None:
    script = r"""probe oneshot { w = 6 p = 3
        printf("[%*d][%.*d][%*.*x][%-*s]\n", w, 42, p, 42, w, p, 10, w, "ab") }"""
    assert native(script).output == "[    42][042][   00a][ab    ]\n"


def test_regular_expressions_are_bytewise(native: Any) -> None:
    script = r"""probe oneshot {
        if ("a\351=x\n" =~ "^(a.)=([^y]+)$") printf("%d %s|", ngroups(), matched(2))
        println("ab" !~ "b$", "abab" =~ "(ab){2}") }"""
    assert native(script).output == "3 x\n|01\n"


MATCHES = [
    (r"^\\w$", "w", 1),
    (r"^\\w$", "a", 0),
    (r"^\\1$", "1", 1),
    (r"^[\\n]$", "n", 1),
    (r"^[^\\]]$", "]", 0),
    (r"^[-^]$", "^", 1),
    (r"^[^^]$", "-", 1),
    (r"^[[:d:]x]+$", "12x", 1),
    (r"(a|ab)(c|bcd)*(y)?$", "xaby", 1),
]


@pytest.mark.parametrize(("pattern", "text", "expected"), MATCHES)
def test_the_syntax_of_regular_expressions(
    native: Any, pattern: str, text: str, expected: int
) -> None:
    script = f'probe oneshot {{ println("{text}" =~ "{pattern}") }}'
    assert native(script).output == f"{expected}\n"


def test_groups_without_a_number(native: Any) -> None:
    script = """probe oneshot { if ("xaby1" =~ "(?:a|ab)(c|bcd)*(y)?([[:d:]])")
        println(matched(0), "|", matched(1), "|", matched(2), "|", matched(3), ngroups()) }"""
    assert native(script).output == "aby1||y|14\n"


def test_tokens(native: Any) -> None:
    script = """probe oneshot {
        for (t = tokenize("::a::b:", ":"); t != ""; t = tokenize(":")) print("[", t, "]")
        println(strtol("-0x1f", 16), " ", strtol("077", 0))
        println(text_strn("abcdef", 8, 1), text_strn("abcdef", 7, 1)) }"""
    assert native(script).output == '[a][b]-31 63\n"abcdef""ab"...\n'


def test_strings_that_need_too_much_memory(native: Any) -> None:
    texts = " ".join(f's{n} = sprint(n) . "x"' for n in range(300))
    shown = " . ".join(f"s{n}" for n in range(300))
    ran = native(
        f"probe oneshot {{ n = 1 {texts} println({shown}) }}", {"MAXSTRINGLEN": "1048576"}
    )
    assert ran.messages.startswith("ERROR: strings need too much memory")
    assert ran.result.exit_code == 1
