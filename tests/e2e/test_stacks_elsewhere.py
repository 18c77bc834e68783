"""Back traces of processes that do not stand still: samples, tracepoints, system calls.

The hit brings bytes of the stack; gdb and an equal program that is held at the same call say
what comes of them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = pytest.mark.bpf

PROGRAM = r"""
#include <sys/syscall.h>
#include <unistd.h>
__attribute__((noipa)) long leaf(int n)
{
	volatile char room[300];
	room[n & 255] = (char)n;
	return syscall(SYS_getppid) + room[n & 255];
}
__attribute__((noipa)) long wide(int n)
{
	volatile char room[WIDE];
	room[n & 255] = (char)n;
	return leaf(n) + room[n & 255];
}
__attribute__((noipa)) long deep(int n)
{
	long sum = n ? deep(n - 1) : wide(1);
	__asm__ volatile("" : "+r"(sum));
	return sum;
}
__attribute__((noipa)) long spin(long n)
{
	volatile long sum = 0;
	for (long i = 0; i < n; i++) sum += i;
	return sum;
}
int main(int count, char **words)
{
	long sum = deep(3);
	if (count > 1 && words[1][0] == 's') sum += spin(300000000);
	if (count > 1) sleep(words[1][0] == 's' ? 2 : 6);
	return sum == 1;
}
"""
CALLS = ["leaf", "wide", *["deep"] * 4, "main"]
ENGINES = pytest.mark.parametrize("engine", ["native", "interpreter"])
ENTRY = 'kernel.trace("syscalls:sys_enter_getppid")'
HERE = "if (pid() != target()) next"


def _compile(folder: Path, name: str, wide: int = 1000, *options: str) -> Path:
    (folder / "program.c").write_text(PROGRAM)
    words = ("gcc", "-O2", f"-DWIDE={wide}", *options, "program.c", "-o", name)
    subprocess.run(words, cwd=folder, check=True)
    return folder / name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def program(folder: Path) -> Path:
    return _compile(folder, "program", 1000, "-fomit-frame-pointer", "-no-pie", "-g")


def _living(program: Path, engine: str) -> str:
    """The command; the interpreter knows only processes that live."""
    return str(program) if engine == "native" else f"{program} x"


def _names(text: str) -> list[str]:
    return re.findall(r"^ 0x[0-9a-f]+ : ([\w.@]+)\+", text, re.MULTILINE)


@ENGINES
@pytest.mark.parametrize(
    "point",
    [
        'kernel.trace("sys_enter") { if ($id != 110) next',
        'kernel.trace("syscalls:sys_enter_getppid") {',
        "process.syscall { if ($syscall != 110) next",
    ],
)
def test_calls_are_those_that_gdb_sees(
    run: Runner, program: Path, engine: str, point: str
) -> None:
    if not shutil.which("gdb"):
        pytest.skip("needs gdb")
    script = f"probe {point} {HERE} print_ubacktrace() exit() }}"

    done = run("run", f"--engine={engine}", "-e", script, "-c", _living(program, engine))

    words = ("-batch", "-ex", "catch syscall getppid", "-ex", "run", "-ex", "bt")
    seen = subprocess.run(["gdb", *words, program], capture_output=True, text=True, check=True)
    frames = re.findall(r"^#\d+\s+(0x[0-9a-f]+) in (\w+)|^#\d+\s+(\w+)", seen.stdout, re.M)
    named = {int(address, 16): name for address, name, _ in frames if name in CALLS}
    ours = {int(a, 16): n for a, n in re.findall(r" (0x[0-9a-f]+) : (\w+)\+", done.out)}
    assert _names(done.out)[1 : 1 + len(CALLS)] == CALLS, done.err
    assert len(named) == len({*CALLS}) + 1  # deep() calls from two places
    assert named.items() <= ours.items()
    assert done.out.splitlines()[-1].partition(" : ")[2].startswith("_start+")
    assert done.err == ""


@ENGINES
def test_forms_and_single_addresses(run: Runner, program: Path, engine: str) -> None:
    script = f"""
        probe kernel.trace("sys_enter") {{
            {HERE}
            if ($id != 110) next
            print_ubacktrace_brief() println("-") print(sprint_ubacktrace()) println("-")
            print_usyms(ubacktrace()) println("-") println(usymname(ustack(1)))
            println(umodname(ustack(1))) println(strtol(ubacktrace(), 16) == ustack(0))
            println(ustack(0) == uaddr())
            exit()
        }}
    """

    done = run("run", f"--engine={engine}", "-e", script, "-c", _living(program, engine))

    brief, simple, syms, rest = (part.splitlines() for part in done.out.split("-\n"))
    assert [line.partition("+")[0] for line in brief][1:8] == CALLS, done.err
    assert [line.partition(" [")[0] for line in simple] == brief
    assert simple[1].endswith(" [program]")
    assert [line.split()[2].partition("/")[0] for line in syms] == brief
    assert rest == ["leaf", str(program), "1", "1"]


@pytest.mark.parametrize(
    "point", ["timer.profile.freq.hz(199)", "perf.type(1).config(1).hz(199)"]
)
def test_samples_have_the_calls_of_code_without_frame_pointers(
    run: Runner, program: Path, point: str
) -> None:
    script = f"global n probe {point} {{ {HERE} n[sprint_ubacktrace()]++ }}"
    script += "probe end { foreach (k in n- limit 1) { println(n[k]) print(k) } }"

    done = run("run", "-e", script, "-c", f"{program} s")

    count, *lines = re.sub(r"\+0x[0-9a-f]+", "", done.out).splitlines()
    assert int(count) > 5, done.err
    assert lines[:2] == ["spin [program]", "main [program]"]
    assert lines[-1] == "_start [program]"


@ENGINES
def test_what_has_no_room_is_said(run: Runner, folder: Path, engine: str) -> None:
    wide = _compile(folder, "wide", 20_000, "-fomit-frame-pointer")
    script = f"probe {ENTRY} {{ {HERE} print_ubacktrace() exit() }}"

    done = run("run", f"--engine={engine}", "-e", script, "-c", _living(wide, engine))

    assert _names(done.out)[1:] == ["leaf", "wide"]
    assert "1 back traces end where the bytes of the stack do that a hit brings" in done.err
    more = ("-D", "MAXUSERSTACK=32768")
    done = run("run", f"--engine={engine}", *more, "-e", script, "-c", _living(wide, engine))
    assert _names(done.out)[1 : 1 + len(CALLS)] == CALLS
    assert done.err == ""


@ENGINES
def test_frame_pointers_lead_on_where_the_bytes_end(
    run: Runner, folder: Path, engine: str
) -> None:
    pointers = _compile(folder, "pointers", 20_000, "-fno-omit-frame-pointer")
    script = f"probe {ENTRY} {{ {HERE} print_ubacktrace() exit() }}"

    done = run("run", f"--engine={engine}", "-e", script, "-c", _living(pointers, engine))

    assert _names(done.out)[1 : 1 + len(CALLS)] == CALLS
    assert done.err == ""


def test_threads_of_the_kernel_have_none(run: Runner) -> None:
    script = 'probe kernel.trace("sched_switch") { if (pid() != 2 && ppid() != 2 && tid()) next'
    script += " print_ubacktrace() exit() } probe timer.s(500) { exit() }"

    done = run("run", "-e", script)

    assert done.out.startswith('<no user backtrace at kernel.trace("'), done.err


def test_processes_that_have_ended(run: Runner, program: Path, tmp_path: Path) -> None:
    # the handler waits while the programs run and end: nobody looks at them before
    begun, over = tmp_path / "begun", tmp_path / "over"
    wait = "while [ ! -e {} ]; do sleep 0.02; done"
    script = f"""
        probe kernel.trace("syscalls:sys_enter_getppid") {{
            if (ppid() != target()) next
            println(pid()) print_ubacktrace()
        }}
        probe timer.ms(1) {{ if (!done++) system("touch {begun}; {wait.format(over)}") }}
        global done
    """
    command = f"sh -c '{wait.format(begun)}; {program}; {program}; touch {over}'"

    done = run("run", "-e", script, "-c", command)

    assert done.err == ""
    pids = re.findall(r"^\d+$", done.out, re.MULTILINE)
    traces = [_names(part) for part in re.split(r"^\d+$", done.out, flags=re.MULTILINE)[1:]]
    assert len({*pids}) == len(pids) == 2
    assert [trace[1 : 1 + len(CALLS)] for trace in traces] == [CALLS] * 2
    assert all(trace[-1] == "_start" for trace in traces)


@pytest.mark.guest
def test_folded_stacks_are_counted(run: Runner, program: Path) -> None:
    script = f'probe {ENTRY} {{ if (execname() != "program") next print_ubacktrace() }}'
    command = f"sh -c 'for i in 1 2 3; do {program}; done'"

    done = run("run", "--folded", "-e", script, "-c", command)

    assert done.err == ""
    [line] = done.out.splitlines()
    stack, _, count = line.rpartition(" ")
    name, first, *calls = stack.split(";")
    assert (name, first, count) == ("program", "_start", "3")
    assert calls[-1 - len(CALLS) :] == [*CALLS[::-1], "syscall"]


def test_the_kernel_is_on_top_of_a_folded_stack(run: Runner, program: Path) -> None:
    script = f"probe {ENTRY} {{ {HERE} print_ubacktrace() print_backtrace() }}"

    done = run("run", "--folded", "-e", script, "-c", program)

    [line] = done.out.splitlines()
    assert re.search(r";leaf;syscall;entry_SYSCALL\w+_\[k\];([\w.]+_\[k\];?)+ 1$", line)


def test_what_folded_does_not_go_with(run: Runner) -> None:
    done = run("run", "--folded", "--engine=interpreter", "-e", "probe begin { exit() }")

    assert done.code == 2
    assert "--folded takes neither --replay nor --engine=interpreter" in done.err
