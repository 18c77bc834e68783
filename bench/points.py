"""From a probe point to checked handlers, beside `stap -p2`: what large programs cost to start.

`python -m bench points` prints the table, in milliseconds of CPU. Debian has debug information
of nginx, LuaJIT and PostgreSQL in an archive of its own; here they are built from its sources
with `-O2 -g`: MARKBRIDGE_BENCH_PROGRAMS="nginx=/path luajit=/path postgres=/path".
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.check import kernel_folder
from bench.debug_information import CONFIG, first, repeated
from bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"
PYTHON = "/usr/bin/python3.11"
POINTS = (
    ("libc", "*alloc", 'function("*alloc")', "println(pp())"),
    ("CPython", "PyObject_*", 'function("PyObject_*").call', "println(pp())"),
    ("nginx", "ngx_*", 'function("ngx_*").call', "println(pp())"),
    ("nginx", "ngx_*, $$parms", 'function("ngx_*")', "println($$parms)"),
    ("luajit", "a line", 'statement("*@lj_str.c:161")', "println(pp())"),
    ("postgres", "*", 'function("*").call', "println(pp())"),
    ("postgres", "a variable", 'function("exec_simple_query")', "println($query_string)"),
    ("kernel", "optional, not there", 'function("no_such_function")?', "println(1)"),
    ("kernel", "optional, no match", 'function("no_such_*")?', "println(1)"),
)
WANTED = 2.0


def _programs() -> dict[str, str]:
    """The files by name, of those that are here."""
    named = (
        word.partition("=") for word in os.environ.get("MARKBRIDGE_BENCH_PROGRAMS", "").split()
    )
    known = {
        "kernel": "/",
        "libc": LIBC,
        "CPython": PYTHON,
        **{what: path for what, _, path in named},
    }
    return {what: path for what, path in known.items() if Path(path).exists()}


def run() -> Iterator[Row]:
    """The rows, the first time and later; none without stap."""
    if shutil.which("stap") is None:
        return
    programs, ours = _programs(), str(Path(sys.executable).with_name("markbridge"))
    with tempfile.TemporaryDirectory() as folder:
        kernel = kernel_folder(Path(folder) / "kernel")
        (kernel / ".config").write_text(CONFIG)
        for what, title, shape, body in POINTS:
            if what not in programs:
                continue
            whose = "kernel" if what == "kernel" else f'process("{programs[what]}")'
            script = f"probe {whose}.{shape} {{ {body} }} probe begin {{ exit() }}"
            own = [ours, "check", "-e", script]
            stap = repeated(["stap", "-r", str(kernel), "-p2", "-e", script], {})
            named = f"{what} {title}"
            yield Row(f"{named}, first", "ms", first(own), stap, "stap -p2", WANTED)
            yield Row(f"{named}, again", "ms", repeated(own, {}), stap, "stap -p2", WANTED)
