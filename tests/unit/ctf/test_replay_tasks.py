"""Contexts from scheduler events, parts of fields, names of other tracers: replay by rows."""

from __future__ import annotations

from pathlib import Path

import pytest

import bridge
from bridge.engine.base import SessionOptions
from bridge.engine.trace.replay import open_recorded, run_replay
from bridge.errors import CompileError
from bridge.script.options import AnalyseOptions
from tests.support.mctf import compile_trace

HEAD = """
--- metadata
/* CTF 1.8 */
typealias integer { size = 8; } := u8;
typealias integer { size = 32; } := u32;
typealias integer { size = 32; signed = true; } := i32;
typealias floating_point { exp_dig = 11; mant_dig = 53; byte_order = le; align = 8; } := f64;
typealias floating_point { exp_dig = 8; mant_dig = 24; byte_order = le; align = 8; } := f32;
trace { major = 1; minor = 8; byte_order = le; };
env { domain = "kernel"; };
clock { name = "c"; };
stream {
	packet.context := struct { u32 content_size; u8 cpu_id; };
	event.header := struct { u8 id; u32 timestamp; };
};
event { name = "sched_switch"; id = 1; fields := struct {
	string prev_comm; i32 prev_tid; string next_comm; i32 next_tid;
}; };
event { name = "sched_process_fork"; id = 2; fields := struct {
	string parent_comm; i32 parent_tid; i32 parent_pid;
	string child_comm; i32 child_tid; i32 child_pid;
}; };
event { name = "sched_process_exec"; id = 3; fields := struct {
	string filename; i32 tid; i32 old_tid;
}; };
event { name = "lttng_statedump_process_state"; id = 4; fields := struct {
	i32 tid; i32 pid; i32 ppid; string name;
}; };
event { name = "syscall_entry_openat"; id = 5; fields := struct {
	i32 dfd; string filename; i32 flags; u32 mode;
}; };
event { name = "syscall_exit_openat"; id = 6; fields := struct { i32 ret; }; };
event { name = "shapes"; id = 7; fields := struct {
	f64 wide; f32 narrow; i32 three[3]; u8 _n; u8 many[_n];
	enum : u8 { off, on, strange = 7 ... 9 } state;
	struct { i32 x; i32 y; } point;
}; };
--- stream
"""
TASKS = (
    HEAD
    + """
packet u32:content u8:0
	u8:5 u32:900 s32:-100 "/etc/early" s32:0 u32:0
	u8:1 u32:1000 "bash" s32:11 "swapper/0" s32:0
	u8:4 u32:1100 s32:10 s32:10 s32:1 "bash"
	u8:4 u32:1110 s32:11 s32:10 s32:1 "bash"
	u8:1 u32:1200 "swapper/0" s32:0 "bash" s32:10
	u8:2 u32:1300 "bash" s32:10 s32:10 "bash" s32:20 s32:20
	u8:5 u32:1400 s32:-100 "/etc/passwd" s32:577 u32:420
	u8:6 u32:1410 s32:3
	u8:1 u32:1500 "bash" s32:10 "bash" s32:20
	u8:3 u32:1600 "/usr/bin/sleep" s32:20 s32:20
	u8:5 u32:1700 s32:5 "x" s32:0 u32:0
	u8:6 u32:1710 s32:-2
"""
)
SHAPES = (
    HEAD
    + """
packet u32:content u8:1
	u8:7 u32:5 f64:2.5 f32:0.25 s32:-1 s32:2 s32:3 u8:2 u8:9 u8:8 u8:8 s32:4 s32:-5
	u8:7 u32:6 f64:-1.0 f32:3.0 s32:7 s32:8 s32:9 u8:0 u8:1 s32:0 s32:1
"""
)


def _replay(text: str, *traces: Path) -> bridge.Replayed:
    program = bridge.Program("test", text.encode(), AnalyseOptions())
    return program.replay(traces[0])


def test_the_task_comes_from_scheduler_events(tmp_path: Path) -> None:
    compile_trace(TASKS, tmp_path)
    script = """probe kernel.trace("syscalls:sys_enter_openat") {
      printf("%d %d %d %s\\n", pid(), tid(), ppid(), execname())
    }"""

    # the first is of the task that the first switch says was running
    assert _replay(script, tmp_path).text == "10 11 1 bash\n10 10 1 bash\n20 20 10 sleep\n"


def test_a_switch_is_of_the_task_that_goes(tmp_path: Path) -> None:
    compile_trace(TASKS, tmp_path)
    script = """probe kernel.trace("sched:sched_switch") {
      printf("%d %s>%d %s\\n", tid(), execname(), $next_pid, $next_comm)
    }"""

    assert _replay(script, tmp_path).text == (
        "11 bash>0 swapper/0\n0 swapper/0>10 bash\n10 bash>20 bash\n"
    )


def test_system_calls_of_lttng_bind_to_the_aliases(tmp_path: Path) -> None:
    compile_trace(TASKS, tmp_path)
    script = """probe syscall.openat { printf("%s(%s)\\n", name, argstr) }
    probe syscall.openat.return { printf("%s = %s %d\\n", name, retstr, @entry($flags)) }"""

    replayed = _replay(script, tmp_path)

    assert replayed.text == (
        'openat(AT_FDCWD, "/etc/early", O_RDONLY)\n'
        'openat(AT_FDCWD, "/etc/passwd", O_WRONLY|O_CREAT|O_TRUNC, 0644)\nopenat = 3 577\n'
        'openat(5, "x", O_RDONLY)\nopenat = -2 (ENOENT) 0\n'
    )


def test_shapes_of_fields(tmp_path: Path) -> None:
    compile_trace(SHAPES, tmp_path)
    script = """probe kernel.trace("shapes") {
      printf("%s %s %d %s %d %s %d %s %d %s\\n",
             fp_to_string($wide, 2), fp_to_string($narrow, 2), $three[2], $three,
             $many_length, $many$, $state, $state$, $point->y, $point$)
    }"""

    assert _replay(script, tmp_path).text == (
        "2.50 0.25 3 [-1, 2, 3] 2 [9, 8] 8 strange -5 {.x=4, .y=-5}\n"
        "-1.00 3.00 9 [7, 8, 9] 0 [] 1 on 1 {.x=0, .y=1}\n"
    )


def test_what_a_sequence_does_not_hold_is_counted(tmp_path: Path) -> None:
    compile_trace(SHAPES, tmp_path)

    replayed = _replay('probe kernel.trace("shapes") { println($many[1]) }', tmp_path)

    assert replayed.text == "8\n-1\n"
    assert "many[1] was not known at 1 hits" in replayed.messages


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("$three[3]", "has no part 'three[3]'"),
        ("$point->z", "has no part 'point.z'"),
        ("$three[$state]", "an index into a recorded array has to be a constant"),
        ("$none", "unable to find target variable '$none'"),
    ],
)
def test_parts_that_are_not_there(tmp_path: Path, expression: str, words: str) -> None:
    compile_trace(SHAPES, tmp_path)

    with pytest.raises(CompileError, match=r".") as caught:
        _replay(f'probe kernel.trace("shapes") {{ println({expression}) }}', tmp_path)

    assert words in caught.value.diagnostics[0].message


def test_a_trace_without_tasks_is_refused(tmp_path: Path) -> None:
    compile_trace(SHAPES.replace("sched_switch", "other"), tmp_path)

    with pytest.raises(CompileError) as caught:
        _replay('probe kernel.trace("shapes") { println(execname()) }', tmp_path)

    assert "does not hold `execname()`" in caught.value.diagnostics[0].message


def test_several_traces_in_order_of_time(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    compile_trace(TASKS, folders[0])
    compile_trace(TASKS.replace("u32:1410 s32:3", "u32:1405 s32:4"), folders[1])
    script = """global n
    probe kernel.trace("syscall_exit_openat") {
      printf("%d %d\\n", gettimeofday_ns(), $ret)
      n++
    }
    probe end { println(n) }"""
    program = bridge.Program("test", script.encode(), AnalyseOptions())
    placed = program._place(open_recorded(*folders))

    run_replay(placed, folders, SessionOptions(replay=True))

    assert capfd.readouterr().out == ("1405 4\n1410 3\n1710 -2\n1710 -2\n4\n")
