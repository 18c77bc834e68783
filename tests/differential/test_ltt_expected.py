"""Every line of the reference dumps against what the reader gives."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from bridge.trace.ltt import OpenOptions, open_ltt, text
from tests.support.reference_traces import compare, dump, expected, unnamed, unpack

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.shared

MARKER_TRACES = {
    "kernel-2.3-1021": 1021,
    "kernel-2.3-399747": 399747,
    "kernel-2.5-15316": 15316,
    "ust1": 149,
    "ust2": 9889,
    "synthetic-1.0hb": 248,
    "synthetic-2.0": 249,
    "synthetic-2.1": 249,
    "synthetic-2.2": 249,
    "synthetic-2.3al4": 249,
    "synthetic-2.6be": 249,
}
FACILITY_TRACES = {
    "facility-genuine": 200004,
    "facility-k32": 3605,
    "facility-k64": 3605,
    "facility-k32p": 3605,
    "facility-k64hb": 3605,
    "facility-k32f": 3906,
    "synthetic-0.8": 66,
}


@pytest.mark.parametrize("name", MARKER_TRACES)
def test_marker_trace_equals_the_dump(name: str, reference: Path, tmp_path: Path) -> None:
    with open_ltt(unpack(reference, name, tmp_path)) as reader:
        lines, _ = compare(dump(reader), expected(reference, name))
        assert reader.diagnostics == []
    assert lines == MARKER_TRACES[name]
    print(f"{name}: {lines} lines equal")


@pytest.mark.parametrize("name", FACILITY_TRACES)
def test_facility_trace_equals_the_dump(name: str, reference: Path, tmp_path: Path) -> None:
    with open_ltt(unpack(reference, name, tmp_path)) as reader:
        lines, hidden = compare(dump(reader), expected(reference, name))
        assert reader.diagnostics == []
    assert (lines, hidden) == (FACILITY_TRACES[name], 0)
    print(f"{name}: {lines} lines equal")


def test_order_is_by_clock_channel_cpu(reference: Path, tmp_path: Path) -> None:
    with open_ltt(unpack(reference, "kernel-2.5-15316", tmp_path)) as reader:
        ranks = {s.name: (s.channel, s.cpu) for s in reader.tables.streams}
        keys = [(e.tsc, *ranks[e.stream]) for e in reader]
    assert keys == sorted(keys)


def test_other_alignment_of_2_5_is_found(reference: Path, tmp_path: Path) -> None:
    """The same generator wrote 2.3 with the cap on alignments and 2.5 without it."""
    folder = unpack(reference, "synthetic-2.5al4nocap", tmp_path / "a")
    other = unpack(reference, "synthetic-2.3al4", tmp_path / "b")
    with open_ltt(folder) as reader, open_ltt(other) as capped:
        assert reader.attributes["alignment_rule"] == "uncapped"
        got = [(e.event_class.name, e.fields) for e in reader if e.stream == "kernel_0"]
        wanted = [(e.event_class.name, e.fields) for e in capped if e.stream == "kernel_0"]
        assert reader.diagnostics == []
    assert len(got) == 241
    assert got == wanted


def test_uncapped_trace_as_the_capped_reader_read_it(reference: Path, tmp_path: Path) -> None:
    """The dump of the trace above was made by a reader with the cap, so it is what that one

    misread: it met ids that nobody described, took them for events without payload, and died
    of an event whose size contradicts its description. Its output, in buffers of 4,096 bytes,
    ends with the last full one, in the middle of a line. The same rules must misread the same.
    """
    options = OpenOptions(alignment="capped", unknown="empty")
    packed = reference / "ltt" / "synthetic-2.5al4nocap.expected.txt.gz"
    *wanted, cut = gzip.decompress(packed.read_bytes()).decode().split("\n")
    folder = unpack(reference, "synthetic-2.5al4nocap", tmp_path)
    with open_ltt(folder, options) as reader:
        got = dump(reader)
        (mismatch,) = reader.diagnostics
    hidden = {g.split()[0] for g, w in zip(got, wanted, strict=False) if ".? " in w[:20]}
    assert hidden == {
        *("metadata.core_marker_id", "metadata.core_marker_format"),
        *("kernel.unknown_1", "kernel.unknown_2", "kernel.unknown_14"),
    }
    adapted = [unnamed(line) if line.split()[0] in hidden else line for line in got]
    assert adapted[: len(wanted)] == wanted
    assert (len(wanted), cut) == (232, "kernel.b 10009.794351800")
    assert adapted[len(wanted)].startswith(cut)
    assert mismatch.code == "ltt-size-mismatch"
    assert mismatch.file is not None
    assert mismatch.file.context == ("block 1",)
    last = [line for line in got if " 1:" in line][-1]
    assert got.index(last) == len(wanted) + 3
    print(f"synthetic-2.5al4nocap: {len(wanted)} lines equal")


def test_first_lttv_counts(reference: Path, tmp_path: Path) -> None:
    """Counts of the reference decoder, as Python dictionaries after the CPU and the total."""
    counts = {}
    for line in (reference / "ltt" / "ltt2003-yangxx.counts.txt").read_text().splitlines():
        match = re.fullmatch(r"(\d+) (\d+) (\{.*\})", line)
        if match:
            pairs = re.findall(r"'(\w+)': (\d+)", match.group(3))
            counts[int(match.group(1))] = (
                int(match.group(2)),
                {f"core.{name}": int(number) for name, number in pairs},
            )
    with open_ltt(unpack(reference, "ltt2003-yangxx", tmp_path)) as reader:
        found = reader.statistics()
        ours = {cpu: found[f"/cpu/{cpu}"].events for cpu in counts}
        last = list(reader)[-1]
        assert reader.diagnostics == []
    assert {cpu: (sum(e.values()), e) for cpu, e in ours.items()} == counts
    assert sum(total for total, _ in counts.values()) == 85917 + 87240
    # The last block_end says its own time in microseconds.
    assert last.event_class.name == "core.block_end"
    assert last.timestamp_ns // 1000 == 1467637923 * 10**6 + 309363


def test_lost_metadata_keeps_described_events(reference: Path, tmp_path: Path) -> None:
    """2,000 `thr` and 200 of each other marker were fired, 2,337 events were lost, and so was

    the description of some markers.
    """
    with open_ltt(unpack(reference, "ust3-lost-metadata", tmp_path)) as reader:
        found = reader.statistics()
        events = found["ust_1"].events
        names = [e.event_class.name for e in reader if e.stream == "ust_1"]
    assert found["metadata_1"].lost == 460
    assert found["ust_1"].lost == 2337
    assert events["ust.thr"] == 2000
    assert len(names) == sum(events.values()) > 5000
    assert {d.code for d in reader.diagnostics} == {"ltt-unknown-event"}
    assert len(reader.diagnostics) == found["ust_1"].damaged


@pytest.mark.parametrize("name", ["kernel-2.3-399747", "kernel-2.5-15316", "ust2"])
def test_statistics_equal_the_counts(name: str, reference: Path, tmp_path: Path) -> None:
    import json

    totals = json.loads((reference / "ltt" / f"{name}.counts.json").read_text())
    with open_ltt(unpack(reference, name, tmp_path)) as reader:
        found = reader.statistics()
    counts: Counter[str] = Counter()
    for stream in found.values():
        counts.update(stream.events)
    assert dict(counts) == totals["counts"]
    for file in totals["tracefiles"]:
        stream = found[f"{file['channel']}_{file['cpu']}"]
        assert sum(stream.events.values()) == file["events"]
        assert stream.lost == file["events_lost"]
    times = [s for s in found.values() if s.first_ns is not None]
    assert text.seconds(min(s.first_ns for s in times)) == totals["first"]
    assert text.seconds(max(s.last_ns for s in times)) == totals["last"]
