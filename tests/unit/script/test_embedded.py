"""Embedded C that is understood runs, in both engines; any other is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.functions import ENGINES, run

if TYPE_CHECKING:
    from pathlib import Path

VALUES = {
    "long (): STAP_RETVALUE = 5;": "5",
    "long (): STAP_RETVALUE = -0x10UL; /* pure */": "-16",
    "long (): STAP_RETURN(017);": "15",
    "long (): // nothing\n": "0",
    "string (): ": "",
    "long (a:long, b:long): STAP_RETVALUE = (STAP_ARG_a - 1) * 2 + (STAP_ARG_b & 0xf);": "4",
    "long (a:long, b:long): STAP_RETVALUE = (int64_t) STAP_ARG_a < STAP_ARG_b || 0;": "1",
    "long (a:long, b:long): THIS->__retvalue = !THIS->a;": "0",
    "string (s:string): strlcpy(STAP_RETVALUE, STAP_ARG_s, MAXSTRINGLEN);": "four",
    'string (): strlcpy(STAP_RETVALUE, "a\\"b", MAXSTRINGLEN);': 'a"b',
    "long (s:string): STAP_RETVALUE = strlen(STAP_ARG_s);": "4",
    'string (s:string, a:long): snprintf(STAP_RETVALUE, MAXSTRINGLEN, "%s=%5lld|%llx%%",'
    " STAP_ARG_s, (long long) STAP_ARG_a, STAP_ARG_a);": "four=    2|2%",
    'long (a:long): STAP_PRINTF("<%lld>", STAP_ARG_a); STAP_RETVALUE = 7;': "<2>7",
    'long (a:long): STAP_RETVALUE = STAP_ARG_a; STAP_PRINTF("p");': "p2",
}
SAME = {
    "long: STAP_RETVALUE = current->pid;": "tid()",
    "long: STAP_RETVALUE = task_pid_nr(current);": "tid()",
    "long: STAP_RETVALUE = (long) current->tgid;": "pid()",
    "long: STAP_RETURN(task_tgid_nr(current));": "pid()",
    "string: strlcpy (STAP_RETVALUE, current->comm, MAXSTRINGLEN);": "execname()",
    "long: STAP_RETVALUE = HZ;": "HZ()",
    "long: STAP_RETVALUE = (long) current;": "task_current()",
}
MORE = {
    "long (a:long): STAP_RETVALUE = (int) (STAP_ARG_a << 31);": "0",
    "long (a:long): if (STAP_ARG_a > 1) STAP_RETVALUE = 7; else STAP_RETVALUE = 8;": "7",
    "long (a:long): int i; for (i = 0; i < 5; i++) { if (i == 3) continue;"
    " STAP_RETVALUE += i; }": "7",
    "long (a:long): STAP_RETVALUE = 1; STAP_RETVALUE = 2;": "2",
    "long (a:long): STAP_RETURN(IS_ERR_VALUE(STAP_ARG_a) + 2 * IS_ERR_VALUE(STAP_ARG_a - 14)"
    " + 4 * IS_ERR_VALUE(STAP_ARG_a - 5000));": "2",
    "long (a:long): unsigned char c = 300 + STAP_ARG_a; STAP_RETURN(c);": "46",
    "long (a:long): u32 x = STAP_ARG_a - 3; STAP_RETURN(x);": "4294967295",
    "long (a:long): u64 x = -1; STAP_RETURN(x > 5 && x / 2 > 5);": "1",
    "long (a:long): switch (STAP_ARG_a) { case 2: STAP_RETURN(5); default: break; }"
    " STAP_RETURN(6);": "5",
    "long (a:long): long x = (typeof(x))STAP_ARG_a + sizeof(typeof(x)); STAP_RETURN(x);": "10",
    "long (a:long): do STAP_RETVALUE++; while (STAP_RETVALUE < 4);": "4",
    "long (a:long): int i = 3, next = 4; { int i = 5; next += i; }"
    " STAP_RETVALUE = i + next;": "12",
    "string (s:string): char *p = strchr(STAP_ARG_s, 'u'); if (p)"
    " strlcpy(STAP_RETVALUE, p, 10);": "ur",
    "string (s:string): char b[8]; sprintf(b, \"%s!\", STAP_ARG_s); b[1] = 'x'; b[4] = 0;"
    " strcpy(STAP_RETVALUE, b);": "fxur",
    'string (s:string): snprintf(STAP_RETVALUE, MAXSTRINGLEN, "%-3u|%03x|%c|%.2s", -1, 255, 65,'
    " STAP_ARG_s);": "4294967295|0ff|A|fo",
    'string (s:string): strlcpy(STAP_RETVALUE, "xyz", 3);': "xy",
    'string (s:string): if (!strcmp(STAP_ARG_s, "four") && strncmp(STAP_ARG_s, "foX", 2) == 0)'
    ' strcpy(STAP_RETVALUE, "same");': "same",
    "long (a:long): \n#if LINUX_VERSION_CODE >= KERNEL_VERSION(3,0,0)\n"
    "STAP_RETVALUE = 1;\n#else\n"
    "no\n#endif\n": "1",
    "long (a:long): STAP_RETVALUE = ntohs(0x1234) + sizeof(int) + sizeof(char *);": "13342",
}
REFUSED = {
    "long (): STAP_RETVALUE = foo();": ("`foo` cannot be called", "foo"),
    "long (): STAP_RETVALUE = x;": ("`x` is not known here", "x;"),
    "long (a:long): STAP_RETVALUE = STAP_ARG_b;": ("no parameter `b`", "STAP_ARG_b"),
    "long (a:long): STAP_RETVALUE = STAP_ARG_a +;": ("`;` is not understood", ";"),
    "long (): STAP_RETVALUE = 1": ("in the middle of a statement", "1"),
    "long (): STAP_RETVALUE = 99999999999999999999;": ("too large", "99999999999999999999"),
    "long (): *(int *)0 = 1;": ("writes to memory of the kernel", "*"),
    "long (): current->pid = 1;": ("only local variables", "->"),
    'long (): panic("x");': ("`panic` cannot be called", "panic"),
    'long (): \n#include "mine.h"\n': ("header mine.h", "#"),
    'long (a:long): STAP_PRINTF("%lld");': ("more conversions", '"%lld"'),
    "long (a:long): STAP_PRINTF(STAP_ARG_a);": ("no literal", "STAP_PRINTF"),
    "string (): strlcpy(STAP_RETVALUE, 5, MAXSTRINGLEN);": ("no text", "5,"),
    'string (): STAP_ERROR("%s");': ("more conversions", '"%s"'),
    "long (): goto out; { out: ; }": ("no label", "goto out"),
    "long (): int a[3]; STAP_RETVALUE = a[1];": ("an array of more", "a[3]"),
    "long (): struct task_struct t;": ("structure as a local", "t;"),
    "long (): float f = 1;": ("not understood", "f ="),
    "long (a:long): u64 x = STAP_ARG_a; STAP_RETVALUE = x / x;": ("unsigned numbers", "/ x"),
    'long (): asm volatile("nop");': ("not understood", "volatile"),
    'long (): char *p = "a"; p = current->mm;': ("a text and an address", "p = current"),
}


def _function(case: str) -> str:
    head, _, code = case.partition("): ")
    result, _, parameters = head.partition(" (")
    return f"function f:{result}({parameters}) %{{ {code} %}}\n"


def _call(case: str) -> str:
    names = case.partition("(")[2].partition(")")[0]
    arguments = {"": "", "a:long": "2", "a:long, b:long": "2, 18", "s:string": '"four"'}
    return f"f({arguments.get(names, chr(34) + 'four' + chr(34) + ', 2')})"


@pytest.mark.parametrize("engine", ENGINES)
def test_values(engine: str, tmp_path: Path) -> None:
    for case, expected in (VALUES | MORE).items():
        text = f"{_function(case)}probe begin {{ println({_call(case)}) exit() }}"
        printed = run(engine, text, tmp_path, guru=True)
        assert (printed.output.decode(), printed.messages) == (f"{expected}\n", ()), case


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_read_of_the_kernel(engine: str, tmp_path: Path) -> None:
    for case, expected in SAME.items():
        result, _, code = case.partition(": ")
        # a function of the script with that name changes nothing
        own = f"function {expected.removesuffix('()')}:{result}() %{{ {code} %}}"
        text = f"function f:{result}() %{{ {code} %}} probe begin {{ a = f() b = {expected}"
        for functions in ("", own):
            script = f"{functions} {text} println(a == b, a) exit() }}"
            printed = run(engine, script, tmp_path, guru=True)
            assert printed.messages == ()
            assert printed.output.startswith(b"1"), case


@pytest.mark.parametrize("engine", ENGINES)
def test_errors_expressions_and_clocks(engine: str, tmp_path: Path) -> None:
    text = """
    function bad:long() %{ STAP_PRINTF("before "); STAP_ERROR("no\\tgood"); %}
    function clock:long() %{ /* pure */ STAP_RETVALUE = jiffies; %}
    function cpu_:long() %{ STAP_RETVALUE = smp_processor_id(); %}
    function nothing() %{ %}
    probe begin {
      nothing()
      try { bad() } catch (e) { println(e) }
      println(@const("6*7"), " ", %{ 0x10 %}, " ", %{ current->pid %} == tid())
      println(%{ /* string */ "text" %}, clock() > 0, cpu_() >= 0) exit()
    }"""
    printed = run(engine, text, tmp_path, guru=True)
    assert printed.messages == ()
    assert printed.output == b"before no\tgood\n42 16 1\ntext11\n"


@pytest.mark.parametrize("case", REFUSED)
def test_any_other_is_refused_at_its_token(check, case: str) -> None:
    reason, token = REFUSED[case]
    text = f"{_function(case)}probe begin {{ println({_call(case)}) }}"
    found = check(text, guru=True)
    assert found.typed is None
    (error,) = [e for e in found.errors if "embedded C" in e]
    assert error.startswith("function 'f' is embedded C, which is not supported: ")
    assert reason in error
    at = text.index(token, text.index("%{"))
    line, column = 1 + text.count("\n", 0, at), at - text.rfind("\n", 0, at)
    assert error.endswith(f" at {line}:{column}")


@pytest.mark.parametrize("code", ["foo", "&x", "STAP_ARG_x", "1 +", "jiffies +"])
def test_other_expressions_are_refused(check, code: str) -> None:
    found = check(f"probe begin {{ println(%{{ {code} %}}) }}", guru=True)
    assert found.typed is None
    assert found.errors[0].startswith("embedded C is not supported")


def test_it_needs_guru_mode(check) -> None:
    found = check("function f:long() %{ STAP_RETVALUE = 5; %} probe begin { println(f()) }")
    assert found.errors == [
        "embedded code in unprivileged script; need stap -g: embedded-code at 1:19"
    ]


def test_a_function_that_is_not_pure_is_called_for_its_effect(check) -> None:
    function = "function f:long() %{{ {} STAP_RETVALUE = 5; %}} probe begin {{ f() }}"
    assert check(function.format(""), guru=True).typed is not None
    assert check(function.format("/* pure */"), guru=True).typed is None


HELPERS = """%{
#include <linux/string.h>
#define TWICE(x) ((x) * 2)
#define NAME(x) #x
enum { FIRST = 3, SECOND };
struct pair { char a; long b; short c[3]; };
typedef struct pair pair_t;
static inline int triple(int a) { int i, s = 0; for (i = 0; i < 3; i++) s += a; return s; }
static void nothing(void) { return; }
%}
function f:string(a:long) %{
  nothing();
  snprintf(STAP_RETVALUE, MAXSTRINGLEN, "%s %d %d %lu %lu", NAME(me), TWICE(triple(STAP_ARG_a)),
           SECOND, sizeof(pair_t), offsetof(struct pair, c));
%}
probe begin { println(f(2)) exit() }
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_the_level_of_the_file(engine: str, tmp_path: Path) -> None:
    printed = run(engine, HELPERS, tmp_path, guru=True)
    assert (printed.output, printed.messages) == (b"me 12 4 24 16\n", ())


OWN = """%{
struct mine { struct list_head list; struct kref n; short x; };
static int get_task_cred(int a) { return a + 1; }
%}
function f(a) %{ STAP_RETVALUE = get_task_cred(STAP_ARG_a) + 100 * sizeof(struct mine); %}
function g(a) %{ STAP_PRINTF("%d ", (int)STAP_ARG_a); %}
probe begin { g(1) println(f(2)) exit() }
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_functions_of_the_file_go_before_those_of_the_kernel(
    engine: str, tmp_path: Path
) -> None:
    """A function without a declared result has one if its code says so."""
    printed = run(engine, OWN, tmp_path, guru=True)
    assert (printed.output, printed.messages) == (b"1 2403\n", ())


KEPT = """%{
int hits = 3, other, never_read;
static unsigned char small = 250;
static void bump(int by) { never_read = by; hits += by; small += by; }
%}
function f:long (a:long) %{ bump(STAP_ARG_a); other = hits * 2; STAP_RETVALUE = hits++; %}
function g:string () %{
  snprintf(STAP_RETVALUE, MAXSTRINGLEN, "%d %d %d", hits, other, small);
%}
probe begin { println(f(4)) println(f(10)) println(g()) exit() }
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_variables_of_the_file_keep_their_values(engine: str, tmp_path: Path) -> None:
    """By hand: 3 + 4; 8 + 10; 250 + 14 in eight bits."""
    printed = run(engine, KEPT, tmp_path, guru=True)
    assert (printed.output, printed.messages) == (b"7\n18\n19 36 8\n", ())


JUMPS = """
function f:long (a:long) %{
  int i, n = 0;
  if (STAP_ARG_a < 0) goto out_err;
  for (i = 0; i < 10; i++) { if (i == STAP_ARG_a) goto found; n += i; }
  goto none;
found:
  STAP_RETVALUE = n;
  return;
none:
  STAP_RETVALUE = 1000 + n;
  if (STAP_ARG_a == 77) { n = 5; goto found; }
  return;
out_err:
  STAP_RETVALUE = -1;
%}
function g:long (a:long) %{
  int tries = 0;
again:
  tries++;
  switch (tries) {
    case 1: goto again;
    case 2: if (STAP_ARG_a) goto again; break;
    default: while (1) { while (1) goto out; }
  }
  STAP_RETURN(100 + tries);
out:
  STAP_RETURN(tries);
%}
probe begin { printf("%d %d %d %d %d %d", f(-3), f(4), f(20), f(77), g(0), g(1)) exit() }
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_goto_leaves_loops_and_goes_back(engine: str, tmp_path: Path) -> None:
    """What gcc gives; test_embedded_c.py in properties/script has random ones."""
    printed = run(engine, JUMPS, tmp_path, guru=True)
    assert (printed.output, printed.messages) == (b"-1 6 1045 5 102 3", ())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("goto nowhere;", "`nowhere` is no label"),
        ("if (1) { inner: ; } goto inner;", "`inner` is no label"),
        ("while (1) { inner: ; goto inner; }", "the label `inner` inside of another statement"),
        ("out: if (1) { inner: ; } goto out;", "the label `inner` inside of another statement"),
    ],
)
def test_a_jump_that_is_not_understood(check, body: str, reason: str) -> None:
    script = f"function f:long() %{{ {body} %}} probe begin {{ println(f()) }}"
    found = check(script, guru=True)
    assert found.typed is None
    assert [e for e in found.errors if "not supported" in e and reason in e], found.errors


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("int n[4]; %} function f:long() %{ STAP_RETVALUE = n[0];", "and no number"),
        ("int n = {1}; %} function f:long() %{ STAP_RETVALUE = n;", "values in braces"),
        (
            "int g(int a) { return h(a); } %} function f:long() %{ STAP_RETVALUE = g(1);",
            "`h`",
        ),
        ("#include <mine.h>\n%} function f:long() %{ STAP_RETVALUE = 1;", "mine.h"),
        ("int g( %} function f:long() %{ STAP_RETVALUE = 1;", "in the middle"),
    ],
)
def test_a_file_level_that_is_not_understood(check, code: str, reason: str) -> None:
    found = check(f"%{{ {code} %}} probe begin {{ println(f()) }}", guru=True)
    assert found.typed is None
    assert [e for e in found.errors if "not supported" in e and reason in e], found.errors
