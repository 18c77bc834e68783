"""Scripts over many traces in pieces: `run -j`, `run --cluster`, `Program.replay_pieces`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

import bridge
from bridge.pieces import local
from bridge.pieces.pools import LocalPool
from bridge.pieces.worker import PieceTask, ScriptText
from bridge.script.options import AnalyseOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.command import Runner

ORDERS = Path(__file__).resolve().parents[2] / "examples" / "orders.trace"
SCRIPT = """
global n, taken, by_name, c = 5, dear
probe begin { c++; dear = 1040; println("begin") }
probe ORDER {
    n[user_string($arg2)]++
    taken <<< $arg3
    by_name[user_string($arg2)] <<< $arg3
    c += 2
}
probe REFUSED { if ($arg2 > dear) println("refused ", $arg1) }
probe end {
    foreach (k in n) println(k, " ", n[k], " ", @min(by_name[k]), " ", @max(by_name[k]))
    println(@count(taken), " ", @sum(taken), " ", @avg(taken), " ", c)
    print(@hist_log(taken))
}
"""


@pytest.fixture
def traces(run: Runner, tmp_path: Path) -> Path:
    """A folder with six traces."""
    (tmp_path / "traces").mkdir()
    for number in range(6):
        copy = tmp_path / "traces" / f"t{number}"
        assert run("convert", ORDERS, copy, "--to", "ctf-1.8").code == 0
    return tmp_path / "traces"


def points(script: str) -> str:
    """A script with the markers of the trace."""
    marks = {"ORDER": 'process.mark("order")', "REFUSED": 'process.mark("refused")'}
    for word, point in marks.items():
        script = script.replace(word, point)
    return script


class Replay(Protocol):
    """Runs a script over traces: exit code, output, messages."""

    def __call__(
        self, traces: Path, *options: str, script: str = SCRIPT
    ) -> tuple[int, str, str]: ...


@pytest.fixture
def replay(run: Runner) -> Replay:
    def over(traces: Path, *options: str, script: str = SCRIPT) -> tuple[int, str, str]:
        done = run("run", "-e", points(script), "--replay", traces, *options)
        return done.code, done.out, done.err

    return over


def test_the_result_is_that_of_one_process(replay: Replay, traces: Path) -> None:
    """And, but for the order of what hits print, that of one session over all traces."""
    code, alone, messages = replay(traces, "-j1")
    together = replay(traces)

    assert (code, messages) == (0, "")
    assert "6000 " in alone
    assert replay(traces, "-j3") == (0, alone, "")
    assert sorted(together[1].splitlines()) == sorted(alone.splitlines())


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("global last probe ORDER { last = $arg1 } probe end { println(last) }", "last"),
        ("global n probe ORDER { if (n++ < 3) println($arg1) }", "n"),
        (
            "global n probe ORDER { n[$arg1]++ } probe REFUSED { println(n[$arg1]) }",
            "n",
        ),
        ("global s probe ORDER { s <<< $arg3 } probe end { println(@variance(s)) }", "s"),
        (
            "global n%[10] probe ORDER { n[$arg1]++ } probe end { foreach (k in n) print(k) }",
            "n",
        ),
        ("probe ORDER { exit() }", "exit()"),
        ("global n probe ORDER { n++ } probe timer.ms(1) { println(n) }", "timer.ms(1)"),
        ("global n probe ORDER { n[$arg1]++ delete n[$arg1 - 1] }", "n"),
        ("global s probe begin { s <<< 1 } probe ORDER { println(@count(s)) }", "s"),
    ],
)
def test_what_does_not_merge_is_refused_by_its_name(
    replay: Replay, traces: Path, script: str, name: str
) -> None:
    code, output, messages = replay(traces, "-j2", script=script)

    assert (code, output) == (1, "")
    assert name in messages
    assert "<input>:1:" in messages


def test_each_trace_by_itself_takes_any_script(replay: Replay, traces: Path) -> None:
    script = "global n probe ORDER { if (n++ > 99) exit() } probe end { println(n) }"

    assert replay(traces, "-j2", "--end=each", script=script) == (0, "101\n" * 6, "")


def test_errors_end_it_where_one_run_would_end(replay: Replay, traces: Path) -> None:
    script = """
    global n
    probe ORDER { n++; if ($arg1 == 500) error("half") }
    probe end { println("end ", n) }
    probe error { println("error ", n) }
    """

    assert replay(traces, "-j2", script=script)[:2] == (1, "error 500\n")
    code, output, messages = replay(traces, "-j2", "-DMAXERRORS=2", script=script)
    assert (code, output) == (1, "error 2500\n")
    assert messages.count("half") == 3
    assert replay(traces, "-j2", "-DMAXERRORS=9", script=script)[:2] == (1, "end 6000\n")


def test_a_full_array_is_an_error_as_in_one_run(replay: Replay, traces: Path) -> None:
    script = """
    global n[3]
    probe ORDER { n[user_string($arg2)]++ }
    probe end { println(n["tea"]) }
    probe error { println("error") }
    """
    code, output, messages = replay(traces, "-j2", script=script)

    assert (code, output) == (1, "error\n")
    assert "Array overflow" in messages


def test_a_trace_that_lacks_something_is_named(replay: Replay, traces: Path) -> None:
    (traces / "t3" / "metadata").write_bytes(b"/* CTF 1.8 */ broken {")
    code, _, messages = replay(traces, "-j2")

    assert code != 0
    assert "t3" in messages


def test_a_folder_without_traces(replay: Replay, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, messages = replay(tmp_path, "-j2")

    assert code != 0
    assert "no trace" in messages


def _tasks(folder: Path, times: int) -> list[PieceTask]:
    script = ScriptText("a.stp", points(SCRIPT).encode(), AnalyseOptions())
    return [PieceTask(script, (path,)) for path in sorted(folder.iterdir())] * times


def test_a_process_that_dies_is_replaced(traces: Path) -> None:
    tasks = _tasks(traces, 20)
    expected = [piece.added["n"] for piece in LocalPool(1).run(tasks[:6])] * 20
    pieces = LocalPool(2).run(tasks)
    found = [next(pieces).added["n"]]
    _kill_one_child()
    found += [piece.added["n"] for piece in pieces]

    assert found == expected


def _kill_one_child() -> None:
    """One of the processes that replay."""
    os.kill(_children(os.getpid())[0], signal.SIGKILL)


def test_nobody_is_left_when_it_is_over(traces: Path) -> None:
    """Where all was read, where the reader has left, where a trace is bad."""
    before = _children(os.getpid())
    tasks = _tasks(traces, 2)

    assert len(list(LocalPool(3).run(tasks))) == len(tasks)
    assert _children(os.getpid()) == before

    pieces = LocalPool(3).run(tasks)
    next(pieces)
    assert len(_children(os.getpid())) == len(before) + 3
    pieces.close()
    assert _children(os.getpid()) == before

    tasks[2] = replace(tasks[2], paths=(traces / "nosuch",))
    with pytest.raises(bridge.TraceError, match="nosuch"):
        list(LocalPool(2).run(tasks))
    assert _children(os.getpid()) == before


def test_who_dies_of_a_task_is_told(traces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dies = "import os, sys; sys.stdin.buffer.read(1); os.kill(os.getpid(), 11)"
    monkeypatch.setattr(local, "START", dies)

    with pytest.raises(bridge.HostError, match=r"t0: the process .* died 3 times"):
        list(LocalPool(2).run(_tasks(traces, 1)))


UNGUARDED = """
import sys
import bridge
print("once")
program = bridge.compile(sys.argv[1])
found = program.replay_pieces(sys.argv[2], workers=2)
print(found.text, end="")
print(program.replay_pieces([sys.argv[2]] * 2, workers=3).result.errors)
try:
    program.replay_pieces([], workers=2)
except bridge.TraceError as error:
    print(error)
"""


@pytest.mark.parametrize("how", ["a file", "-c", "standard input"])
def test_the_program_that_calls_runs_once(traces: Path, tmp_path: Path, how: str) -> None:
    (tmp_path / "program.py").write_text(UNGUARDED)
    program = {"a file": [tmp_path / "program.py"], "-c": ["-c", UNGUARDED]}
    script = points("global n probe ORDER { n++ } probe end { println(n) }")

    done = subprocess.run(
        [sys.executable, *program.get(how, ["-"]), script, traces],
        input=UNGUARDED if how == "standard input" else "",
        capture_output=True,
        text=True,
        check=False,
    )

    printed = "once\n6000\n0\nthere are no traces to replay\n"
    assert (done.stdout, done.stderr, done.returncode) == (printed, "", 0)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    found = [int(word) for word in text.split()]
    for task in Path(f"/proc/{pid}/task").iterdir():
        if task.name != str(pid):
            found += [int(word) for word in (task / "children").read_text().split()]
    return found


def test_parts_of_one_trace_stay_together(replay: Replay, tmp_path: Path) -> None:
    """As two snapshots of a session do, which have packets in common."""
    for name in ("first", "second"):
        shutil.copytree(ORDERS, tmp_path / "snapshots" / name)
    script = "global n probe ORDER { n++ } probe end { println(n) }"

    assert replay(tmp_path / "snapshots", "-j2", script=script) == (0, "1000\n", "")
    assert replay(tmp_path / "snapshots", script=script) == (0, "1000\n", "")


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a scheduler of Dask with two worker processes."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as running:
        yield running.scheduler_address


def test_a_cluster_gives_the_same_and_survives_a_death(
    replay: Replay, traces: Path, cluster: str
) -> None:
    _, alone, _ = replay(traces, "-j1")

    assert replay(traces, "--cluster", cluster) == (0, alone, "")

    tasks = _tasks(traces, 40)
    from bridge.pieces.pools import ClusterPool

    pool = ClusterPool(cluster)
    running = pool.run(tasks)
    pieces = [next(running)]  # some tasks are done, some run, most wait
    _kill_a_worker(cluster)
    pieces += running
    pool.close()
    assert sum(piece.traces for piece in pieces) == len(tasks)
    assert sum(entry for piece in pieces for entry in piece.added["n"].values()) == 240_000


def _kill_a_worker(address: str) -> None:
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        pids = client.run(os.getpid)
        os.kill(next(iter(pids.values())), signal.SIGKILL)


def test_no_scheduler_is_said(replay: Replay, traces: Path) -> None:
    code, _, messages = replay(traces, "--cluster", "tcp://127.0.0.1:9")

    assert code != 0
    assert "no scheduler of Dask at tcp://127.0.0.1:9" in messages


def test_from_python(replay: Replay, traces: Path) -> None:
    program = bridge.compile(points(SCRIPT))
    _, alone, _ = replay(traces, "-j1")

    assert program.replay_pieces([traces], workers=2).text == alone
