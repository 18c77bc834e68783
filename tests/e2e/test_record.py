"""`markbridge record`: the running kernel as LTT and CTF, beside perf's own recording."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.trace.open import open_trace
from tests.support.command import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.trace.model import Event
    from tests.support.command import Runner

pytestmark = [pytest.mark.bpf, pytest.mark.xdist_group("kernel")]

FORMS = ("ctf", "ltt-0.8", "ltt-0.7", "ltt-2.6")
CALLS = "import os; [os.getppid() for _ in range(300)]; os.system('true')"
GETPPID = {"x86_64": 110}.get(os.uname().machine, 173)


def _name(event: Event) -> str:
    """The tracepoint's name, which LTT has behind the facility's."""
    return event.event_class.name.rpartition(".")[2]


def _written(messages: str) -> int:
    found = re.search(r"^(\d+) events written to ", messages, re.MULTILINE)
    assert found is not None, messages
    return int(found[1])


@pytest.mark.parametrize("form", FORMS)
def test_facilities_of_today_and_of_then(run: Runner, tmp_path: Path, form: str) -> None:
    facilities = ("--facility", "sched", "--facility", "syscall", "--facility", "process")
    command = ("--", sys.executable, "-c", CALLS)
    done = run("record", *facilities, "--to", form, tmp_path / "t", *command)

    assert done.code == 0, done.err
    with open_trace(tmp_path / "t") as trace:
        events = [e for e in trace if not e.event_class.name.startswith(("core.", "metadata."))]
    assert _written(done.err) == len(events)
    names = Counter(_name(event) for event in events)
    assert names["sched_switch"] == names["schedchange"] > 0
    forks = [e.fields for e in events if _name(e) == "sched_process_fork"]
    older = [e.fields for e in events if e.event_class.name == "process.fork"]
    assert [(f["parent_pid"], f["child_pid"]) for f in forks] == [
        (f["parent_pid"], f["child_pid"]) for f in older
    ]
    assert (
        len([e for e in events if _name(e) == "sys_enter" and e.fields["id"] == GETPPID]) >= 300
    )
    assert all(a.tsc < b.tsc for a, b in itertools.pairwise(events))


def test_the_clock_of_the_calendar(run: Runner, tmp_path: Path) -> None:
    begin = time.time_ns()
    for form in FORMS:
        command = (tmp_path / form, "--", "true")
        assert run("record", "--facility", "sched", "--to", form, *command).code == 0
        with open_trace(tmp_path / form) as trace:
            about = getattr(trace, "attributes", {})
            event = next(e for e in trace if "sched" in e.event_class.name)
        # of LTT, times are those of the clock; what it was at the start is said beside the date
        second, _, part = about.get("start_time", "0").partition(".")
        start = int(second) * 10**9 + int(part.ljust(9, "0")) - int(about.get("start_tsc", 0))
        assert begin <= start + event.timestamp_ns <= time.time_ns()


def test_markers_by_pattern_replay_as_what_they_were(run: Runner, tmp_path: Path) -> None:
    command = ("--", sys.executable, "-c", CALLS)
    marker = ("--marker", "kernel_process_fork", "--marker", "kernel.sys*")
    done = run("record", *marker, "--to", "ltt-2.6", tmp_path / "t", *command)
    assert done.code == 0, done.err

    script = 'probe kernel.mark("kernel.process_fork") { if ($arg2 == $arg3) n++ }'
    script += f' probe kernel.mark("syscall_entry") {{ if ($syscall_id == {GETPPID}) m++ }}'
    script += ' global n, m; probe end { println(n > 0, " ", m >= 300) }'
    replayed = run("run", "--replay", tmp_path / "t", "-e", script)
    assert (replayed.code, replayed.out) == (0, "1 1\n"), replayed.err


def test_a_replay_over_the_recording(run: Runner, tmp_path: Path) -> None:
    script = 'global n; probe kernel.trace("raw_syscalls:sys_enter") {'
    script += f" if ($id == {GETPPID}) n++ }} probe end {{ println(n >= 300) }}"
    for form in ("ctf", "ltt-0.8"):
        command = (tmp_path / form, "--", sys.executable, "-c", CALLS)
        assert run("record", "--facility", "syscall", "--to", form, *command).code == 0
        assert run("run", "--replay", tmp_path / form, "-e", script).out == "1\n"


def test_markers_of_a_program(run: Runner, tmp_path: Path) -> None:
    point = f'process("{sys.executable}").begin'
    command = ("--", sys.executable, "-c", "pass")
    done = run("record", "--probe", point, "--to", "ltt-0.8", tmp_path / "t", *command)

    assert done.code == 0, done.err
    assert _written(done.err) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--facility", "shced", "t"), "no facility `shced` (similar facilities: csd, sched"),
        (("--marker", "kernel.sched_scedule", "t"), "similar marks: kernel.sched_schedule"),
        (("--event", "nothing:*", "t"), "none of these events is there"),
        (("t",), "nothing to record"),
        (("--facility", "sched"), "a folder for the trace is needed"),
        (("--facility", "sched", "--to", "ltt-0.6", "t"), "invalid choice: 'ltt-0.6'"),
    ],
)
def test_what_cannot_be_recorded(
    run: Runner, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    words = [str(tmp_path / "t") if word == "t" else word for word in arguments]
    done = run("record", *words)

    assert done.code in (1, 2)
    assert message in done.err
    assert not (tmp_path / "t").exists()


# --- ends -------------------------------------------------------------------------------------


def _start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bridge", "record", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("form", FORMS)
def test_ctrl_c_ends_it(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "t"
    process = _start("--facility", "sched", "--to", form, folder)
    wait_until(lambda: folder.exists() and _bytes(folder) > 100_000)
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=PATIENCE)

    assert process.returncode == 0
    with open_trace(folder) as trace:
        count = sum(not e.event_class.name.startswith(("core.", "metadata.")) for e in trace)
        assert trace.diagnostics == []
    assert _written(messages) == count


@pytest.mark.parametrize("form", FORMS)
def test_what_is_killed_can_be_read(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "t"
    process = _start("--facility", "sched", "--facility", "syscall", "--to", form, folder)
    wait_until(lambda: folder.exists() and _bytes(folder) > 1_000_000)
    process.kill()
    process.communicate(timeout=PATIENCE)

    with open_trace(folder) as trace:
        names = Counter(_name(event) for event in trace)
        # on a machine that is busy some found no room, which is counted
        assert {diagnostic.code for diagnostic in trace.diagnostics} <= {"lost-events"}
    assert names["sys_enter"] > 1000
    assert names["sched_switch"] > 0


# --- beside perf ------------------------------------------------------------------------------

SECONDS = 10 if os.environ.get("MARKBRIDGE_EVERY") else 1
MARGIN_NS = 5_000_000
COMPARED = ("ltt-0.8", "ctf")
LOAD = "end=$(($(date +%s) + {seconds})); while [ $(date +%s) -lt $end ]; do"
LOAD += " ls -l /usr/lib >/dev/null; cat /proc/stat | wc -c >/dev/null; sleep 0.05; done"
EVENTS = {
    "sched_switch": r"prev_pid=(\d+) .*next_pid=(\d+) ",
    "sched_wakeup": r" pid=(\d+) .*target_cpu=(\d+)",
    "irq_handler_entry": r"irq=(\d+) name=(\S+)",
    "irq_handler_exit": r"irq=(\d+) ret=(\S+)",
    "softirq_entry": r"vec=(\d+)",
    "softirq_exit": r"vec=(\d+)",
    "sys_enter": r"NR (-?\d+) \((\w+), (\w+), (\w+), (\w+), (\w+), (\w+)\)",
    "sys_exit": r"NR (-?\d+) = (-?\d+)",
}
FIELDS = {
    "sched_switch": ("prev_pid", "next_pid"),
    "sched_wakeup": ("pid", "target_cpu"),
    "irq_handler_entry": ("irq", "name"),
    "irq_handler_exit": ("irq", "ret"),
    "softirq_entry": ("vec",),
    "softirq_exit": ("vec",),
    "sys_enter": ("id", *(f"args_{n}" for n in range(6))),
    "sys_exit": ("id", "ret"),
}
SYSTEMS = {"sched_": "sched", "irq_": "irq", "softirq_": "irq", "sys_": "raw_syscalls"}
_LINE = re.compile(r"\s*\[(\d+)\]\s+(\d+)\.(\d{9}):\s+\w+:(\w+): (.*)")

Key = tuple[str, int, tuple[str, ...]]


def _tracepoint(name: str) -> str:
    return next(f"{s}:{name}" for start, s in SYSTEMS.items() if name.startswith(start))


def _value(name: str, number: int, text: str) -> str:
    if name == "sys_enter" and number:
        return str(int(text, 16))
    if name == "irq_handler_exit" and number:
        return str(int(text == "handled"))
    return str(int(text)) if re.fullmatch(r"-?\d+", text) else text


def _of_perf(data: Path, begin: int, end: int) -> Iterator[tuple[int, Key]]:
    command = ["perf", "script", "-i", data, "--ns", "-F", "cpu,time,event,trace", "--time"]
    command.append(",".join(f"{t // 10**9}.{t % 10**9:09}" for t in (begin, end)))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as script:
        assert script.stdout is not None
        for line in script.stdout:
            match = _LINE.match(line)
            if match is None:
                continue
            cpu, seconds, rest, name, text = match.groups()
            values = re.search(EVENTS[name], f" {text} ")
            assert values is not None, line
            shown = tuple(_value(name, n, v) for n, v in enumerate(values.groups()))
            yield int(seconds) * 10**9 + int(rest), (name, int(cpu), shown)


def _of_ours(folder: Path, begin: int, end: int) -> Iterator[tuple[int, Key]]:
    with open_trace(folder) as trace:
        for event in trace:
            name = _name(event)
            if begin <= event.tsc <= end and name in FIELDS:
                values = tuple(str(event.fields[f]) for f in FIELDS[name])
                yield event.tsc, (name, event.cpu, values)


def _within(events: list[tuple[int, Key]], begin: int, end: int) -> Counter[Key]:
    return Counter(key for moment, key in events if begin <= moment <= end)


def _recorded_by_both(folder: Path) -> tuple[int, int, list[str]]:
    """Record a load with perf and twice with ours; its begin and end, and what ours say.

    Both record before the load begins and still when it has ended: the window is all theirs.
    """
    wanted = [word for name in EVENTS for word in ("-e", _tracepoint(name))]
    data = folder / "perf.data"
    ours = [_start("--to", form, *wanted, folder / form) for form in COMPARED]
    wait_until(lambda: all(_bytes(folder / form) > 100_000 for form in COMPARED))
    asked, answers = folder / "asked", folder / "answers"
    for pipe in (asked, answers):
        os.mkfifo(pipe)
    how = [
        "-k",
        "CLOCK_MONOTONIC",
        "-m",
        "8192",
        "-D",
        "-1",
        f"--control=fifo:{asked},{answers}",
    ]
    perf = subprocess.Popen(["perf", "record", "-q", "-a", *how, "-o", data, *wanted])
    # of its own accord it would begin on one CPU long before the next
    asked.write_text("enable\n")
    with answers.open() as answer:
        assert answer.read(3) == "ack"
    begin = time.monotonic_ns()
    subprocess.run(["sh", "-c", LOAD.format(seconds=SECONDS)], check=True)
    end = time.monotonic_ns()
    time.sleep(0.05)
    for process in (perf, *ours):
        process.send_signal(signal.SIGINT)
    perf.wait(PATIENCE)
    return begin, end, [process.communicate(timeout=PATIENCE)[1] for process in ours]


@pytest.mark.tools
def test_the_same_as_perf_records(tmp_path: Path) -> None:
    """Every event of perf, but for what ours say that they lost; of perf itself less is sure.

    What the kernel leaves out because BPF is busy on the CPU it keeps from perf, too. On a
    machine with much to do perf has none of some moments of one CPU and does not say so: both
    of ours have the same events there.
    """
    begin, end, messages = _recorded_by_both(tmp_path)
    # clocks are read at slightly different times: the edges of the window belong to both
    inner, outer = (begin + MARGIN_NS, end - MARGIN_NS), (begin, end)
    assert inner[1] - inner[0] > (SECONDS - 1) * 10**9 // 2
    theirs = list(_of_perf(tmp_path / "perf.data", *outer))
    ours = [list(_of_ours(tmp_path / form, *outer)) for form in COMPARED]
    lost = [sum(map(int, re.findall(r"(\d+) events were lost", text))) for text in messages]
    for events, own in zip(ours, lost, strict=True):
        missing = _within(theirs, *inner) - _within(events, *outer)
        extra = _within(events, *inner) - _within(theirs, *outer)
        assert missing.total() <= own, missing.most_common(5)
        assert extra.total() < len(events) / 50, extra.most_common(5)
        assert own < len(events) / 50
        assert len({key[0] for _, key in events}) > 4
    first, second = ours
    apart = (_within(first, *inner) - _within(second, *outer)).total()
    apart += (_within(second, *inner) - _within(first, *outer)).total()
    assert apart <= sum(lost)
    assert len(first) > 5_000
