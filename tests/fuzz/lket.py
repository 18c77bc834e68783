#!/usr/bin/env python3
"""Coverage-guided fuzzing of the LKET reader: any files are read or refused.

    python tests/fuzz/lket.py [LIBFUZZER OPTION ...] [CORPUS FOLDER ...]

One input is up to four files of a trace: the first byte says how many, two more each say how
long all but the last are. Anything but events, diagnostics and TraceError is a finding.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

MOST_FILES = 4


def files_of(data: bytes) -> list[bytes]:
    """The contents of the files that an input stands for."""
    count = data[0] % MOST_FILES if data else 0
    at, pieces = 1 + 2 * count, []
    for number in range(count):
        size = int.from_bytes(data[1 + 2 * number : 3 + 2 * number], "little")
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


def input_of(files: list[bytes]) -> bytes:
    """The input that stands for these files."""
    sizes = b"".join(len(data).to_bytes(2, "little") for data in files[:-1])
    return bytes([len(files) - 1]) + sizes + b"".join(files)


def check_files(data: bytes) -> int:
    """How many events the files hold; -1 if they are refused."""
    from bridge.errors import TraceError
    from bridge.trace.lket import is_lket, open_lket

    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        for number, content in enumerate(files_of(data)):
            (Path(name) / f"stpd_cpu{number}").write_bytes(content)
        try:
            if not is_lket(Path(name)):
                return -1
            with open_lket(Path(name)) as reader:
                count = sum(1 for _ in reader)
                counted = sum(sum(s.events.values()) for s in reader.statistics().values())
        except TraceError:
            return -1
    assert count == counted, "the two passes do not agree"
    return count


def _one_input(data: bytes) -> None:
    check_files(data)


def _fuzz() -> None:
    import atheris

    with atheris.instrument_imports(include=["bridge"]):
        check_files(b"\0")
    atheris.Setup(sys.argv, _one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    _fuzz()
