"""`convert --to perfetto`: read back with Perfetto's own description of the format."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bridge
from bridge.trace.model import Event, EventClass, Struct
from bridge.trace.perfetto import PerfettoWriter

if TYPE_CHECKING:
    from bridge.trace.model import Value
    from tests.support.command import Runner

schema = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")
ORDERS = Path(__file__).resolve().parents[2] / "examples" / "orders.trace"
BEGIN, END, INSTANT, COUNTER = (
    schema.TrackEvent.Type.Value(f"TYPE_{name}")
    for name in ("SLICE_BEGIN", "SLICE_END", "INSTANT", "COUNTER")
)


def event(name: str, at: int, cpu: int = 0, thread: int = 7, **fields: Value) -> Event:
    context: dict[str, Value] = {"pid": 5, "tid": thread, "procname": "shop"} if thread else {}
    return Event(EventClass(name, 1, Struct(())), at, at, cpu, "channel_0", fields, context)


def written(*events: Event, counters: frozenset[str] = frozenset()) -> list[object]:
    """The packets that events become, parsed."""
    file = io.BytesIO()
    out = PerfettoWriter(file, counters)
    for one in events:
        out.write(one)
    return list(schema.Trace.FromString(file.getvalue()).packet)


def tracks(packets: list[object]) -> dict[int, str]:
    """The names of the tracks."""
    found = {}
    for packet in packets:
        if packet.HasField("track_descriptor"):
            about = packet.track_descriptor
            name = about.name or f"{about.process.process_name or about.process.pid}"
            if about.HasField("thread"):
                name = f"{about.thread.thread_name} {about.thread.pid}/{about.thread.tid}"
            found[about.uuid] = name
    return found


def lines(packets: list[object]) -> list[tuple[str, int, str, int]]:
    """Track, type, name and time of each event on a track."""
    names = tracks(packets)
    return [
        (names[p.track_event.track_uuid], p.track_event.type, p.track_event.name, p.timestamp)
        for p in packets
        if p.HasField("track_event")
    ]


def test_pairs_are_slices_that_nest() -> None:
    packets = written(
        event("app:query_start", 10),
        event("syscall_entry_openat", 11),
        event("syscall_exit_openat", 12),
        event("app:inner_begin", 13),
        event("app:query_done", 14),
        event("app:query_done", 15),
        event("app:tick", 16),
        event("irq_handler_entry", 17),
        event("irq_handler_exit", 18),
    )

    thread = "shop 5/7"
    assert lines(packets) == [
        (thread, BEGIN, "app:query", 10),
        (thread, BEGIN, "syscall_openat", 11),
        (thread, END, "syscall_openat", 12),
        (thread, BEGIN, "app:inner", 13),
        (thread, END, "", 14),  # never ended: it ends with what it is in
        (thread, END, "app:query", 14),
        (thread, INSTANT, "app:query_done", 15),
        (thread, INSTANT, "app:tick", 16),
        ("CPU 0", BEGIN, "irq_handler", 17),
        ("CPU 0", END, "irq_handler", 18),
    ]


def test_switches_are_those_of_ftrace_and_say_who_runs() -> None:
    switch = {
        **{"prev_comm": "a", "prev_tid": 3, "prev_prio": 120, "prev_state": 1},
        **{"next_comm": "b", "next_tid": 9, "next_prio": 100},
    }
    packets = written(
        event("sched_switch", 1, cpu=2, thread=0, **switch),
        event("tick", 2, cpu=2, thread=0),
        event("tick", 3, cpu=1, thread=0),
        event("power_cpu_frequency", 4, cpu=2, thread=0, state=1_800_000, cpu_id=2),
    )

    first, last = (p.ftrace_events for p in packets if p.HasField("ftrace_events"))
    told = first.event[0]
    assert (first.cpu, told.timestamp, told.pid) == (2, 1, 3)
    for name, value in switch.items():
        assert getattr(told.sched_switch, name.replace("_tid", "_pid")) == value
    assert (last.event[0].cpu_frequency.state, last.event[0].cpu_frequency.cpu_id) == (
        1_800_000,
        2,
    )
    assert [track for track, *_ in lines(packets)] == [" 9/9", "CPU 1"]


def test_values_are_annotations() -> None:
    fields: dict[str, Value] = {
        **{"i": -3, "u": (1 << 64) - 1, "f": 1.5, "s": "é\udcff", "b": b"\x01\xff", "t": True},
        **{"xs": [1, 2], "d": {"x": 1, "y": {"z": "w"}}},
    }
    (packet,) = (p for p in written(event("e", 1, **fields)) if p.HasField("track_event"))
    found = {one.name: one for one in packet.track_event.debug_annotations}

    assert found["pid"].int_value == 5
    assert (found["i"].int_value, found["u"].uint_value) == (-3, (1 << 64) - 1)
    assert (found["f"].double_value, found["t"].bool_value) == (1.5, True)
    assert (found["s"].string_value, found["b"].string_value) == ("é?", "01 ff")
    assert [one.int_value for one in found["xs"].array_values] == [1, 2]
    inner = {one.name: one for one in found["d"].dict_entries}
    assert inner["x"].int_value == 1
    assert inner["y"].dict_entries[0].string_value == "w"


def test_a_trace_of_ours_keeps_its_events_and_times(run: Runner, tmp_path: Path) -> None:
    out = tmp_path / "orders.pftrace"
    done = run("convert", ORDERS, out, "--to", "perfetto", "--counter", "shop:order.arg3")
    packets = list(schema.Trace.FromString(out.read_bytes()).packet)
    with bridge.open_trace(ORDERS) as trace:
        events = list(trace)

    assert (done.code, done.err) == (0, f"{len(events)} events written to {out}\n")
    told = [p for p in packets if p.HasField("track_event")]
    instants = [p for p in told if p.track_event.type == INSTANT]
    assert [(p.timestamp, p.track_event.name) for p in instants] == [
        (e.timestamp_ns, e.event_class.name) for e in events
    ]
    counts = [p.track_event.counter_value for p in told if p.track_event.type == COUNTER]
    assert counts == [e.fields["arg3"] for e in events if e.event_class.name == "shop:order"]
    assert set(tracks(packets).values()) >= {"shop", "shop:order.arg3"}
    clocks = packets[0].clock_snapshot.clocks
    assert {c.timestamp for c in clocks} == {events[0].timestamp_ns}


@pytest.mark.parametrize("where", ["/dev/full/x", "folder"])
def test_where_no_file_can_be_nothing_is_left(run: Runner, tmp_path: Path, where: str) -> None:
    (tmp_path / "folder").mkdir()
    done = run("convert", ORDERS, tmp_path / where, "--to", "perfetto")

    assert done.code == 1
    assert where in done.err
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_counter_that_is_no_field_is_said(run: Runner, tmp_path: Path) -> None:
    out = tmp_path / "o"
    done = run("convert", ORDERS, out, "--to", "perfetto", "--counter", "shop:order.nosuch")

    assert "shop:order.nosuch" in done.err
