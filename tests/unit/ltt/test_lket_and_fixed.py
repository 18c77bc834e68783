"""LKET traces, and fixed records whose layout the user supplies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.front import dispatch
from bridge.errors import TraceError
from bridge.formats import lket as layouts
from bridge.trace import model
from bridge.trace.fixed import load_layout, open_fixed
from bridge.trace.lket import is_lket, open_lket
from bridge.trace.lket.writer import LketWriter

OPEN = model.EventClass(
    "syscall.open.entry",
    0,
    model.Struct(
        (
            model.Field("name", model.Text()),
            model.Field("flags", model.Integer(32, signed=True)),
            model.Field("mode", model.Integer(16, signed=False)),
        )
    ),
)


def record(data: bytes, sequence: int, big: bool) -> bytes:
    return layouts.fast_record(big).pack(sequence, len(data)) + data


def packet(
    where: tuple[int, int, int], time: int, system: bytes, user: bytes, big: bool
) -> bytes:
    group, hook, cpu = where
    size = layouts.SYSTEM_BYTES + len(system)
    aggregate = 1 << 32 | group << 24 | hook << 16 | cpu << 8
    head = (size + len(user), size, time, 12 << 32 | 11, aggregate)
    return layouts.fast_packet(big).pack(*head) + system + user


def header(timing: int, mhz: int, big: bool) -> bytes:
    fields = {"magic": layouts.MAGIC, "header_length": 9, "major": 1, "minor": 1}
    fields |= {"endian": 2, "timing": timing, "bits": 32, "cpu_mhz": mhz}
    return layouts.trace_header(big).build(fields)


@pytest.mark.parametrize("big", [False, True])
def test_worked_trace(big: bool, tmp_path: Path) -> None:
    """Two CPUs; fields registered on the other CPU; the user's own fields; the CPU's speed."""

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, "big" if big else "little")

    register = packet((1, 1, 0), 5, b"\x02\x01INT32:STRING\0nr:name\0", b"", big)
    append = packet((1, 3, 0), 5, b"\x02\x01INT8\0extra\0", b"", big)
    describe = packet((1, 5, 0), 5, b"\x02\x01syscall.entry\0", b"", big)
    first = packet((2, 1, 0), 2000, number(4, 4) + b"write\0", b"\xff", big)
    second = packet((2, 1, 0), 6000, number(5, 4) + b"open\0", b"\x07", big)
    speed = packet((15, 1, 0), 6000, number(1000, 8), b"", big)
    third = packet((2, 1, 0), 7000, number(6, 4) + b"\0", b"\x01", big)
    pieces = [header(1, 2000, big), register, append + describe, first, second, speed, third]
    data = b"".join(record(piece, at, big) for at, piece in enumerate(pieces))
    (tmp_path / "stpd_cpu0").write_bytes(data)
    other = packet((2, 1, 1), 9000, number(-1 & 0xFFFFFFFF, 4) + b"x\0", b"\0", big)
    (tmp_path / "stpd_cpu1").write_bytes(record(other, 0, big))
    assert is_lket(tmp_path)
    with open_lket(tmp_path) as reader:
        events = list(reader)
        assert reader.diagnostics == []
        counts = reader.statistics()
    syscalls = [e for e in events if e.event_class.name == "syscall.entry"]
    assert [(e.cpu, e.timestamp_ns, e.fields) for e in syscalls] == [
        (1, 0, {"nr": -1, "name": "x", "extra": 0}),
        (0, 997, {"nr": 4, "name": "write", "extra": -1}),
        (0, 2997, {"nr": 5, "name": "open", "extra": 7}),
        (0, 3997, {"nr": 6, "name": "", "extra": 1}),
    ]
    assert syscalls[0].context == {"tid": 12, "pid": 11, "ppid": 1}
    assert counts["cpu_0"].events["syscall.entry"] == 3
    assert [e.event_class.name for e in events if e not in syscalls] == ["group15.hook1"]


@given(st.binary(min_size=28, max_size=28), st.booleans())
def test_fast_layouts_equal_the_reference(data: bytes, big: bool) -> None:
    slow = layouts.packet(big).parse(data)
    names = ("total_size", "system_size", "time", "tid_pid", "aggregate")
    assert layouts.fast_packet(big).unpack(data) == tuple(slow[name] for name in names)
    slow = layouts.record_header(big).parse(data)
    assert layouts.fast_record(big).unpack(data[:8]) == (slow.sequence, slow.length)


@pytest.mark.parametrize("big", [False, True])
def test_written_events_come_back(big: bool, tmp_path: Path) -> None:
    context: dict[str, model.Value] = {"tid": 3, "pid": 2, "ppid": 1}
    events = [
        model.Event(
            OPEN,
            1000 + n,
            1000 + n,
            n % 3,
            "x",
            {"name": f"é{n}", "flags": -n, "mode": 65535 - n},
            context,
        )
        for n in range(20)
    ]
    with LketWriter(tmp_path / "t", big) as out:
        for event in events:
            out.write(event)
    with open_lket(tmp_path / "t") as reader:
        got = list(reader)
        assert reader.diagnostics == []
    assert sorted(p.name for p in (tmp_path / "t").iterdir()) == [
        "stpd_cpu0",
        "stpd_cpu1",
        "stpd_cpu2",
    ]
    assert [(e.timestamp_ns, e.cpu, e.fields, e.context) for e in got] == [
        (e.timestamp_ns, e.cpu, e.fields, e.context) for e in events
    ]
    assert {e.event_class.name for e in got} == {"syscall.open.entry"}


def test_lket_damage(tmp_path: Path) -> None:
    with LketWriter(tmp_path / "t") as out:
        for n in range(3):
            fields: dict[str, model.Value] = {"name": "a", "flags": n, "mode": 1}
            out.write(model.Event(OPEN, n, n, 0, "x", fields))
    path = tmp_path / "t" / "stpd_cpu0"
    data = path.read_bytes()
    path.write_bytes(data[:-5])
    with open_lket(tmp_path / "t") as reader:
        assert [e.fields["flags"] for e in reader] == [0, 1]
        assert [d.code for d in reader.diagnostics] == ["lket-truncated"]
    size = len(record(packet((64, 1, 0), 0, b"a\0" + bytes(8), b"", False), 0, False))
    at = len(data) - 2 * size + 8
    path.write_bytes(data[:at] + b"\xff\x7f" + data[at + 2 :])
    with open_lket(tmp_path / "t") as reader:
        assert [e.fields["flags"] for e in reader] == [0, 2]
        assert [d.code for d in reader.diagnostics] == ["lket-bad-packet"]


def test_lket_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    kind = model.EventClass("a", 0, model.Struct((model.Field("f", model.Float(64)),)))
    with LketWriter(tmp_path / "t") as out, pytest.raises(TraceError, match="a, field f"):
        out.write(model.Event(kind, 1, 1, 0, "x", {"f": 1.0}))
    with pytest.raises(TraceError, match="no file stpd_cpuN"):
        open_lket(tmp_path)


LAYOUT = """
name = "lkst"
record = 'Struct("time" / Int32ul, "cpu" / Int8ul, "type" / Int8ul, "arg" / Array(2, Int16sb))'
header_bytes = 4
time = "time"
frequency = 1000
cpu = "cpu"
event = "type"
[names]
1 = "process.switch"
"""


def test_fixed_records(tmp_path: Path) -> None:
    (tmp_path / "layout.toml").write_text(LAYOUT)
    rows = [(5, 0, 1, 7), (9, 0, 2, -1)]
    data = b"HEAD" + b"".join(
        t.to_bytes(4, "little") + bytes((c, k)) + a.to_bytes(2, "big", signed=True) * 2
        for t, c, k, a in rows
    )
    (tmp_path / "a").write_bytes(data)
    (tmp_path / "b").write_bytes(
        b"HEAD" + (7).to_bytes(4, "little") + b"\1\1" + bytes(4) + b"!"
    )
    with open_fixed(tmp_path / "layout.toml", tmp_path / "a", tmp_path / "b") as reader:
        events = list(reader)
        assert [(d.code, d.file.byte) for d in reader.diagnostics if d.file] == [
            ("fixed-truncated", 14)
        ]
        assert reader.statistics()["a"].events == {"process.switch": 1, "lkst.event_2": 1}
    assert [(e.event_class.name, e.timestamp_ns, e.cpu, e.fields["arg"]) for e in events] == [
        ("process.switch", 5_000_000, 0, [7, 7]),
        ("process.switch", 7_000_000, 1, [0, 0]),
        ("lkst.event_2", 9_000_000, 0, [-1, -1]),
    ]
    kinds = {f.name: f.type for f in events[0].event_class.payload.fields}
    assert kinds["arg"] == model.FixedArray(model.Integer(16, signed=True, big_endian=True), 2)


def test_read_command_selects_records(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Readers that cannot select by themselves are filtered, events and statistics."""
    layout = tmp_path / "layout.toml"
    layout.write_text(LAYOUT)
    (tmp_path / "t").mkdir()
    rows = [(5, 0, 1), (7, 1, 1), (9, 0, 2), (11, 0, 1)]
    data = b"".join(t.to_bytes(4, "little") + bytes((c, k)) + bytes(4) for t, c, k in rows)
    (tmp_path / "t" / "a").write_bytes(b"HEAD" + data)
    command = ["read", str(tmp_path / "t"), "--layout", str(layout), "--format", "json"]

    def times(*options: str) -> list[int]:
        assert dispatch([*command, *options]) == 0
        lines = capfd.readouterr().out.splitlines()
        return [json.loads(line)["tsc"] for line in lines]

    assert times() == [5, 7, 9, 11]
    assert times("--cpu", "0") == [5, 9, 11]
    assert times("--event", "process.*") == [5, 7, 11]
    assert times("--begin", "0.007", "--end", "0.009") == [7, 9]
    assert times("--channel", "b") == []
    assert dispatch([*command, "--stats", "--cpu", "0", "--begin", "0.006"]) == 0
    (stream,) = json.loads(capfd.readouterr().out)["streams"].values()
    assert stream["events"] == {"lkst.event_2": 1, "process.switch": 1}
    assert (stream["first_ns"], stream["last_ns"]) == (9_000_000, 11_000_000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 1", "name is missing"),
        ('name = "a"\nrecord = "Struct("\ntime = "t"', "no layout"),
        ('name = "a"\nrecord = "__import__(\'os\')"\ntime = "t"', "no layout"),
        ('name = "a"\nrecord = \'Struct("s" / CString("utf8"))\'\ntime = "s"', "no layout"),
        ('name = "a"\nrecord = \'Struct("t" / Byte)\'\ntime = "u"', "no field u"),
        ('name = "a"\nrecord = \'Struct("t" / Byte)\'\ntime = "t"\nfoo = 1', "no such setting"),
        ("name = ", "Invalid value"),
    ],
)
def test_bad_layouts(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "layout.toml"
    path.write_text(text)
    with pytest.raises(TraceError, match=message):
        load_layout(path)
