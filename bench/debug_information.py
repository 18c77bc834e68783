"""Debug information beside stap and gdb: one function, all functions, the first time and later.

`python -m bench debug_information` prints the table, in milliseconds of CPU. It needs Debian's
libc6-dbg and python3.11-dbg; what is not installed is left out.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.check import kernel_folder
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPEATS = int(os.environ.get("MARKBRIDGE_BENCH_REPEATS", "3"))
CONFIG = "CONFIG_TRACEPOINTS=y\nCONFIG_ARCH_SUPPORTS_UPROBES=y\nCONFIG_UPROBES=y\n"
FILES = (
    ("libc", "/usr/lib/x86_64-linux-gnu/libc.so.6", "puts"),
    ("CPython", "/usr/bin/python3.11", "PyObject_Repr"),
)
ONE_MOST_MS, AGAIN_MOST_MS, ALL_MOST_MS = 300.0, 100.0, 2000.0


def _milliseconds(command: list[str], more: Mapping[str, str]) -> float:
    """The CPU time of a command, its children's as well."""
    before = os.times()
    subprocess.run(
        command,
        env={**os.environ, **more},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = os.times()
    user = after.children_user - before.children_user
    return 1000 * (user + after.children_system - before.children_system)


def repeated(command: list[str], more: Mapping[str, str]) -> list[float]:
    """What each of several runs takes."""
    return [_milliseconds(command, more) for _ in range(REPEATS)]


def first(command: list[str]) -> list[float]:
    """The same, each time without what an earlier run has kept."""
    found = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as cache:
            more = {"XDG_CACHE_HOME": cache}
            start = [*command[:1], "check", "-e", "probe begin { exit() }"]
            subprocess.run(start, env={**os.environ, **more}, check=True)
            found.append(_milliseconds(command, more))
    return found


def run() -> Iterator[Row]:
    """The rows; none where the tools or the debug files are missing."""
    if shutil.which("stap") is None or shutil.which("gdb") is None:
        return
    ours = str(Path(sys.executable).with_name("markbridge"))
    with tempfile.TemporaryDirectory() as folder:
        kernel = kernel_folder(Path(folder) / "kernel")
        (kernel / ".config").write_text(CONFIG)
        stap = ["stap", "-r", str(kernel)]
        for what, path, name in FILES:
            if Path(path).exists():
                yield from _rows(ours, stap, what, path, name)


def _rows(ours: str, stap: list[str], what: str, path: str, name: str) -> Iterator[Row]:
    one = f'process("{path}").function("{name}")'
    everything = f'process("{path}").function("*")'
    script = ["check", "-e", f"probe {one} {{ println(pp()) }}"]
    whole = ["check", "-e", f"probe {everything} {{ println(pp()) }}"]
    gdb = ["gdb", "-nx", "-batch", "-ex", f"info functions ^{name}$", path]
    by_gdb, by_stap = repeated(gdb, {}), repeated([*stap, "-l", one], {})
    found_first, found_again = first([ours, *script]), repeated([ours, *script], {})
    yield Row(f"{what}: one function, first", "ms", found_first, by_gdb, "gdb", 2, ONE_MOST_MS)
    yield Row(
        f"{what}: one function, again", "ms", found_again, by_stap, "stap -l", 2, AGAIN_MOST_MS
    )
    listed = repeated([*stap, "-l", everything], {})
    found = repeated([ours, *whole], {})
    named = repeated(["gdb", "-nx", "-batch", "-ex", "info functions", path], {})
    yield Row(f"{what}: all functions", "ms", found, listed, "stap -l", 2, ALL_MOST_MS)
    yield Row(f"{what}: all functions", "ms", found, named, "gdb", math.inf)
