"""Running the command as a user would, and waiting for what it does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

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


class Interrupter(Protocol):
    """`interrupt_after("text", "run", "x.stp")`: as `run`, with Ctrl-C once it printed that."""

    def __call__(self, shown: str, *arguments: object) -> Finished: ...


class Compiler(Protocol):
    """`compile_c("victim", source, "-O0")` gives the path of the program."""

    def __call__(self, name: str, source: str, *flags: str) -> Path: ...
