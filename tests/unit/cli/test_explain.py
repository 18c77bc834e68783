"""What `markbridge explain` says."""

from bridge.cli.explain import explain
from tests.support.scripts import compile_text

SCRIPT = """global n, t, s
probe process("demo").mark("hit") { n++ }
probe process("demo").mark("hit") { t[tid()] = gettimeofday_us() }
probe kernel.trace("switch") { if (tid() in t) { s <<< t[tid()]; delete t[tid()] } }
probe kernel.trace("switch") { println($pid, $comm) }
probe end { println(@count(s)) }
"""


def test_each_handler_is_explained() -> None:
    lines = list(explain(compile_text(SCRIPT).placed))
    assert lines[:4] == [
        'process("/bin/demo").mark("hit")',
        '  written: process("demo").mark("hit")',
        "  at: /bin/demo+0x1000",
        "  runs in: kernel space (everything it does is exact in the kernel)",
    ]
    assert "  captures: tid(), realtime_ns()" in lines
    printing = lines.index("  runs in: user space (prints)")
    assert lines[printing - 1] == "  at: tracepoint sched:switch"
    assert lines[printing + 1 : printing + 3] == [
        "  captures: $pid, $comm",
        "  record: $pid, $comm",
    ]
    assert lines[-2:] == [
        "n, s: accumulated in the kernel, merged before each read",
        "t: in the kernel while the script runs, per thread",
    ]


def test_a_recording_shows_its_records() -> None:
    lines = list(explain(compile_text(SCRIPT, record=True).placed))
    assert sum(line.startswith("  record: $arg1, $arg2, pid(), tid()") for line in lines) == 2
