"""Scripts of what people probe print what SystemTap prints.

`tests/cases/systemtap/NAME.c` is the program, `NAME.stp` the script, and `NAME.expected` is
what SystemTap 4.8 printed of them on Linux 6.1, with debug information of kernel and C library.
Those of functions of the kernel in `calls/` share one program.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.engine.kernel.features import has

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.command import Finished, Runner

pytestmark = [pytest.mark.root, pytest.mark.bpf]

CASES = Path(__file__).resolve().parents[1] / "cases" / "systemtap"
NEEDS = {"variable_in_function": "func_ip"}
NAMES = [
    pytest.param(name, marks=[pytest.mark.needs(NEEDS[name])] if name in NEEDS else [])
    for name in sorted({path.stem for path in CASES.glob("*.c")} - {"packets"})
]
SIZES = re.compile(r"(?<=^tcp\.....msg )-?\d+", re.MULTILINE)
"""Of messages as they were asked for, which a tracepoint behind them does not know."""
FLAGS = re.compile(r"urg .* fin \d")
"""SystemTap 4.8 takes every field of less than a byte for 0."""


def _run(run: Runner, folder: Path, name: str) -> Finished:
    script, program = CASES / f"{name}.stp", folder / name
    subprocess.run(["gcc", "-g", "-O1", "-w", "-o", program, CASES / f"{name}.c"], check=True)
    options = re.search(r"^# options: (.*)", script.read_text(), re.MULTILINE)
    given = options[1].split() if options else []
    return run("run", *given, script, "-c", program, program)


def _expected(name: str) -> str:
    return (CASES / f"{name}.expected").read_text()


@pytest.mark.guest
@pytest.mark.parametrize("name", NAMES)
def test_prints_what_systemtap_prints(run: Runner, tmp_path: Path, name: str) -> None:
    done = _run(run, tmp_path, name)

    printed, expected = done.out, _expected(name)
    if name == "sockets" and not has("kprobes"):
        printed, expected = SIZES.sub("SIZE", printed), SIZES.sub("SIZE", expected)
    assert done.code == 0, done.err
    assert printed == expected, done.err


@pytest.mark.guest
def test_headers_of_packets(run: Runner, tmp_path: Path) -> None:
    """Addresses and ports are as SystemTap prints them, flags as a connection has them."""
    done = _run(run, tmp_path, "packets")

    assert done.code == 0, done.err
    assert FLAGS.sub("", done.out) == FLAGS.sub("", _expected("packets")), done.err
    flags = [re.findall(r"(\w+) 1", found) for found in FLAGS.findall(done.out)]
    assert flags[:4] == [["syn"], ["ack", "syn"], ["ack"], ["ack", "psh"]]
    assert ["ack", "fin"] in flags


CALLS = CASES / "calls"
OF_FUNCTIONS = sorted(path.stem for path in CALLS.glob("*.stp"))


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that makes one call of each kind."""
    program = tmp_path_factory.mktemp("calls") / "calls"
    subprocess.run(["gcc", "-g", "-O1", "-w", "-o", program, CALLS / "calls.c"], check=True)
    return program


@pytest.mark.guest
@pytest.mark.needs("kprobes")
@pytest.mark.parametrize("name", OF_FUNCTIONS)
def test_functions_of_the_kernel(run: Runner, calls: Path, name: str) -> None:
    done = run("run", CALLS / f"{name}.stp", "-c", calls)

    assert done.code == 0, done.err
    assert done.out == (CALLS / f"{name}.expected").read_text(), done.err


ZRAM = Path("/sys/class/zram-control")


@pytest.fixture
def disk_of_memory() -> Iterator[str]:
    """A disk of 4 MiB that takes transfers, not requests."""
    if not ZRAM.is_dir():
        pytest.skip("this kernel has no compressed disks of memory")
    number = (ZRAM / "hot_add").read_text().strip()
    try:
        Path(f"/sys/block/zram{number}/disksize").write_text("4M")
        yield f"zram{number}"
    finally:
        (ZRAM / "hot_remove").write_text(number)


def test_ends_of_transfers(run: Runner, tmp_path: Path, disk_of_memory: str) -> None:
    commands = tmp_path / "commands.sh"
    disk, quiet = f"/dev/{disk_of_memory}", "status=none bs=4096"
    commands.write_text(
        f"#!/bin/sh\ndd if=/dev/zero of={disk} count=2 oflag=direct {quiet}\n"
        f"dd if={disk} of=/dev/null count=1 iflag=direct {quiet}\n"
    )
    commands.chmod(0o755)

    done = run("run", CASES / "transfers.stp", "-c", commands, disk_of_memory)

    assert done.out == _expected("transfers"), done.err
