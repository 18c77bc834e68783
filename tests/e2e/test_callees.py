"""`.callee` and `.callees` of programs: hits by the function that they are called from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.victims import compile_c

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = [pytest.mark.bpf, pytest.mark.tools("gcc")]

PROGRAM = r"""
static inline __attribute__((always_inline)) int copied(int x)
{ volatile int y = x * 3; return y + 1; }
__attribute__((noinline)) int leaf(int a) { volatile int z = a; return z + copied(z); }
__attribute__((noinline)) int mid(int b)
{ volatile int q = leaf(b) + 1; q += leaf(b + 2); return q; }
__attribute__((noinline)) int other(int b) { volatile int q = leaf(b + 100); return q; }
int main(int argc, char **argv)
{ int (*volatile p)(int) = leaf; return !(mid(argc) + other(argc) + p(7)); }
"""
SCRIPT = """
probe process("{0}").function("mid").callee("leaf") {{ println("called ", $a) }}
probe process("{0}").function("main").callees(2) {{ names[probefunc()]++ }}
probe process("{0}").function("other").callees(2) {{ inner[probefunc()]++ }}
global names, inner
probe end {{
  foreach (name+ in names) println(name, " ", names[name])
  foreach (name+ in inner) println("in other: ", name, " ", inner[name])
}}
"""


@pytest.mark.parametrize("version", ["-gdwarf-4", "-gdwarf-5"])
@pytest.mark.parametrize("position", ["-pie", "-no-pie"])
def test_only_calls_by_the_caller_count(
    run: Runner, tmp_path: Path, version: str, position: str
) -> None:
    kind = ("-fpie", "-pie") if position == "-pie" else ("-fno-pie", "-no-pie")
    program = compile_c(tmp_path, "victim", PROGRAM, "-g", "-O2", version, *kind)

    done = run("run", "-e", SCRIPT.format(program), "-c", program)

    assert done.out.splitlines() == [
        *("called 1", "called 3"),
        *("leaf 3", "mid 1", "other 1"),
        *("in other: copied 1", "in other: leaf 1"),
    ], done.err


def test_returns_are_of_calls_by_the_caller(run: Runner, tmp_path: Path) -> None:
    program = compile_c(tmp_path, "victim", PROGRAM, "-g", "-O2")
    point = f'process("{program}").function("mid").callee("leaf").return'

    done = run("run", "-e", f"probe {point} {{ println($return) }}", "-c", program)

    assert done.out.splitlines() == ["5", "13"], done.err
