"""`markbridge read`: formats, selection, statistics, what cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.markers import MarkerAttachment
from tests.support.recordings import OFFSET_NS, Recording, usdt


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    attachments = [MarkerAttachment(usdt("order")), MarkerAttachment(usdt("refused"))]
    recording = Recording(tmp_path / "trace", attachments)
    for number in range(10):
        recording.hit(1_000_000_000 * number + 5, number, hook=number % 2, cpu=number // 5)
    recording.recorder.close()
    return tmp_path / "trace"


def _numbers(capfd: pytest.CaptureFixture[str], *arguments: object) -> list[int]:
    assert main(["read", *map(str, arguments), "--format", "json"]) == 0
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    return [row["fields"]["arg1"] for row in rows]


def test_json_has_everything(trace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["read", str(trace), "--format", "json"]) == 0

    first = json.loads(capfd.readouterr().out.splitlines()[0])
    assert list(first) == ["name", "timestamp_ns", "cpu", "tsc", "stream", "fields", "context"]
    assert (first["name"], first["timestamp_ns"]) == ("shop:order", OFFSET_NS + 5)
    assert (first["cpu"], first["tsc"], first["stream"]) == (0, 5, "channel0_0")


def test_selection(trace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    second = OFFSET_NS // 1_000_000_000

    assert _numbers(capfd, trace, "--event", "*:ref*") == [1, 3, 5, 7, 9]
    assert _numbers(capfd, trace, "--cpu", 1) == [5, 6, 7, 8, 9]
    assert _numbers(capfd, trace, "--channel", "channel0_1") == [5, 6, 7, 8, 9]
    assert _numbers(capfd, trace, "--channel", "channel0") == list(range(10))
    begin, end = f"{second + 3}.000000005", f"{second + 5}.000000004"
    assert _numbers(capfd, trace, "--begin", begin, "--end", end) == [3, 4]


def test_statistics_of_one_cpu(trace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--stats", "--cpu", "1", "--event", "*:ref*", "--format", "json"]
    assert main(["read", str(trace), *options]) == 0

    streams = json.loads(capfd.readouterr().out)["streams"]
    assert streams["channel0_0"]["events"] == {}
    assert streams["channel0_1"]["events"] == {"shop:refused": 3}


def test_statistics(trace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["read", str(trace), "--stats"]) == 0

    out = capfd.readouterr().out
    assert out.startswith(
        "format ctf-1.8\nchannel0_0: 5 events, 0 lost, 1700000000.000000005 to"
    )
    assert out.endswith("total: 10 events, 0 lost\n")


@pytest.mark.parametrize("what", ["nothing", "folder", "file", "empty"])
def test_what_is_no_trace(tmp_path: Path, what: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x"
    if what in ("folder", "empty"):
        path.mkdir()
    if what == "empty":
        (path / "metadata").write_text("")
    if what == "file":
        path.write_text("x")

    assert main(["read", str(path)]) == 1
    assert capfd.readouterr().err.startswith(f"error: {path}")


USAGE = {
    "--begin soon": "invalid time `soon`",
    "--end 25:00": "invalid time `25:00`",
    "--format lttv": "--format lttv is for LTT traces; this one is ctf-1.8",
    "--channel kernel": "no channel `kernel`; there are: channel0",
    "--layout nowhere.toml": "nowhere.toml: there is no such layout file",
    "--format json --clock-gmt": "--clock-gmt is for events as text only",
    "--stats --no-delta": "--no-delta is for events as text only",
    "--stats --format lttv": "--stats is text or json, not lttv",
}


@pytest.mark.parametrize("options", USAGE)
def test_options_that_do_not_fit(
    options: str, trace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["read", str(trace), *options.split()]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert USAGE[options] in err
    assert err.count("\n") == 1
