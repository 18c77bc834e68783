"""Twelve values of every width that are live at a marker, by each compiler and way to build."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.annotated import WARNINGS
from tests.support.victims import compile_c

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = pytest.mark.bpf

SOURCE = r"""
#include <stdlib.h>
#include <stdio.h>
#include <markbridge/marker.h>

/* All values are computed before the marker and used behind it. */
static __attribute__((noinline)) long work(int n, const char *text)
{
    signed char a = (signed char)-n;
    unsigned char b = (unsigned char)(256 - n);
    short c = (short)(-1000 * n);
    unsigned short d = (unsigned short)(65536 - n);
    int e = -100000 * n;
    unsigned f = 4294967295u - (unsigned)n;
    long g = -5000000000L * n;
    unsigned long h = 18446744073709551615ul - (unsigned long)n;
    float i = 0.25f * (float)n;
    double j = -2.5 * n;
    const char *k = text + n;
    _Bool l = n > 1;
    long double m = 1.5L * n;
    char filled[8];

    for (int at = 0; at < 7; at++)
        filled[at] = (char)('a' + n + at);
    filled[7] = 0;
    MARKBRIDGE_MARK(demo, all, a, b, c, d, e, f, g, h, i, j, k, l);
    MARKBRIDGE_MARK(demo, wide, n, m, filled);
    return a + b + c + d + e + (long)f + g + (long)h + (long)i + (long)j + *k + l + (long)m +
           filled[n & 7];
}

int main(int argc, char **argv)
{
    long sum = work(argc, "marker") + work(argc + 1, "marker");

    (void)argv;
    printf("%ld\n", sum);
    return 0;
}
"""
SCRIPT = """
probe process.mark("all") {
    printf("%d %d %d %d %d %d %d %u %s %s %s %d\\n", $arg1, $arg2, $arg3, $arg4, $arg5, $arg6,
        $arg7, $arg8, fp_to_string(fp32_to_fp64($arg9), 3), fp_to_string($arg10, 3),
        user_string($arg11), $arg12)
}
probe process.mark("wide") { printf("%d %s\\n", $arg1, user_string($arg3)) }
"""
EXPECTED = """-1 255 -1000 65535 -100000 4294967294 -5000000000 18446744073709551614\
 0.250 -2.500 arker 0
1 bcdefgh
-2 254 -2000 65534 -200000 4294967293 -10000000000 18446744073709551613\
 0.500 -5.000 rker 1
2 cdefghi
"""
BUILDS = [
    (compiler, flags)
    for compiler in ("gcc", "clang-14")
    for flags in ("-O0", "-O1", "-O2", "-O3", "-O2 -fno-omit-frame-pointer", "-O2 -fPIC")
]


@pytest.mark.parametrize(("compiler", "flags"), BUILDS)
def test_values_that_are_live(run: Runner, tmp_path: Path, compiler: str, flags: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    program = compile_c(tmp_path, "live", SOURCE, *flags.split(), *WARNINGS, compiler=compiler)

    done = run("run", "-e", SCRIPT, "-c", program)

    # in between stands the program's own sum, where its output came first
    lines = [line for line in done.out.splitlines(keepends=True) if " " in line]
    assert (done.code, "".join(lines)) == (0, EXPECTED), done.err
