"""Back traces of a program at its markers and functions, while it is held."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = pytest.mark.bpf

LIBRARY = r"""
#include <sys/sdt.h>
__attribute__((noinline)) int inner(int n) { DTRACE_PROBE1(stacks, inside, n); return n + 1; }
int outer(int n) { return inner(n) * 2; }
"""
PROGRAM = r"""
#include <pthread.h>
#include <stdio.h>
int outer(int);
static volatile int sum;
__attribute__((noipa)) int once(int n) { sum += outer(n); return sum; }
static void *work(void *unused) { for (int i = 0; i < 100; i++) once(i); return unused; }
int main(void)
{
	pthread_t threads[2];
	for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
	printf("%d\n", sum != 0);
	return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stacks")
    (folder / "library.c").write_text(LIBRARY)
    (folder / "program.c").write_text(PROGRAM)
    gcc = ("gcc", "-O2", "-fomit-frame-pointer")
    for words in (
        ("-shared", "-fPIC", "library.c", "-o", "libstacks.so"),
        ("-pthread", "program.c", "-o", "program", "-L.", "-lstacks", "-Wl,-rpath,$ORIGIN"),
    ):
        subprocess.run([*gcc, *words], cwd=folder, check=True)
    return folder / "program"


@pytest.mark.guest
def test_every_hit_of_every_thread_has_its_calls(run: Runner, program: Path) -> None:
    library = program.parent / "libstacks.so"
    script = (
        f'global n probe process("{library}").mark("inside") {{ n[sprint_ubacktrace()]++ }}'
    )
    script += "probe end { foreach (k in n) println(n[k], k) }"

    done = run("run", "--ldd", "-e", script, "-c", program)

    assert (done.code, done.err) == (0, "")
    assert done.out.count("inner+0x") == 1
    text = re.sub(r"\+0x[0-9a-f]+", "+", done.out)
    own = "inner+ [libstacks.so]\nouter+ [libstacks.so]\nonce+ [program]\nwork+ [program]\n"
    assert f"\n200{own}" in text
    assert text.count("[libc.so.6]") == 2


def test_where_a_function_returns_its_caller_comes_first(run: Runner, program: Path) -> None:
    script = f'probe process("{program}").function("once").return '
    script += "{ println(usymname(uaddr())) print_ubacktrace_brief() exit() }"

    done = run("run", "-e", script, "-c", program)

    first, second = done.out.splitlines()[:2]
    assert first == "work"
    assert re.fullmatch(r"work\+0x[0-9a-f]+", second)
    assert "rerun with 'markbridge run -d " in done.err


def test_where_a_thread_entered_the_kernel(run: Runner, program: Path) -> None:
    script = 'global n probe kernel.trace("sys_enter") '
    script += "{ if (pid() == target()) n[uaddr() > 4096]++ }"
    script += " probe end { foreach (k in n) println(k) }"

    done = run("run", "-e", script, "-c", program)

    assert done.out.replace("1\n", "", 1) == "1\n", done.err


def test_a_trace_does_not_hold_the_stack_of_a_process(
    run: Runner, program: Path, tmp_path: Path
) -> None:
    text = f'probe process("{program}").function("once") {{ print_ubacktrace() }}'

    done = run("run", "--trace", tmp_path / "trace", "-e", text)

    assert done.code == 1
    assert "error[no-process]: print_ubacktrace() cannot look here: " in done.err
    assert "which a trace cannot hold" in done.err


@pytest.mark.parametrize(
    "engine", [pytest.param("native", marks=pytest.mark.guest), "interpreter"]
)
def test_the_stack_of_the_kernel(run: Runner, engine: str) -> None:
    script = """
        probe kernel.trace("sys_enter") {
            if (pid() != target()) next
            print_backtrace() print_syms(backtrace()) print(sprint_backtrace())
            println(callers(-1) . " " == backtrace()) println(caller())
            println(stack(0) == strtol(backtrace(), 16)) println(modname(stack(0)))
            try { stack(90) } catch (e) { println(e) }
            try { println(modname(1)) } catch (e) { println(e) }
            exit()
        }
    """
    done = run("run", f"--engine={engine}", "-e", script, "-c", "true")

    *lines, same, caller, first, module, end, unknown = done.out.splitlines()
    count = len(lines) // 3
    assert count > 1
    form = r" 0x(ffff[0-9a-f]+) : ([\w.]+\+0x[0-9a-f]+)/0x[0-9a-f]+ (\[kernel\])"
    found = [re.fullmatch(form, line) for line in lines[:count]]
    assert all(found)
    assert lines[count : 2 * count] == lines[:count]
    assert lines[2 * count :] == [f"{one[2]} {one[3]}" for one in found if one]
    assert lines[count - 1].partition(" : ")[2].startswith("entry_SYSCALL_64")
    assert re.fullmatch(r"[\w.]+ 0xffff[0-9a-f]+", caller)
    assert (same, first, module) == ("1", "1", "kernel")
    assert end == "reached end of stack before unwinding to level 90"
    assert unknown == "Cannot determine kernel module name"


def test_the_depth_of_a_kernel_stack_is_limited(run: Runner) -> None:
    script = 'probe kernel.trace("sys_enter") '
    script += "{ if (pid() == target()) { print_backtrace() exit() } }"

    done = run("run", "-D", "MAXBACKTRACE=1", "-e", script, "-c", "true")

    assert len(done.out.splitlines()) == 1


def test_in_a_program_and_without_a_hit_the_kernel_has_no_stack(
    run: Runner, program: Path
) -> None:
    script = f'probe begin, process("{program}").function("once") '
    script += "{ print_backtrace() println(strlen(backtrace())) if (pid() == target()) exit() }"

    done = run("run", "-e", script, "-c", program)

    assert done.out.startswith("<no kernel backtrace at begin>\n1\n")
    assert re.search(r"^<no kernel backtrace at process\(.*>\n1$", done.out, re.MULTILINE)


def test_a_trace_does_not_hold_the_stack_of_the_kernel(run: Runner, tmp_path: Path) -> None:
    script = 'probe kernel.trace("sys_enter") { print_backtrace() }'

    done = run("run", "--trace", tmp_path / "trace", "-e", script)

    assert "error[no-process]: print_backtrace() cannot look here: a trace does not" in done.err
