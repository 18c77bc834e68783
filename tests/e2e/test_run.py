"""Live runs from outside: what is counted and printed, and what ends a run."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.support.command import PATIENCE, wait_until

if TYPE_CHECKING:
    from tests.support.command import Compiler, Runner

pytestmark = pytest.mark.bpf

GONE = 2**22 - 1
"""The number of no process."""

VICTIM = r"""
#include <markbridge/marker.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static const char *const names[] = { "red", "green" };
static void fire(long hits, long pause)
{
	for (long i = 0; i < hits; i++) {
		MARKBRIDGE_MARK(demo, hit, i, names[i & 1]);
		if (pause)
			usleep((unsigned)pause);
	}
}
static volatile sig_atomic_t go_on = 1;
static void enough(int number)
{
	go_on = !number;
}
int main(int argc, char **argv)
{
	const char *mode = argc > 3 ? argv[3] : "";
	long hits = atol(argv[1]);

	if (!strcmp(mode, "fork") && !fork()) {
		fire(hits, 0);
		_exit(0);
	}
	if (!strcmp(mode, "until")) {
		signal(SIGUSR1, enough);
		for (hits = 0; go_on; hits++)
			fire(1, 0);
		printf("fired %ld\n", hits);
	} else {
		fire(hits, atol(argv[2]));
	}
	if (!strcmp(mode, "kill"))
		kill(getpid(), SIGKILL);
	while (wait(NULL) > 0)
		;
	printf("done\n");
	return !strcmp(mode, "fail") ? 3 : 0;
}
"""
COUNT = 'global n probe process("%s").mark("hit") { n++ } probe end { printf("n=%%d\\n", n) }'


@pytest.fixture
def victim(compile_c: Compiler) -> Path:
    """`victim HITS PAUSE_US [fork|kill|fail|until]`; `until` hits until SIGUSR1."""
    return compile_c("victim", VICTIM)


@pytest.mark.needs("sleepable")
def test_prints_arguments_strings_and_contexts(run: Runner, victim: Path) -> None:
    script = (
        f'probe process("{victim}").mark("hit") {{'
        ' printf("%d %s %s %d\\n", $arg1, user_string($arg2), execname(), pid() == target()) }'
    )

    done = run("run", "-e", script, "-c", f"{victim} 4 0")

    assert done.code == 0, done.err
    lines = [line for line in done.out.splitlines() if line != "done"]
    assert lines == [f"{i} {('red', 'green')[i & 1]} victim 1" for i in range(4)]


def test_statistics_are_those_of_all_hits(run: Runner, victim: Path) -> None:
    script = (
        f'global s, by probe process("{victim}").mark("hit") {{ s <<< $arg1;'
        " by[$arg1 & 1, execname()] <<< $arg1 }"
        ' probe end { printf("%d %d %d ", @count(s), @sum(s), @min(s))'
        ' printf("%d %d\\n", @max(s), @avg(s))'
        ' foreach ([k+, e] in by) printf("%d %s %d\\n", k, e, @sum(by[k, e]))'
        " print(@hist_linear(s, 0, 900, 300)) }"
    )

    done = run("run", "-e", script, "-c", f"{victim} 1000 0")

    assert done.code == 0, done.err
    lines = [line for line in done.out.splitlines() if line != "done"]
    assert lines[:3] == ["1000 499500 0 999 499", "0 victim 249500", "1 victim 250000"]
    counts = [line.split()[-1] for line in lines[4:] if line.strip()]
    assert counts == ["300", "300", "300", "100"], done.out


def test_timers_see_what_the_kernel_counted_so_far(run: Runner, victim: Path) -> None:
    script = (
        f'global n, last, ticks probe process("{victim}").mark("hit") {{ n[$arg1 & 3]++ }}'
        " probe timer.ms(50) { now = 0; foreach (k in n) now += n[k];"
        ' if (now < last) printf("went back\\n"); last = now;'
        ' if (++ticks == 5) system(sprintf("kill -USR1 %d", target())) }'
        ' probe end { t = 0; foreach (k in n) t += n[k]; printf("counted %d\\n", t) }'
    )

    done = run("run", "-e", script, "-c", f"{victim} 0 0 until")

    assert done.code == 0, done.err
    told = re.fullmatch(r"fired (\d+)\ndone\ncounted (\d+)\n", done.out)
    assert told is not None, done.out
    assert told[1] == told[2] != "0"


def test_only_the_target_and_its_descendants_count(run: Runner, victim: Path) -> None:
    other = subprocess.Popen([victim, "1000000", "100"], stdout=subprocess.DEVNULL)
    try:
        script = 'global n probe process.mark("hit") { n++ } probe end { println(n) }'
        done = run("run", "-e", script, "-c", f"{victim} 100 0 fork")
    finally:
        other.kill()
        other.wait()

    assert (done.code, done.out.replace("done\n", "")) == (0, "200\n"), done.err


def test_a_session_goes_on_when_the_process_named_by_x_has_ended(
    run: Runner, victim: Path
) -> None:
    """As in SystemTap: only what the script says ends it."""
    target = subprocess.Popen([victim, "3000", "1000"], stdout=subprocess.DEVNULL)
    script = """
        global n, after
        probe process.mark("hit") { n++ }
        probe process.end { println("end ", pid() == target()) after = 1 }
        probe timer.ms(100) { if (after && after++ == 3) exit() }
        probe end { printf("n=%d after=%d\\n", n, after) }
    """
    reaped = Thread(target=target.wait)
    reaped.start()
    try:
        done = run("run", "-e", script, "-x", target.pid)
    finally:
        reaped.join()

    assert done.code == 0, done.err
    hits = re.fullmatch(r"end 1\nn=(\d+) after=4\n", done.out)
    assert hits, done.out
    assert 0 < int(hits[1]) <= 3000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_run_normally(victim: Path, number: signal.Signals) -> None:
    target = subprocess.Popen([victim, "1000000", "1000"], stdout=subprocess.DEVNULL)
    script = COUNT % victim + ' probe timer.ms(20) { if (n > 0) println("seen") }'
    tracer = subprocess.Popen(
        [sys.executable, "-m", "bridge", "run", "-e", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert tracer.stdout.readline() == "seen\n"
        tracer.send_signal(number)
        out, err = tracer.communicate(timeout=PATIENCE)
        assert target.poll() is None
    finally:
        for process in (target, tracer):
            process.kill()
            process.wait()

    assert (tracer.returncode, err) == (0, "")
    assert int(re.search(r"n=(\d+)", out)[1]) > 0


def test_a_run_lasts_as_long_as_t_says(run: Runner) -> None:
    script = (
        "global t probe begin { t = gettimeofday_ms() }"
        ' probe kernel.trace("sched_switch") { exit_never = 1 }'
        ' probe end { printf("%d\\n", gettimeofday_ms() - t) }'
    )

    done = run("run", "-e", script, "-T", "0.5")

    assert done.code == 0, done.err
    assert int(done.out) >= 450


def test_tracepoints_count_system_wide(run: Runner) -> None:
    script = 'global n probe kernel.trace("sched_switch") { n[execname()]++ }'

    done = run("run", "-e", script, "-c", "sleep 0.2")

    assert done.code == 0, done.err
    counts = dict(re.findall(r'^n\["(.+)"\]=(\d+)$', done.out, re.M))
    assert int(counts["sleep"]) > 0
    assert len(counts) > 1


def test_more_keys_than_the_array_holds_is_systemtaps_error(run: Runner, victim: Path) -> None:
    script = f'global a[10] probe process("{victim}").mark("hit") {{ a[$arg1]++ }}'

    done = run("run", "-e", script, "-c", f"{victim} 100 0")

    assert done.code == 1
    assert "ERROR: Array overflow, check size limit (10)" in done.err


def test_resident_arrays_keep_values_by_thread(run: Runner, victim: Path) -> None:
    script = (
        f'global d, n probe process("{victim}").mark("hit") {{'
        " if (d[tid()] < $arg1) n++; d[tid()] = $arg1 }"
        " probe begin { d[-1] = 7 }"
        ' probe end { printf("%d %d\\n", n, d[-1]); delete d[-1];'
        ' foreach (t in d) printf("%d\\n", d[t]) }'
    )

    done = run("run", "-e", script, "-c", f"{victim} 100 0")

    assert (done.code, done.out.replace("done\n", "")) == (0, "99 7\n99\n"), done.err


def test_records_that_found_no_room_are_counted(run: Runner, victim: Path) -> None:
    hits = 100_000
    script = (
        f'global seen probe process("{victim}").mark("hit") {{'
        ' for (i = 0; i < 100; i++) x = sprintf("%d %s", i, x); seen++ }'
        ' probe end { printf("seen=%d\\n", seen) }'
    )

    done = run("run", "-s", "1", "-e", script, "-c", f"{victim} {hits} 0")

    assert done.code == 0, done.err
    seen = int(re.search(r"seen=(\d+)", done.out)[1])
    lost = int(re.search(r"WARNING: (\d+) events were lost", done.err)[1])
    assert seen + lost == hits
    assert seen > 0


# --- what goes wrong --------------------------------------------------------------------------


def test_a_target_that_is_killed_leaves_its_counts(run: Runner, victim: Path) -> None:
    done = run("run", "-e", COUNT % victim, "-c", f"{victim} 500 0 kill")

    assert (done.code, done.out) == (1, "n=500\n")
    assert "WARNING: Child process exited with signal 9" in done.err


def test_a_target_that_fails_is_told(run: Runner, victim: Path) -> None:
    done = run("run", "-e", COUNT % victim, "-c", f"{victim} 5 0 fail")

    assert done.code == 1
    assert "n=5\n" in done.out
    assert "WARNING: Child process exited with status 3" in done.err


def test_a_command_that_does_not_exist(run: Runner, victim: Path) -> None:
    done = run("run", "-e", COUNT % victim, "-c", "/nonexistent/command")

    assert done.code == 1
    assert "/nonexistent/command: No such file or directory" in done.err
    assert "WARNING: Child process exited with status 1" in done.err


@pytest.mark.parametrize(
    ("script", "out"),
    [
        ("probe begin { println(target()) exit() }", f"{GONE}\n"),
        ("probe timer.ms(10) { println(target()) exit() }", f"{GONE}\n"),
        ('probe kernel.trace("sched:sched_switch") { println(target()) exit() }', f"{GONE}\n"),
        ('probe process.mark("hit") { println("never") }', ""),
        ("probe process.begin { println(0) }", ""),
        (f"probe process({GONE}).end {{ println(0) }}", ""),
    ],
)
def test_a_process_that_does_not_exist(run: Runner, script: str, out: str) -> None:
    """As in SystemTap: -x sets target(); what is probed in a process has to be there."""
    done = run("run", "-e", script, "-x", GONE)

    assert (done.code, done.out) == (int(not out), out), done.err
    assert out or f"cannot probe pid {GONE}: No such process" in done.err


@pytest.mark.parametrize("path", ["", "PATH"])
def test_a_command_that_is_a_script_without_a_first_line_for_it(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """As execvp(3), which SystemTap uses: /bin/sh runs it. The first event is of who waits."""
    command = tmp_path / "command"
    command.write_text("echo $1 $0\n")
    command.chmod(0o755)
    if path:
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    script = """
        probe begin { println("b") }
        probe process.begin { println("begin ", execname() == "sh", pid() == target()) }
        probe process.end { println("end ", execname(), pid() == target()) }
    """

    done = run("run", "-e", script, "-c", f"{'command' if path else command} 'a b'")

    lines = ["b", "begin 01", "end sh1", "begin 11", f"a b {command}", "end sh1"]
    assert (done.code, sorted(done.out.splitlines())) == (0, sorted(lines)), done.err


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("echo", 0o644, "Permission denied"),
        ("#!/nonexistent/shell\n", 0o755, "No such file or directory"),
        (None, 0, "No such file or directory"),
    ],
)
def test_a_command_that_cannot_be_executed(
    run: Runner, tmp_path: Path, text: str | None, mode: int, message: str
) -> None:
    command = tmp_path / "command"
    if text is not None:
        command.write_text(text)
        command.chmod(mode)

    done = run(
        "run", "-e", 'probe begin { println("b") } probe end { println("e") }', "-c", command
    )

    assert (done.code, done.out) == (1, "b\ne\n")
    assert f"{command}: {message}\n" in done.err
    assert "WARNING: Child process exited with status 1" in done.err


@pytest.mark.tools
def test_a_full_disk_leaves_counts_and_a_readable_trace(
    run: Runner, victim: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=True)
    try:
        trace = disk / "trace"
        done = run("run", "-e", COUNT % victim, "-c", f"{victim} 200000 0", "--trace", trace)
        shown = subprocess.run(
            ["babeltrace2", trace], capture_output=True, text=True, check=False
        )
    finally:
        subprocess.run(["umount", disk], check=True)

    assert done.code == 3
    assert "n=200000\n" in done.out
    written, dropped = map(
        int, re.search(r"(\d+) events .* (\d+) were dropped", done.err).groups()
    )
    assert "disk is full" in done.err
    assert written + dropped == 200000
    assert len(shown.stdout.splitlines()) == written


@pytest.mark.usefixtures("open_checkout")
def test_an_ordinary_user_is_told_what_is_missing(victim: Path) -> None:
    victim.parent.chmod(0o755)
    done = subprocess.run(
        [
            *("setpriv", "--reuid", "65534", "--clear-groups"),
            *(sys.executable, "-m", "bridge", "run", "-T", "1", "-e"),
            'probe kernel.trace("sched_switch") { next }',
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 3
    assert "root" in done.stderr


THREADS = r"""
#include <markbridge/marker.h>
#include <pthread.h>
enum { THREADS = 4, HITS = 100000 };
static void *fire(void *number)
{
	for (long i = 0; i < HITS; i++)
		MARKBRIDGE_MARK(demo, hit, i, (long)number);
	return 0;
}
int main(void)
{
	pthread_t threads[THREADS];

	for (long n = 0; n < THREADS; n++)
		pthread_create(&threads[n], 0, fire, (void *)n);
	for (long n = 0; n < THREADS; n++)
		pthread_join(threads[n], 0);
	return 0;
}
"""


def test_nothing_is_lost_between_threads_and_timers(run: Runner, compile_c: Compiler) -> None:
    victim = compile_c("threads", THREADS, "-pthread")
    script = (
        f'global a, s, total, n, ticks probe process("{victim}").mark("hit") {{'
        " a[$arg1 & 15, $arg2]++; s[$arg2] <<< $arg1; n++ }"
        " probe timer.ms(20) { foreach ([x, y] in a) total += a[x, y]; delete a; ticks++ }"
        " probe end { foreach ([x, y] in a) total += a[x, y]"
        ' printf("%d %d %d\\n", total, n, ticks > 1) foreach (k+ in s)'
        ' printf("%d %d %d %d\\n", @count(s[k]), @sum(s[k]), @min(s[k]), @max(s[k])) }'
    )

    done = run("run", "-e", script, "-c", victim)

    each = f"100000 {99999 * 50000} 0 99999\n"
    assert (done.code, done.out) == (0, "400000 400000 1\n" + 4 * each), done.err


HANGUP, INTERRUPT = 1 << signal.SIGHUP - 1, 1 << signal.SIGINT - 1


def _wait_for_handlers(process: subprocess.Popen[bytes], wanted: int) -> None:
    """Wait until a run handles this one of the signals for hang-up and interrupt, or both."""

    def handled() -> int:
        assert process.poll() is None
        return _signals(process.pid, "SigCgt") & (HANGUP | INTERRUPT)

    wait_until(lambda: handled() == wanted)


def _signals(pid: int, name: str) -> int:
    """A set of signals of a process, a bit each from signal 1 on: proc(5), /proc/pid/status."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s*([0-9a-f]+)$", status, re.M)[1], 16)


def test_the_second_interrupt_ends_even_a_long_handler() -> None:
    script = "global i probe begin { println(1) while (1) i++ }"
    command = [
        sys.executable,
        "-m",
        "bridge",
        "run",
        "-D",
        "MAXACTION=4000000000",
        "-e",
        script,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            _wait_for_handlers(process, HANGUP | INTERRUPT)
            process.send_signal(signal.SIGINT)
            # the first one was taken, and has changed what a second one does
            _wait_for_handlers(process, HANGUP)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == -signal.SIGINT
            assert process.stderr.read() == b""
        finally:
            process.kill()


@pytest.mark.needs("sleepable")
def test_a_handler_too_large_for_the_kernel_runs_in_user_space(
    run: Runner, victim: Path
) -> None:
    names = [f"x{n}" for n in range(9)]
    script = (
        f'global a probe process("{victim}").mark("hit") {{'
        + "".join(f" {name} = user_string_n($arg2, {n + 3})" for n, name in enumerate(names))
        + f" a[{', '.join(names)}]++ }}"
    )

    done = run("run", "-e", script, "-c", f"{victim} 10 0")

    assert done.code == 0, done.err
    assert done.out.count("=5") == 2
