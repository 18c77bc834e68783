"""Runs the command as a user would, and compiles programs with markers for it to trace."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import (
    PATIENCE,
    Compiler,
    Finished,
    Interrupter,
    Runner,
    wait_until,
)

ROOT = Path(__file__).resolve().parent.parent.parent
INCLUDE = ROOT / "csrc" / "include"


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


@pytest.fixture
def compile_c(tmp_path: Path) -> Compiler:
    """Compiles a C program that may include <markbridge/marker.h>."""

    def compile_c(name: str, source: str, *flags: str) -> Path:
        code, program = tmp_path / f"{name}.c", tmp_path / name
        code.write_text(source)
        subprocess.run(["gcc", "-O2", f"-I{INCLUDE}", *flags, "-o", program, code], check=True)
        return program

    return compile_c
