"""A tracepoint's arguments and the fields of its record, in one script."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Runner

pytestmark = pytest.mark.bpf

BOTH = """
global arguments, fields
probe kernel.trace("sched_process_fork") { if (pid() == target()) arguments[$child->pid]++ }
probe kernel.trace("sched_process_fork") { if (pid() == target()) fields[$child_pid]++ }
probe end {
    foreach (child+ in arguments) printf("%d %d\\n", arguments[child], fields[child])
    foreach (child in fields) if (!([child] in arguments)) println("only a field")
}
"""


def test_handlers_of_both_kinds_count_the_same(run: Runner) -> None:
    done = run("run", "-e", BOTH, "-c", "sh -c '(true); (true); (true); true'")

    assert (done.code, done.out) == (0, "1 1\n" * 3), done.err


def test_an_argument_says_what_the_field_says(run: Runner) -> None:
    script = """
    global same, other
    probe kernel.trace("sched_process_fork") {
        if (kernel_string($child->comm) == execname()) same++; else other++
    }
    probe end { println(same > 0, " ", other) }
    """

    done = run("run", "-e", script, "-c", "sh -c 'true; (true); (true)'")

    assert (done.code, done.out) == (0, "1 0\n"), done.err


def test_a_handler_that_mixes_them_is_refused(run: Runner) -> None:
    script = 'probe kernel.trace("sched_switch") { println($prev_comm, $next->pid) }'

    done = run("run", "-e", script)

    assert (done.code, done.out) == (1, "")
    assert "$prev_comm" in done.err
    assert "$next" in done.err


@pytest.mark.parametrize("what", ["$next_pid", "$next->pid"])
def test_either_kind_is_recorded_and_replayed(run: Runner, tmp_path: Path, what: str) -> None:
    trace = tmp_path / "trace"
    script = f"""
    global n, idle
    probe kernel.trace("sched_switch") {{ n++; idle += {what} == 0; if (n == 50) exit() }}
    probe end {{ println(n, " ", idle) }}
    """

    live = run("run", "--trace", trace, "-e", script)
    again = run("run", "--replay", trace, "-e", script)

    assert live.code == 0, live.err
    assert live.out.startswith("50 ")
    assert (again.code, again.out) == (0, live.out), again.err


def test_a_recording_takes_arguments_or_fields_of_a_tracepoint(
    run: Runner, tmp_path: Path
) -> None:
    script = """
        probe kernel.trace("sched_switch") { printf("%d\\n", $next->pid) exit() }
        probe kernel.trace("sched_switch") { printf("%s\\n", $next_comm) exit() }
    """

    assert run("run", "-e", script).code == 0
    done = run("run", "--trace", tmp_path / "trace", "-e", script)

    assert done.code == 1
    assert "one handler reads the field $next_comm of its record, another one its" in done.err


def test_arguments_and_fields_in_one_handler_are_refused_at_their_place(run: Runner) -> None:
    script = 'probe kernel.trace("sched_switch") { println($prev->pid, $next_comm) }'

    done = run("check", "-e", script)

    assert done.code == 1
    assert (
        "$next_comm of this tracepoint's record cannot be read where its argument" in done.err
    )
    assert "<input>:1:58" in done.err


def test_all_variables_of_a_tracepoint_are_its_arguments(run: Runner) -> None:
    script = 'probe kernel.trace("sched_switch") { println($$vars) println($$parms) exit() }'

    done = run("run", "-e", script)

    line = (
        r"preempt=0x[01] prev=0xffff[0-9a-f]{12} next=0xffff[0-9a-f]{12} prev_state=0x[0-9a-f]+"
    )
    assert re.fullmatch(rf"(?:{line}\n)+", done.out), done.err


def test_an_index_may_become_a_constant(run: Runner) -> None:
    """As `0 * x` does; what is behind such an index has to find its own one."""
    texts = (
        "$prev->comm[0 * pid()]",
        '@cast($prev, "task_struct", "kernel")->comm[0 * pid()]',
        "$prev->comm[pid() * 0 + zero * 0]",
        '@cast(&$prev->comm[zero], "char", "kernel")[0 * pid()]',
        "$prev->cpus_ptr->bits[0 * pid()] == $prev->cpus_ptr->bits[zero] ? $prev->comm[0] : -1",
    )
    shown = ", ".join(f"({text}) == $prev->comm[0]" for text in texts)
    script = f'global zero probe kernel.trace("sched_switch") {{ println({shown}) exit() }}'

    done = run("run", "-e", script)

    assert done.out == "1" * len(texts) + "\n", done.err
