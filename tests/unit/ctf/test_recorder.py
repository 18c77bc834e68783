"""Live hits become a trace: fields, order, losses, faults, a full disk."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from bridge.errors import TraceError
from bridge.markers import MarkerAttachment
from bridge.trace.ctf.reader import CtfReader
from tests.support.recordings import OFFSET_NS, Recording, usdt

ORDER = [MarkerAttachment(usdt("order"))]


def test_fields_and_context(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "t", ORDER)
    recording.hit(1000, -5, "café".encode())
    recording.recorder.close()

    with CtfReader(tmp_path / "t") as reader:
        (event,) = reader

    assert event.event_class.name == "shop:order"
    assert event.timestamp_ns == OFFSET_NS + 1000
    assert event.fields == {"arg1": -5, "arg2": 0x7F00_0000_1000, "arg2_string": "café"}
    assert event.context == {
        "cpu_id": 0,
        "pid": 100,
        "tid": 100,
        "ppid": 1,
        "uid": 1000,
        "procname": "shop",
    }


def test_the_order_of_the_ring_is_kept(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "t", ORDER)
    for number, (time_ns, cpu) in enumerate([(50, 0), (40, 1), (40, 0), (51, 1), (53, 0)]):
        recording.hit(time_ns, number, cpu=cpu)
    recording.recorder.close()

    with CtfReader(tmp_path / "t") as reader:
        events = list(reader)

    assert [e.fields["arg1"] for e in events] == [0, 1, 2, 3, 4]
    assert [e.tsc for e in events] == [50, 51, 52, 53, 54]


def test_losses_are_told_once_each(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "t", ORDER)
    recording.recorder.lost(0, 3)
    recording.hit(1000)
    recording.recorder.lost(0, 5)
    recording.recorder.flush()
    recording.hit(2000)
    recording.recorder.lost(-1, 4)
    recording.recorder.close()

    with CtfReader(tmp_path / "t") as reader:
        assert len(list(reader)) == 2
        assert sum(s.lost for s in reader.statistics().values()) == 9


def test_losses_without_any_event(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "t", ORDER)
    recording.recorder.lost(-1, 11)
    recording.recorder.close()

    with CtfReader(tmp_path / "t") as reader:
        assert list(reader) == []
        assert sum(s.lost for s in reader.statistics().values()) == 11


def test_what_could_not_be_read_is_marked(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "t", ORDER)
    recording.hit(1000, 1, None)
    recording.hit(2000, 2)
    recording.recorder.close()

    with CtfReader(tmp_path / "t") as reader:
        first, second = reader

    # Fields are counted from the context on: pid tid ppid uid procname arg1 arg2 arg2_string.
    assert first.fields["unreadable"] == 1 << 7
    assert first.fields["arg2_string"] == ""
    assert "unreadable" not in second.fields


def test_many_packets_and_a_text_larger_than_one(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "t", ORDER)
    sizes = [10, 5000, 100, 20000, 0]
    for number in range(300):
        recording.hit(1000 + number * 3_000_000_000, number, b"x" * sizes[number % 5])
    summary = recording.recorder.close()

    assert (summary.written, summary.dropped, summary.error) == (300, 0, "")
    with CtfReader(tmp_path / "t") as reader:
        events = list(reader)
        assert reader.diagnostics == []
    assert [e.fields["arg1"] for e in events] == list(range(300))
    assert [len(e.fields["arg2_string"]) for e in events] == [sizes[n % 5] for n in range(300)]


def test_a_full_disk_keeps_whole_packets(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "t", ORDER)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        codes = [recording.hit(1000 + n, n, b"x" * 100) for n in range(1000)]
        summary = recording.recorder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)

    assert len([c for c in codes if c]) == 1
    assert summary.error
    assert summary.written + summary.dropped == 1000
    with CtfReader(tmp_path / "t") as reader:
        assert [e.fields["arg1"] for e in reader] == list(range(summary.written))
        assert reader.diagnostics == []
    assert 0 < summary.written < 1000


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(TraceError, match="is not empty"):
        Recording(tmp_path, ORDER)
