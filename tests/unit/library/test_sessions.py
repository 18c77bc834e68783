"""Sessions leave nothing behind: no zombie, no stopped child, no command that still runs."""

from __future__ import annotations

import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

import bridge

TICKS = 'probe timer.ms(5) { println("tick") }'


def _children() -> set[int]:
    """The processes that are children of this one now, zombies too."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that ended meanwhile
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


@pytest.fixture
def before() -> set[int]:
    return _children()


def test_nothing_is_started_before_the_session_is_entered(before: set[int]) -> None:
    session = bridge.compile(TICKS).attach(command="sleep 1000")

    assert _children() == before
    with pytest.raises(bridge.BridgeError, match="has not started"):
        next(iter(session))


@pytest.mark.parametrize(
    "command",
    [
        "sleep 1000",
        ["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done"],
        ["sh", "-c", "kill -STOP $$; sleep 1000"],
        ["python3", "-c", "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"],
    ],
    ids=["plain", "handles SIGTERM", "stopped", "ignores SIGTERM"],
)
@pytest.mark.parametrize("how", ["break", "exception", "nothing read"])
def test_leaving_early_ends_the_command(
    command: str | list[str], how: str, before: set[int]
) -> None:
    session = bridge.compile(TICKS).attach(command=command)
    with suppress(ZeroDivisionError), session:
        if how == "break":
            next(iter(session))
        if how == "exception":
            raise ZeroDivisionError

    assert _children() == before
    assert session.result.exit_code == 0


def test_a_command_that_never_ran_is_reaped(before: set[int], tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = bridge.compile('probe begin { println("bye") exit() }')
    with program.attach(command=["touch", str(ran)]) as session:
        assert [record.text for record in session] == ["bye"]

    assert _children() == before
    assert not ran.exists()


@pytest.mark.parametrize(
    ("command", "status", "exit_code"),
    [
        ("true", 0, 0),
        (["sh", "-c", "exit 7"], 7, 1),
        (["sh", "-c", "kill -9 $$"], -signal.SIGKILL, 1),
        ("/nonexistent", 1, 1),
    ],
)
def test_how_the_command_ended_is_told(
    command: str | list[str], status: int, exit_code: int, before: set[int]
) -> None:
    with bridge.compile(TICKS).attach(command=command) as session:
        for _ in session:
            pass

    assert (session.result.command_status, session.result.exit_code) == (status, exit_code)
    assert ("Child process exited" in session.messages) == (exit_code == 1)
    assert _children() == before


def test_a_process_of_another_stays() -> None:
    other = subprocess.Popen(["sleep", "1000"])
    try:
        with bridge.compile(TICKS).attach(pid=other.pid) as session:
            next(iter(session))
        assert other.poll() is None
        assert session.result.command_status is None
    finally:
        other.kill()
        other.wait()
    with pytest.raises(bridge.BridgeError, match=f"no process {other.pid}"):
        bridge.compile(TICKS).attach(pid=other.pid)


def test_a_session_runs_once() -> None:
    session = bridge.compile(TICKS).attach()
    with session:
        next(iter(session))
        with pytest.raises(bridge.BridgeError, match="runs once"):
            session.__enter__()
    with pytest.raises(bridge.BridgeError, match="runs once"), session:
        pass
    with pytest.raises(bridge.BridgeError, match="has ended"):
        next(iter(session))


def test_four_threads_read_one_session() -> None:
    """Each line comes to one of them."""
    program = bridge.compile("global n probe timer.ms(1) { println(n++) if (n == 200) exit() }")
    found: list[int] = []
    with program.attach() as session:
        threads = [
            threading.Thread(target=lambda: found.extend(int(r.text) for r in session))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(found) == list(range(200))


def test_descriptors_are_closed() -> None:
    def run() -> int:
        with bridge.compile(TICKS).attach(command="sleep 1000") as session:
            next(iter(session))
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    assert run() == run()
