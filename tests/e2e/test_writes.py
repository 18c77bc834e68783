"""Assignments to the traced program, with -g: the program finds what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Compiler, Runner

PROGRAM = """
#include <markbridge/marker.h>
#include <stdio.h>
#include <string.h>
struct inner { char c; short s; int i; long l; unsigned bits : 3; };
struct outer { struct inner in; struct inner *next; char text[16]; };
struct outer shared = { .text = "before" };
static const char fixed[] = "fixed";
__attribute__((noinline)) long work(struct outer *p, int n)
{
    MARKBRIDGE_MARK(writes, here, p, fixed);
    __asm__ volatile("" ::: "memory");
    printf("%d %d %d %ld %s %s\\n", p->in.c, p->in.s, p->next->i, p->in.l, p->text, fixed);
    return n;
}
int main(void)
{
    struct inner next = {0};
    long sum = 0;
    setvbuf(stdout, 0, _IOLBF, 0);
    shared.next = &next;
    for (int i = 1; i <= 3; i++) sum += work(&shared, i);
    printf("%d\\n", next.i);
    return sum != 6;
}
"""
SCRIPT = r"""
global n
probe process("PROGRAM").function("work").call {
  n++
  $p->in->c = 64 + n
  $p->in->s += 300
  $p->next->i = $n * -1000
  if ($p->in->l++ != n - 1) warn("the value before")
  set_user_string(&$p->text, sprintf("hit %d", n))
}
probe process("PROGRAM").function("work").return {
  @cast(@var("shared@program.c")->next, "struct inner", "PROGRAM")->i = 7
}
"""
LATE = r"""
probe process("PROGRAM").mark("here") {
  try { set_user_int($arg2, 1) } catch (what) { println("fault") }
  set_user_char($arg1, 0x41); set_user_short($arg1 + 2, -2); set_user_long($arg1 + 8, 1 << 40)
  set_user_string_n($arg1 + 32, 3, "abcdef")
}
"""


@pytest.fixture
def program(compile_c: Compiler) -> Path:
    return compile_c("program", PROGRAM, "-g", "-O1")


@pytest.mark.bpf
@pytest.mark.guest
@pytest.mark.needs("func_ip")
@pytest.mark.parametrize("engine", ["native", "interpreter"])
def test_the_program_finds_what_was_written(run: Runner, program: Path, engine: str) -> None:
    script = SCRIPT.replace("PROGRAM", str(program))

    done = run("run", "-g", f"--engine={engine}", "-e", script, "-c", program)

    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "65 300 -1000 1 hit 1 fixed",
        "66 600 -2000 2 hit 2 fixed",
        "67 900 -3000 3 hit 3 fixed",
        "7",
    ]


@pytest.mark.bpf
def test_functions_that_write(run: Runner, program: Path) -> None:
    script = LATE.replace("PROGRAM", str(program))

    done = run("run", "-g", "-e", script, "-c", program)

    assert done.code == 0, done.err
    assert done.out.count("fault\n") == 3
    assert done.out.count(f"65 -2 0 {1 << 40} abc fixed\n") == 3


REFUSED = [
    ('process("PROGRAM").function("work") { $n = 1 }', "cannot change registers"),
    ('process("PROGRAM").function("work").return { $return = 1 }', "is in a register"),
    ('process("PROGRAM").function("work") { $p->in->bits = 1 }', "it is a bit-field"),
    ('process("PROGRAM").mark("here") { $arg1 = 1 }', "cannot change registers"),
    ('kernel.trace("sched_switch") { $prev_pid = 1 }', "the kernel's memory or registers"),
    ("syscall.read { set_user_int(buf_uaddr, 3) }", "the process cannot be stopped"),
    ("begin { set_kernel_int(1, 2) }", "no BPF program may write to the kernel's memory"),
    ("begin { mdelay(1) }", "delays nobody but itself"),
    ('begin { panic("x") }', "does not bring the machine down"),
]


@pytest.mark.bpf
@pytest.mark.parametrize(("text", "why"), REFUSED, ids=[text for text, _ in REFUSED])
def test_refusals_say_why(run: Runner, program: Path, text: str, why: str) -> None:
    done = run("check", "-g", "-e", f"probe {text.replace('PROGRAM', str(program))}")

    assert done.code == 1
    assert why in done.err


def test_without_guru_mode_nothing_is_written(run: Runner, program: Path) -> None:
    for text in ("$p->in->c = 1", "set_user_int($p, 1)"):
        probe = f'probe process("{program}").function("work") {{ {text} }}'
        done = run("check", "-e", probe)
        assert done.code == 1
        assert "error[needs-guru]" in done.err
