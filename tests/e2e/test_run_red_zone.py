"""A site where a uprobe would overwrite the red zone is refused; one that is safe is safe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Compiler, Runner

pytestmark = pytest.mark.bpf

# A leaf function that keeps its variables below the stack pointer, with a marker in the middle.
# NOTE is a note as <sys/sdt.h> writes it, for the nop at label `at`.
VICTIM = r"""
#include <stdio.h>
#define NOTE(name) ".pushsection .note.stapsdt,\"\",\"note\"\n.balign 4\n" \
	".4byte 992f-991f,994f-993f,3\n991: .asciz \"stapsdt\"\n992: .balign 4\n" \
	"993: .8byte 990b,0,0\n.asciz \"red\"\n.asciz \"" name "\"\n.asciz \"\"\n" \
	"994: .balign 4\n.popsection\n"
#ifdef GUARDED
#define SITE "lea -128(%%rsp),%%rsp\n990: .byte 0x0f,0x1f,0x44,0,0\nlea 128(%%rsp),%%rsp\n"
#elif defined(NOP1)
#define SITE "990: nop\n"
#else
#define SITE "990: .byte 0x0f,0x1f,0x44,0,0\n"
#endif
__attribute__((noinline)) static long leaf(long a, long b)
{
	volatile long x = a, y = b, z = a ^ b;

	__asm__ volatile(SITE NOTE("zone") ::: "memory");
	return x + y + z - (a + b + (a ^ b));
}
int main(void)
{
	long wrong = 0;

	for (long k = 0; k < 10000; k++)
		wrong += leaf(k, k * 7) != 0;
	printf("wrong=%ld\n", wrong);
	return 0;
}
"""
SCRIPT = 'global n probe process("%s").mark("zone") { n++ } probe end { printf("n=%%d\\n", n) }'


@pytest.mark.parametrize("flag", ["-DGUARDED", "-DNOP1", "-mno-red-zone"])
def test_safe_sites_leave_results_alone(run: Runner, compile_c: Compiler, flag: str) -> None:
    victim = compile_c("victim", VICTIM, flag)

    done = run("run", "-e", SCRIPT % victim, "-c", victim)

    assert done.code == 0, done.err
    assert "wrong=0\n" in done.out
    assert "n=10000\n" in done.out


def test_a_bare_five_byte_nop_in_a_red_zone_is_refused(
    run: Runner, compile_c: Compiler
) -> None:
    victim = compile_c("victim", VICTIM)

    commands = ("check",), ("explain",), ("run", "-c", victim)
    said = [run(*command, "-e", SCRIPT % victim) for command in commands]

    assert [done.code for done in said] == [1, 1, 1]
    assert {done.out for done in said} == {""}
    assert said[0].err == said[1].err == said[2].err
    assert "error[unsafe-site]: " in said[0].err
    assert "\n --> " in said[0].err
    assert "red zone" in said[0].err
    assert "--unsafe-nop5" in said[0].err


def test_unsafe_nop5_attaches_all_the_same(run: Runner, compile_c: Compiler) -> None:
    victim = compile_c("victim", VICTIM)

    done = run("run", "--unsafe-nop5", "-e", SCRIPT % victim, "-c", victim)

    assert done.code == 0, done.err
    assert "n=10000\n" in done.out
