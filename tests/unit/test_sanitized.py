"""The build of the C side with sanitizers is the one that runs, and it sees what it should."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LIBRARY = os.environ.get("MARKBRIDGE_LIBRARY", "")
pytestmark = pytest.mark.skipif(not LIBRARY, reason="only under `make sanitize`")

BEYOND_A_BUFFER = """
from bridge._native import ffi, lib
lib.mb_words(b"one two three", ffi.new("char[4]"), 100)
"""


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )


def test_the_library_is_the_one_with_sanitizers() -> None:
    done = _run("import bridge._native; print(open('/proc/self/maps').read())")
    assert LIBRARY in done.stdout
    assert "libasan" in done.stdout


def test_a_write_beyond_a_buffer_of_python_ends_the_process() -> None:
    done = _run(BEYOND_A_BUFFER)
    assert done.returncode != 0
    assert "ERROR: AddressSanitizer: heap-buffer-overflow" in done.stderr
    assert "mb_words" in done.stderr


def test_every_test_of_this_run_has_it() -> None:
    import bridge._native

    assert LIBRARY in repr(bridge._native.lib)
