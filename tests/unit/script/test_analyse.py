"""From text to types: what is accepted, what is refused where, what is dropped."""

from __future__ import annotations

import pytest

from bridge.script.analysis.types import Type
from bridge.script.printing.print_typed import typed_text
from bridge.script.syntax import ast
from bridge.script.syntax.regex import regex_problem


def names(found: object) -> list[str]:
    return [x.name for x in found]  # type: ignore[attr-defined] # named things of a Typed


def test_types_of_globals_locals_and_functions(check) -> None:
    text = """
    global a, s, m%[10], t = "x"
    function f(x, y) { z = x + 1; return y . sprint(z) }
    probe begin { printf("%s", f(1, "a")) a[1, "x"] = 2 m[3] = "v" s <<< 4 }
    probe end { foreach ([i, j] in a) println(a[i, j], @avg(s), m[3], t) }
    """
    typed = check(text).typed
    assert typed_text(typed) == (
        "# globals\na:long [long, string]\nm%[10]:string [long]\ns:stats\nt:string\n"
        "# functions\nf:string (x:long, y:string)\n  # locals\n  z:long\n"
        "# probes\nbegin /* <- begin */\nend /* <- end */\n  # locals\n  i:long\n  j:string\n"
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("probe begin { x = ; }", "expected literal string or number: operator ';' at 1:19"),
        ("global\nprobe begin { }", "expected identifier: keyword at 2:1"),
        ("global a, a", "duplicate global name: identifier 'a' at 1:11"),
        (
            "global a private a",
            "global versus private variable declaration conflict: identifier 'a' at 1:18",
        ),
        ("probe begin { return 1 }", "found 'return' not in function context: keyword at 1:15"),
        ("probe begin {", "expected statement: end '' at 1:14"),
        ("probe a b {}", "expected one of ', { } = +=': identifier 'b' at 1:9"),
        (
            'probe begin { printf("%q", 1) }',
            "invalid or missing conversion specifier: operator ',' at 1:26",
        ),
        (
            "probe begin { x = 99999999999999999999 }",
            "number invalid or out of range: number '99999999999999999999' at 1:19",
        ),
        ("probe begin { nosuch(1) }", "unresolved function nosuch"),
        (
            "probe begin { strlen() }",
            "arity mismatch found (function 'strlen' takes 1 args):"
            " identifier 'strlen' at 1:15",
        ),
        (
            "probe begin { a[1] = 2 }",
            "unresolved arity-1 global array a, missing global"
            " declaration?: identifier 'a' at 1:15",
        ),
        (
            "global a probe begin { a[1] = 1; a[1, 2] = 1 }",
            "inconsistent arity (1 vs 2): identifier 'a' at 1:34",
        ),
        (
            "global a probe begin { a[1, 2, 3, 4, 5, 6, 7, 8, 9, 10] = 1 }",
            "array index has more than 9 dimensions: identifier 'a' at 1:24",
        ),
        (
            'global x probe begin { x = 1; x = "s" }',
            "type mismatch (string): identifier 'x' at 1:31",
        ),
        ("probe begin { println(x) }", "unresolved type : identifier 'x' at 1:23"),
        ("probe begin { break }", "cannot 'break' outside loop: keyword at 1:15"),
        (
            "global a probe begin { foreach (k in a) a[1] = 1 }",
            "variable 'a' modified during 'foreach' iteration: identifier 'a' at 1:41",
        ),
        (
            'probe begin { println("a" =~ "(") }',
            "regex compilation error (at position 0):"
            " expected ), found end of regex: string '(' at 1:30",
        ),
        (
            "global s probe begin { s <<< 1 println(s) }",
            "print format actual argument evaluation type unsupported: identifier 's' at 1:40",
        ),
        (
            "function f() { %{ %} }",
            "embedded expression code in unprivileged script;"
            " need stap -g: embedded-code at 1:16",
        ),
        ("function f() {}", "no probes found"),
        ("", "Input file 't.stp' is empty."),
    ],
)
def test_errors(check, text: str, error: str) -> None:
    found = check(text)
    assert found.typed is None
    assert found.errors[0].startswith(error)


def test_numbers_do_not_concatenate(check) -> None:
    assert check("probe begin { println(1 . 2) }").errors == [
        "type mismatch: expected string but found long: number '1' at 1:23"
    ]


def test_several_errors_in_one_run(check) -> None:
    found = check("probe begin { x = }\nprobe end { y = }\nglobal 1")
    assert [e.rsplit(" ", 1)[1] for e in found.errors] == ["1:19", "2:17", "3:8"]


def test_unresolved_probe_points_name_the_component(check) -> None:
    found = check("probe a = nosuch.x {}\nprobe a {}")
    (error,) = found.items
    assert error.message == "while resolving probe point"
    assert [d.message.split(" (")[0] for d in error.chain] == [
        "probe point mismatch",
        "while resolving probe point",
    ]


def test_wildcards_multiply_and_variables_resolve(check) -> None:
    typed = check('probe process("app").mark("*") { println($arg1, $$name) }').typed
    assert [p.point for p in typed.probes] == [
        'process("app").mark("hit")',
        'process("app").mark("miss")',
    ]
    for probe in typed.probes:
        assert [v.name for v in probe.facts.targets.values()] == ["arg1"]


def test_a_missing_variable_is_an_error_but_not_under_defined(check) -> None:
    point = 'probe process("app").mark("hit")'
    assert (
        "unable to find target variable '$arg9'"
        in check(f"{point} {{ print($arg9) }}").errors[0]
    )
    text = f"{point} {{ println(@defined($arg9) ? $arg9 : 7) }}"
    assert check(text).typed is not None


def test_optional_and_sufficient_points(check) -> None:
    text = 'probe process("app").mark("no")?, begin, end! { println(1) }'
    assert [p.point for p in check(text).typed.probes] == ["begin", "end"]
    text = 'probe process("app").mark("no")!, process("app").mark("hit")!, begin { println(1) }'
    assert [p.point for p in check(text).typed.probes] == ['process("app").mark("hit")']
    text = 'probe a = process("app").mark("hit")!, begin {}  probe a { println(1) }'
    assert [p.point for p in check(text).typed.probes] == ['process("app").mark("hit")']


def test_alias_bodies_stand_around_the_handler(check) -> None:
    text = "probe a = begin { x = 1 }, { println(3) } probe a { println(x) }"
    (probe,) = check(text).typed.probes
    assert len(probe.bodies) == 3
    assert probe.script_point == "begin"


def test_own_function_wins_over_the_library(check) -> None:
    typed = check("function strlen(x) { return 1 } probe begin { println(strlen(5)) }").typed
    (call,) = typed.probes[0].facts.calls.values()
    assert [f.name for f in call] == ["strlen"]


def test_what_is_never_used_is_not_checked(check) -> None:
    text = 'function bad() { return 1 + "a" } probe begin { if (0) x = 1 + "a"; println(1) }'
    typed = check(text).typed
    assert typed is not None
    assert typed.functions == ()


def test_conditions_see_globals_only(check) -> None:
    assert check("global g probe begin if (g > 1) { g = 1 }").typed is not None
    assert (
        check("probe begin if (x) { println(1) }")
        .errors[0]
        .startswith("probe condition must not reference undeclared global")
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("global n probe begin { n++ }", ["n"]),
        ("global n probe begin { n += 2 }", ["n"]),
        ("global n probe begin { x = n++ println(x) }", []),
        ("global a probe begin { a[1] = 2 }", ["a"]),
        ("global a probe begin { a[1] = 2 } probe end { println(a[1]) }", []),
        ("global s probe begin { s <<< 1 }", ["s"]),
        ("global n probe begin { if (n) n = 1 }", []),
    ],
)
def test_globals_that_are_only_written_are_displayed(
    check, text: str, shown: list[str]
) -> None:
    typed = check(text).typed
    own = text.count("probe")
    assert [g.name for g in typed.globals if not g.read and g.written] == shown
    assert len(typed.probes) == own + len(shown)
    assert len(check(text, global_display=False).typed.probes) == own


def test_shapes_of_statistics(check) -> None:
    text = """global s, a
    probe begin { s <<< 1; a[1] <<< 2 }
    probe end { print(@hist_linear(s, 0, 10, 2)) println(@max(s), @variance(a[1], 3)) }"""
    typed = check(text).typed
    s, a = typed.globals
    assert s.stat.parts == {"max"}
    assert (s.stat.buckets.kind, s.stat.buckets.step) == ("linear", 2)
    assert (a.stat.parts, a.stat.variance_bits) == ({"variance"}, 3)


def test_options(check) -> None:
    found = check(
        "global n = 1 probe begin { println(n, $1) }",
        arguments=("5",),
        globals_={"n": "0x10"},
        defines={"MAXACTION": "7"},
    ).typed
    assert found.globals[0].initial == 16
    assert found.options == {"MAXACTION": 7}


def test_every_fact_is_complete(check) -> None:
    text = """global a
    function f(x) { return x * 2 }
    probe process("app").mark("hit") { a[pid(), execname()] += f($arg1) ? 1 : 2 }
    probe end { foreach ([p, e] in a- limit 3) printf("%d %s %d\\n", p, e, a[p, e]) }"""
    typed = check(text).typed
    bodies = [(p.facts, b) for p in typed.probes for b in p.bodies]
    from bridge.script.syntax.walk import walk

    for facts, block in bodies:
        for node in walk(block):
            if isinstance(node, ast.Name):
                assert node in facts.names
            if isinstance(node, ast.Call):
                assert node in facts.calls
        assert {v.type for v in facts.locals.values()} <= {Type.LONG, Type.STRING}
        assert Type.UNKNOWN not in facts.types.values()


@pytest.mark.parametrize(
    "text",
    [
        "probe begin { x = " + "(" * 10_000 + "1" + ")" * 10_000 + " }",
        "probe begin { x = 1" + "+1" * 5_000 + " println(x) }",
        "probe begin { " + "if (1) x = 1 else " * 2_000 + "x = 2 }",
        "probe begin " + "{" * 5_000 + "}" * 5_000,
    ],
)
def test_deep_nesting_is_refused(check, text: str) -> None:
    assert check(text).errors[0].startswith("nesting too deep")


def test_moderate_nesting_is_fine(check) -> None:
    text = "probe begin { println(y" + "+y" * 400 + ") }"
    assert check(text).typed is not None


def test_the_longest_alias_name_wins(check) -> None:
    text = "probe a = never { x = 1 } probe a.b = end { x = 2 } probe a.b { println(x) }"
    found = check(text)
    assert found.typed is not None, found.errors
    assert [probe.point for probe in found.typed.probes] == ["end"]


def test_two_stars_cross_the_parts_of_a_name(check) -> None:
    text = "probe uno.two.three = begin { x = 1 } probe u**ee { println(x) }"
    found = check(text)
    assert found.typed is not None, found.errors
    assert [probe.point for probe in found.typed.probes] == ["begin"]


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("a[b-d}+", " (at position 6): unclosed character class"),
        ("a)", ""),
        ("a)b", " (at position 2): unbalanced ')'"),
        ("(a", " (at position 1): expected ), found end of regex"),
        ("(?", " (at position 1): unexpected '(?"),
        ("(?a)", " (at position 2): unexpected '(?a'"),
        ("a|*", " (at position 2): unexpected '*'"),
        ("^*", " (at position 1): postfix closure '*' applied to anchoring operator"),
        ("(^)*", ""),
        ("a{", " (at position 2): expected number"),
        ("a{1", " (at position 3): unexpected end of regex"),
        ("a{1a", " (at position 3): expected ',' or '}'"),
        ("a{1,a}", " (at position 5): expected '}' or number"),
        ("a{1,2", " (at position 4): expected }, found end of regex"),
        ("a{12345}", " (at position 8): 12345 is too large"),
        ("[[:alpha]", " (at position 9): unclosed character class '[:alpha'"),
        ("[[:alpha:]", " (at position 10): unclosed character class '[:alpha:'"),
        ("[[:x:]]", ": unknown character class 'x'"),
        ("[b-a]", " (at position 4): Inverted character range b-a"),
        ("[a-]", ""),
        ("[]]", ""),
        ("[]", " (at position 1): unclosed character class"),
        (r"\\", " (at position 2): unexpected end of regex"),
        (r"[a-\\]]", " (at position 5): Inverted character range a-\\"),
        (r"\x4g", " (at position 2): two hex digits required in escape sequence"),
        (r"\x4gz", " (at position 2): two hex digits required in escape sequence"),
        (r"\400", " (at position 1): octal escape sequence out of range"),
        (r"a\09z", " (at position 4): three octal digits required in escape sequence"),
        (r"\n(\101", " (at position 3): expected ), found end of regex"),
    ],
)
def test_patterns_are_refused_as_by_systemtap(pattern: str, problem: str) -> None:
    assert regex_problem(pattern) == problem


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("a{3,1}", " (at position 5): 3 to 1 times"),
        ("((a{999}){999}){999}", ": too large: "),
        ("()" * 128, ": too large: "),
        ("(" * 101, " (at position 100): nesting too deep"),
        ("a" + "?" * 101, " (at position 100): nesting too deep"),
        (r"[a\000]", " (at position 1): unclosed character class"),
    ],
)
def test_patterns_without_a_meaning_or_a_bound_are_refused(pattern: str, problem: str) -> None:
    assert regex_problem(pattern).startswith(problem)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (r'println("\x41" "b")', "hex escape sequence out of range"),
        (r'printf("\x100%d\n", 1)', "hex escape sequence out of range"),
        (r'println("\400")', "octal escape sequence out of range"),
        (r'println("\xg")', r"\x used with no following hex digits"),
        (r'println("\x041\377\8")', ""),
        (r'println(sprint(1) =~ "\x41b")', ""),
        (r'if (0) println("\x41b")', ""),
    ],
)
def test_escapes_that_no_c_compiler_takes(check, text: str, message: str) -> None:
    found = check(f"probe begin {{ {text} exit() }}")
    assert [error.partition(": string")[0] for error in found.errors] == [message] * bool(
        message
    )


def test_a_long_chain_of_dead_assignments_goes(check) -> None:
    chain = " ".join(f"x{i} = x{i - 1};" for i in range(1, 60))
    typed = check(f"probe begin {{ x0 = 1; {chain} println(1) }}").typed
    assert typed.probes[0].facts.locals == {}


def test_under_a_condition_that_is_never_true_nothing_is_written(check) -> None:
    typed = check("global n probe begin if (0) { n = 1 } probe end { println(1) }").typed
    assert typed.globals == ()
    assert [probe.script_point for probe in typed.probes] == ["begin", "end"]


def test_numbers_are_no_texts_where_constants_are_folded_first(check) -> None:
    for text in ("println(1 . 2)", "println(4 / 0 . 2)", 'println("a" + "b")'):
        found = check(f'probe process("demo").mark("hit") {{ {text} }}')
        assert found.errors[0].startswith(("type mismatch", "invalid"))
