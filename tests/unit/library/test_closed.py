"""Traces and writers that are closed, or used by several threads: an exception, never a crash.

The crashes that these were killed the whole process, so each case runs in one of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.child import run_python
from tests.support.library_traces import FORMATS

if TYPE_CHECKING:
    from pathlib import Path

PRELUDE = """
import sys, threading
from pathlib import Path
from tests.support.library_traces import *
from bridge.errors import TraceError
folder = Path(sys.argv[1])

def refused(action):
    try:
        print("came:", action())
    except (TraceError, ValueError) as error:
        print(type(error).__name__, "closed" if "closed" in str(error) else error)

def together(action):
    threads = [threading.Thread(target=action) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


def _run(code: str, folder: Path) -> list[str]:
    return run_python(PRELUDE + code, folder)


@pytest.mark.parametrize("form", FORMATS)
def test_a_closed_trace_gives_nothing_more(form: str, tmp_path: Path) -> None:
    code = f"""
reader = open_some({form!r}, folder)
left, new = iter(reader), iter(reader)
next(left)
reader.close()
refused(lambda: next(left))
refused(lambda: next(new))
refused(lambda: next(iter(reader)))
refused(lambda: reader.statistics())
reader.close()
with open_some({form!r}, folder / "again") as again:
    kept = iter(again)
    next(kept)
refused(lambda: [event for event in kept])
"""
    assert _run(code, tmp_path) == ["TraceError closed"] * 5


@pytest.mark.parametrize("form", FORMATS)
def test_four_threads_iterate_one_trace(form: str, tmp_path: Path) -> None:
    code = f"""
reader = open_some({form!r}, folder)
expected = [event.fields.get("number") for event in reader]
found = []
together(lambda: found.append([event.fields.get("number") for event in reader]))
print(len(expected) > 100, found == [expected] * 4)
totals = []

def count():
    streams = reader.statistics().values()
    totals.append(sum(sum(stream.events.values()) for stream in streams))

together(count)
print(totals == [len(expected)] * 4)
"""
    assert _run(code, tmp_path) == ["True True", "True"]


@pytest.mark.parametrize("form", FORMATS)
def test_four_threads_share_one_iterator(form: str, tmp_path: Path) -> None:
    """Each event comes once at most; a thread that comes too early is told so."""
    code = f"""
reader = open_some({form!r}, folder)
events, found = iter(reader), []

def take():
    while True:
        try:
            event = next(events)
        except StopIteration:
            return
        except ValueError as error:
            assert "already executing" in str(error), error
            continue
        found.append(id(event))
        kept.append(event)

kept = []
together(take)
print(len(found) == len(set(found)) and len(found) > 0)
"""
    assert _run(code, tmp_path) == ["True"]


@pytest.mark.parametrize("form", FORMATS)
def test_closing_while_threads_iterate(form: str, tmp_path: Path) -> None:
    code = f"""
reader = open_some({form!r}, folder)
started, ends = threading.Barrier(5), []

def read():
    events = iter(reader)
    next(events)
    started.wait()
    try:
        for event in events: event.fields.get("number")
        ends.append("end")
    except TraceError as error:
        ends.append("closed" if "closed" in str(error) else str(error))

threads = [threading.Thread(target=read) for _ in range(4)]
for thread in threads: thread.start()
started.wait()
reader.close()
for thread in threads: thread.join()
print(len(ends), set(ends) <= {{"end", "closed"}})
"""
    assert _run(code, tmp_path) == ["4 True"]


WRITERS = {
    "ctf": "CtfWriter(folder / 'out')",
    "2.6": "writer(folder / 'out', WriteOptions('2.6'))",
    "0.8": "writer(folder / 'out', WriteOptions('0.8'))",
    "lket": "LketWriter(folder / 'out')",
}
_IMPORTS = """
from bridge.trace.convert import writer
from bridge.trace.ltt.write import WriteOptions
from bridge.trace.lket.writer import LketWriter
"""


@pytest.mark.parametrize("form", WRITERS)
def test_a_closed_writer_takes_nothing_more(form: str, tmp_path: Path) -> None:
    code = f"""{_IMPORTS}
out = {WRITERS[form]}
if hasattr(out, "declare_all"): out.declare_all([ORDER])
out.write(order(1))
out.close()
refused(lambda: out.write(order(2)))
refused(lambda: out.write(order(3, stream="other_0")))
out.close()
with open_trace(folder / "out") as reader:
    print([e.fields["number"] for e in reader if e.event_class.name.endswith("order")])
"""
    assert _run(code, tmp_path) == ["TraceError closed"] * 2 + ["[1]"]


@pytest.mark.parametrize("form", WRITERS)
def test_four_threads_write_one_trace(form: str, tmp_path: Path) -> None:
    """At one time, so that any order is a possible one."""
    code = f"""{_IMPORTS}
out = {WRITERS[form]}
if hasattr(out, "declare_all"): out.declare_all([ORDER])
numbers = iter(range(2000))
lock = threading.Lock()

def write():
    while True:
        with lock: number = next(numbers, None)
        if number is None: return
        out.write(order(number, time_ns=SECOND))

together(write)
out.close()
with open_trace(folder / "out") as reader:
    found = [e.fields for e in reader if e.event_class.name.endswith("order")]
print(sorted(f["number"] for f in found) == list(range(2000)))
print(all(f["what"] == f"tea {{f['number']}}" for f in found))
"""
    assert _run(code, tmp_path) == ["True", "True"]


def test_a_writer_may_be_closed_while_threads_write(tmp_path: Path) -> None:
    code = """
out = CtfWriter(folder / "out")
written, started = [], threading.Barrier(5)

def write():
    started.wait()
    for number in range(5000):
        try:
            out.write(order(number, time_ns=SECOND))
        except TraceError as error:
            assert "closed" in str(error), error
            return
        written.append(number)

threads = [threading.Thread(target=write) for _ in range(4)]
for thread in threads: thread.start()
started.wait()
while len(written) < 10: pass
out.close()
for thread in threads: thread.join()
with open_trace(folder / "out") as reader:
    print(sum(1 for _ in reader) == len(written))
"""
    assert _run(code, tmp_path) == ["True"]


@pytest.mark.parametrize("form", FORMATS)
def test_columns_outlive_their_trace_and_a_closed_one_gives_none(
    form: str, tmp_path: Path
) -> None:
    code = f"""
import gc
from bridge import columns
reader = open_some({form!r}, folder)
expected = {{name: len(found) for name, found in columns(reader).items()}}
totals = []
together(lambda: totals.append({{name: len(c) for name, c in columns(reader).items()}}))
print(totals == [expected] * 4, sum(expected.values()) > 100)
events = iter(reader)
next(events)
kept = columns(reader)
next(events)  # both go their own way
reader.close()
refused(lambda: columns(reader))
refused(lambda: columns(reader, list(expected)[:1]))
del reader, events
gc.collect()
print(all(len(c.timestamp_ns) == expected[name] for name, c in kept.items()))
print(sum(c.to_arrow().num_rows for c in kept.values()) == sum(expected.values()))
"""
    printed = ["True True", *["TraceError closed"] * 2, "True", "True"]
    assert _run(code, tmp_path) == printed


@pytest.mark.parametrize("form", FORMATS)
def test_closing_while_threads_collect_columns(form: str, tmp_path: Path) -> None:
    code = f"""
from bridge import columns
reader = open_some({form!r}, folder)
begun, told = threading.Event(), []

def collect():
    try:
        while True:
            columns(reader)
            begun.set()
    except TraceError as error:
        told.append("closed" in str(error))

threads = [threading.Thread(target=collect) for _ in range(3)]
for thread in threads: thread.start()
begun.wait()
reader.close()
for thread in threads: thread.join()
print(told)
"""
    assert _run(code, tmp_path) == ["[True, True, True]"]
