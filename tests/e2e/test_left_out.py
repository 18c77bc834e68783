"""Wildcards go on without what the kernel refuses; each place by itself is an error."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Compiler, Runner

pytestmark = pytest.mark.bpf

# f_locked begins with an instruction that uprobes do not take (a lock prefix), and the marker
# `bare` is where one would overwrite the red zone.
VICTIM = r"""
#include <unistd.h>
#define NOTE(name) ".pushsection .note.stapsdt,\"\",\"note\"\n.balign 4\n" \
	".4byte 992f-991f,994f-993f,3\n991: .asciz \"stapsdt\"\n992: .balign 4\n" \
	"993: .8byte 990b,0,0\n.asciz \"red\"\n.asciz \"" name "\"\n.asciz \"\"\n" \
	"994: .balign 4\n.popsection\n"
long counter;
void f_locked(void);
__asm__(".text\n.globl f_locked\n.type f_locked,@function\nf_locked: lock incq counter(%rip)\n"
	"ret\n.size f_locked,.-f_locked\n");
__attribute__((noinline)) long f_good(long a)
{
	volatile long x = a;
	__asm__ volatile("990: nop\n" NOTE("good") ::: "memory");
	return x;
}
__attribute__((noinline)) long f_bare(long a)
{
	volatile long x = a;
	__asm__ volatile("990: .byte 0x0f,0x1f,0x44,0,0\n" NOTE("bare") ::: "memory");
	return x;
}
int main(void)
{
	for (;;) {
		f_locked();
		f_good(1);
		f_bare(2);
		usleep(10000);
	}
}
"""


@pytest.fixture
def victim(compile_c: Compiler) -> Iterator[int]:
    process = subprocess.Popen([compile_c("victim", VICTIM)])
    yield process.pid
    process.kill()
    process.wait()


def counted(point: str) -> str:
    return f"global n probe {point} {{ if (n++ > 9) exit() }} probe end {{ println(n > 9) }}"


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ('process.function("f_*")', r"`/.*/victim` at 0x[0-9a-f]+ \(.*prefix `lock`\)"),
        ('process.mark("*")', r"`/.*/victim` at 0x[0-9a-f]+ \(.*red zone.*\)"),
        ('process.function("f_locked")?, process.function("f_good")', r".*prefix `lock`\)"),
    ],
)
def test_a_wildcard_goes_on_without_it(
    run: Runner, victim: int, point: str, reason: str
) -> None:
    done = run("run", "-e", counted(point), "-x", victim)

    assert done.out == "1\n", done.err
    warning = (
        rf"WARNING: 1 place, optional or found by wildcards, cannot be attached to: {reason}\n"
    )
    assert re.fullmatch(warning, done.err)
    assert done.code == 0


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ('process.function("f_locked")', "prefix `lock`"),
        ('process.mark("bare")', "red zone"),
        ('process.function("f_locked"), process.function("f_*")', "prefix `lock`"),
    ],
)
def test_one_by_its_name_is_an_error(run: Runner, victim: int, point: str, reason: str) -> None:
    done = run("run", "-e", counted(point), "-x", victim)

    assert done.out == ""
    assert reason in done.err
    assert "as root" not in done.err
    assert done.code in (1, 3)


@pytest.mark.parametrize("point", ['kernel.trace("*")', 'kernel.trace("irq_vectors:*")'])
def test_events_that_may_not_be_sampled_are_attached_to(run: Runner, point: str) -> None:
    script = f"global n probe {point} {{ n++ }} probe end {{ println(n > 0) }}"
    done = run("run", "-e", script, "-T", 3)

    assert (done.code, done.out) == (0, "1\n"), done.err
    assert "irq_work_exit" not in done.err
