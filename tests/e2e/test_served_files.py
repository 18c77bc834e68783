"""Files of `procfs` probes: who reads them gets what a handler makes, who writes is heard."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.command import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.command import Runner


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "markbridge"


@contextmanager
def _running(
    tmp_path: Path, text: str, *options: str, typed: bytes = b"", name: str = "served"
) -> Iterator[subprocess.Popen[bytes]]:
    script = tmp_path / f"{name}.stp"
    script.write_text(text)
    command = [sys.executable, "-m", "bridge", "run", *options, "-T", "60", str(script)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as session:
        assert session.stdin is not None
        session.stdin.write(typed)
        session.stdin.flush()
        try:
            own = tmp_path / "markbridge" / name
            wait_until(lambda: own.exists() or session.poll() is not None)
            yield session
        finally:
            session.kill()


COUNTING = """
global n = 6
probe procfs("count").read { $value = sprintf("%d ", n++); $value .= "times\\n" }
probe procfs("count").write { n = strtol($value, 10) }
probe procfs("deep/er").umask(0).read { $value = "x" }
probe procfs.umask(027).write { printf("%s", $value); exit() }
"""


@pytest.mark.parametrize("engine", ["native", "interpreter"])
def test_each_reader_and_writer_runs_a_handler(
    tmp_path: Path, folder: Path, engine: str
) -> None:
    with _running(tmp_path, COUNTING, f"--engine={engine}") as session:
        own = folder / "served"
        wait_until((own / "command").exists)
        first = (own / "count").read_text()
        second = (own / "count").read_text()
        (own / "count.write").write_text("41\n")
        wait_until(lambda: (own / "count").read_text() == "41 times\n")
        modes = [stat.S_IMODE((own / one).stat().st_mode) for one in ("count", "deep/er")]
        (own / "command").write_text("to the script\n")
        out, err = session.communicate(timeout=60)

    assert (first, second) == ("6 times\n", "7 times\n")
    assert modes == [0o400, 0o444]
    assert (out, err) == (b"to the script\n", b"")
    assert not own.exists()


def test_a_text_may_be_longer_than_strings_are(tmp_path: Path, folder: Path) -> None:
    text = """
    probe procfs("long").read.maxsize(200000) {
      for (i = 0; i < 30000; i++) $value .= sprintf("%d\\n", i)
    }
    probe procfs("cut").read.maxsize(7) { $value = "abc"; $value .= "defghij" }
    """
    with _running(tmp_path, text, "-DMAXACTION=1000000"):
        own = folder / "served"
        wait_until((own / "cut").exists)
        assert (own / "long").read_text() == "".join(f"{n}\n" for n in range(30000))
        assert (own / "cut").read_text() == "abcdefg"


def test_what_is_typed_comes_byte_by_byte_and_in_lines(tmp_path: Path) -> None:
    text = """
    probe input.char { printf("<%s>", text_str(char)) }
    probe input.line { printf("[%s]", text_str(line)); if (line == "end\\n") exit() }
    """
    with _running(tmp_path, text, typed=b"ab\nend\n") as session:
        out, _ = session.communicate(timeout=60)

    assert out == rb"<a><b><\n>[ab\n]<e><n><d><\n>[end\n]"


METRICS = """
global calls
probe begin {
  calls["a\\"b", 1] = 10
  json_set_prefix("shop")
  json_add_numeric_metric("orders", "how many", "count")
  json_add_array("boxes", "by name")
  json_add_array_numeric_metric("boxes", "size", "", "bytes")
  json_add_array_string_metric("boxes", "colour", "its colour")
}
probe prometheus { @prometheus_dump_array2(calls, "calls", "name", "kind") }
probe json_data {
  @json_output_data_start
  @json_output_numeric_value("orders", 3)
  @json_output_array_numeric_value("boxes", "small", "size", 8)
  @json_output_array_string_value("boxes", "small", "colour", "red")
  @json_output_array_numeric_value("boxes", "large", "size", 64)
  @json_output_data_end
}
"""


def test_metrics(tmp_path: Path, run: Runner) -> None:
    with _running(tmp_path, METRICS):
        wait_until(lambda: "metadata.json" in run("procfs", "list").out)
        metrics = run("procfs", "cat", "__prometheus").out
        data = json.loads(run("procfs", "cat", "served/data.json").out)
        described = json.loads(run("procfs", "cat", "metadata.json").out)

    assert metrics == 'calls{name="a\\"b",kind="1"} 10\n'
    boxes = [{"__id": "small", "size": 8, "colour": "red"}, {"__id": "large", "size": 64}]
    assert data == {"orders": 3, "boxes": boxes}
    assert described["prefix"] == "shop"
    orders, array = described["metrics"]
    assert orders == {
        "name": "orders",
        "pointer": "/orders",
        "type": "integer",
        "description": "how many",
        "units": "count",
    }
    assert [metric["name"] for metric in array["metrics"]] == ["size", "colour"]


def test_names_of_sessions_and_files(tmp_path: Path, run: Runner, folder: Path) -> None:
    text = 'probe procfs("x").read { $value = sprint(pid2execname(1) != "") }'
    left = folder / "left"
    left.mkdir(parents=True)
    os.mkfifo(left / "x")  # of a session that was killed
    with _running(tmp_path, text, name="one"):
        wait_until(lambda: run("procfs", "cat", "x").out == "1")
        with _running(tmp_path, text, name="two"):
            wait_until(lambda: "two/x" in run("procfs", "list").out)
            both = run("procfs", "cat", "x")
            named = run("procfs", "cat", "two/x")
    none = run("procfs", "cat", "x")

    assert both.code == 1
    assert "several sessions have that file: one/x, two/x" in both.err
    assert named.out == "1"
    assert none.code == 1
    assert "no running session serves that file" in none.err


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('probe procfs("/x").read { $value = "" }', "invalid-file-name"),
        ('probe procfs("a/../x").read { $value = "" }', "invalid-file-name"),
        ('probe procfs("x").umask(01000).read { $value = "" }', "invalid-umask"),
        ('probe procfs("x").read.maxsize(0) { $value = "" }', "invalid-file-size"),
        ('probe procfs("x").read { println($value) }', "wrong-direction"),
        ('probe procfs("x").write { $value = "" }', "wrong-direction"),
        ('probe procfs("x").read { $other = "" }', "unresolved-target"),
        ('probe procfs("x").read { $value->a .= "" }', "unresolved-target"),
        ('probe procfs("x").read { $value = $value }', "wrong-direction"),
        ('probe procfs("x").read { $value = $other }', "unresolved-target"),
        ('probe procfs("x").write { println($value->a) }', "unresolved-target"),
    ],
)
def test_refusals(run: Runner, text: str, code: str) -> None:
    done = run("check", "-e", text)

    assert done.code == 1
    assert f"error[{code}]" in done.err
