"""Timers of a replay fire where they fired live, and see what they saw."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Compiler, Runner

VICTIM = """
#include <markbridge/marker.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* it ends with the session */
	for (long i = 0;; i++) {
		MARKBRIDGE_MARK(demo, hit, i);
		usleep(500);
	}
}
"""
SCRIPT = """
global n, tables
probe process("%s").mark("hit") { n[$arg1 %% 3]++ }
probe timer.ms(50)
{
  foreach (k+ in n)
    printf("%%d:%%d ", k, n[k])
  println("")
  delete n
  if (++tables == 5) exit()
}
"""


@pytest.mark.bpf
def test_a_table_printed_every_50_ms(run: Runner, compile_c: Compiler, tmp_path: Path) -> None:
    victim, script, trace = compile_c("slow", VICTIM), tmp_path / "x.stp", tmp_path / "trace"
    script.write_text(SCRIPT % victim)

    live = run("run", script, "-c", victim, "--trace", trace)
    replayed = run("run", script, "--replay", trace)

    assert (live.code, replayed.code) == (0, 0), live.err + replayed.err
    assert len(live.out.splitlines()) == 5
    assert replayed.out == live.out


@pytest.mark.bpf
@pytest.mark.tools
def test_a_session_that_ends_in_begin_leaves_a_readable_trace(
    run: Runner, compile_c: Compiler, tmp_path: Path
) -> None:
    victim, trace = compile_c("slow", VICTIM), tmp_path / "trace"

    done = run("run", "-e", SCRIPT % victim + "probe begin { exit() }", "--trace", trace)

    assert (done.code, done.out) == (0, ""), done.err
    shown = subprocess.run(["babeltrace2", trace], capture_output=True, text=True, check=True)
    assert (shown.stdout, shown.stderr) == ("", "")


THREADS = """
#include <markbridge/marker.h>
#include <pthread.h>
static void *run(void *unused)
{
	for (long i = 0; i < 20000; i++)
		MARKBRIDGE_MARK(demo, hit, i);
	return unused;
}
int main(void)
{
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], 0, run, 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], 0);
	return 0;
}
"""


@pytest.mark.bpf
def test_threads_on_several_cpus(run: Runner, compile_c: Compiler, tmp_path: Path) -> None:
    victim, trace = compile_c("threads", THREADS, "-pthread"), tmp_path / "trace"
    probe = f'probe process("{victim}").mark("hit")'
    script = f'{probe} {{ printf("%d %d %d\\n", tid(), $arg1, gettimeofday_ns()) }}'

    live = run("run", "-e", script, "-c", victim, "--trace", trace)
    replayed = run("run", "-e", script, "--replay", trace)

    assert (live.code, replayed.code) == (0, 0), live.err + replayed.err
    assert len(live.out.splitlines()) == 80_000
    assert replayed.out == live.out


@pytest.mark.bpf
def test_a_timer_that_ends_the_session(
    run: Runner, compile_c: Compiler, tmp_path: Path
) -> None:
    victim, trace = compile_c("slow", VICTIM), tmp_path / "trace"
    probe = f'probe process("{victim}").mark("hit")'
    script = f"global n {probe} {{ n++ }} probe timer.ms(100) {{ exit() }}"

    live = run("run", "-e", script, "-c", victim, "--trace", trace)
    replayed = run("run", "-e", script, "--replay", trace)

    assert live.code == 0, live.err
    assert live.out.startswith("n=")
    assert replayed.out == live.out
