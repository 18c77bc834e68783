"""Memory at addresses that only the handler knows: the process waits, and goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import PATIENCE, wait_until

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = pytest.mark.bpf

SOURCE = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sdt.h>
#include <sys/wait.h>
#include <unistd.h>
struct node { int value; struct node *next; const char *name; };
static int rounds;	/* 0: without an end */
static void __attribute__((noinline)) walk(struct node *n) { DTRACE_PROBE1(held, walk, n); }
static void *work(void *unused)
{
	struct node c = { 3, 0, "three" }, b = { 2, &c, "two" }, a = { 1, &b, "one" };
	for (unsigned i = 0; !rounds || i < (unsigned)rounds; i++) {
		walk(&a);
		a.value++;
		b.value += 2;
	}
	a.next = NULL;
	a.value = -1;
	return unused;
}
int main(int count, char **words)
{
	rounds = atoi(words[1]);
	if (count > 2 && !strcmp(words[2], "threads")) {
		pthread_t threads[4];
		for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, NULL);
		for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
	} else if (count > 2 && !strcmp(words[2], "fork")) {
		int status = 0;
		for (int i = 0; i < 3; i++)
			if (!fork()) { work(NULL); _exit(0); }
		while (wait(&status) > 0) if (status) return 1;
	} else if (count > 2 && !strcmp(words[2], "exec")) {
		work(NULL);
		execl(words[0], words[0], words[1], NULL);
	} else
		work(NULL);
	puts("done");
	return 0;
}
"""
SCRIPT = r"""
global hits, seen, wrong
function sum(p) {
    while (p) { s = s * 100000 + user_int32(p); p = user_uint64(p + 8) }
    return s
}
probe process("%s").mark("walk") {
    n = hits[tid(), execname()]++ %% %d
    s = sum($arg1)
    if (s != ((1 + n) * 100000 + 2 + 2 * n) * 100000 + 3) wrong++
    name = $arg1
    for (i = 0; i < 2; i++) name = user_uint64(name + 8)
    seen[user_string(user_uint64(name + 16))]++
}
probe end { foreach (k in seen) println(k, " ", seen[k], " wrong ", wrong) }
"""


@pytest.fixture(scope="module")
def walker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("held")
    (folder / "walker.c").write_text(SOURCE)
    command = ["gcc", "-g", "-O0", "-pthread", "walker.c", "-o", "walker"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "walker"


@pytest.mark.parametrize(
    ("way", "hits"), [("", 200), ("threads", 800), ("fork", 600), ("exec", 400)]
)
def test_every_hit_reads_the_memory_of_its_moment(
    run: Runner, walker: Path, way: str, hits: int
) -> None:
    done = run("run", "-e", SCRIPT % (walker, 200), "-c", f"{walker} 200 {way}")

    assert done.out.replace("done\n", "") == f"three {hits} wrong 0\n", done.err
    assert (done.code, done.err) == (0, "")


def test_explain_says_who_is_held_and_why(run: Runner, walker: Path) -> None:
    done = run("explain", "-e", SCRIPT % (walker, 1))

    assert "stops the process at the hit (SIGSTOP): user_" in done.out
    assert "() reads what" not in done.out  # it says where


def test_a_hit_that_ends_the_session_lets_the_target_go(run: Runner, walker: Path) -> None:
    script = f'probe process("{walker}").mark("walk") {{ p = $arg1; while (p) '
    script += "{ println(user_int32(p)); p = user_uint64(p + 8) } exit() }"

    with subprocess.Popen([walker, "0"], stdout=subprocess.PIPE, text=True) as target:
        done = run("run", "-e", script, "-x", target.pid)
        _goes_on(target.pid)
        target.kill()

    assert len(done.out.splitlines()) == 3


def test_an_error_in_a_held_handler_lets_the_target_go(run: Runner, walker: Path) -> None:
    script = f'probe process("{walker}").mark("walk") {{ for (i = 8; i < 9; i++) '
    script += "println(user_string_n(i, i)) }"

    done = run("run", "-e", script, "-c", f"{walker} 100")

    assert done.out == "done\n"
    assert done.code == 1
    assert "ERROR: user string copy fault -14" in done.err


def _stat(pid: int) -> list[str]:
    """What /proc says of a process, from its state on: proc(5), /proc/pid/stat from field 3."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _state(pid: int) -> str:
    return _stat(pid)[0]


def _goes_on(pid: int) -> None:
    """Wait until a process has used the processor some more."""
    used = int(_stat(pid)[11])
    wait_until(lambda: int(_stat(pid)[11]) > used + 2)


def _guards_of(tool: subprocess.Popen[str]) -> list[int]:
    """The two that let everybody go when the tool dies; one may have made the other."""
    found: list[int] = []
    named = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/comm")
        if path.read_text() == "mb-hold\n"
    ]
    for _ in range(2):
        parents = {str(pid) for pid in (tool.pid, *found)}
        found = [pid for pid in named if _stat(pid)[1] in parents]
    assert len(found) == 2
    return found


def _stopped_in_the_middle(walker: Path) -> tuple[subprocess.Popen[str], subprocess.Popen[str]]:
    """A target that is held, by a tool that is stopped itself."""
    target = subprocess.Popen([walker, "0"], stdout=subprocess.PIPE, text=True)
    command = [sys.executable, "-m", "bridge", "run", "-e", SCRIPT % (walker, 1), "-v"]
    tool = subprocess.Popen(
        [*command, "-x", str(target.pid)], stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: _state(target.pid) == "T")  # at its first hit, so the probe is there
    tool.send_signal(signal.SIGSTOP)
    wait_until(lambda: _state(tool.pid) == "T" and _state(target.pid) == "T")
    return target, tool


def _end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.kill()
        process.communicate()


def test_a_killed_tool_leaves_nobody_stopped(walker: Path) -> None:
    target, tool = _stopped_in_the_middle(walker)
    guards = _guards_of(tool)
    tool.kill()
    tool.wait()

    for guard in guards:  # nobody is stopped after that
        wait_until(lambda pid=guard: not Path(f"/proc/{pid}").exists())
    assert _state(target.pid) != "T"
    _goes_on(target.pid)
    _end(target, tool)


def test_a_tool_that_is_stopped_itself_holds_nobody_for_long(walker: Path) -> None:
    target, tool = _stopped_in_the_middle(walker)

    _goes_on(target.pid)
    _end(target, tool)


def test_a_target_that_is_killed_while_it_is_held(walker: Path) -> None:
    target, tool = _stopped_in_the_middle(walker)
    target.kill()
    target.communicate()
    tool.send_signal(signal.SIGINT)
    tool.send_signal(signal.SIGCONT)
    _, messages = tool.communicate(timeout=PATIENCE)

    assert tool.returncode in {0, 1}  # an error if it had not read everything yet
    assert tool.returncode == int("ERROR: user" in messages)
    assert not Path(f"/proc/{target.pid}").exists()


@pytest.mark.parametrize(
    ("options", "script", "reason"),
    [
        (["--trace", "DIR"], 'process("WALKER").mark("walk")', "a trace cannot hold it"),
        ([], "process.begin", "a process cannot be held at its events"),
    ],
)
def test_what_cannot_be_read_at_the_hit_is_refused(
    run: Runner, walker: Path, tmp_path: Path, options: list[str], script: str, reason: str
) -> None:
    text = f"probe {script} {{ for (i = 0; i < 9; i++) println(user_string_n(i, i)) }}"
    words = [word.replace("DIR", str(tmp_path / "trace")) for word in options]

    done = run("run", *words, "-e", text.replace("WALKER", str(walker)))

    assert done.code == 1
    assert "error[computed-address]: user_string_n() cannot read here: " in done.err
    assert reason in done.err


def test_memory_that_only_a_format_reads(run: Runner, walker: Path) -> None:
    text = f'probe process("{walker}").mark("walk") {{ printf("%#.4M\\n", $arg1) exit() }}'

    explained, done = run("explain", "-e", text), run("run", "-e", text, "-c", f"{walker} 3")

    assert "printf() at <input>:1:" in explained.out
    assert done.out.startswith("01000000\n")


@pytest.mark.parametrize("call", ['printf("%.4m", $arg1)', 'print(sprintf("%M", $arg1))'])
def test_kernel_memory_in_a_format_is_refused(run: Runner, walker: Path, call: str) -> None:
    done = run("run", "-e", f'probe process("{walker}").mark("walk") {{ {call} }}')

    assert done.code == 1
    assert "printf() cannot read here: its address is known only while" in done.err


def test_a_held_process_and_its_parent_are_told_apart(run: Runner, walker: Path) -> None:
    script = f'probe process("{walker}").mark("walk") {{ p = $arg1; while (p) '
    script += "{ n += user_int32(p); p = user_uint64(p + 8) } "
    script += 'printf("%d %s %d\\n", n > 0, pexecname(), ppid() > 0) exit() }'

    done = run("run", "-e", script.replace("pexecname", "execname"), "-c", f"{walker} 3")

    assert done.out.splitlines()[0] == "1 walker 1"
