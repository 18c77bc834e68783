"""What is written is read back: random classes and events, the C codec and the reader."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from bridge.formats import ctf
from bridge.trace.ctf.normal import normal
from bridge.trace.ctf.reader import CtfReader
from bridge.trace.ctf.text import TextOptions, lines
from bridge.trace.ctf.writer import CtfWriter
from tests.support.ctf_strategies import traces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.trace.model import Event, Value

SLOW = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp())
    yield made
    shutil.rmtree(made)


def _write(
    events: list[Event], folder: Path, packet_bytes: int = 4096, version: int = 1
) -> Path:
    trace = folder / "trace"
    shutil.rmtree(trace, ignore_errors=True)
    with CtfWriter(trace, packet_bytes=packet_bytes, version=version) as writer:
        writer.write(events)
    return trace


def _as_written(event: Event) -> Value:
    return normal(event.event_class.payload)[1](event.fields)


@pytest.mark.parametrize("version", [1, 2])
@SLOW
@given(events=traces())
def test_events_come_back(version: int, events: list[Event], folder: Path) -> None:
    with CtfReader(_write(events, folder, version=version)) as reader:
        assert reader.format == {1: "ctf-1.8", 2: "ctf-2"}[version]
        found = list(reader)
        assert reader.diagnostics == []

    assert [e.event_class.name for e in found] == [e.event_class.name for e in events]
    assert [(e.timestamp_ns, e.cpu) for e in found] == [(e.timestamp_ns, e.cpu) for e in events]
    assert [e.fields for e in found] == [_as_written(e) for e in events]
    pids = [e.context.get("pid") for e in events]
    assert [e.context.get("pid") for e in found] == pids


@SLOW
@given(events=traces())
def test_packets_are_as_construct_describes_them(events: list[Event], folder: Path) -> None:
    trace = _write(events, folder)

    for stream, cpu in {(e.stream, e.cpu) for e in events}:
        own = [e for e in events if e.stream == stream]
        raw = (trace / stream).read_bytes()
        packet = ctf.packet(with_cpu=cpu >= 0).parse(raw)
        header = ctf.EventHeader.parse(packet.events)
        assert packet.packet_size == 8 * len(raw)
        assert 0 <= packet.packet_size - packet.content_size < 8
        assert (packet.timestamp_begin, packet.timestamp_end) == (
            own[0].timestamp_ns,
            own[-1].timestamp_ns,
        )
        assert header.timestamp == own[0].timestamp_ns & 0xFFFFFFFF
        assert packet.cpu_id == (cpu if cpu >= 0 else None)


@SLOW
@given(events=traces())
def test_both_versions_say_the_same(events: list[Event], folder: Path) -> None:
    shown = []
    for version in (1, 2):
        with CtfReader(_write(events, folder, version=version)) as reader:
            shown.append([(e.event_class.name, e.timestamp_ns, e.fields) for e in reader])

    assert shown[0] == shown[1]


# babeltrace2 2.0 prints an empty string as what the field held in the event before.
@pytest.mark.tools
@settings(SLOW, max_examples=12)
@given(events=traces(empty=False))
def test_babeltrace2_reads_the_same(events: list[Event], folder: Path) -> None:
    trace = _write(events, folder)
    with CtfReader(trace) as reader:
        ours = "".join(f"{line}\n" for line in lines([reader], TextOptions(clock_gmt=True)))

    done = subprocess.run(
        ["babeltrace2", "--clock-gmt", str(trace)],
        capture_output=True,
        check=False,
        timeout=600,
    )

    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == ours.encode("utf-8", "surrogateescape")
