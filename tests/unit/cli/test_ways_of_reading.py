"""All that read traces find the same ones, and refuse the same things in the same words."""

from __future__ import annotations

import importlib.util
import shutil
import tarfile
from pathlib import Path

import pytest

from bridge.cli.front import dispatch

ORDERS = Path(__file__).resolve().parents[3] / "examples" / "orders.trace"
SCRIPT = """
global n
probe process("/opt/shop/examples/shop").mark("order") { n++ }
probe end { println(n, " orders") }
"""
WAYS = {
    "statistics": ["read", "TRACE", "--stats"],
    "events": ["read", "TRACE"],
    "as JSON": ["read", "TRACE", "--format=json"],
    "to LTT": ["convert", "TRACE", "OUT", "--to", "ltt-2.6"],
    "to CTF": ["convert", "TRACE", "OUT", "--to", "ctf-2"],
    "to Perfetto": ["convert", "TRACE", "OUT", "--to", "perfetto"],
    "to Parquet": ["convert", "TRACE", "OUT", "--to", "parquet"],
    "spans": ["export", "TRACE", "--to", "otel"],
    "replay": ["run", "--replay", "TRACE", "-e", SCRIPT],
    "replay in pieces": ["run", "-j1", "--replay", "TRACE", "-e", SCRIPT],
    "list": ["list", "--replay", "TRACE", 'process("*").mark("order")'],
}
every_way = pytest.mark.parametrize("way", WAYS)


def _code(way: str, trace: Path, folder: Path) -> int:
    """The exit code."""
    if way == "to Parquet" and importlib.util.find_spec("pyarrow") is None:
        pytest.skip("needs pyarrow")
    put = {"TRACE": str(trace), "OUT": str(folder / "out")}
    return dispatch([put.get(word, word) for word in WAYS[way]])


@every_way
def test_a_folder_one_level_too_high(
    way: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ORDERS, tmp_path / "unpacked" / "here" / "trace")

    assert _code(way, tmp_path / "unpacked", tmp_path) == 0

    out, err = capfd.readouterr()
    if way.startswith("to "):
        assert "1144 events written" in err
    elif "replay" in way:
        assert out == "1000 orders\n"
    elif way == "spans":
        assert '"resourceSpans"' in out
    else:
        assert "order" in out


@every_way
def test_an_archive_is_refused_with_a_remedy(
    way: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "trace.tar.gz"
    with tarfile.open(archive, "w:gz") as made:
        made.add(ORDERS, "trace")

    assert _code(way, archive, tmp_path) == 1

    out, err = capfd.readouterr()
    assert out == ""
    assert f"{archive}: is an archive; unpack it first (`tar xzf {archive}`)" in err
    assert not (tmp_path / "out").exists()


@every_way
@pytest.mark.parametrize("kind", ["nothing", "a text", "an empty folder"])
def test_what_is_no_trace_is_an_error(
    way: str, kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "trace"
    if kind == "a text":
        trace.write_text("no trace\n")
    elif kind == "an empty folder":
        trace.mkdir()

    assert _code(way, trace, tmp_path) == 1

    out, err = capfd.readouterr()
    assert out == ""
    assert str(trace) in err
    assert "no trace of a known format" in err or "there is no such trace" in err
    assert not (tmp_path / "out").exists()
