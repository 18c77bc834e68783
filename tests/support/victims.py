"""C programs with USDT sites of all kinds, for tests of site safety.

Each marker of provider `rz` is in a function that checks its own arithmetic on values kept in
memory; the program prints how many results were wrong.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

RED_ZONE = r"""
#include <stdio.h>
#include <stdlib.h>
#define NOTE(name) \
	".pushsection .note.stapsdt,\"?\",\"note\"\n.balign 4\n" \
	".4byte 992f-991f,994f-993f,3\n991: .asciz \"stapsdt\"\n992: .balign 4\n" \
	"993: .8byte 990b\n.8byte 0\n.8byte 0\n.asciz \"rz\"\n.asciz \"" name "\"\n.byte 0\n" \
	"994: .balign 4\n.popsection\n"
#define NOP5 ".byte 0x0f,0x1f,0x44,0,0\n"
#define SITE(name, code) __asm__ volatile("990:" code NOTE(name) ::: "memory")
#define BETWEEN(name, before, code, after) \
	__asm__ volatile(before "990:" code after NOTE(name) ::: "memory")
#define STEP_OVER "lea -128(%%rsp),%%rsp\n"
#define STEP_BACK "lea 128(%%rsp),%%rsp\n"
#define LEAF(name) long __attribute__((noinline)) name(long a, long b)
#define SUM(name, site) LEAF(name) { volatile long x = a, y = b; site; return x + y - a - b; }
LEAF(leaf)
{
	volatile long x = a, y = b, z = a ^ b;
	SITE("leaf", NOP5);
	return x + y + z - (a + b + (a ^ b));
}
SUM(data16, SITE("data16", ".byte 0x66,0x66,0x66,0x66,0x90\n"))
SUM(guarded, BETWEEN("guarded", STEP_OVER, NOP5, STEP_BACK))
SUM(half_guarded, BETWEEN("half_guarded", STEP_OVER STEP_BACK, NOP5, ""))
SUM(nop1, SITE("nop1", "nop\n"))
SUM(nop4, SITE("nop4", ".byte 0x0f,0x1f,0x40,0\n"))
SUM(nop9, SITE("nop9", ".byte 0x66,0x0f,0x1f,0x84,0,0,0,0,0\n"))
SUM(nop10, SITE("nop10", ".byte 0x66,0x2e,0x0f,0x1f,0x84,0,0,0,0,0\n"))
LEAF(registers) { SITE("registers", NOP5); return a + b - (b + a); }
LEAF(calls)
{
	volatile long x = a, y = b;
	SITE("calls", NOP5);
	return x + y + leaf(a, b) - a - b;
}
/* The five bytes lie in two pages. */
__asm__(".balign 4096\n.skip 4080\n.globl crossing\n.type crossing,@function\ncrossing:\n"
	"mov %rdi,-8(%rsp)\n.skip 8,0x90\n990:" NOP5
	"sub -8(%rsp),%rdi\nmov %rdi,%rax\nret\n.size crossing,.-crossing\n" NOTE("crossing"));
long crossing(long a, long b);
int main(int argc, char **argv)
{
	long wrong = 0, n = argc > 1 ? atol(argv[1]) : 1000;
	for (long k = 0; k < n; k++)
		wrong += !!leaf(k, k * 7) + !!data16(k, 3) + !!guarded(k, k * 7) +
			!!half_guarded(k, 1) + !!nop1(k, 3) + !!nop4(k, 2) + !!nop9(k, 1) +
			!!nop10(k, 9) + !!registers(k, 1) + !!calls(k, 7) + !!crossing(k, 1);
	printf("wrong results: %ld of %ld\n", wrong, n);
	return 0;
}
"""
# Which of them a kernel that replaces five-byte nops may hit, by how they are compiled.
SAFE = frozenset({"guarded", "nop1", "nop4", "nop9", "calls", "crossing"})
UNSAFE = frozenset({"leaf", "data16", "half_guarded"})


def compile_c(folder: Path, name: str, source: str, *flags: str, compiler: str = "gcc") -> Path:
    """The program `name` made of `source`."""
    suffix = "cc" if compiler.endswith("++") or "++-" in compiler else "c"
    code, program = folder / f"{name}.{suffix}", folder / name
    code.write_text(source)
    subprocess.run([compiler, "-o", program, code, *flags], check=True)
    return program
