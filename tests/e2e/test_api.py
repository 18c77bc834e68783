"""The library as its users see it: `import bridge` and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bridge

if TYPE_CHECKING:
    from tests.support.command import Compiler

VICTIM = """
#include <markbridge/marker.h>
int main(void)
{
	for (long i = 0; i < 100; i++)
		MARKBRIDGE_MARK(demo, hit, i, i & 1 ? "odd" : "even");
	return 0;
}
"""


def test_importing_loads_nothing() -> None:
    heavy = "{'lark', 'llvmlite', 'elftools', 'construct', 'cffi'}"
    code = f"import bridge, sys; print(sorted({heavy} & set(sys.modules)), bridge.__version__)"

    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert shown.stdout == f"[] {bridge.__version__}\n"


def test_every_public_name_is_there() -> None:
    for name in bridge.__all__:
        assert getattr(bridge, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        bridge.nope  # noqa: B018 - asking is the test


def test_lines_come_as_they_are_printed() -> None:
    program = bridge.compile("global n probe timer.ms(10) { println(n++) }")

    with program.attach() as session:
        seen = []
        for line in session:
            seen.append(line.text)
            if len(seen) == 3:
                session.stop()

    assert seen[:3] == ["0", "1", "2"]
    assert session.result.exit_code == 0


def test_an_error_at_run_time_is_in_messages() -> None:
    with bridge.compile('probe begin { println("a") error("no luck") }').attach() as session:
        assert [line.text for line in session] == ["a"]

    assert session.result.exit_code == 1
    assert "ERROR: no luck" in session.messages


def test_what_is_wrong_is_data() -> None:
    with pytest.raises(bridge.CompileError) as refused:
        bridge.compile("probe begin {")
    assert refused.value.stage == "parse"
    program = bridge.compile('probe process("/nonexistent").mark("x") { }')
    with pytest.raises(bridge.CompileError) as unmatched:
        program.attach()
    (reason,) = unmatched.value.diagnostics
    assert (reason.code, reason.chain[-1].message) == (
        "while-resolving-probe-point",
        "/nonexistent: no such file",
    )


def test_markers_of_a_program(compile_c: Compiler) -> None:
    (marker,) = bridge.markers_of(compile_c("victim", VICTIM))

    assert (marker.provider, marker.name) == ("demo", "hit")
    assert [variable.name for variable in marker.arguments] == ["arg1", "arg2"]


@pytest.mark.bpf
@pytest.mark.needs("sleepable")
def test_attach_record_and_replay(compile_c: Compiler, tmp_path: Path) -> None:
    victim, trace = compile_c("victim", VICTIM), tmp_path / "trace"
    program = bridge.compile(
        f'global n probe process("{victim}").mark("hit") {{ n[user_string($arg2)]++ }}'
    )

    with program.attach(command=[str(victim)], trace=trace) as session:
        live = [line.text for line in session]

    assert live == ['n["even"]=50', 'n["odd"]=50']
    assert session.result.lost == 0
    assert program.replay(trace).text.splitlines() == live
    with bridge.open_trace(trace) as reader:
        hits = [event for event in reader if event.event_class.name == "demo:hit"]
    assert [hit.fields["arg1"] for hit in hits] == list(range(100))
