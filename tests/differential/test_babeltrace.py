"""babeltrace2 as the judge: what it prints of a trace is what `markbridge read` prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.markers import MarkerAttachment
from tests.support.mctf import compile_trace
from tests.support.recordings import Recording, usdt

pytestmark = pytest.mark.tools
TRACES = Path(__file__).parents[1] / "traces"
OPTIONS = [
    [],
    ["--clock-gmt", "--clock-date"],
    ["--clock-seconds", "--no-delta"],
    ["--clock-cycles"],
]


def _output(*command: object) -> bytes:
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        check=False,
        timeout=600,
        env={**os.environ, "TZ": "America/St_Johns"},
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _compare(trace: Path, options: list[str]) -> bytes:
    ours = _output(sys.executable, "-m", "bridge", "read", trace, *options)
    assert ours == _output("babeltrace2", *options, trace)
    return ours


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(options) or "none")
def test_all_types(tmp_path: Path, options: list[str]) -> None:
    text = (TRACES / "types.txt").read_text().partition("--- expected\n")[0]

    assert _compare(compile_trace(text, tmp_path / "trace"), options).count(b"\n") == 4


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(options) or "none")
def test_a_recording(tmp_path: Path, options: list[str]) -> None:
    recording = Recording(tmp_path / "trace", [MarkerAttachment(usdt("order"))])
    for number in range(500):
        text = b"\xff\x01?'\"\\" + b"%d" % number if number % 50 else None
        recording.hit(1000 + number * 40_000_000, number, text, cpu=number & 1)
    recording.recorder.lost(-1, 3)
    recording.recorder.close()

    # An empty text follows no other one of its class here, which babeltrace2 2.0 would repeat.
    assert _compare(tmp_path / "trace", options).count(b"\n") == 500


def test_losses_are_reported_by_both(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "trace", [MarkerAttachment(usdt("order"))])
    recording.recorder.lost(-1, 2)
    recording.hit(1000)
    recording.recorder.lost(-1, 7)
    recording.recorder.close()

    def said(*command: object) -> str:
        return subprocess.run(
            [*map(str, command), str(tmp_path / "trace")],
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
        ).stderr

    assert "Tracer discarded 7 events between" in said("babeltrace2")
    assert "7 events before or in this packet were lost" in said(
        sys.executable, "-m", "bridge", "read"
    )


def test_a_folder_of_several_traces(tmp_path: Path) -> None:
    text = (TRACES / "types.txt").read_text().partition("--- expected\n")[0]
    compile_trace(text, tmp_path / "session" / "kernel")
    later = text.replace("u64:1000 u64:content", "u64:1020 u64:content")
    other = later.replace("00112233-4455-6677", "10112233-4455-6677")
    compile_trace(
        other.replace("x:00112233445566", "x:10112233445566"), tmp_path / "session/ust"
    )

    assert _compare(tmp_path / "session", []).count(b"\n") == 8
