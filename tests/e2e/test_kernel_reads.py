"""Reads of the kernel's memory in handlers that have no hit: begin, end and timers.

What is read there stands in /proc, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.bpf

NAME = "kernelreads_sh1"
"""Of the process whose task is looked at: as long as a name can be in the kernel."""


@pytest.fixture(scope="module", params=["native", "interpreter"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """One that sleeps and wakes up."""
    shell = tmp_path_factory.mktemp("shell") / NAME
    shutil.copy("/bin/sh", shell)
    loop = "while :; do sleep 0.05; done"
    with subprocess.Popen([shell, "-c", loop]) as started:
        yield started.pid
        started.kill()


@pytest.fixture(scope="module")
def task(process: int) -> int:
    """Where the kernel has it: a hit tells."""
    script = f"""
        probe kernel.trace("sched_switch") {{
          if (task_pid($prev) == {process}) {{ println($prev) exit() }}
        }}
    """
    out, err = _run(script)
    assert err == ""
    return int(out.split()[0])


def _run(
    script: str, *words: str, engine: str = "native", without: str = "", command: str = "run"
) -> tuple[str, str]:
    environment = os.environ | {"MARKBRIDGE_WITHOUT": without}
    words = (f"--engine={engine}", *words) if command == "run" else words
    done = subprocess.run(
        [sys.executable, "-m", "bridge", command, *words, "-e", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout, done.stderr


def test_numbers_and_strings_in_begin_and_end(task: int, engine: str) -> None:
    """Without any hook: the session loads the program for its reads alone."""
    script = f"""
        global at
        function third(p) {{ return kernel_char(p + 2) }}
        probe begin {{
          at = &@cast({task}, "task_struct", "kernel")->comm[0]
          println(kernel_string(at), " ", kernel_string_n(at, 5), " ", kernel_string_n(at, 0))
          printf("%d %d %d %d\\n", third(at), kernel_short(at), kernel_int(at), kernel_long(at))
          printf("%.5m %.4M\\n", at, at); println(kernel_string_quoted(at))
          println(kernel_uint8(at) + kernel_pointer(at) - kernel_uint64(at))
          println(@cast({task}, "task_struct", "kernel")->comm[3])
          println(kernel_buffer_quoted(at, 4, 20))
          exit()
        }}
        probe end {{ println(kernel_string2(at, "none")) }}
    """

    out, err = _run(script, engine=engine)

    data = NAME.encode()
    numbers = " ".join(str(int.from_bytes(data[:n], "little")) for n in (2, 4, 8))
    assert err == ""
    assert out.splitlines() == [
        f"{NAME} {NAME[:5]} ",
        f"{data[2]} {numbers}",
        f"{NAME[:5]} {data[:4].hex()}",
        f'"{NAME}"',
        str(data[0]),
        str(data[3]),
        f'"{NAME[:4]}"',
        NAME,
    ]


def test_a_walk_along_a_list(process: int, task: int, engine: str) -> None:
    """All processes of the kernel, from a loop in begin: each knows where the next one is."""
    script = f"""
        global seen
        function next_task(p) {{
          return @cast(p, "task_struct", "kernel")->tasks->next
              - &@cast(0, "task_struct", "kernel")->tasks
        }}
        probe begin {{
          for (p = next_task({task}); p != {task}; p = next_task(p))
            seen[@cast(p, "task_struct", "kernel")->tgid] = task_execname(p)
          foreach (n+ in seen) printf("%d %s\\n", n, seen[n])
          exit()
        }}
    """

    before = {int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()}
    out, err = _run(script, "-DMAXACTION=100000", engine=engine)
    after = {int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()}

    assert err == ""
    found = dict(line.split(" ", 1) for line in out.splitlines())
    assert {str(n) for n in (before & after) - {process}} <= set(found)
    assert found["0"].startswith("swapper")
    for pid in (1, os.getpid()):
        assert found[str(pid)] == Path(f"/proc/{pid}/comm").read_text().rstrip("\n")


def test_what_a_hit_left_in_a_global_is_read_in_a_timer(process: int, engine: str) -> None:
    script = f"""
        global t, n
        probe kernel.trace("sched_switch") {{ if (task_pid($prev) == {process}) t = $prev }}
        probe timer.ms(50) {{
          if (!t && n++ < 400) next
          printf("%s %d %s\\n", task_execname(t), task_pid(t),
                 @cast(t, "task_struct", "kernel")->real_parent->comm$)
          exit()
        }}
    """

    out, err = _run(script, engine=engine)

    own = Path(f"/proc/{os.getpid()}/comm").read_text().rstrip("\n")
    assert err == ""
    assert out == f'{NAME} {process} "{own}"\n'


@pytest.mark.parametrize(
    ("read", "fault"),
    [
        ("kernel_int(16)", "kernel int copy fault at 0x10 [man error::fault]"),
        ("kernel_string(0)", "kernel string copy fault at 0x0 [man error::fault]"),
        (
            '@cast(32, "task_struct", "kernel")->pid',
            "kernel int copy fault at {pid:#x} [man error::fault]",
        ),
        ('sprintf("%8m", 4096)', "read fault [man error::fault] at 0x1000"),
        ("kernel_string_n(-4096, 4)", "kernel string copy fault at 0xfffffffffffff000 "),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_an_error_with_its_place(
    engine: str, read: str, fault: str
) -> None:
    script = f"probe begin {{ try {{ println({read}) }} catch (m) {{ println(m) }}\n"
    out, err = _run(f"{script}println({read}) }}", engine=engine)

    fault = fault.split("{", 1)[0]
    assert out.startswith(fault)
    assert f"ERROR: {fault}" in err
    assert ":2:" in err.splitlines()[0]


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_kernel_that_cannot_do_it(command: str) -> None:
    script = "probe begin { println(1) exit() }\nprobe end { println(kernel_int(0)) }"
    out, err = _run(script, without="program_run", command=command)

    assert out == ""
    assert "this kernel cannot run a program on demand" in err
    assert ":2:" in err
    assert "Linux 5.10 or later can" in err


@pytest.mark.parametrize("probe", ["begin", "end", "timer.ms(10)"])
def test_the_current_task_without_a_hit_is_our_own(probe: str, engine: str) -> None:
    """SystemTap's are those of stapio, which runs its begin and end."""
    script = f"""
        probe {probe} {{
          t = task_current()
          println(task_execname(t), task_pid(t) == pid(), task_tid(t) == tid()) exit()
        }}
    """
    start = "" if probe == "timer.ms(10)" else "probe timer.ms(50) { exit() }"

    out, err = _run(script + start, engine=engine)

    assert (out, err) == (f"{Path(sys.executable).name[:15]}11\n", "")
