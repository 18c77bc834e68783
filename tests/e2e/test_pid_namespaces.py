"""Sessions in a PID namespace (a container): processes have the numbers that it gives them.

Tests of other modules run here once more, inside of a namespace.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_held import test_every_hit_reads_the_memory_of_its_moment, walker
from tests.e2e.test_process_events import (
    test_events_of_all_descendants_of_the_target,
    test_system_calls_with_their_arguments,
    test_threads_forks_and_programs,
)
from tests.e2e.test_processes import test_descendants_of_the_target
from tests.support.command import PATIENCE, Finished

if TYPE_CHECKING:
    from tests.support.command import Compiler, Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf]
__all__ = [
    "test_descendants_of_the_target",
    "test_events_of_all_descendants_of_the_target",
    "test_every_hit_reads_the_memory_of_its_moment",
    "test_system_calls_with_their_arguments",
    "test_threads_forks_and_programs",
    "walker",
]

NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
TICKS = """
#include <stdlib.h>
#include <sys/sdt.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	for (int i = 0; i < atoi(argv[1]); i++) {
		DTRACE_PROBE1(ns, tick, i);
		usleep(argc > 2 ? 10000 : 1);
	}
	return 0;
}
"""


def _inside(*command: object, namespace: tuple[str, ...] = NAMESPACE) -> Finished:
    done = subprocess.run(
        [*namespace, *map(str, command)],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=PATIENCE,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def run() -> Runner:
    """Runs `markbridge` in a PID namespace of its own."""

    def run(*arguments: object, timeout: float = 0) -> Finished:
        return _inside(sys.executable, "-m", "bridge", *arguments)

    return run


def _shell(script: str, *arguments: object) -> Finished:
    """A shell script in a namespace of its own; `$mb` is markbridge."""
    text = f'mb="{sys.executable} -m bridge"\n{script}'
    return _inside("/bin/sh", "-c", text, "sh", *arguments)


@pytest.fixture
def ticks(compile_c: Compiler) -> Path:
    return compile_c("ticks", TICKS)


def test_a_command_has_the_number_that_it_sees_itself(run: Runner, ticks: Path) -> None:
    script = """
        probe process.mark("tick") {
          printf("%d %d %d %d %d|", pid() == target(), tid() == pid(), ppid() == stp_pid(),
                 pid() < 100, ns_pid() == pid())
        }
        probe kernel.trace("sched:sched_process_exec") {
          if (pid() == target()) printf("%d %d|", pgrp() < 100, sid() < 100)
        }
    """
    done = run("run", "-e", script, "-c", f"{ticks} 2")
    assert (done.code, done.out, done.err) == (0, "1 1|1 1 1 1 1|1 1 1 1 1|", "")


@pytest.mark.parametrize(
    ("point", "options"),
    [
        ('process.mark("tick")', "-x $pid"),
        ("process.syscall", "-x $pid"),
        ('process($1).mark("tick")', ""),
        ("process($1).syscall", ""),
        ('kernel.trace("raw_syscalls:sys_enter")', ""),
    ],
)
def test_a_process_that_runs_already(
    ticks: Path, tmp_path: Path, point: str, options: str
) -> None:
    (tmp_path / "x.stp").write_text(f"""
        global n
        probe {point} {{
          if (pid() != $1 || ++n < 3) next
          println(execname(), tid() == $1, ppid())
          exit()
        }}
        probe timer.s(500) {{ exit() }}
    """)
    done = _shell(f"""
        {ticks} 60000 slowly & pid=$!
        $mb run {options} {tmp_path}/x.stp $pid
        kill $pid
    """)
    assert (done.code, done.out) == (0, "ticks11\n"), done.err


def test_what_runs_already_begins_with_the_session(ticks: Path) -> None:
    done = _shell(f"""
        {ticks} 60000 slowly & pid=$!
        $mb run -e "
          probe process(\\"{ticks}\\").begin {{ println(\\"begin \\", pid() == $pid) exit() }}
          probe timer.s(500) {{ exit() }}"
        $mb run -e "
          probe process.begin {{ println(\\"begin \\", pid() == $pid) }}
          probe process.end {{ println(\\"end \\", pid() == $pid) exit() }}
          probe timer.ms(50) {{ system(\\"kill $pid\\") }}
          probe timer.s(500) {{ exit() }}" -x $pid
    """)
    assert (done.code, done.out) == (0, "begin 1\nbegin 1\nend 1\n"), done.err


def test_processes_of_namespaces_below_have_numbers_here(run: Runner, ticks: Path) -> None:
    """A target in a namespace of its own: its first process is 1 there, but not here."""
    script = """
        probe process("PATH").mark("tick") {
          println(pid() > 1, " ", pid() < 100, " ", target_set_pid(pid()), " ", ppid() > 0)
        }
        probe process("PATH").begin { println("begin ", pid() > 1) }
        probe process("PATH").end { println("end ", pid() > 1) }
    """.replace("PATH", str(ticks))
    done = run("run", "-e", script, "-c", f"unshare --pid --fork {ticks} 1")
    assert (done.code, done.out) == (0, "begin 1\n1 1 1 1\nend 1\n"), done.err


def test_processes_of_other_namespaces_have_none(run: Runner, ticks: Path) -> None:
    """Their hits come, with 0 as all numbers; they are no processes of this namespace."""
    script = """
        probe process("PATH").mark("tick") { println(pid(), tid(), " ", execname()) exit() }
        probe process("PATH").begin, process("PATH").syscall { println("never") }
        probe timer.s(500) { exit() }
    """.replace("PATH", str(ticks))
    with subprocess.Popen([ticks, "60000", "slowly"]) as outside:
        done = run("run", "-e", script)
        outside.kill()
    assert (done.code, done.out) == (0, "00 ticks\n"), done.err


def test_a_process_of_another_namespace_is_not_stopped(run: Runner, ticks: Path) -> None:
    """Nobody here could let it go on."""
    script = """
        probe process("PATH").mark("tick") {
          print_ubacktrace() println("hit")
          if (++n > 2) exit()
        }
        global n
        probe timer.s(500) { exit() }
    """.replace("PATH", str(ticks))
    with subprocess.Popen([ticks, "60000", "slowly"]) as outside:
        done = run("run", "-e", script)
        state = Path(f"/proc/{outside.pid}/stat").read_text().rpartition(") ")[2][0]
        outside.kill()
    assert done.out.count("hit\n") == 3, done.err
    assert "3 hits: the process could not be stopped" in done.err
    assert state in "RSD"


THREAD = """
#include <pthread.h>
#include <unistd.h>
static char **words;
static void *become(void *a) { execv(words[1], words + 1); return a; }
static void *nothing(void *a) { return a; }
int main(int argc, char **argv)
{
	pthread_t thread;

	words = argv;
	if (argc < 2)
		return 0;
	pthread_create(&thread, 0, nothing, 0);
	pthread_join(thread, 0);
	pthread_create(&thread, 0, become, 0);
	pause();
	return 1;
}
"""


@pytest.mark.parametrize("namespace", [(), NAMESPACE])
def test_a_thread_that_executes_a_program(
    compile_c: Compiler, ticks: Path, namespace: tuple[str, ...]
) -> None:
    """It has the number of the first thread then, and stays a thread of the target."""
    program = compile_c("thread", THREAD, "-pthread")
    script = f"""
        probe process.mark("tick") {{ println("tick ", pid() == target(), tid() == pid()) }}
        probe process("{program}").begin, process("{program}").end,
              process("{ticks}").begin, process("{ticks}").end,
              process("{program}").thread.begin {{ println(pn()) }}
    """.replace("process.mark", f'process("{ticks}").mark')
    # What has been there before with these numbers must not be taken for it.
    command = f"sh -c 'for i in 1 2 3; do {program} {program}; done; exec {program} {ticks} 1'"
    done = _inside(
        sys.executable, "-m", "bridge", "run", "-e", script, "-c", command, namespace=namespace
    )

    def event(path: Path, name: str) -> str:
        return f'process("{path}").{name}'

    twice = [
        event(program, "begin"),
        *[event(program, "thread.begin")] * 2,
        event(program, "end"),
    ]
    last = [event(program, "begin"), event(program, "end")]
    end = [event(ticks, "begin"), "tick 11", event(ticks, "end")]
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [*(twice + last) * 3, *twice, *end]


def test_recordings_have_the_numbers_of_the_namespace(
    run: Runner, ticks: Path, tmp_path: Path
) -> None:
    script = 'probe process.mark("tick") { println(pid() == target(), " ", tid() < 100) }'
    live = run("run", "-e", script, "-c", f"{ticks} 2", "--trace", tmp_path / "trace")
    again = run("run", "-e", script, "--replay", tmp_path / "trace")
    assert (live.code, live.out, again.out) == (0, "1 1\n" * 2, "1 1\n" * 2), live.err


def test_the_interpreter_in_a_namespace(run: Runner, ticks: Path) -> None:
    script = (
        'probe process.mark("tick") { println(pid() == target(), " ", ppid() == stp_pid()) }'
    )
    done = run("run", "-e", script, "-c", f"{ticks} 2", "--engine=interpreter")
    assert (done.code, done.out) == (0, "1 1\n" * 2), done.err


def test_another_proc_is_refused(ticks: Path) -> None:
    done = _inside(
        *(sys.executable, "-m", "bridge", "run", "-e", 'probe process.mark("tick") { exit() }'),
        *("-c", f"{ticks} 1"),
        namespace=("unshare", "--pid", "--fork", "--kill-child"),
    )
    assert done.code == 3
    assert "/proc is that of another PID namespace: this process is 1, there it is" in done.err
    assert "mount -t proc proc /proc" in done.err
