"""In the guest: writes down what becomes of each test, and ends what takes too long.

A plugin of pytest. Goes out: one JSON object a line, which the host reads while the tests run;
comes in: the same file, whose finished tests are not run again. A test that is over its limit
fails with a traceback, and the processes that it has started are killed.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType

PATH = "MARKBRIDGE_GUEST_JOURNAL"
LIMIT_SECONDS = 240
"""For each of set-up, call and tear-down: fifty times what the slowest needs alone."""


seconds: dict[str, float] = {}
"""What the parts of the running test have needed."""


class TookTooLongError(Exception):
    """A test was over its limit."""


def entries(journal: Path) -> list[dict[str, Any]]:
    """What stands in it by now; its last line may be half written."""
    lines = journal.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def write(journal: Path, **entry: object) -> None:
    """Put down one line."""
    with journal.open("a") as file:
        file.write(json.dumps(entry) + "\n")


def finished(known: list[dict[str, Any]]) -> set[str]:
    """The tests of which the outcome stands there."""
    return {entry["test"] for entry in known if "outcome" in entry}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is done, and tell what is to come."""
    known = entries(_journal())
    done = finished(known)
    if done:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in done])
        items[:] = [item for item in items if item.nodeid not in done]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """By now the markers have chosen."""
    write(_journal(), collected=[item.nodeid for item in session.items])


def pytest_runtest_logstart(nodeid: str) -> None:
    """A test begins."""
    write(_journal(), test=nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A part of a test is over; the last part is its tear-down."""
    if report.failed:
        write(_journal(), test=report.nodeid, failed=report.when, text=report.longreprtext)
    seconds[report.nodeid] = seconds.get(report.nodeid, 0) + report.duration
    if report.when == "teardown":
        needed = round(seconds.pop(report.nodeid), 1)
        write(_journal(), test=report.nodeid, outcome="done", seconds=needed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """With a limit."""
    return (yield from _limited())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """With a limit."""
    return (yield from _limited())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """With a limit."""
    return (yield from _limited())


def _limited() -> Generator[None, object, object]:
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(int(os.environ.get("MARKBRIDGE_GUEST_LIMIT", LIMIT_SECONDS)))
    try:
        return (yield)
    finally:
        signal.alarm(0)


def _late(_signal: int, _frame: FrameType | None) -> None:
    for pid in _descendants(os.getpid()):
        os.kill(pid, signal.SIGKILL)
    raise TookTooLongError("over its limit in the guest; what it had started is killed")


def _descendants(pid: int) -> list[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
    found = [pid]
    for known in found:  # grows meanwhile
        found += [child for child, parent in parents.items() if parent == known]
    return found[1:]


def _journal() -> Path:
    return Path(os.environ[PATH])
