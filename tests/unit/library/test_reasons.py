"""Refusals: one message per mistake, the reason first, at most five alternatives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import bridge
from bridge.cli.front import dispatch

if TYPE_CHECKING:
    from pathlib import Path

REASONS = {
    'probe process("/nonexistent").mark("x") { }': "<input>:1:7: /nonexistent: no such file",
    'probe process("/etc/passwd").mark("x") { }': "<input>:1:7: /etc/passwd: not an ELF file",
    'probe process("/bin/true").mark("x") { }': ".*/true: has no markers",
    "probe nosuch.thing { }": r"<input>:1:7: probe point mismatch \(similar: .*'nosuch'",
    'probe begin { prinln("a") }': r".*function prinln.*\(did you mean `println`\?\)",
    'probe begin { pritnf("a") }': r".*function pritnf.*\(did you mean `printf?`\?\)",
    "probe begin { println(execnam()) }": r".*\(did you mean `execname`\?\)",
    "probe begin { println(strlne(1)) }": r".*\(did you mean `strlen`\?\)",
    "probe begin {": "<input>:1:14: expected statement",
    'probe begin { printf("%d") }': "<input>:1:15: .*",
}


def _refused(text: str) -> bridge.CompileError:
    with pytest.raises(bridge.CompileError) as refused:
        bridge.compile(text).attach()
    return refused.value


@pytest.mark.parametrize("text", REASONS)
def test_the_exception_says_why(text: str) -> None:
    error = _refused(text)

    (line,) = str(error).splitlines()
    assert re.match(REASONS[text], line)
    assert "while resolving" not in line
    assert len(error.reasons) == 1


@pytest.mark.parametrize("text", REASONS)
def test_a_mistake_is_told_once(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert dispatch(["check", "-e", text]) == 1

    told = capfd.readouterr().err
    assert told.count("error[") == 1
    assert not told.startswith("error[while")


def test_two_mistakes_are_two() -> None:
    error = _refused("probe begin { nosuch1() } probe end { nosuch2() }")

    assert [line.partition(": unresolved")[0] for line in str(error).splitlines()] == [
        "<input>:1:15",
        "<input>:1:39",
    ]


def _said(text: str, *more: str) -> bridge.Diagnostic:
    from bridge.diagnostics import told

    diagnostic = bridge.Diagnostic("code", text)
    follow_ups = [bridge.Diagnostic("unresolved-type", one) for one in more]
    (only,) = told([diagnostic, *follow_ups])
    return only


def test_few_alternatives() -> None:
    names = ", ".join(f"name{number}" for number in range(300))
    expected = "name0, name1, name2, name3, name4"

    for word in ("alternatives", "similar", "similar tracepoints"):
        said = _said(f"no member 'x' for struct s ({word}: {names})", "unresolved type")
        assert said.message == f"no member 'x' for struct s ({word}: {expected})"
    assert _said("no (similar: one)").message == "no (similar: one)"
    assert _said("f(x): g(y)").message == "f(x): g(y)"


@pytest.mark.bpf
def test_a_member_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    text = 'probe kernel.trace("sched_switch") { println($next->pidd) }'

    assert dispatch(["check", "-e", text]) == 1

    told = capfd.readouterr().err
    assert told.count("error[") == 1
    assert len(told) < 400
    assert "(alternatives: pid, " in told


def test_the_diagnostics_keep_the_words_of_systemtap() -> None:
    (diagnostic,) = _refused('probe process("/nonexistent").mark("x") { }').diagnostics

    assert diagnostic.message == "while resolving probe point"
    assert [d.message for d in diagnostic.chain] == ["no match", "/nonexistent: no such file"]


def test_markers_of_what_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("x" * 100)
    (tmp_path / "cut").write_bytes(b"\x7fELF\2\1\1" + bytes(20))
    cases = {
        "/nonexistent": "/nonexistent: no such file",
        str(tmp_path): "is a directory",
        str(tmp_path / "text"): "not an ELF file",
        str(tmp_path / "cut"): "ELF file",
    }
    for path, reason in cases.items():
        with pytest.raises(bridge.ProgramError, match=reason):
            bridge.markers_of(path)
    assert bridge.markers_of("/bin/true") == ()
