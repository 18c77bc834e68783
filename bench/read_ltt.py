"""Reading a genuine LTTng trace of 2009 (399,747 events): speed, opening, memory.

`python -m bench.read_ltt` prints the table; the limits stand in the column of the peer.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from bench.table import Row, show
from bridge._native import lib
from bridge.trace.ltt import open_ltt
from bridge.trace.ltt.cursor import LttCursor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "kernel-2.3-399747"
EVENTS = 399747
COPIES = 40
REPEATS = 9


def reference() -> Path:
    """The folder of reference inputs."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("MARKBRIDGE_REFERENCE", beside))


def unpack(where: Path) -> Path:
    with tarfile.open(reference() / "ltt" / f"{NAME}.tar.gz") as archive:
        archive.extractall(where, filter="data")
    (folder,) = [entry for entry in where.iterdir() if entry.is_dir()]
    return folder


def multiply(folder: Path, where: Path) -> None:
    """A trace whose files repeat those of `folder`; the metadata stays single."""
    where.mkdir()
    for path in folder.iterdir():
        with (where / path.name).open("wb") as out:
            for _ in range(1 if path.name.startswith("metadata") else COPIES):
                with path.open("rb") as source:
                    shutil.copyfileobj(source, out)


def opening(folder: Path) -> float:
    """Milliseconds."""
    start = perf_counter()
    with open_ltt(folder):
        return (perf_counter() - start) * 1e3


def cold_opening(folder: Path) -> float:
    """Milliseconds in a new process, imports included."""
    code = (
        "import sys, time; start = time.perf_counter()\n"
        "from bridge.trace.ltt import open_ltt\n"
        "open_ltt(sys.argv[1]); print((time.perf_counter() - start) * 1e3)"
    )
    command = [sys.executable, "-c", code, str(folder)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def counting(folder: Path) -> float:
    """Nanoseconds per event for the count of each event name."""
    with open_ltt(folder) as reader:
        start = perf_counter()
        found = reader.statistics()
        seconds = perf_counter() - start
    assert sum(sum(s.events.values()) for s in found.values()) == EVENTS
    return seconds * 1e9 / EVENTS


def decoding(folder: Path) -> float:
    """Nanoseconds per event for all fields of all events in merged order."""
    with open_ltt(folder) as reader:
        start = perf_counter()
        cursor = LttCursor(reader.tables)
        total = sum(cursor.batches(lib.MB_LTT_WITH_FIELDS))
        seconds = perf_counter() - start
    assert total == EVENTS
    return seconds * 1e9 / EVENTS


def resident(folder: Path) -> float:
    """Megabytes at most in a process that decodes all of a trace."""
    command = [sys.executable, "-m", "bench.read_ltt", "--resident", str(folder)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _print_resident(folder: Path) -> None:
    with open_ltt(folder) as reader:
        events = sum(LttCursor(reader.tables).batches(lib.MB_LTT_WITH_FIELDS))
        counted = sum(sum(s.events.values()) for s in reader.statistics().values())
    assert events == counted
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def run() -> Iterator[Row]:
    """All measurements."""
    with tempfile.TemporaryDirectory() as name:
        folder = unpack(Path(name) / "one")
        for _ in range(2):  # the page cache is warm
            decoding(folder)

        def limited(
            what: str, unit: str, measure: Callable[[Path], float], times: int, limit: float
        ) -> Row:
            measured = [measure(folder) for _ in range(times)]
            return Row(what, unit, measured, [limit], "limit", 1)

        yield limited("LTT: open a trace", "ms", opening, REPEATS, 200.0)
        yield limited("LTT: open, new process", "ms", cold_opening, 5, 200.0)
        yield limited("LTT: count per event name", "ns/event", counting, REPEATS, 100.0)
        yield limited("LTT: decode all fields", "ns/event", decoding, REPEATS, 200.0)
        many = Path(name) / "forty"
        multiply(folder, many)
        what = f"LTT: memory, {COPIES} times the trace"
        yield Row(what, "MB", [resident(many)], [resident(folder)], "once", 1.15)


def main() -> int:
    if sys.argv[1:2] == ["--resident"]:
        _print_resident(Path(sys.argv[2]))
        return 0
    return 0 if show(run()) else 1


if __name__ == "__main__":
    sys.exit(main())
