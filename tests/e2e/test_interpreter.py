"""`--engine=interpreter`: live hits in the reference interpreter do as in machine code."""

from __future__ import annotations

from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.command import Compiler, Finished, Runner

ENGINES = ("native", "interpreter")
INTERPRETER = "--engine=interpreter"
SOURCE = r"""
#include <markbridge/marker.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
static signed char small[16] = "\xff\x80\x01\x02\x03\x04\x05\x86\x07\x08";
static unsigned short wide[] = { 'a', 0xe9, 0x20ac, 0xd83d, 0xde00, 0 };
static unsigned short lone[] = { 'a', 0xde00, 0 };
static unsigned int wider[] = { 'b', 0x1f600, 0 };
static char text[] = "tea \"for\"\ttwo\n\xc3\xa9";
static void told(int number) { printf("signal %d\n", number); fflush(stdout); }
int main(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *last = mmap((void *)0x10000000, 2 * page, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	const void *places[] = { small, wide, lone, wider, text, last + page - 3, last + page };

	munmap(last + page, page);
	last[page - 3] = 'e', last[page - 2] = 'n', last[page - 1] = 'd';
	signal(SIGUSR1, told);
	for (int i = 0; i < 7; i++)
		MARKBRIDGE_MARK(demo, hit, places[i], i);
	return 0;
}
"""
READS = """
user_string user_string_utf16 user_string_utf32 user_int8 user_uint8 user_int16 user_uint16
user_int32 user_uint32 user_int64 user_uint64
"""
SIZED = ("user_string_n", "user_string_n_quoted", "user_buffer_quoted")
FORMATS = ("%#m", "%#.3m|", "%#8.2m", "%#.4M|", "%#12.3M")


@pytest.fixture
def victim(compile_c: Compiler) -> Path:
    """A program that shows all kinds of memory."""
    return compile_c("reader", SOURCE, "-no-pie")


def _both(run: Runner, *arguments: object) -> Finished:
    """A run in the interpreter, after it turned out as one in machine code."""
    native, interpreted = (run("run", f"--engine={e}", *arguments) for e in ENGINES)
    assert interpreted == native
    return interpreted


def _reads() -> str:
    """Every read at an address that is known at the hit, and at one that is not."""
    one = [f"{name}($arg1 + n)" for name in READS.split()]
    sized = [f"{name}($arg1 + n, {size})" for name in SIZED[:2] for size in (-1, 0, 2, 600)]
    buffers = [f"user_buffer_quoted($arg1 + n, {n}, {m})" for n in (3, 15) for m in (0, 7, 99)]
    texts = [f'sprintf("{form}", $arg1 + n)' for form in FORMATS]
    calls = [*one, *sized, *buffers, *texts]
    return "\n".join(
        f"try {{ print({call}) }} catch (why) {{ print(why) }} println()" for call in calls
    )


@pytest.mark.bpf
def test_memory_of_the_process(run: Runner, victim: Path) -> None:
    script = f"""global n probe process("{victim}").mark("hit") {{ {_reads()} }}
        probe end {{ n = 0 }}"""
    done = _both(run, "-DMAXACTION=9000", "-e", script, "-c", victim)
    lines = done.out.splitlines()
    assert 'tea "for"\ttwo' in lines
    assert "aé€😀" in lines
    assert "b😀" in lines
    assert '"tea"' in lines
    assert "-1" in lines
    assert [line for line in lines if "invalid UTF-16 character U+DE00" in line]
    assert [line for line in lines if "string copy fault" in line]


@pytest.mark.bpf
def test_what_is_of_the_process_and_of_the_session(run: Runner, victim: Path) -> None:
    script = f"""
    global order, hits, last, on = 1
    probe process("{victim}").mark("hit") if (on) {{
        if (user_string_n($arg1 + hits, 0) == "") hits++  # which holds the process
        order[$arg2, execname()] = env_var("MARKBRIDGE_TEA") . sprintf(" %d", pid() == target())
        last = $arg2
        if ($arg2 == 2) raise(10)
        if ($arg2 == 4) on = 0
        if ($arg2 == 1) error("one")
    }}
    probe end {{
        foreach ([n, who] in order) println(n, " ", who, " ", order[n, who])
        println(hits)
    }}"""
    limits = ("-g", "-DMAXERRORS=1", "-e", script)
    command = f"env MARKBRIDGE_TEA=green {victim}"
    done = _both(run, *limits, "-c", command)
    assert "signal 10\n" in done.out
    assert "4 reader green 1\n" in done.out
    assert "last=4\n" in done.out.replace("0x", "")
    assert "ERROR: one near" in done.err
    assert "WARNING: Number of errors: 1, skipped probes: 0\n" in done.err
    assert done.code == 1


def test_names_of_processes(run: Runner) -> None:
    with Popen(["sleep", "600"]) as other:
        calls = f"pid2execname({other.pid}), pid2execname(1), pid2execname(-1)"
        try:
            done = _both(run, "-e", f"probe begin {{ println({calls}) exit() }}")
        finally:
            other.kill()
    assert done.out == f"sleep{Path('/proc/1/comm').read_text()}"


def test_the_kernel_s_symbols(run: Runner) -> None:
    addresses = ["0", "-1", *_kernel_addresses()]
    calls = "".join(f"println(symname({a}), symdata({a})) " for a in addresses)
    assert _both(run, "-e", f"probe begin {{ {calls} exit() }}").out.startswith("0x00x0\n0xfff")


def _kernel_addresses() -> list[str]:
    """Some of all symbols, and what is behind them."""
    lines = Path("/proc/kallsyms").read_text().splitlines()[::4000]
    return [f"0x{line.split()[0]} + {beyond}" for line in lines for beyond in (0, 3, 70000)]


def test_options_of_the_session(run: Runner, tmp_path: Path) -> None:
    script = """probe begin { warn("w") warn("w") println("one") switch_file() println("two")
        printf("%s", "three\\n") system("echo four") exit() }"""
    for options, told in ((("-w",), 0), ((), 1), (("-v",), 2)):
        done = run("run", INTERPRETER, *options, "-o", tmp_path / "out", "-e", script)
        assert done.code == 0
        assert done.err.count("WARNING: w") == told
        assert (tmp_path / "out").read_text() == "one\n"
        assert (tmp_path / "out.1").read_text().startswith("two\nthree\n")


def test_errors_are_only_counted(run: Runner) -> None:
    script = 'probe begin, begin(1) { error("e") } probe begin(2) { exit() }'
    done = _both(run, "--suppress-handler-errors", "-e", script)
    assert done.err == "WARNING: Number of errors: 2, skipped probes: 0\n"
    assert done.code == 0


def test_timers_go_by_the_clock(run: Runner) -> None:
    # Never early; how late they are is the machine's matter.
    script = """global n, t probe begin { t = gettimeofday_ms() }
        probe timer.ms(100).randomize(10) { if (++n == 5) exit() }
        probe end { println(n, " ", gettimeofday_ms() - t >= 449) }"""
    assert _both(run, "-e", script).out == "5 1\n"


def test_a_session_ends_after_its_time(run: Runner) -> None:
    done = run("run", INTERPRETER, "-T", 0.2, "-e", 'probe end { println("end") }')
    assert (done.out, done.code) == ("end\n", 0)


@pytest.mark.parametrize("option", ["--trace", "--replay"])
def test_recordings_need_machine_code(run: Runner, option: str, tmp_path: Path) -> None:
    done = run("run", INTERPRETER, option, tmp_path / "trace", "-e", "probe begin { exit() }")
    assert done.code == 2
    assert "takes neither --replay nor --trace" in done.err
