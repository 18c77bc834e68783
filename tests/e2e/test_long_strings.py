"""MAXSTRINGLEN as large as it may be: what is read at a hit arrives whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Compiler, Runner

SOURCE = r"""
#include <sys/sdt.h>
#include <string.h>
static char a[40000], b[40000];
int main(void)
{
	memset(a, 'a', sizeof(a) - 1);
	memset(b, 'b', sizeof(b) - 1);
	DTRACE_PROBE2(demo, hit, a, b);
	return 0;
}
"""


@pytest.mark.bpf
@pytest.mark.parametrize(
    ("limit", "kept"),
    [(1024, 1022), (8192, 8190), (16384, 16382), (32768, 32766), (65536, 39999)],
)
def test_two_strings_at_a_hit(run: Runner, compile_c: Compiler, limit: int, kept: int) -> None:
    program = compile_c("long", SOURCE)
    script = f'probe process("{program}").mark("hit") {{ one = user_string2($arg1, "?") '
    script += (
        'two = user_string2($arg2, "?"); printf("%d %d %s %s\\n", strlen(one), strlen(two),'
    )
    script += f" substr(one, {kept - 2}, 9), substr(two, {kept - 2}, 9)) }}"

    done = run("run", f"-DMAXSTRINGLEN={limit}", "-e", script, "-c", program)

    assert done.out == f"{kept} {kept} aa bb\n", done.err
    assert (done.code, done.err) == (0, "")


@pytest.mark.bpf
@pytest.mark.parametrize("limit", [32768, 65536])
def test_a_system_call_with_long_strings(run: Runner, limit: int) -> None:
    script = 'probe syscall.openat { if (pid() == target() && filename =~ "no-such") '
    script += "{ println(filename) exit() } }"

    done = run("run", f"-DMAXSTRINGLEN={limit}", "-e", script, "-c", "cat /tmp/no-such-file")

    assert '"/tmp/no-such-file"' in done.out, done.err


def test_a_limit_that_is_too_large_is_an_error_that_says_so(run: Runner) -> None:
    done = run("run", "-DMAXSTRINGLEN=65537", "-e", "probe begin { exit() }")

    assert done.code == 2
    assert "-D MAXSTRINGLEN needs a number from 8 to 65536, not `65537`" in done.err
