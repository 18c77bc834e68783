"""Scripts over recorded traces: probe points bind to event classes, captures to fields."""

from __future__ import annotations

from pathlib import Path

import pytest

import bridge
from bridge.engine.base import SessionOptions
from bridge.engine.trace.replay import open_recorded, run_replay
from bridge.errors import CompileError
from bridge.markers import MarkerAttachment
from bridge.script.options import AnalyseOptions
from bridge.trace.convert import to_ctf
from bridge.trace.open import open_trace
from tests.support.mctf import compile_trace
from tests.support.recordings import OFFSET_NS, Recording, usdt

KERNEL = """
--- metadata
/* CTF 1.8 */
typealias integer { size = 8; } := u8;
typealias integer { size = 32; } := u32;
trace { major = 1; minor = 8; byte_order = le; };
clock { name = "c"; };
stream {
	packet.context := struct { u32 content_size; u8 cpu_id; };
	event.header := struct { u8 id; u32 timestamp; };
};
event { name = "sched_switch"; id = 1; fields := struct {
	integer { size = 8; encoding = UTF8; } _prev_comm[6];
	u32 _prev_tid; string _next_comm;
}; };
--- stream
packet u32:content u8:3
	u8:1 u32:1000 'bash\\x00\\x00' u32:7 "swapper"
	u8:1 u32:2000 'idle\\x00\\x00' u32:0 "bash"
"""


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Orders of two processes, refusals of one, on two CPUs, over three seconds."""
    attachments = [MarkerAttachment(usdt("order")), MarkerAttachment(usdt("refused"))]
    recording = Recording(tmp_path / "trace", attachments, start_ns=1_000_000_000)
    for number in range(30):
        time_ns = 1_000_000_000 + number * 100_000_000
        text = None if number == 11 else b"tea%d" % (number % 3)
        recording.hit(time_ns, number, text, pid=100 + number % 2)
        if number % 10 == 0:
            recording.hit(time_ns + 1, number, hook=1)
    recording.recorder.lost(-1, 2)
    recording.recorder.close()
    return tmp_path / "trace"


def _replay(text: str, trace: Path) -> bridge.Replayed:
    program = bridge.Program("test", text.encode(), AnalyseOptions())
    return program.replay(trace)


def test_values_strings_and_contexts(trace: Path) -> None:
    script = """
    probe process("/usr/bin/shop").mark("order") {
      if ($arg1 < 2)
        printf("%d %s %d %d %s %d\\n", $arg1, user_string($arg2), pid(), uid(), execname(),
               gettimeofday_ns())
    }
    """
    second = OFFSET_NS + 1_000_000_000

    assert _replay(script, trace).text == (
        f"0 tea0 100 1000 shop {second}\n1 tea1 101 1000 shop {second + 100_000_000}\n"
    )


def test_wildcards_and_order(trace: Path) -> None:
    script = 'probe process("shop").mark("*") { if ($arg1 < 3) println($$name, " ", $arg1) }'

    assert _replay(script, trace).text == "order 0\nrefused 0\norder 1\norder 2\n"


def test_one_process_only(trace: Path) -> None:
    script = """
    global n
    probe process(101).mark("order") { n[pid()]++ }
    probe end { foreach (p in n) printf("%d %d\\n", p, n[p]) }
    """

    assert _replay(script, trace).text == "101 15\n"


def test_timers_go_by_the_time_of_the_trace(trace: Path) -> None:
    script = """
    global n
    probe process("shop").mark("order") { n++ }
    probe timer.s(1) { println(n); n = 0 }
    """

    counts = [int(line) for line in _replay(script, trace).text.split()]

    assert sum(counts[:3]) in (29, 30)
    assert counts[1:3] == [10, 10]


def test_faults_come_back_as_faults(trace: Path) -> None:
    script = """
    probe process("shop").mark("order") {
      if ($arg1 == 11)
        try { println(user_string($arg2)) } catch { println("unreadable") }
    }
    """

    assert _replay(script, trace).text == "unreadable\n"


EVERYTHING = """global n
probe process("/usr/bin/shop").mark("order") {
  n[$$name, pid()]++
  try { printf("%d %s %s %d %d\\n", $arg1, user_string($arg2), execname(), ppid(), cpu()) }
  catch { println("unreadable") }
}
probe process("shop").mark("refused") { printf("%s %d\\n", pp(), $arg1); n[$$name, 0]++ }
probe end {
  foreach ([name, process] in n+) printf("%s %d %d\\n", name, process, n[name, process])
}"""


def test_a_converted_recording_is_replayed_alike(trace: Path, tmp_path: Path) -> None:
    with open_trace(trace) as source:
        to_ctf(source, tmp_path / "once")
    with open_trace(tmp_path / "once") as source:
        to_ctf(source, tmp_path / "twice")

    live = _replay(EVERYTHING, trace).text

    assert "unreadable" in live
    assert _replay(EVERYTHING, tmp_path / "once").text == live
    assert _replay(EVERYTHING, tmp_path / "twice").text == live


def test_a_merged_conversion_has_the_classes_of_both(tmp_path: Path) -> None:
    for number, names in enumerate((("refused",), ("order", "refused"))):
        attachments = [MarkerAttachment(usdt(name)) for name in names]
        recording = Recording(tmp_path / "both" / str(number), attachments, start_ns=1)
        for hook in range(len(names)):
            recording.hit(1000 + number, number, hook=hook)
        recording.recorder.close()
    with open_trace(tmp_path / "both") as source:
        to_ctf(source, tmp_path / "one")
    script = 'probe process("shop").mark("*") { printf("%s %d\\n", $$name, $arg1) }'

    replayed = _replay(script, tmp_path / "one").text.splitlines()

    assert sorted(replayed) == ["order 1", "refused 0", "refused 1"]


def test_losses_are_told(trace: Path) -> None:
    replayed = _replay('probe process("shop").mark("order") { next }', trace)

    assert replayed.result.lost == 2
    assert "2 events were lost" in replayed.messages


def test_exit_ends_the_replay(trace: Path) -> None:
    script = """
    probe process("shop").mark("order") { println($arg1); if ($arg1 == 2) exit() }
    probe end { println("end") }
    """

    assert _replay(script, trace).text == "0\n1\n2\nend\n"


def test_what_was_not_recorded_is_named(trace: Path) -> None:
    script = 'probe process("shop").mark("order") { println(user_string($arg2 + 8)) }'

    with pytest.raises(CompileError) as caught:
        _replay(script, trace)

    assert "does not hold `user_string(($arg2 + 8))`" in str(caught.value)
    assert "record again with --trace and this script" in str(caught.value)


def test_a_marker_that_is_not_there(trace: Path) -> None:
    with pytest.raises(CompileError) as caught:
        _replay('probe process("shop").mark("ordre") { }', trace)

    (error, *_) = caught.value.diagnostics
    assert "similar marks: order" in str(error)
    assert "it has shop:order, shop:refused" in str(error)


def test_kernel_traces_of_other_tracers(tmp_path: Path) -> None:
    trace = compile_trace(KERNEL, tmp_path / "kernel")
    script = """
    probe kernel.trace("sched_switch") {
      printf("%d %s:%d -> %s at %d\\n", cpu(), $prev_comm, $prev_tid, $next_comm,
             gettimeofday_ns())
    }
    """

    expected = "3 bash:7 -> swapper at 1000\n3 idle:0 -> bash at 2000\n"
    assert _replay(script, trace).text == expected
    assert _replay(script, tmp_path).text == expected
    with pytest.raises(CompileError, match="must be told to record"):
        _replay('probe kernel.trace("sched:sched_switch") { println(pid()) }', trace)


def test_a_recording_beside_its_conversion(
    trace: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_trace(trace) as source:
        to_ctf(source, tmp_path / "once")
    folders = [trace, tmp_path / "once"]
    alone = _replay(EVERYTHING, trace).text.splitlines()
    program = bridge.Program("test", EVERYTHING.encode(), AnalyseOptions())

    run_replay(program._place(open_recorded(*folders)), folders, SessionOptions(replay=True))

    hits = [line for line in alone if not line.startswith(("order", "refused"))]
    both = capfd.readouterr().out.splitlines()
    assert both[: 2 * len(hits)] == [line for line in hits for _ in folders]
    assert both[2 * len(hits) :] == ["refused 0 6", "order 100 30", "order 101 30"]
