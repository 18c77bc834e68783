"""A marker of a Python program, hit by three tracers of different kinds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bridge
from tests.support.command import PATIENCE

if TYPE_CHECKING:
    from tests.support.command import Runner

pytestmark = [pytest.mark.bpf, pytest.mark.xdist_group("kernel")]

ROOT = Path(__file__).resolve().parent.parent.parent
FORMAT = "id %d name %s price %f n4 %d n5 %d n6 %d n7 %d n8 %d n9 %d n10 %d n11 %d n12 %u"
PROGRAM = f"""
import sys
from pathlib import Path
import bridge
order = bridge.marker("shop", "order", "{FORMAT}", folder=Path(sys.argv[1]))
for number in range(3):
    if order.enabled():
        order(-number, f"tea{{number}}", 2.5 * number, *range(4, 12), 2**64 - 1)
"""
TRACING = Path("/sys/kernel/tracing")


def _tell(line: str) -> None:
    """A line more for the kernel's uprobes; open() would seek, which the file refuses."""
    descriptor = os.open(TRACING / "uprobe_events", os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


@pytest.fixture
def victim(tmp_path: Path) -> tuple[list[str], str]:
    """The command of a program that uses a marker, and the path of the marker."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    path = bridge.marker("shop", "order", FORMAT, folder=tmp_path / "markers").path
    return [sys.executable, str(program), str(tmp_path / "markers")], path


def test_by_markbridge(run: Runner, victim: tuple[list[str], str]) -> None:
    command, path = victim
    script = f"""probe process("{path}").mark("order") {{
      printf("%d %s %s %d %d %d\\n", $arg1, user_string($arg2), fp_to_string($arg3, 1), $arg6,
             $arg11, $arg12)
    }}"""

    done = run("run", "-e", script, "-c", " ".join(command))

    assert (done.code, done.out) == (
        0,
        "0 tea0 0.0 6 11 -1\n-1 tea1 2.5 6 11 -1\n-2 tea2 5.0 6 11 -1\n",
    )


@pytest.mark.skipif(not shutil.which("bpftrace"), reason="needs bpftrace")
def test_by_bpftrace(victim: tuple[list[str], str]) -> None:
    command, path = victim
    # with -c it would look for the file in a process that has not mapped it yet
    script = f"""BEGIN {{ system("$VICTIM"); }}
    usdt:{path}:shop:order {{
      printf("%d %s %d\\n", arg0, str(arg1), arg5);
      if ((int64) arg0 == -2) {{ exit(); }}
    }}"""

    done = subprocess.run(
        ["bpftrace", "--unsafe", "-e", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=PATIENCE,
        env={**os.environ, "VICTIM": " ".join(command)},
    )

    lines = [line for line in done.stdout.splitlines() if "tea" in line]
    assert lines == ["0 tea0 6", "-1 tea1 6", "-2 tea2 6"], done.stderr


@pytest.mark.skipif(not shutil.which("perf"), reason="needs perf")
def test_by_a_uprobe_of_tracefs(victim: tuple[list[str], str]) -> None:
    command, path = victim
    group = f"markbridge_{os.getpid()}"
    _tell(f"p:{group}/order {path}:0x1000(0x10000)\n")
    try:
        done = subprocess.run(
            ["perf", "stat", "-x", ",", "-e", f"{group}:order", *command],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
    finally:
        _tell(f"-:{group}/order\n")

    assert done.stderr.split(",")[0] == "3", done.stderr
