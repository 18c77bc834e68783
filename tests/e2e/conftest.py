"""Runs the command as a user would, and compiles programs with markers for it to trace."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
INCLUDE = ROOT / "csrc" / "include"
PATIENCE = 600
"""Seconds after which nothing will come any more, however busy the machine is."""
LOOK_S = 0.02


def wait_until(holds: Callable[[], bool]) -> None:
    """Look again and again until it holds; the test fails if it never does."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(LOOK_S)


@dataclass(frozen=True)
class Finished:
    """What a run of the command left: exit code and its two outputs."""

    code: int
    out: str
    err: str


class Runner(Protocol):
    """`run("check", "x.stp")`."""

    def __call__(self, *arguments: object) -> Finished: ...


@pytest.fixture
def run() -> Runner:
    """Runs `markbridge` with arguments and returns what it left."""

    def run(*arguments: object) -> Finished:
        done = subprocess.run(
            [sys.executable, "-m", "bridge", *map(str, arguments)],
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=PATIENCE,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


class Interrupter(Protocol):
    """`interrupt_after("text", "run", "x.stp")`: as `run`, with Ctrl-C once it printed that."""

    def __call__(self, shown: str, *arguments: object) -> Finished: ...


ARMED = 'global armed__ probe timer.ms(1) { if (!armed__++) warn("armed") }'
WORK = "import os, signal; signal.signal(10, signal.SIG_IGN); os.kill(os.getpid(), 10); "
WORK += "os.system('true'); sum(range(3_000_000))"


@pytest.fixture
def interrupt_after(tmp_path: Path) -> Interrupter:
    """Runs `markbridge`, and presses Ctrl-C when its output matches a pattern.

    With an empty pattern, when a program that makes system calls, signals and processes has run
    from its beginning to its end under the probes.
    """

    def interrupt_after(shown: str, *arguments: object) -> Finished:
        output, messages = tmp_path / "output", tmp_path / "messages"
        with output.open("wb") as out, messages.open("wb") as err:
            command = [sys.executable, "-m", "bridge", *map(str, arguments), "-E", ARMED]
            process = subprocess.Popen(command, stdout=out, stderr=err)
        wait_until(lambda: process.poll() is not None or b"armed" in messages.read_bytes())
        if shown:
            pattern = re.compile(shown.encode(), re.MULTILINE)
            wait_until(lambda: pattern.search(output.read_bytes()) is not None)
        else:
            subprocess.run([sys.executable, "-c", WORK], check=True)
        process.send_signal(signal.SIGINT)
        code = process.wait(PATIENCE)
        return Finished(
            code,
            output.read_text(errors="surrogateescape"),
            messages.read_text(errors="surrogateescape"),
        )

    return interrupt_after


class Compiler(Protocol):
    """`compile_c("victim", source, "-O0")` gives the path of the program."""

    def __call__(self, name: str, source: str, *flags: str) -> Path: ...


@pytest.fixture
def compile_c(tmp_path: Path) -> Compiler:
    """Compiles a C program that may include <markbridge/marker.h>."""

    def compile_c(name: str, source: str, *flags: str) -> Path:
        code, program = tmp_path / f"{name}.c", tmp_path / name
        code.write_text(source)
        subprocess.run(["gcc", "-O2", f"-I{INCLUDE}", *flags, "-o", program, code], check=True)
        return program

    return compile_c
