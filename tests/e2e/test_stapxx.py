"""Scripts of stap++ run: with their modules, arguments and target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Compiler, Runner

PROGRAM = """
struct pair { int first; int second; };
struct pair pair = { 3, 4 };
__attribute__((noinline)) int work(struct pair *p) { asm volatile(""); return p->first; }
int main(void) { return work(&pair) - 3; }
"""
MODULE = """function second(p) {
  $*p := @cast(p, "pair", "$^exec_path")
  return $*p->second
}
"""
SCRIPT = """#!/usr/bin/env stap++
@use app.pairs
probe @pfunc(work) {
  if ($^pid_ok) printf("%d of $^arg_unit:default(units)\\n", second($p) * $^arg_times)
}
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    module = tmp_path / "tapset" / "app" / "pairs.sxx"
    module.parent.mkdir(parents=True)
    module.write_text(MODULE)
    path = tmp_path / "samples" / "work.sxx"
    path.parent.mkdir()
    path.write_text(SCRIPT)
    return path


@pytest.mark.bpf
@pytest.mark.parametrize("unit", ["units", "things"])
def test_a_script_with_a_module(
    run: Runner, compile_c: Compiler, script: Path, unit: str
) -> None:
    program = compile_c("work", PROGRAM, "-g", "-O1")
    words = ["--arg", f"unit={unit}"] if unit != "units" else []

    done = run("run", "--xx", script, "--arg", "times=5", *words, "-c", program)

    assert done.out == f"20 of {unit}\n", done.err


def test_what_is_missing_is_said_at_its_place(run: Runner, script: Path) -> None:
    assert "--exec FILE" in run("check", "--xx", script).err
    done = run("check", "--xx", script, "--exec", "/bin/true")
    assert done.code == 1
    assert "error[stapxx-name]: $^arg_times has no value" in done.err
    assert "work.sxx:4:" in done.err
    assert "give --arg times=VALUE" in done.err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--exec", "/no/such"], "there is no such program"),
        (["-x", "999999999"], "there is no such process"),
        (["--exec", "/bin/true", "--arg", "times"], "--arg needs NAME=VALUE"),
    ],
)
def test_options_that_mean_nothing(
    run: Runner, script: Path, words: list[str], reason: str
) -> None:
    done = run("check", "--xx", script, *words)
    assert done.code != 0
    assert reason in done.err


def test_limits_of_the_original_unless_they_are_given(run: Runner, tmp_path: Path) -> None:
    path = tmp_path / "fill.sxx"
    path.write_text(
        "global a probe oneshot { for (i = 0; i < 4000; i++) a[i] = 3 println(a[3999]) }"
    )
    assert run("run", "--xx", path).out == "3\n"
    assert run("run", "--xx", path, "-DMAXMAPENTRIES=100").out == ""
