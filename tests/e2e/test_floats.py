"""Floating-point arguments of USDT notes, hit by a running program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.victims import compile_c

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = pytest.mark.bpf

SOURCE = """
#include <sys/sdt.h>
int main(int argc, char **argv)
{
    volatile double wide = 2.5 * argc;
    volatile float narrow = 0.25f * argc;
    double table[4] = { 1, 2, 3, 4 };
    table[argc] += argc;
    (void)argv;
    STAP_PROBE4(demo, floats, wide, narrow, table[argc], -wide);
    return 0;
}
"""
SCRIPT = """probe process("%s").mark("floats") {
  printf("%%s %%s %%s %%x\\n", fp_to_string($arg1, 3), fp_to_string(fp32_to_fp64($arg2), 3),
         fp_to_string($arg3, 3), $arg1)
}"""


@pytest.mark.parametrize("flags", [("-O0",), ("-O2",), ("-O2", "-fno-pie", "-no-pie")])
def test_floats_as_systemtap_has_them(
    run: Runner, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    path = compile_c(tmp_path, "demo", SOURCE, *flags)

    done = run("run", "-e", SCRIPT % path, "-c", str(path))

    assert (done.code, done.out) == (0, "2.500 0.250 3.000 4004000000000000\n")
