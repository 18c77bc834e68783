"""K and X, whose genuine traces are rare, from written ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.trace.ltt import is_ltt, open_ltt
from tests.support.ltt import old


@pytest.mark.parametrize("big", [False, True])
def test_x(big: bool, tmp_path: Path) -> None:
    written = old.write_x(tmp_path / "t", big=big)
    assert is_ltt(tmp_path / "t")
    with open_ltt(tmp_path / "t") as reader:
        events = list(reader)
        assert reader.diagnostics == []
    assert reader.format == "ltt-x"
    marks = {"block_start", "block_end"}
    for cpu, wanted in written.items():
        got = [
            (e.event_class.name.removeprefix("core."), e.tsc, e.fields)
            for e in events
            if e.cpu == cpu and e.event_class.name.removeprefix("core.") not in marks
        ]
        assert got == wanted
    for event in events:  # the clock counts nanoseconds, from 1,057,000,000 seconds on
        assert abs(event.timestamp_ns - 1_057_000_000 * old.HERTZ - event.tsc) <= 1
    assert sum(e.event_class.name == "core.block_end" for e in events) == 6


def test_enum_labels_of_x(tmp_path: Path) -> None:
    old.write_x(tmp_path / "t")
    with open_ltt(tmp_path / "t") as reader:
        (kind, _) = reader.event_classes["core.open"].payload.fields
    assert kind.type.labels == (("READ", 1, 1), ("WRITE", 2, 2))
    assert kind.type.container.bits == 8


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("log_cpu", [False, True])
@pytest.mark.parametrize("use_tsc", [False, True])
@pytest.mark.parametrize(("minor", "tagged"), [(2, None), (3, None), (3, 2)])
def test_k(
    big: bool, log_cpu: bool, use_tsc: bool, minor: int, tagged: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "trace.0"
    wanted = old.write_k(
        path, big=big, minor=minor, log_cpu=log_cpu, use_tsc=use_tsc, tagged=tagged
    )
    (tmp_path / "trace.0.proc").write_text("PID: 12; PPID: 1; NAME: init\nIRQ: 3; NAME: eth0\n")
    with open_ltt(path) as reader:
        events = list(reader)
        assert reader.diagnostics == []
    assert reader.attributes["version"] == f"2.{minor}"
    assert reader.attributes["process.12"] == "init"
    assert reader.attributes["irq.3"] == "eth0"
    own = {"core.start", "core.buffer_start", "core.buffer_end"}
    got = [e for e in events if e.event_class.name not in own]
    assert [(e.event_class.name.removeprefix("core."), e.fields) for e in got] == [
        (name, fields) for name, _, fields in wanted
    ]
    for event, (_, time, _) in zip(got, wanted, strict=True):
        assert abs(event.timestamp_ns - time) <= 1000  # the file keeps microseconds
    assert len(events) - len(got) == 7
