"""Registers of the traced program, by name."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = pytest.mark.bpf

SOURCE = r"""
#include <stdio.h>
__attribute__((noinline)) long twice(int a, long b) { return 2 * a + b; }
int main(void) { printf("%ld\n", twice(-5, 1L << 40)); return 0; }
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "program.c").write_text(SOURCE)
    command = ["gcc", "-g", "-O0", "program.c", "-o", "program"]
    subprocess.run(command, cwd=tmp_path, check=True)
    return tmp_path / "program"


@pytest.mark.guest
def test_registers_have_the_arguments_and_the_result(run: Runner, program: Path) -> None:
    script = f"""
    probe process("{program}").function("twice") {{
        printf("%d %d %d %d\\n", register("edi"), u_register("edi"), register("rsi"),
            register("rsp") > 4096)
    }}
    probe process("{program}").function("twice").return {{ println(returnval()) }}
    """
    done = run("run", "-e", script, "-c", program)

    result = f"{2**40 - 10}"
    assert [line for line in done.out.splitlines() if line != result] == [
        f"-5 {2**32 - 5} {2**40} 1"
    ]
    assert done.out.splitlines().count(result) == 2  # the program's and ours
    assert (done.code, done.err) == (0, "")


def test_a_register_that_is_none_is_refused(run: Runner, program: Path) -> None:
    done = run(
        "check", "-e", f'probe process("{program}").function("twice") {{ register("no") }}'
    )

    assert done.code == 1
    assert "unresolved function register" in done.err


INLINED = r"""
#include <stdio.h>
volatile int seen;
static inline __attribute__((always_inline)) long sum(int a, unsigned b, long c) {
    seen = a; seen = b; seen = c; return a + b + c;
}
__attribute__((noinline)) long whole(long c, int a, unsigned b) {
    seen = a; return sum(a, b, c);
}
int main(void) { printf("%ld\n", whole(1L << 40, -5, 7)); return 0; }
"""


def test_a_copy_that_was_inlined_has_its_parameters(run: Runner, tmp_path: Path) -> None:
    """No call of `sum` gave the registers their values: those of `whole` are others."""
    (tmp_path / "inlined.c").write_text(INLINED)
    command = ["gcc", "-g", "-O2", "inlined.c", "-o", "inlined"]
    subprocess.run(command, cwd=tmp_path, check=True)
    point = f'process("{tmp_path / "inlined"}").function'
    script = f"""
    probe {point}("sum").inline {{
        printf("%d %d %d %d\\n", int_arg(1), uint_arg(1), u32_arg(2), longlong_arg(3))
    }}
    probe {point}("whole").call {{
        printf("%d %d %d\\n", pointer_arg(1), s32_arg(2), ulong_arg(3))
    }}
    """
    done = run("run", "-e", script, "-c", tmp_path / "inlined")

    lines = [line for line in done.out.splitlines() if " " in line]
    assert lines == [f"{2**40} -5 7", f"-5 {2**32 - 5} 7 {2**40}"]
    assert (done.code, done.err) == (0, "")
