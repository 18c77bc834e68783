"""Markers of compiled programs: values as the program has them, and programs left right."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from bridge.probes.safety import FIRST_OPTIMIZING
from bridge.world import LiveWorld
from tests.support.annotated import SOURCE, WARNINGS
from tests.support.victims import RED_ZONE, SAFE, compile_c

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = pytest.mark.bpf

VALUES = """
probe process.mark("none") { print("none ") }
probe process.mark("one") { printf("%d\\n", $arg1) }
probe process.mark("many") {
    printf("%d %d %d %s %d %s %d %d %d %d %s\\n", $arg1, $arg2, $arg3, user_string($arg4),
        $arg5, user_string($arg6), $arg8, $arg9, $arg10, $arg11, user_string($arg12))
}
probe process.mark("more") {
    printf("%d %s %d %d %d %d %d %d\\n", $arg1, user_string($arg2), $arg3, user_long($arg4),
        $arg7, $arg8, $arg9, $arg10)
}
probe process.mark("sem") { printf("sem %d %d\\n", $arg1, $arg2) }
"""
EXPECTED = "".join(
    f"none {i}\n{i} {250 + i & 255} {-i} str -9 array 7 -1 {int(i > 2)} 5 {name}\n"
    f"-1 literal 3 3 {i} -3 4000000000 -7\nsem {i} 3\n"
    for i, name in zip(range(8), ["red", "green"] * 4, strict=True)
)


@pytest.mark.parametrize(
    ("compiler", "flags"),
    [
        ("gcc", "-O0"),
        pytest.param("gcc", "-O2", marks=pytest.mark.guest),
        ("gcc", "-O2 -fno-pie -no-pie"),
        ("g++", "-O2"),
        ("clang-14", "-O2"),
    ],
)
def test_arguments_have_the_programs_values(
    run: Runner, tmp_path: Path, compiler: str, flags: str
) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    program = compile_c(tmp_path, "demo", SOURCE, *flags.split(), *WARNINGS, compiler=compiler)

    done = run("run", "-e", VALUES, "-c", f"{program} 8")

    assert (done.code, done.out) == (0, EXPECTED), done.err


COUNT = """
global n
probe %s { n[$$name]++ }
probe end { foreach (k+ in n) printf("%%s %%d\\n", k, n[k]) }
"""


@pytest.mark.parametrize("flags", ["-O0", "-O2"])
def test_the_red_zone_is_left_alone(run: Runner, tmp_path: Path, flags: str) -> None:
    program = compile_c(tmp_path, "victim", RED_ZONE, flags)
    points = ", ".join(f'process.mark("{name}")' for name in sorted(SAFE))

    done = run("run", "-e", COUNT % points, "-c", f"{program} 2000")

    lines = ["wrong results: 0 of 2000", *(f"{name} 2000" for name in sorted(SAFE))]
    assert (done.code, sorted(done.out.splitlines())) == (0, sorted(lines)), done.err


@pytest.mark.skipif(
    LiveWorld().release < FIRST_OPTIMIZING, reason="this kernel replaces no five-byte nop"
)
def test_a_site_in_the_red_zone_is_refused_before_the_program_starts(
    run: Runner, tmp_path: Path
) -> None:
    program = compile_c(tmp_path, "victim", RED_ZONE, "-O2")
    script = COUNT % 'process.mark("leaf")'

    refused = run("run", "-e", script, "-c", program)
    forced = run("run", "--unsafe-nop5", "-e", script, "-c", f"{program} 500")

    assert (refused.code, refused.out) == (1, "")
    assert "rz:leaf" in refused.err
    assert "overwrites the red zone" in refused.err
    # `calls` calls it, too.
    assert (forced.code, forced.out.splitlines()[-1]) == (0, "leaf 1000")


@pytest.mark.guest
def test_functions_leave_the_program_right(run: Runner, tmp_path: Path) -> None:
    program = compile_c(tmp_path, "victim", RED_ZONE, "-O2", "-fcf-protection")
    script = """
    global entered, sum, returned
    probe process.function("leaf") { entered++; sum += $arg1 }
    probe process.function("leaf").return { returned += $return == 0 }
    probe end { println(entered, " ", sum, " ", returned) }
    """

    done = run("run", "-e", script, "-c", f"{program} 300")

    assert (done.code, done.out) == (0, f"wrong results: 0 of 300\n600 {300 * 299} 600\n")


LOOP = """
#include <unistd.h>
#include <markbridge/marker.h>
int main(void)
{
	for (long i = 0;; i++) {
		MARKBRIDGE_MARK(loop, turn, i, getpid());
		usleep(1000);
	}
}
"""


@pytest.fixture
def two_processes(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two processes of one program that fires loop:turn a thousand times a second."""
    program = compile_c(tmp_path, "loop", LOOP, *WARNINGS)
    processes = [subprocess.Popen([program]) for _ in range(2)]
    yield processes
    for process in processes:
        process.kill()
        process.wait()


SEEN = """
global seen, enough
probe %s { if (++seen[$arg2] == 25 && ++enough == $1) exit() }
probe end { foreach (p+ in seen) printf("%%d %%d\\n", p, seen[p] >= 5) }
"""


@pytest.mark.guest
def test_one_process_or_all(
    run: Runner, two_processes: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    pids = sorted(process.pid for process in two_processes)
    first = f"{pids[0]} 1\n"

    everyone = run("run", "-e", SEEN % f'process("{tmp_path / "loop"}").mark("turn")', 2)
    by_number = run("run", "-e", SEEN % f'process({pids[0]}).mark("turn")', 1)
    target = run("run", "-x", pids[0], "-e", SEEN % 'process.mark("turn")', 1)

    assert everyone.out == "".join(f"{pid} 1\n" for pid in pids), everyone.err
    assert by_number.out == first, by_number.err
    assert target.out == first, target.err


@pytest.mark.guest
def test_markers_and_functions_of_a_library(run: Runner, tmp_path: Path) -> None:
    library = """
    #include <markbridge/marker.h>
    long twice(long x) { MARKBRIDGE_MARK(lib, inside, x); return 2 * x; }
    """
    program = """
    long twice(long x);
    int main(void)
    {
        long n = 0;
        for (long i = 0; i < 100; i++)
            n += twice(i);
        return n != 9900;
    }
    """
    shared = compile_c(tmp_path, "libtwice.so", library, "-shared", "-fPIC", *WARNINGS)
    main = compile_c(tmp_path, "main", program, str(shared), f"-Wl,-rpath,{tmp_path}")
    script = """
    global marks, sum, calls
    probe process.library("libtwice*").mark("inside") { marks++; sum += $arg1 }
    probe process.library("libtwice.so").function("twice").return { calls += $return }
    probe end { println(marks, " ", sum, " ", calls) }
    """

    done = run("run", "-e", script, "-c", main)

    assert (done.code, done.out) == (0, "100 4950 9900\n"), done.err
