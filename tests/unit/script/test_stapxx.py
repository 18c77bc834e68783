"""stap++ scripts as the language: names, casts, modules, and what stands for nothing."""

from __future__ import annotations

import pytest

from bridge.script.stapxx import Given, Translator, Wrong
from bridge.source import SourceMap

MODULES = {
    "nginx/request.sxx": "@use nginx.string\n"
    'function f(r) { $*r := @cast(r, "req", "$^exec_path")'
    " return $*r->count }\n",
    "nginx/string.sxx": "@use nginx.request\nfunction g() { return 1 }\n",
}
GIVEN = Given(
    {"time": "5", "probe": 'kernel.trace("x")'},
    "/usr/sbin/nginx",
    "41",
    "pid() == target()",
    lambda: (
        "/lib/libluajit-5.1.so.2",
        "/lib/libz.so.1",
        "/lib/libc.so.6",
        "/lib/libczmq.so.4",
    ),
    lambda file: (f"tapset/{file}", MODULES[file]) if file in MODULES else None,
)
LINES = {
    'probe process("$^exec_path").begin { }': 'probe process("/usr/sbin/nginx").begin { }',
    "if ($^pid_ok) next # $^target": "if (pid() == target()) next # 41",
    "probe timer.s($^arg_time), $^arg_probe": 'probe timer.s(5), kernel.trace("x")',
    "x = $^arg_limit :default(10) + 1": "x = 10 + 1",
    "y = $^arg_time:default(7)": "y = 5",
    "probe @pfunc(ngx_http_log), @pfunc( g )": (
        'probe process("/usr/sbin/nginx").function("ngx_http_log"),'
        ' process("/usr/sbin/nginx").function("g")'
    ),
    'process("$^libluajit_path")': 'process("/lib/libluajit-5.1.so.2")',
    'process("$^libz_path")': 'process("/lib/libz.so.1")',
    'process("$^libc_path")': 'process("/lib/libc.so.6")',
    "return $return + $x->y": "return $return + $x->y",
}
WRONG = {
    "a\n b = $^arg_depth\n": ("--arg depth=VALUE", 8),
    "$*r->count": ("$*r := @cast", 1),
    "x = $^arg_time:least(3)": ("`:default(VALUE)`", 5),
    "@use nginx.string, nginx.lua": ("-I stapxx/tapset", 1),
    "x = $^elsewhere": ("docs/scripts.md", 5),
}


def _translated(text: str, given: Given = GIVEN) -> tuple[str, Translator]:
    sources = SourceMap()
    translator = Translator(given, sources)
    return translator.script(sources.add("a.sxx", text)), translator


@pytest.mark.parametrize("line", LINES)
def test_names(line: str) -> None:
    assert _translated(line)[0] == LINES[line]


def test_casts_hold_from_where_they_are_defined() -> None:
    text = (
        'function f(s) {\n  $*s := @cast(s, "str")\n  $*d := &@cast($*s->data, "t")[1]\n'
        "  return $*s->len + $*d->x\n}\n"
    )
    assert _translated(text)[0] == (
        'function f(s) {\n  \n  \n  return @cast(s, "str")->len'
        ' + &@cast(@cast(s, "str")->data, "t")[1]->x\n}\n'
    )


def test_modules_are_found_once_though_they_use_each_other() -> None:
    text, translator = _translated("@use nginx.request, nginx.string\nprobe end { }\n")
    assert text == "\nprobe end { }\n"
    assert translator.modules == {
        "tapset/nginx/request.sxx": '\nfunction f(r) {  return @cast(r, "req",'
        ' "/usr/sbin/nginx")->count }\n',
        "tapset/nginx/string.sxx": "\nfunction g() { return 1 }\n",
    }


def test_a_library_that_is_not_there_is_in_the_program_and_told_once() -> None:
    text, translator = _translated("$^libpcre_path $^libpcre_path $^libssl_path")
    assert text == " ".join(["/usr/sbin/nginx"] * 3)
    assert [note.code for note in translator.notes] == ["stapxx-static-library"] * 2


def test_arguments_that_nobody_asks_for() -> None:
    assert _translated("x = $^arg_time")[1].unused == {"probe"}


@pytest.mark.parametrize("text", WRONG)
def test_what_stands_for_nothing_is_refused_at_its_place(text: str) -> None:
    remedy, place = WRONG[text]
    with pytest.raises(Wrong) as caught:
        _translated(text)
    assert remedy in caught.value.remedy
    assert caught.value.at == place


@pytest.mark.parametrize("name", ["exec_path", "pid_ok", "target", "libz_path"])
def test_without_a_target_its_names_have_no_value(name: str) -> None:
    with pytest.raises(Wrong, match="there is no target") as caught:
        _translated(f"x = $^{name}", Given())
    assert "--exec FILE" in caught.value.remedy
