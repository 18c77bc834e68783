"""The reference interpreter against what SystemTap does (spec sections 5 to 10)."""

import pytest

from bridge.interpreter.interpret import HandlerHit, Interpreter, Outcome, UnreadableMemory
from bridge.script.builtins import CONTEXTS
from tests.support.scripts import compile_text


def _run(text: str, **options: object) -> Outcome:
    program = compile_text(text, **options).placed.program
    return Interpreter(program, CONTEXTS).run_session()


def _output(body: str, declarations: str = "global a, b, s, n", **options: object) -> str:
    text = f"{declarations}\nprobe begin {{ {body}\nexit() }}"
    outcome = _run(text, global_display=False, **options)
    assert outcome.messages == ()
    return outcome.output.decode("latin-1")


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 / -2", "-3"),
        ("-7 % 3", "-1"),
        ("(1 << 63) / -1", str(-(2**63))),
        ("(1 << 63) % -1", "0"),
        ("1 << 65", "1"),
        ("1 << (x + 66)", "2"),
        ("-x << 65", "2"),
        ("-8 >> 1", "-4"),
        ("x >>> 60", "15"),
        ("-(1 << 63)", str(-(2**63))),
        ('"b" > "a" && !("ab" < "a")', "1"),
        ("1 || 1 / 0", "1"),
        ("x++ + x", "-1"),
        ("x + (x = 5)", "4"),
        ("(x = 5) + x++ + x", "16"),
    ],
)
def test_arithmetic(expression: str, value: str) -> None:
    assert _output(f'x = -1; printf("%d", {expression})') == value


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("a[2] = 1; println(a[1]); println(1 in a)", "0\n0\n"),
        ("a[1] += 0; println(1 in a)", "1\n"),
        ("a[3]=1 a[1]=1 a[2]=1; delete a[3]; a[3]=1; foreach (k in a) print(k)", "123"),
        ("a[1]=5 a[2]=9 a[3]=1 a[4]=7 a[5]=3 a[6]=8; foreach (k in a- limit 2) print(k)"
         ' println(""); foreach (k in a) print(k)', "26\n264135"),
        ("a[1]=2 a[2]=2 a[3]=1; foreach (k in a+) print(k); foreach (k in a) print(k)",
         "312312"),
        ("a[1]=1 a[2]=1; foreach (k in a limit 0) print(k)", ""),
        ('b["x",1]=1 b["y",2]=1 b["x",3]=1; foreach ([p,q] in b["x",*] limit 2) print(q)', "1"),
        ('b["x",1]=1 b["y",2]=1; delete b[*,1]; foreach ([p,q] in b) print(p)', "y"),
    ],
)  # fmt: skip
def test_arrays(body: str, text: str) -> None:
    assert _output(body) == text


def test_wrapping_arrays_forget_the_oldest() -> None:
    body = "for (i = 0; i < 5; i++) w[i] = i; foreach (k in w) print(k)"
    assert _output(body, "global w%[3]") == "234"


@pytest.mark.parametrize(
    ("values", "bits", "variance"),
    [
        ((10, 20, 35), 0, 165),
        ((2, 4, 4, 4, 5, 5, 7, 9), 0, 13),
        ((1, 2, 3, 4), 10, 1),
        ((8,), 0, 0),
    ],
)
def test_variance_rounds_as_systemtap_does(
    values: tuple[int, ...], bits: int, variance: int
) -> None:
    feed = " ".join(f"s <<< {value};" for value in values)
    assert _output(f"{feed} print(@variance(s, {bits}))") == str(variance)


def test_a_linear_histogram() -> None:
    feed = "s <<< -5; s <<< 12; s <<< 13; s <<< 500;"
    assert _output(f"{feed} print(@hist_linear(s, 0, 50, 10))").splitlines() == [
        "value |-------------------------------------------------- count",
        "   <0 |@                                                  1",
        "    0 |                                                   0",
        "   10 |@@                                                 2",
        "   20 |                                                   0",
        "   30 |                                                   0",
        "   40 |                                                   0",
        "   50 |                                                   0",
        "  >50 |@                                                  1",
        "",
    ]


def test_a_long_gap_is_elided() -> None:
    lines = _output("s <<< 1; s <<< 1 << 20; print(@hist_log(s))").splitlines()
    assert sum(line.endswith(" ~") for line in lines) == 1
    assert sum("|@" in line for line in lines) == 2


@pytest.mark.parametrize(
    ("format_", "arguments", "text"),
    [
        ("%5d|%-5d|%05d", "1, 2, 3", "    1|2    |00003"),
        ("%+d|% d|%.3d|%6.3d", "0, 5, 7, 7", "+0| 5|007|   007"),
        ("%#x|%#o|%p|%X", "0, 0, 255, 255", "0x0|00|0xff|FF"),
        ("%s|%.2s|%5.1s|%-4s|", '"abc", "abc", "abc", "ab"', "abc|ab|    a|ab  |"),
        ("%*d|%.*s", '4, 1, 2, "abc"', "   1|ab"),
        ("%c%#c%#c", "65, 10, 1", "A\\n\\001"),
        ("%2b", "16961", "AB"),
        ("%d%%", "-1 << 63", "-9223372036854775808%"),
    ],
)
def test_printf(format_: str, arguments: str, text: str) -> None:
    assert _output(f'printf("{format_}", {arguments})') == text


def test_strings_are_cut_without_a_word() -> None:
    body = 'x = "0123456789"; x .= x; print(strlen(x)); b[x, 1] = 1; print(sprintf("%s", x))'
    assert _output(body, defines={"MAXSTRINGLEN": "16"}) == "15012345678901234"


def test_errors_name_the_place_and_the_calls() -> None:
    outcome = _run("function f(x) { return 1 / x }\nprobe begin { println(f(0)) }")
    assert outcome.messages == (
        "ERROR: division by 0 near operator '/' at a.stp:1:26"
        " (called from identifier 'f' at a.stp:2:23) in probe begin",
    )
    assert outcome.exit_code == 1


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("probe begin { exit() println(1) } probe begin(1) { println(2) }"
         " probe end { println(3) }", "1\n3\n"),
        ('probe begin { error("x") } probe end { println(1) } probe error { println(2) }',
         "2\n"),
        ("probe end { println(1) error(\"x\") } probe end(1) { println(2) }"
         " probe error { println(3) } probe begin { exit() }", "1\n3\n"),
        ("global n probe timer.ms(3) { n++ } probe timer.ms(10) { println(n) exit() }", "3\n"),
        ("global on probe begin if (on) { println(1) } probe begin(1) { on = 1 exit() }"
         " probe end if (on) { println(2) }", "2\n"),
        ("probe begin { abort() println(1) } probe end { println(2) }", "2\n"),
    ],
)  # fmt: skip
def test_life(text: str, output: str) -> None:
    assert _run(text).output.decode() == output


def test_nothing_catches_maxaction() -> None:
    outcome = _run("probe begin { try { while (1) { x++ } } catch { println(1) } }")
    assert outcome.output == b""
    assert outcome.messages[0].startswith("ERROR: MAXACTION exceeded near")


def test_deep_recursion_is_a_limit_of_the_script() -> None:
    text = (
        "function f(n) { return n ? 1 + f(n - 1) : 0 } probe begin { println(f(2000)) exit() }"
    )
    limits = {"MAXNESTING": "3000", "MAXACTION": "100000"}
    assert _run(text, defines=limits).output == b"2000\n"
    assert "MAXNESTING exceeded" in _run(text).messages[0]


def test_overloads_fall_through() -> None:
    text = """function f(x) { if (x > 1) next; return 1 }
    function f(x):2 { if (x > 2) next; return 2 }
    probe begin { println(f(1), f(2)) try { print(f(3)) } catch (m) { println(m) } exit() }"""
    assert _run(text, unoptimized=True).output == b"12\nall functions exhausted\n"


def test_a_hit_by_hand() -> None:
    text = 'probe process("demo").mark("hit") { println($arg1, user_string($arg2)) }'
    program = compile_text(text).placed.program
    hits = [HandlerHit(0, [7, b"seven"]), HandlerHit(0, [8, UnreadableMemory(16)])]
    outcome = Interpreter(program, CONTEXTS).run_session(hits=hits)
    assert outcome.output == b"7seven\n"
    assert "user string copy fault -14 at 0x10 [man error::fault] near" in outcome.messages[0]
