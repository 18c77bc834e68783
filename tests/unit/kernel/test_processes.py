"""Hooks on processes: their programs and the order of attaching, and records made of /proc."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge._native import ffi
from bridge.artifact import FAULT, Hook, Placed, Placement, RecordLayout, Where
from bridge.codegen.bpf.generate import generate
from bridge.codegen.bpf.object import Attach, BpfObject
from bridge.engine.kernel import attach
from bridge.engine.kernel.existing_tasks import Seen, record, running, tasks
from bridge.ir import ops
from bridge.ir.program import (
    Argument,
    BasicBlock,
    Computed,
    Context,
    Function,
    Handler,
    IrProgram,
    Literal,
    Load,
    Value,
)
from bridge.markers import Expansion, Kind, Marker, MarkerAttachment, SavedRegister, Variable
from bridge.markers import ValueType as Type
from bridge.placement import place

LONG, STRING = Value.LONG, Value.STRING
RING = 1 << 16
FORK, EXEC, EXIT = (f"sched_process_{word}" for word in ("fork", "exec", "exit"))
CONTEXTS = (
    *("pid", "tid", "ppid", "uid", "gid", "euid", "egid", "pgrp", "sid", "cpu", "task"),
    *("monotonic_ns", "realtime_ns"),
)
ALL = (*map(Context, CONTEXTS), Context("execname"), Context("pexecname"))


def marker(event: str, path: str = "") -> Marker:
    variables = (
        Variable("arg1", Type.LONG, (SavedRegister("rdi", compat="rbx"),)),
        Variable("syscall", Type.LONG, (SavedRegister("orig", forgotten=15),)),
    )
    return Marker(Kind.PROCESS, path, event, variables=variables, machine="x86_64")


def handler(at: MarkerAttachment, captures: tuple = ()) -> Handler:
    function = Function("h", 0, [], None, [BasicBlock([], ops.Return())])
    return Handler("p", "p", Expansion(at, "p"), captures, function)


def compiled(*attachments: MarkerAttachment, captures: tuple = (Context("pid"),)) -> BpfObject:
    """What is compiled for one handler in user space at each."""
    hooks = tuple(
        Hook(n, at, (n,), (n,), RecordLayout(captures)) for n, at in enumerate(attachments)
    )
    handlers = [handler(at, captures) for at in attachments]
    placements = (Placement(Where.USER, ""),) * len(hooks)
    return generate(Placed(IrProgram(handlers=handlers), placements, hooks), RING)


def at_tracepoint(made: BpfObject, tracepoint: str) -> list[str]:
    return [p.name for p in made.programs if p.tracepoint == tracepoint]


@pytest.mark.parametrize(
    ("event", "where"),
    [
        ("begin", [EXEC, FORK]),
        ("end", [EXEC, EXIT]),
        ("thread.begin", [FORK]),
        ("thread.end", [EXIT]),
        ("syscall", ["sys_enter"]),
        ("syscall.return", ["sys_exit"]),
    ],
)
def test_an_event_has_a_program_at_each_moment(event: str, where: list[str]) -> None:
    made = compiled(MarkerAttachment(marker(event)))

    mine = {p.tracepoint: p for p in made.programs if p.hook == 0}
    assert sorted(mine) == sorted(where)
    for tracepoint, program in mine.items():
        is_perf = tracepoint == EXIT
        assert program.attach is (Attach.TRACEPOINT if is_perf else Attach.RAW_TRACEPOINT)
    assert made.life is not None


def test_ends_come_before_what_is_known_changes_and_begins_after() -> None:
    kinds = [MarkerAttachment(marker(event, "/bin/x")) for event in ("begin", "end")]

    made = compiled(*kinds)

    assert at_tracepoint(made, EXEC) == ["mb_1_0", "mb_life_exec", "mb_0_0"]
    assert at_tracepoint(made, EXIT) == ["mb_1_1", "mb_life_exit"]


def test_paths_come_before_numbers_and_everything() -> None:
    made = compiled(
        MarkerAttachment(marker("end")),
        MarkerAttachment(marker("end"), pid=7),
        MarkerAttachment(marker("end", "/bin/y")),
        MarkerAttachment(marker("end", "/bin/x")),
    )

    hooks = [name.split("_")[1] for name in at_tracepoint(made, EXIT)]
    assert hooks == ["3", "2", "0", "1", "life"]
    assert made.life is not None
    assert made.life.paths == ("/bin/y", "/bin/x")


def test_what_has_a_number_has_begun_already() -> None:
    made = compiled(MarkerAttachment(marker("begin"), pid=7))

    assert [program for program in made.programs if program.hook == 0] == []


def test_the_target_is_forgotten_last() -> None:
    made = compiled(MarkerAttachment(marker("end"), follow_target=True))

    assert at_tracepoint(made, EXIT) == ["mb_0_1", "mb_life_exit", "mb_exit"]
    assert at_tracepoint(made, EXEC) == ["mb_0_0", "mb_life_exec", "mb_exec"]


@pytest.mark.parametrize(
    ("event", "where"),
    [("begin", Where.USER), ("thread.begin", Where.USER), ("end", Where.KERNEL)],
)
def test_what_user_space_tells_of_runs_there(event: str, where: Where) -> None:
    at = MarkerAttachment(marker(event))

    placed = place(IrProgram(handlers=[handler(at)]))

    assert placed.placements[0].where is where


@pytest.mark.bpf
@pytest.mark.parametrize("event", ["begin", "end", "thread.begin", "syscall", "syscall.return"])
@pytest.mark.parametrize("which", ["path", "number", "target"])
def test_the_kernel_takes_the_programs(event: str, which: str) -> None:
    path, pid = ("/bin/x" if which == "path" else ""), (1 if which == "number" else 0)
    at = MarkerAttachment(marker(event, path), pid, follow_target=which == "target")
    values = (Argument("arg1", LONG), Argument("syscall", LONG)) if "sys" in event else ()

    loaded = attach.load(compiled(at, captures=(*ALL, *values)), 0)

    try:
        assert len(loaded.programs) == len(loaded.object.programs)
    finally:
        loaded.close()


# --- records of what runs already -------------------------------------------------------------


def test_a_record_of_ourselves() -> None:
    captures = (
        *ALL,
        Context("command"),
        Load("user", STRING, Literal(0)),
        Load("user", LONG, Literal(0)),
        Computed("+", Context("pid"), Literal(5)),
    )
    hook = Hook(3, MarkerAttachment(marker("begin")), (0,), (0,), RecordLayout(captures))
    me = next(task for task in tasks() if task.tid == os.getpid())

    words = record(hook, Seen(me, 1000, 10**18), 512)

    def slot(capture: object, more: int = 0) -> int:
        return int(words[2 + hook.layout.slot(capture) + more])

    def text(capture: object) -> bytes | None:
        length, offset = slot(capture) >> 32, slot(capture) & 0xFFFFFFFF
        data = bytes(ffi.buffer(words))
        return None if length == FAULT else data[offset : offset + length]

    facts = dict(zip(CONTEXTS, (slot(Context(name)) for name in CONTEXTS), strict=True))
    assert (words[0], words[1]) == (3 << 32 | ffi.sizeof(words), 1000)
    assert (facts["pid"], facts["tid"]) == (os.getpid(), os.getpid())
    assert (facts["ppid"], facts["pgrp"], facts["sid"]) == (
        os.getppid(),
        os.getpgrp(),
        os.getsid(0),
    )
    assert (facts["uid"], facts["euid"]) == (os.getuid(), os.geteuid())
    assert (facts["gid"], facts["egid"]) == (os.getgid(), os.getegid())
    assert facts["realtime_ns"] == 10**18 + 1000
    name = Path("/proc/self/comm").read_bytes().strip()
    assert text(Context("execname")) == name
    line = Path("/proc/self/cmdline").read_bytes()[:-1].replace(b"\0", b"\x1f")
    assert text(Context("command")) == line[:511]
    assert text(captures[-3]) is None
    assert slot(captures[-2], 1) == FAULT
    assert slot(captures[-1]) == os.getpid() + 5


def test_threads_of_the_kernel_run_no_program() -> None:
    assert running(os.getpid()) is not None
    assert running(2**22 + 1) is None
