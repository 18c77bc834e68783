"""Handlers that stop processes at functions that markbridge itself calls; every death of ours.

The functions are those of a library that is preloaded into the programs under test alone: a
mistake here would stop the machine.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.bpf

WRAPPER = r"""
#include <stddef.h>
extern void *__libc_malloc(size_t);
extern void __libc_free(void *);
void *malloc(size_t bytes) { return __libc_malloc(bytes); }
void free(void *block) { __libc_free(block); }
"""
LEAKS = r"""
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
static long rounds, pause_us, unseen[2];
static volatile long *done = unseen; /* rounds of each thread */
static void *__attribute__((noinline)) leaky(size_t n) { return malloc(n); }
static void *work(void *thread)
{
	for (long i = 0; i < rounds; i++) {
		char *block = leaky(1000 + i % 10);
		block[0] = 'x';
		if (i % 2) free(block);
		done[(long)thread]++;
		if (pause_us) usleep(pause_us);
	}
	return thread;
}
int main(int count, char **words)
{
	pthread_t thread;
	rounds = atol(words[1]);
	pause_us = atol(words[2]);
	if (count > 4)
		done = mmap(NULL, sizeof(unseen), PROT_WRITE, MAP_SHARED, open(words[4], O_RDWR), 0);
	int threads = count > 3 && words[3][0] == 't';
	if (threads) pthread_create(&thread, NULL, work, (void *)1);
	work(NULL);
	if (threads) pthread_join(thread, NULL);
	puts("done");
	return 0;
}
"""
KILLS = int(os.environ.get("MARKBRIDGE_KILLS", "1"))
"""How often each order of deaths is tried; `MARKBRIDGE_KILLS=40` for a long look."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("own")
    (made / "wrapper.c").write_text(WRAPPER)
    (made / "leaks.c").write_text(LEAKS)
    flags = ["gcc", "-g", "-O1", "-fno-builtin", "-pthread"]
    subprocess.run(
        [*flags, "-shared", "-fPIC", "wrapper.c", "-o", "libw.so"], cwd=made, check=True
    )
    subprocess.run([*flags, "leaks.c", "-o", "leaks"], cwd=made, check=True)
    return made


def _preloaded(folder: Path) -> dict[str, str]:
    return os.environ | {"LD_PRELOAD": str(folder / "libw.so")}


def _run(environment: dict[str, str], script: str, *words: object) -> tuple[str, str]:
    """What a session printed, and its messages; it must end by itself."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "run", "-e", script, *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def _complaints(messages: str) -> list[str]:
    """All messages, but that libc's frames are not known."""
    return [line for line in messages.splitlines() if "Missing unwind data" not in line]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


# --- functions that markbridge calls ----------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "if (target() == pid() && $bytes >= 1000) println(sprint_ubacktrace())",
        "if (pid() != target() || $bytes < 1000) next\nprintln(sprint_ubacktrace())",
        "if (mine() && $bytes >= 1000) { n++ println(sprint_ubacktrace()) }",
    ],
)
def test_a_leak_script_on_a_function_that_markbridge_calls(folder: Path, body: str) -> None:
    library, program = folder / "libw.so", folder / "leaks"
    script = (
        f'global n function mine() {{ return pid() == target() }}\nprobe process("{library}")'
    )
    script += f'.function("malloc") {{ {body} }}'

    out, err = _run(_preloaded(folder), script, "-c", f"{program} 4 0")

    assert out.count("leaky+") == 4, (out, err)
    assert "done\n" in out
    assert not _complaints(err)


def test_at_returns_and_with_computed_reads(folder: Path) -> None:
    library, program = folder / "libw.so", folder / "leaks"
    script = f'probe process("{library}").function("malloc").return {{ if (target() == pid()) '
    script += "n += user_int8($return) >= -128 }\n"
    script += f'probe process("{library}").function("free") {{ if (pid() != target()) next\n'
    script += "for (i = 0; i < 2; i++) if ($block) seen[user_char($block + i - i)]++ }\n"
    script += 'probe end { printf("%d %d\\n", n > 3, seen[120]) }'

    out, err = _run(_preloaded(folder), f"global n, seen\n{script}", "-c", f"{program} 6 0")

    assert out.replace("done\n", "") == "1 6\n", err
    assert not _complaints(err)


def test_hits_of_our_own_are_left_out_and_counted(folder: Path) -> None:
    """Without a choice of its own such a handler would run at every process."""
    library, program = folder / "libw.so", folder / "leaks"
    script = f'probe process("{library}").function("malloc") {{ hits[pid() == target()]++\n'
    script += "if (strlen(sprint_ubacktrace()) > 0 && hits[1] > 9) exit() }\n"
    script += "probe end { println(hits[0], hits[1] > 9) }"

    script = f"global hits\n{script}"

    out, err = _run(_preloaded(folder), script, "-c", f"{program} 3000 100")

    assert out.replace("done\n", "") == "01\n"
    assert "hits in markbridge itself were left out: it cannot stop itself" in err


@pytest.fixture
def libc(folder: Path) -> Path:
    """A copy of the C library, so that no other program has its probes."""
    words = subprocess.run(
        ["ldd", folder / "leaks"], capture_output=True, text=True, check=True
    ).stdout.split()
    source = next(word for word in words if word.startswith("/") and "libc.so" in word)
    copy = folder / "libc" / "libc.so.6"
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(source, copy)
    return copy


def test_the_c_library_itself(folder: Path, libc: Path) -> None:
    script = f'probe process("{libc}").function("__libc_malloc") {{ if (pid() == target()) '
    script += '{ s = sprint_ubacktrace(); if (s =~ "leaky") print(s) } }'
    program = folder / "leaks"
    environment = os.environ | {"LD_LIBRARY_PATH": str(libc.parent)}

    out, err = _run(environment, script, "-c", f"{program} 5 0", "-d", program)

    assert out.count("leaky+") == 5, (out, err)
    assert not _complaints(err)


# --- whom a handler does not want -------------------------------------------------------------


def _was_stopped(pid: int) -> bool:
    """Whether a child was stopped and goes on: the last such change is kept until asked for."""
    number, status = os.waitpid(pid, os.WNOHANG | os.WCONTINUED)
    return bool(number) and os.WIFCONTINUED(status)


@pytest.mark.parametrize(
    ("choice", "stops"),
    [
        ("if (pid() != target()) next", False),
        ("if (execname() != \"leaks\" || pid() != target()) next", False),
        ("all[pid()]++; if (target() != pid()) next", False),
        ("if (pid() == 1) next", True),
    ],
)  # fmt: skip
def test_a_process_that_the_handler_leaves_out_is_not_stopped(
    folder: Path, choice: str, stops: bool
) -> None:
    library, program = folder / "libw.so", folder / "leaks"
    script = f'global n, all probe process("{library}").function("malloc") {{ {choice}\n'
    script += 's = sprint_ubacktrace(); if (s != "") n++; if (n > 50) exit() }'
    environment = _preloaded(folder)
    with subprocess.Popen([program, "10000000", "100"], env=environment) as other:
        try:
            _run(environment, script, "-c", f"{program} 2000 100")
            assert _was_stopped(other.pid) == stops
        finally:
            other.kill()


# --- deaths -----------------------------------------------------------------------------------


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [child for word in text.split() for child in (int(word), *_children(int(word)))]


def _pipes(pid: int | str) -> set[str]:
    found = set()
    try:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            found.add(str(file.readlink()))
    except OSError:  # of a file that was just closed, or the process is gone
        pass
    return {name for name in found if name.startswith("pipe:")}


def _guards(session: int) -> list[int]:
    """The session's living guards, the older one first. One may have lost whom it came from."""
    found, pipes = [], _pipes(session)
    for folder in Path("/proc").iterdir():
        try:
            is_guard = (folder / "comm").read_text() == "mb-hold\n"
        except OSError:
            continue
        if is_guard and pipes & _pipes(folder.name):
            found.append(int(folder.name))
    return sorted(found)


class Held:
    """A process that calls the function all the time, and tells in a file how often."""

    def __init__(self, folder: Path, told: Path, pause: int, *, threads: bool) -> None:
        self._told = told
        self._threads = 2 if threads else 1
        told.write_bytes(bytes(16))
        words = ["100000000", str(pause), "threads" if threads else "one", str(told)]
        self.process = subprocess.Popen(
            [folder / "leaks", *words], env=_preloaded(folder), stdout=subprocess.DEVNULL
        )

    @property
    def calls(self) -> tuple[int, ...]:
        return struct.unpack("2q", self._told.read_bytes())[: self._threads]

    def goes_on(self) -> None:
        """Wait until each thread called so often that it is not held for good."""
        wanted = [calls + ENOUGH for calls in self.calls]
        wait_until(lambda: all(a >= b for a, b in zip(self.calls, wanted, strict=True)))


ENOUGH = 100


@pytest.fixture
def held(folder: Path, tmp_path: Path) -> Iterator[list[Held]]:
    """Processes that call the function all the time; one of them has two threads."""
    kinds = [(0, False), (50, False), (0, True)]
    started = [
        Held(folder, tmp_path / f"calls{n}", pause, threads=threads)
        for n, (pause, threads) in enumerate(kinds)
    ]
    yield started
    for one in started:
        one.process.kill()
        one.process.wait()


def _kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _session_dies(session: int, guards: list[int]) -> None:
    _kill(session)


def _a_guard_dies(session: int, guards: list[int]) -> None:
    _kill(random.choice(guards))
    time.sleep(random.uniform(0, 0.5))
    _kill(session)


def _guard_and_session_at_once(session: int, guards: list[int]) -> None:
    order = [session, random.choice(guards)]
    random.shuffle(order)
    _kill(*order)


def _guards_die_and_come_back(session: int, guards: list[int]) -> None:
    _kill(*guards)
    wait_until(lambda: len(set(_guards(session)) - set(guards)) == 2)
    time.sleep(random.uniform(0, 0.1))
    _kill(session)


def _all_die_at_once(session: int, guards: list[int]) -> None:
    order = [session, *guards]
    random.shuffle(order)
    _kill(*order)


def _guards_die_while_the_session_is_stopped(session: int, guards: list[int]) -> None:
    os.kill(session, signal.SIGSTOP)
    _kill(*guards)


def _stopped_session_loses_a_guard(session: int, guards: list[int]) -> None:
    os.kill(session, signal.SIGSTOP)
    time.sleep(random.uniform(0, 0.5))
    _kill(random.choice(guards), session)


def _session_is_only_stopped(session: int, guards: list[int]) -> None:
    os.kill(session, signal.SIGSTOP)


@pytest.mark.parametrize("time_of_death", range(KILLS))
@pytest.mark.parametrize(
    "death",
    [
        _session_dies,
        _a_guard_dies,
        _guard_and_session_at_once,
        _guards_die_and_come_back,
        _all_die_at_once,
        _guards_die_while_the_session_is_stopped,
        _stopped_session_loses_a_guard,
        _session_is_only_stopped,
    ],
)
def test_no_death_leaves_a_process_stopped(
    folder: Path,
    held: list[Held],
    death: Callable[[int, list[int]], None],
    time_of_death: int,
) -> None:
    library = folder / "libw.so"
    script = f'global n probe process("{library}").function("malloc") '
    script += '{ if (execname() != "leaks") next; n += strlen(sprint_ubacktrace()) }'
    command = [sys.executable, "-m", "bridge", "run", "-e", script]
    session = subprocess.Popen(command, env=_preloaded(folder), stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(_guards(session.pid)) == 2)
        guards = _guards(session.pid)
        time.sleep(random.uniform(0, 0.4))

        death(session.pid, guards)

        for one in held:
            one.goes_on()
        if death is _session_is_only_stopped:
            assert _state(session.pid) == "T"
            assert len(_guards(session.pid)) == 2
    finally:
        session.kill()
        session.wait()
    wait_until(lambda: not any(_state(guard) in {"S", "R", "D"} for guard in guards))
    for one in held:  # and with nobody of ours there
        one.goes_on()


def test_the_end_of_a_session_leaves_no_guard(folder: Path) -> None:
    library, program = folder / "libw.so", folder / "leaks"
    script = f'probe process("{library}").function("malloc") {{ if (pid() == target()) '
    script += 'print_ubacktrace() } probe begin { system("true") }'
    command = [sys.executable, "-m", "bridge", "run", "-e", script]
    session = subprocess.Popen(
        [*command, "-c", f"{program} 200 10000"],
        env=_preloaded(folder),
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: len(_guards(session.pid)) == 2)
    guards = _guards(session.pid)
    session.send_signal(signal.SIGINT)

    assert session.wait(PATIENCE) == 0
    assert not any(Path(f"/proc/{guard}").exists() for guard in guards)


READER = r"""
#include <stdlib.h>
#include <unistd.h>
int main(void)
{
	char bytes[512];
	ssize_t got;
	while ((got = read(0, bytes, sizeof bytes)) > 0) {
		free(malloc(got));
		if (write(1, bytes, got) != got) return 1;
	}
	return 0;
}
"""


def test_a_reader_that_is_held_itself_does_not_block_the_session(folder: Path) -> None:
    """The session waits in write(2) for one whom it holds: each time for ten seconds, once."""
    reader, seen = folder / "reader", folder / "seen"
    (folder / "reader.c").write_text(READER)
    subprocess.run(["gcc", "-fno-builtin", f"{reader}.c", "-o", reader], check=True)
    script = f'probe process("{folder / "libw.so"}").function("malloc") '
    script += '{ if (execname() != "reader") next\n'
    script += "s = sprint_ubacktrace(); for (i = 0; i < 900; i++) println(i, s) }"
    script += ' probe timer.ms(200) { println("go on") }'
    command = [sys.executable, "-m", "bridge", "run", "-DMAXACTION=100000", "-e", script]
    with subprocess.Popen(
        [*command, "-c", f"{folder / 'leaks'} 100000 1000"],
        env=_preloaded(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as session:
        with seen.open("wb") as output:
            last = subprocess.Popen(
                reader, env=_preloaded(folder), stdin=session.stdout, stdout=output
            )
        try:
            wait_until(lambda: seen.stat().st_size > 300_000)
        finally:
            for child in _children(session.pid):
                os.kill(child, signal.SIGKILL)
            session.kill()
            session.wait()
            last.kill()
            last.wait()
