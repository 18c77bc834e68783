"""Markers with a semaphore in files that lld linked: two mappings share its page."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.command import PATIENCE, Finished, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Compiler, Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf, pytest.mark.tools]

SEMAPHORE = """
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>
__extension__ unsigned short NAME_tick_semaphore __attribute__((section(".probes")));
__extension__ unsigned short NAME_tock_semaphore __attribute__((section(".probes")));
const char *const words_NAME[16] = { "data", "that", "becomes", "read-only" };
int data_NAME[8] = { 1 };
__attribute__((noipa)) int fire_NAME(int n)
{
	int enabled = (NAME_tick_semaphore != 0) + 2 * (NAME_tock_semaphore != 0);

	if (NAME_tick_semaphore)
		DTRACE_PROBE1(NAME, tick, n);
	data_NAME[n & 7]++;
	if (NAME_tick_semaphore)
		DTRACE_PROBE1(NAME, tick, n + 100);
	if (NAME_tock_semaphore)
		DTRACE_PROBE1(NAME, tock, words_NAME[n & 3]);
	return enabled;
}
"""
PROGRAM = (
    SEMAPHORE.replace("NAME", "demo")
    + r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	int enabled = 0;
	char c;

	if (!strcmp(how, "fork") && fork()) {
		wait(0);
		return 0;
	}
	for (int i = 0; i < 3; i++)
		enabled = fire_demo(i);
	if (!strcmp(how, "slowly"))
		for (int i = 3; i < 3000; i++) {
			fire_demo(i);
			usleep(10000);
		}
	if (!strcmp(how, "wait"))
		(void)!read(0, &c, 1);
	printf("enabled %d now %d\n", enabled, demo_tick_semaphore);
	return 0;
}
"""
)
LINKED = {
    "pie": (),
    "fixed": ("-no-pie",),
    "static": ("-static",),
    "static pie": ("-static-pie", "-fPIE"),
}
TICKS = 'probe process("PATH").mark("tick") { println("tick ", $arg1) }'
BOTH = TICKS + 'probe process("PATH").mark("tock") { println("tock ", user_string($arg1)) }'


def _lines(ticks: int = 3) -> list[str]:
    return [f"tick {n + more}" for n in range(ticks) for more in (0, 100)]


@pytest.mark.parametrize("linked", LINKED)
@pytest.mark.parametrize("linker", ["lld", "bfd"])
def test_a_program_that_starts_after_the_session(
    run: Runner, compile_c: Compiler, linked: str, linker: str
) -> None:
    """Started by a shell of the session, so that nobody waits for it."""
    program = compile_c("demo", PROGRAM, f"-fuse-ld={linker}", *LINKED[linked])
    done = run("run", "-e", TICKS.replace("PATH", str(program)), "-c", f"sh -c '{program};:'")
    assert (done.code, done.err) == (0, "")
    # two places of tick, so the kernel takes it down by 2
    assert sorted(done.out.splitlines()) == sorted([*_lines(), "enabled 1 now 2"])


@pytest.mark.parametrize("engine", ["native", "interpreter"])
def test_the_command_itself_and_two_semaphores(
    run: Runner, compile_c: Compiler, engine: str
) -> None:
    program = compile_c("demo", PROGRAM, "-fuse-ld=lld")
    script = BOTH.replace('("PATH")', "")
    done = run("run", "-e", script, "-c", program, "--engine", engine)
    tocks = [f"tock {word}" for word in ("data", "that", "becomes")]
    assert (done.code, done.err) == (0, "")
    assert sorted(done.out.splitlines()) == sorted([*_lines(), *tocks, "enabled 3 now 2"])


def test_processes_that_are_not_meant_are_let_alone(run: Runner, compile_c: Compiler) -> None:
    """`fork`: the child of the command has its parent's semaphore."""
    program = compile_c("demo", PROGRAM, "-fuse-ld=lld")
    script = TICKS.replace('("PATH")', "")
    done = run("run", "-e", script, "-c", f"{program} fork")
    assert (done.code, done.err) == (0, "")
    assert sorted(done.out.splitlines()) == sorted([*_lines(), "enabled 1 now 2"])


def test_the_semaphore_is_down_when_the_session_has_ended(
    run: Runner, compile_c: Compiler, tmp_path: Path
) -> None:
    program = compile_c("demo", PROGRAM, "-fuse-ld=lld")
    os.mkfifo(tmp_path / "input")
    script = f"""
        global started
        probe timer.ms(1) {{
          if (!started++)
            system("exec {program} wait < {tmp_path}/input > {tmp_path}/output 2>&1")
        }}
        probe process("{program}").mark("tick") {{ if ($arg1 == 102) exit() }}
        probe timer.s(500) {{ error("too late") }}
    """
    with open(tmp_path / "input", "r+b", buffering=0) as fifo:  # noqa: PTH123 - opens at once
        done = run("run", "-e", script)
        fifo.write(b"x")
        output = tmp_path / "output"
        wait_until(lambda: output.read_text() != "")
    assert (done.code, done.err) == (0, "")
    assert output.read_text() == "enabled 1 now 0\n"


USER = """
#include <dlfcn.h>
#include <stdlib.h>
#ifdef LINKED
int fire_part(int);
#endif
int main(int argc, char **argv)
{
#ifdef LINKED
	int (*fire)(int) = fire_part;
#else
	int (*fire)(int) = (int (*)(int))dlsym(dlopen(argv[1], RTLD_NOW), "fire_part");
#endif
	for (int i = 0; i < 3; i++)
		fire(i);
	return 0;
}
"""


@pytest.mark.parametrize("way", ["linked", "dlopen"])
def test_a_library(run: Runner, compile_c: Compiler, tmp_path: Path, way: str) -> None:
    library = compile_c(
        "libpart.so", SEMAPHORE.replace("NAME", "part"), "-shared", "-fPIC", "-fuse-ld=lld"
    )
    flags = (
        "-Wl,--no-as-needed",
        f"-L{tmp_path}",
        "-lpart",
        f"-Wl,-rpath,{tmp_path}",
        "-DLINKED",
    )
    program = compile_c("user", USER, *(flags if way == "linked" else ()))
    done = run("run", "-e", TICKS.replace("PATH", str(library)), "-c", f"{program} {library}")
    assert (done.code, done.out.splitlines(), done.err) == (0, _lines(), "")


def test_a_library_without_a_start_is_refused(run: Runner, compile_c: Compiler) -> None:
    library = compile_c(
        "libpart.so",
        SEMAPHORE.replace("NAME", "part"),
        *("-shared", "-fPIC", "-fuse-ld=lld", "-nostdlib"),
    )
    done = run("run", "-e", TICKS.replace("PATH", str(library)), "-c", "true")
    assert (done.code, done.out) == (1, "")
    assert "its semaphore shares a page of the file with data of another segment" in done.err


def test_in_a_pid_namespace(compile_c: Compiler) -> None:
    program = compile_c("demo", PROGRAM, "-fuse-ld=lld")
    script = TICKS.replace("PATH", str(program))
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable]
    command += ["-m", "bridge", "run", "-e", script, "-c", f"sh -c '{program};:'"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == sorted([*_lines(), "enabled 1 now 2"])


def test_a_program_at_a_terminal_is_not_stopped(compile_c: Compiler) -> None:
    """A shell would take that for a Ctrl-Z; so its first hits can be missing, which is said.

    The shell here is this process, which looks for stops.
    """
    program = compile_c("demo", PROGRAM, "-fuse-ld=lld")
    script = f"""
        probe process("{program}").mark("tick") {{ n++ }}
        probe process("{program}").mark("tick") {{ if (n > 20) exit() }}
        global n
        probe timer.s(500) {{ error("too late") }}
        probe end {{ println(n > 20) }}
    """
    tool = subprocess.Popen(
        [sys.executable, "-m", "bridge", "run", "-v", "-e", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in tool.stderr:
        if line == "Pass 5: starting run.\n":
            break
    pid, terminal = pty.fork()
    if not pid:
        os.execv(program, [str(program), "slowly"])
    out, err = tool.communicate(timeout=PATIENCE)
    stopped, status = os.waitpid(pid, os.WUNTRACED | os.WNOHANG)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(terminal)
    done = Finished(tool.returncode, out, err)
    assert (done.code, done.out) == (0, "1\n"), done.err
    assert re.search(r"1 processes ran on while the semaphores of their markers", done.err)
    assert (stopped, status) == (0, 0)
