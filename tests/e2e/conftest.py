"""Runs the command as a user would, and compiles programs with markers for it to trace."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
INCLUDE = ROOT / "csrc" / "include"


@dataclass(frozen=True)
class Finished:
    """What a run of the command left: exit code and its two outputs."""

    code: int
    out: str
    err: str


class Runner(Protocol):
    """`run("check", "x.stp")`; `timeout` in seconds."""

    def __call__(self, *arguments: object, timeout: float = 60) -> Finished: ...


@pytest.fixture
def run() -> Runner:
    """Runs `markbridge` with arguments and returns what it left."""

    def run(*arguments: object, timeout: float = 60) -> Finished:
        done = subprocess.run(
            [sys.executable, "-m", "bridge", *map(str, arguments)],
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


class Interrupter(Protocol):
    """`interrupt_after(3, "run", "x.stp")`: as `run`, with Ctrl-C after some seconds."""

    def __call__(self, seconds: float, *arguments: object) -> Finished: ...


@pytest.fixture
def interrupt_after() -> Interrupter:
    """Runs `markbridge`, presses Ctrl-C some seconds after its probes are in place."""

    def interrupt_after(seconds: float, *arguments: object) -> Finished:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge", *map(str, arguments), "-v"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
        )
        before = []
        for line in process.stderr:
            if line == "Pass 5: starting run.\n":
                break
            before.append(line)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        return Finished(process.returncode, out, "".join(before) + err)

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
        subprocess.run(
            ["gcc", "-O2", f"-I{INCLUDE}", *flags, "-o", program, code], check=True, timeout=60
        )
        return program

    return compile_c
