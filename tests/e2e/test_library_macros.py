"""Macros of SystemTap's library for types, limits and tasks."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

TYPES = (
    "struct inner { int a; char b[12]; }; struct outer { long first; struct inner second; };"
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("macros")
    source = f"{TYPES}\nstruct outer one;\nint main(void) {{ return (int)one.first; }}\n"
    (folder / "types.c").write_text(source)
    subprocess.run(["gcc", "-g", "types.c", "-o", "types"], cwd=folder, check=True)
    return folder / "types"


@pytest.mark.bpf
def test_types_of_the_kernel(run: Runner) -> None:
    script = 'println(@type_defined("task_struct"), @type_defined("no_such_type"), '
    script += '@type_member_defined("task_struct", pid), '
    script += '@type_member_defined("task_struct", no_such), '
    script += '@offsetof("list_head", next), @offsetof("list_head", prev), '
    script += '@cast_sizeof("list_head"), &@task(0)->pid == @offsetof("task_struct", pid))'

    done = run("run", "-e", f"probe begin {{ {script} exit() }}")

    assert done.out == "1010" + "0" + "8" + "16" + "1\n", done.err


def test_types_of_a_program(run: Runner, program: Path) -> None:
    script = f'println(@module_offsetof("{program}", "outer", second), '
    script += f'@cast_module_sizeof("{program}", "inner"), '
    script += f'@module_type_defined("{program}", "inner"), '
    script += f'@module_type_defined("{program}", "other"), '
    script += f'@module_type_member_defined("{program}", "outer", first), '
    script += f'@module_type_member_defined("{program}", "outer", last))'

    done = run("run", "-e", f"probe begin {{ {script} exit() }}")

    assert done.out == "8" + "16" + "1010\n", done.err


def test_the_structure_of_a_member(run: Runner, program: Path) -> None:
    first = f'&@module_container_of(1000, "{program}", "outer", second)'
    second = (
        f'&@module_container_of(1008 + 4, "{program}", "struct outer", second->b)->second->a'
    )
    script = f"println({first}, {second})"

    done = run("run", "-e", f"probe begin {{ {script} exit() }}")

    assert done.out == "992" + "1008\n", done.err


@pytest.mark.bpf
def test_the_structure_of_a_member_of_the_kernel(run: Runner) -> None:
    inner = "&$prev->tasks"
    script = f'println(@container_of({inner}, "struct task_struct", tasks)->pid == $prev->pid, '
    script += f'&@container_of({inner}, "task_struct", tasks) == $prev) exit()'

    done = run("run", "-e", f'probe kernel.trace("sched_switch") {{ {script} }}')

    assert done.out.startswith("11\n"), done.err


def test_words_of_other_versions(run: Runner) -> None:
    script = """
    @__private30 global seen
    @__private30 function twice(x) { return 2 * x }
    probe begin {
      @try_assign(a, twice(4), 9)
      @try_assign(seen, 7 % (a - 8), 5)
      println(a, seen)
      exit()
    }"""

    done = run("run", "-e", script)

    assert done.out == "85\n", done.err


@pytest.mark.parametrize(
    ("options", "value"),
    [([], 512), (["-DMAXSTRINGLEN=700"], 700), (["-DMAXSTRINGLEN=64"], 64)],
)
def test_the_limit_of_strings(run: Runner, options: list[str], value: int) -> None:
    done = run("run", *options, "-e", "probe begin { println(@MAXSTRINGLEN) exit() }")

    assert done.out == f"{value}\n", done.err


@pytest.mark.parametrize(
    ("value", "expected"), [("-1", 4294967295), ("1 << 32 | 5", 5), ("7", 7)]
)
def test_numbers_as_c_keeps_them(run: Runner, value: str, expected: int) -> None:
    script = f"probe begin {{ println(@uint_cast({value}), @ulong_cast(3)) exit() }}"

    assert run("run", "-e", script).out == f"{expected}3\n"
