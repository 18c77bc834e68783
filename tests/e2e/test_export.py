"""Exports, each run by its consumer: the values that arrive are those that we see ourselves."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bridge
from tests.support.command import PATIENCE

if TYPE_CHECKING:
    from tests.support.command import Compiler, Runner

VICTIM = """
#include <markbridge/marker.h>
#include <string.h>
struct line { long count; int price; const char *name; };
__attribute__((noinline)) int add(int a, long b) { __asm__ volatile(""); return a + (int)b; }
int main(int argc, char **argv)
{
	volatile int total = 0;
	const char *pear = strdup("pear"), *plum = strdup("plum");
	for (long i = 0; i < 40; i++) {
		struct line line = { i * 2, (int)-i, i % 3 ? pear : plum };
		MARKBRIDGE_MARK(shop, order, i, line.name, &line, (short)(i - 20));
		total = add(total, i);
	}
	MARKBRIDGE_MARK(shop, closed, total);
	return 0;
}
"""
CONFIG = "CONFIG_TRACEPOINTS=y\nCONFIG_ARCH_SUPPORTS_UPROBES=y\nCONFIG_UPROBES=y\n"
NAMES = ["pear" if i % 3 else "plum" for i in range(40)]

pytestmark = [pytest.mark.bpf, pytest.mark.tools]


@pytest.fixture
def victim(compile_c: Compiler) -> Path:
    return compile_c("victim", VICTIM, "-g")


@pytest.fixture
def uprobes_folder(stap_folder: Path) -> Path:
    (stap_folder / ".config").write_text(CONFIG)
    return stap_folder


@pytest.fixture
def export(run: Runner, victim: Path, tmp_path: Path):
    """A script with VICTIM in it, exported; the file."""

    def export(script: str, consumer: str) -> Path:
        done = run("export", "--to", consumer, "-e", script.replace("VICTIM", str(victim)))
        assert done.code == 0, done.err
        file = tmp_path / f"exported.{consumer}"
        file.write_text(done.out)
        return file

    return export


def _lines(script: str, victim: Path) -> list[str]:
    """What we print ourselves."""
    program = bridge.compile(script.replace("VICTIM", str(victim)))
    with program.attach(command=[str(victim)]) as session:
        return [line.text for line in session]


# --- where the hits go ------------------------------------------------------------------------

ORDER = """probe process("VICTIM").mark("order") {
    printf("%d %s %d %d\\n", $arg1, user_string($arg2), user_int32($arg3 + 8), $arg4)
}"""
CLOSED = 'probe process("VICTIM").mark("closed") { printf("%d\\n", $arg1) }'
ADD = 'probe process("VICTIM").function("add") { printf("%d %d\\n", $a, $b) }'


def _traced(file: Path, victim: Path) -> list[str]:
    """The hits in tracefs, without their heads."""
    tracefs = Path("/sys/kernel/tracing")
    (tracefs / "trace").write_text("")
    subprocess.run(["sh", file, "start"], check=True)
    try:
        subprocess.run([victim], check=True)
        text = (tracefs / "trace").read_text()
    finally:
        subprocess.run(["sh", file, "stop"], check=True)
    rows = [line for line in text.splitlines() if line.lstrip().startswith("victim-")]
    return [row.partition(") ")[2] for row in rows]


def test_ftrace_has_the_arguments_of_a_marker(export, victim: Path) -> None:
    hits = _traced(export(ORDER, "ftrace"), victim)
    values = [dict(re.findall(r'(\w+)=("[^"]*"|\S+)', hit)) for hit in hits]

    shown = [
        f"{v['arg1']} {v['arg2_user_string'][1:-1]} {v['arg3_user_int32']} {v['arg4']}"
        for v in values
    ]
    assert shown == _lines(ORDER, victim)
    assert len(shown) == 40
    assert not (Path("/sys/kernel/tracing/events/markbridge")).exists()


def test_ftrace_has_several_markers_and_tracepoints(export, victim: Path) -> None:
    exits = 'probe kernel.trace("sched:sched_process_exit") { println($pid) }'
    hits = _traced(export(f"{CLOSED}\n{exits}", "ftrace"), victim)

    assert any(hit.startswith("arg1=780") for hit in hits)


def test_ftrace_has_functions_with_their_arguments(export, victim: Path) -> None:
    hits = _traced(export(ADD, "ftrace"), victim)

    values = [tuple(map(int, re.findall(r"=(-?\d+)", hit))) for hit in hits]
    assert [f"{a} {b}" for a, b in values] == _lines(ADD, victim)


def test_perf_records_the_arguments(export, victim: Path, tmp_path: Path) -> None:
    data = tmp_path / "perf.data"
    command = ["env", f"PERF_DATA={data}", "sh", export(ORDER, "perf"), victim]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        ["perf", "script", "-i", data], check=True, capture_output=True, text=True
    ).stdout

    pattern = r'arg1=(\S+).* arg4=(\S+) arg2_user_string="(\w*)" arg3_user_int32=(\S+)'
    rows = re.findall(pattern, shown)
    # it shows small signed numbers without their sign
    found = [
        f"{a} {name} {price} {int(d) - (int(d) >> 15 << 16)}" for a, d, name, price in rows
    ]
    assert found == _lines(ORDER, victim)


def test_gdb_prints_the_arguments(export, victim: Path) -> None:
    command = ["gdb", "-nx", "-q", "-batch", "-x", export(ORDER, "gdb"), victim]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    pattern = (
        r"shop:order \$arg1=(\S+) .*\$arg4=(\S+) user_string\(\$arg2\)=(\w+)"
        r" user_int32\(\(\$arg3 \+ 8\)\)=(\S+)"
    )
    found = [f"{a} {name} {price} {d}" for a, d, name, price in re.findall(pattern, shown)]
    assert found == _lines(ORDER, victim)


def test_lttng_takes_the_events(export, victim: Path, tmp_path: Path) -> None:
    """Its client reads the options and the file; what hits needs modules of the kernel."""
    script = """probe process("VICTIM").mark("order") { println("hit") }
    probe kernel.trace("sched:sched_switch") { println("switch") }"""
    file = export(script, "lttng")

    assert file.read_text().splitlines()[3:] == [
        f"lttng enable-event --kernel --userspace-probe='sdt:{victim}:shop:order' order",
        "lttng enable-event --kernel 'sched_switch'",
    ]
    (tmp_path / ".lttngrc").write_text("session=unused\n")
    (tmp_path / "lttng").write_text('#!/bin/sh\n/usr/bin/lttng -vv "$@" || true\n')
    (tmp_path / "lttng").chmod(0o755)
    home = ["env", f"LTTNG_HOME={tmp_path}", f"PATH={tmp_path}:{os.environ['PATH']}"]
    done = subprocess.run([*home, "sh", file], capture_output=True, text=True, check=True)
    assert re.findall(r"Enabling kernel event (\S+)", done.stderr) == ["order", "sched_switch"]
    assert "parse" not in done.stderr
    assert "Cannot find" not in done.stderr


# --- whole scripts ----------------------------------------------------------------------------

COUNT = 'global n probe process("VICTIM").mark("order") { n[user_string($arg2)]++ }'
CONDITION = """global large probe process("VICTIM").mark("order") {
    if ($arg1 >= 10 && $arg4 < 10) large[$arg1 % 5] += $arg4
    else if ($arg1 == 3) printf("three %s\\n", user_string($arg2))
}"""
STATISTIC = """global s probe process("VICTIM").mark("order") { s <<< $arg1 }
probe end { printf("%d\\n", @sum(s)) }"""
HISTOGRAM = """global h probe process("VICTIM").mark("order") { h <<< $arg1 }
probe end { print(@hist_log(h)) }"""
LOCALS = """probe process("VICTIM").mark("order") {
    twice = $arg1 * 2; name = user_string($arg2)
    if (twice > 70) printf("%s %d %s\\n", name, twice, execname())
}"""


def _bpftrace(file: Path, victim: Path) -> str:
    command = ["bpftrace", file, "-c", str(victim)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bpftrace_counts(export, victim: Path) -> None:
    found = dict(
        re.findall(r"@n\[(\w+)\]: (\d+)", _bpftrace(export(COUNT, "bpftrace"), victim))
    )

    assert found == {"pear": str(NAMES.count("pear")), "plum": str(NAMES.count("plum"))}


def test_bpftrace_has_conditions_sums_and_printf(export, victim: Path) -> None:
    shown = _bpftrace(export(CONDITION, "bpftrace"), victim)
    ours = _lines(CONDITION, victim)

    assert "three plum" in shown.splitlines()
    assert "three plum" in ours
    found = {
        f"large[{key}]={int(value):#x}"
        for key, value in re.findall(r"@large\[(\d+)\]: (-?\d+)", shown)
    }
    sums = {key: sum(i - 20 for i in range(10, 30) if i % 5 == key) for key in range(5)}
    assert {line for line in ours if "large" in line} == {
        f"large[{k}]={v}" for k, v in sums.items()
    }
    assert len(found) == 5
    assert dict(re.findall(r"@large\[(\d+)\]: (-?\d+)", shown)) == {
        str(k): str(v) for k, v in sums.items()
    }


def test_bpftrace_has_histograms(export, victim: Path) -> None:
    shown = _bpftrace(export(HISTOGRAM, "bpftrace"), victim)

    rows = dict(re.findall(r"\[(\d+)(?:, \d+\))?\]?\s+(\d+) \|", shown))
    assert {low: int(count) for low, count in rows.items() if count != "0"} == {
        "0": 1, "1": 1, "2": 2, "4": 4, "8": 8, "16": 16, "32": 8,
    }  # fmt: skip


def test_bpftrace_has_locals(export, victim: Path) -> None:
    shown = _bpftrace(export(LOCALS, "bpftrace"), victim)

    lines = [line for line in shown.splitlines() if line.endswith(" victim")]
    assert lines == _lines(LOCALS, victim)
    assert len(lines) == 4


@pytest.mark.parametrize("script", [ORDER, COUNT, CONDITION, STATISTIC, HISTOGRAM, LOCALS])
def test_systemtap_understands_the_script_as_we_do(
    script: str, export, uprobes_folder: Path, victim: Path, run: Runner
) -> None:
    file = export(script, "systemtap")
    command = ["stap", "-p2", "-r", uprobes_folder, file]
    theirs = subprocess.run(command, check=False, capture_output=True, text=True)
    assert theirs.returncode == 0, theirs.stderr
    ours = run("check", "-p2", "-e", script.replace("VICTIM", str(victim)))

    def places(text: str) -> list[str]:
        found = [line.partition(" /*")[0] for line in text.splitlines()]
        return [line for line in found if line.startswith(("process", "end"))]

    assert places(theirs.stdout) == places(ours.out)
    assert places(ours.out)


ALIAS = """probe shop = process("VICTIM").mark("order") { price = user_int32($arg3 + 8) }
function half(x) { return x / 2 }
probe shop { if (half(price) < -10) println(price) }"""


def test_aliases_are_gone(export, uprobes_folder: Path) -> None:
    file = export(ALIAS, "systemtap")
    command = ["stap", "-p2", "-r", uprobes_folder, file]

    assert "probe shop" not in file.read_text()
    subprocess.run(command, check=True, capture_output=True)


# --- what cannot be exported ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("consumer", "script", "message", "column"),
    [
        ("ftrace", "probe perf.type(1).config(0) { println(1) }", "sample probes", 7),
        ("perf", 'probe process("VICTIM").begin { println(1) }', "process probes", 7),
        (
            "gdb",
            'probe kernel.trace("sched:sched_switch") { println(1) }',
            "tracepoint probes",
            7,
        ),
        ("lttng", ORDER, "$arg1: its user-space probes have no fields", 7),
        (
            "bpftrace",
            "global a, n probe begin { a[1] = 2 foreach (x in a) n += x }",
            "foreach",
            36,
        ),
        ("bpftrace", 'probe begin { println(substr("abc", 1, 1)) }', "substr()", 23),
    ],
)
def test_what_a_consumer_cannot_take_is_an_error_with_its_place(
    consumer: str, script: str, message: str, column: int, run: Runner, victim: Path
) -> None:
    done = run("export", "--to", consumer, "-e", script.replace("VICTIM", str(victim)))

    assert (done.code, done.out) == (1, "")
    assert f"error[not-exported]: {consumer} cannot take" in done.err
    assert message in done.err
    assert f"<input>:1:{column}" in done.err
