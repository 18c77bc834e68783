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
