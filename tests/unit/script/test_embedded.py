"""Embedded C that is understood runs, in both engines; any other is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from functions import ENGINES, run

from bridge.script.analysis import embedded
from bridge.script.builtins import BUILTINS

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
REFUSED = [
    "long (): STAP_RETVALUE = foo();",
    "long (): STAP_RETVALUE = x;",
    "long (a:long): STAP_RETVALUE = STAP_ARG_b;",
    "long (a:long): STAP_RETVALUE = STAP_ARG_a / 0;",
    "long (a:long): STAP_RETVALUE = STAP_ARG_a << 40;",
    "long (a:long): STAP_RETVALUE = STAP_ARG_a < 2 == 1;",
    "long (a:long): STAP_RETVALUE = STAP_ARG_a * 100000;",
    "long (a:long): STAP_RETVALUE = (int) STAP_ARG_a;",
    "long (): STAP_RETVALUE = 30000 * 30000 * 30000;",
    "long (): STAP_RETVALUE = 99999999999999999999;",
    "long (a:long): STAP_RETVALUE = STAP_ARG_a +;",
    "long (): STAP_RETVALUE = 1",
    "long (): STAP_RETVALUE = 1; STAP_RETVALUE = 2;",
    "long (): if (1) STAP_RETVALUE = 1;",
    "long (): *(int *)0 = 1;",
    "long (): panic(\"x\");",
    "long (): \n#include <linux/fs.h>\n",
    'long (a:long): STAP_PRINTF("%d", STAP_ARG_a);',
    'long (a:long): STAP_PRINTF("%lld");',
    'long (a:long): STAP_PRINTF(STAP_ARG_a);',
    'string (): strlcpy(STAP_RETVALUE, "x", 10);',
    'string (): strlcpy(STAP_RETVALUE, 5, MAXSTRINGLEN);',
    'string (): STAP_ERROR("%s");',
]  # fmt: skip


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
    for case, expected in VALUES.items():
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
def test_any_other_is_refused_at_the_function(check, case: str) -> None:
    found = check(f"{_function(case)}probe begin {{ println({_call(case)}) }}", guru=True)
    message = "function 'f' is embedded C, which is not supported: identifier 'f' at 1:10"
    assert found.typed is None
    assert found.errors == [message]


@pytest.mark.parametrize("code", ["foo", "&x", "STAP_ARG_x", "1 +", "jiffies + 1"])
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


def test_every_row_of_the_tables_is_made_of_built_in_functions() -> None:
    names = {name for name, _ in BUILTINS}
    for meaning in (*embedded.NUMBERS.values(), *embedded.TEXTS.values()):
        called = embedded.tokens(meaning)[0]
        assert called.isdigit() or called in names
