"""What is dropped for having no effect, and what is said about it: as `stap -p2` does."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bridge.diagnostics import Severity
from bridge.errors import CompileError
from tests.support.scripts import compile_text

SCRIPTS = {
    "assignment": "probe begin { x = 1 } probe end { println(1) }",
    "loops": "global g probe begin { g = 5; g + 1; while (g) { } for (; g;) ; println(g) }",
    "counting loop": "probe begin { for (i = 0; i < 3; i++) ; println(1) }",
    "call": "function f() { return 1 } probe end { f(); ; {{ }} } probe begin { exit() }",
    "next": "probe end { next }",
    "in an alias": "probe foo = begin { x = 1 } probe foo { y = x } probe foo { println(x) }",
    "empty alias": "probe foo = begin { } probe foo { } probe end { println(2) }",
    "chain": "probe timer.s(3) { if (1) x = 5; y = 3; y } probe end { println(1) }",
    "try": "probe begin { try { } catch { println(1) } } probe end { println(1) }",
    "unset local": "probe begin { println(xy + 1) xyz = 1 println(xyz) }",
    "unset in function": "function f(a) { println(bb + 1); return a } probe end { f(3) }",
    "set twice": "probe begin { x = y = 1; println(y) }",
    "kept call": "probe begin { x = println_() } function println_() { println(1) return 1 }",
    "dead branch": 'probe begin { if (0) { x = 3 "d" . "a" y = x + 4 } println(3) }',
    "dead types": 'probe begin { if (0) { x = 3; x = "a" } println(3) }',
    "dead global": "global g probe begin { if (0 && g) println(4) println(3) }",
    "dead loop": "probe begin { for (i = 4; 0; i++) println(1); while (0) println(2) next }",
    "dead handler": "probe begin { try { if (0) next } catch { s = 1 println(s) } println(3) }",
    "dead call": "function f() { x = 2; return 4 } probe begin { if (f() * 0) f() println(3) }",
    "empty": "function f() { } probe begin { f(); println(2) }",
    "empty chain": "function f() { g() } function g() { h() } function h() { }"
    " probe begin { f(); println(2) }",
    "idle function": "global q function f(a) { foreach (k in q) { c = k } }"
    " probe begin { q[1] = 1; f(1); println(q[1]) }",
    "tried": "function f(a) { try { b = a } catch (e) { c = e } }"
    " probe begin { f(1); println(2) }",
    "defined": "probe begin { println(@defined(x), @defined(1 + 1), @defined(5)) }",
    "idle under a condition": "probe begin if (0) { } probe end { println(1) }",
    "private": "private global p global q, a = 1 probe begin { println(p + q + a) }",
    "foreach": "global a probe begin { a[1] = 1; z = 2; foreach (k in a) { } println(a[1]) }",
}


def _said(text: str) -> list[str]:
    """The warnings, as `message: token at line:column`."""
    compiled = compile_text(text)
    said = []
    for warning in compiled.warnings:
        place = compiled.sources.place(warning.span)
        assert place is not None
        said.append(f"{warning.message}: {warning.token} at {place.line}:{place.column}")
    return said


def _stap(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["stap", "-v", "-r", str(folder), "-p2", "-e", text, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.tools
@pytest.mark.parametrize("name", SCRIPTS)
def test_warnings_and_probes_are_those_of_stap(name: str, stap_folder: Path) -> None:
    ran = _stap(stap_folder, SCRIPTS[name])
    warnings = re.findall(r"^WARNING: (.* at )\S*?(\d+:\d+)$", ran.stderr, re.MULTILINE)

    assert ran.returncode == 0
    assert [a + b for a, b in warnings] == _said(SCRIPTS[name])
    probes = ran.stdout.partition("# probes\n")[2]
    points = re.findall(r"^(\w+)\S*(?: if \(.*\))? /\*", probes, re.MULTILINE)
    placed = compile_text(SCRIPTS[name], global_display=False).placed
    own = [handler.point.partition("(")[0] for handler in placed.program.handlers]
    assert own == points


REFUSED = {
    "function": "probe begin { if (0) nosuch() println(3) }",
    "arity": "function f() { return 4 } probe begin { if (1 - 1) println(f(1)) println(3) }",
    "types": 'probe begin { if (0) { x = 3; x = "a"; println(x) } println(3) }',
    "global": 'global g probe begin { while (0) { g = "a" } println(g + 1) }',
    "array": "probe begin { if (0) println(a[1]) println(3) }",
    "in a function": "function f() { if (0) nosuch() return 4 } probe begin { println(f()) }",
    "sides": 'probe begin { x = 0; if (x && 0) println("a" + 0) println(x) }',
    "condition": "global n probe begin if (n++ == 0) { println(1) }",
    "assigning condition": "global n probe begin if (0 && (n = 3)) { println(1) }",
    "printing condition": "probe begin if (println(1)) { println(1) }",
    "defined": "probe begin { println(@defined(nosuch())) }",
    "shift": "probe begin { if (0) println(1 >>> 2) println(5 >>> 3) }",
}


@pytest.mark.tools
@pytest.mark.parametrize("name", REFUSED)
def test_what_never_runs_is_looked_at_as_by_stap(name: str, stap_folder: Path) -> None:
    ran = _stap(stap_folder, REFUSED[name])
    pattern = r"^semantic error: (.*?)(?: at \S*?(\d+):(\d+))?$"
    first = re.search(pattern, ran.stderr, re.MULTILINE)
    assert first is not None

    with pytest.raises(CompileError) as refused:
        compile_text(REFUSED[name])

    error = next(d for d in refused.value.diagnostics if d.severity is Severity.ERROR)
    message = error.message.partition(" (similar")[0]
    said, line, column = re.sub(r" \(similar:.*?\)", "", first[1]), first[2], first[3]
    if line is None:  # SystemTap tells no place of `>>>`
        assert said == message
    else:
        assert said == f"{message}: {error.token}"
        assert (line, column) == ("1", str(error.span.start))


@pytest.mark.tools
@pytest.mark.parametrize("used", ["1", "$2", "argc", "argv[1]", "@1, $2"])
def test_arguments_that_nothing_uses(used: str, stap_folder: Path) -> None:
    text = f"probe begin {{ println({used}) exit() }}"
    ran = _stap(stap_folder, text, "5", "6")
    expected = re.findall(r"^WARNING: (unused .*)$", ran.stderr, re.MULTILINE)

    warnings = compile_text(text, arguments=("5", "6")).warnings

    assert ran.returncode == 0
    assert [w.message for w in warnings] == expected


def test_globals_that_nothing_sets() -> None:
    text = "global gee, abc = 1 probe begin { println(gee + abc) exit() }"
    message = "never-assigned global variable 'gee' (similar: gee, abc)"
    assert _said(text) == [f"{message}: identifier 'gee' at 1:8"]
    assert compile_text(text, globals_={"gee": "1"}).warnings == ()


def test_a_loop_that_is_dropped_alone_leaves_its_variable_without_a_type() -> None:
    with pytest.raises(CompileError, match="unresolved type"):
        compile_text(
            "global a probe begin { a[1] = 1 } probe end { foreach (k in a) { } exit() }"
        )


def test_a_script_of_which_nothing_is_left_is_refused() -> None:
    with pytest.raises(CompileError, match="no probes found"):
        compile_text("probe timer.s(1) { }")


def test_a_probe_that_does_nothing_stays_when_its_hits_are_recorded() -> None:
    text = 'probe process("demo").mark("hit") { } probe begin { exit() }'
    assert len(compile_text(text).placed.program.handlers) == 1
    assert len(compile_text(text, record=True).placed.program.handlers) == 2
