"""Traces 0.3 to 0.6, of which none survives, built from the construct layouts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.facility.checksum import checksum
from bridge.facility.parse import parse
from bridge.formats import ltt
from bridge.trace.ltt import open_ltt

OLD = """<facility name=demo>
  <event name=hit><struct>
    <field name=a><uint size=4/></field><field name=b><uint size=2/></field>
  </struct></event>
</facility>"""
NEW = """<facility name="demo">
  <event name="hit"><field name="a"><uint/></field><field name="b"><ushort/></field></event>
</facility>"""
SECOND = 1_000_000_000
VARIANTS = [
    ((0, 3), "timeval32"),
    ((0, 3), "timeval64"),
    ((0, 4), "ns"),
    ((0, 4), "timeval32"),
    ((0, 4), "timeval64"),
    ((0, 5), "u64"),
    ((0, 6), "u64"),
]


def number(value: int, size: int, big: bool) -> bytes:
    return value.to_bytes(size, "big" if big else "little")


def event(tsc: int, where: tuple[int, int], body: bytes, big: bool) -> bytes:
    """With heartbeat and without alignment."""
    head = number(tsc & 0xFFFFFFFF, 4, big) + bytes(where) + number(len(body), 2, big)
    return head + body


def block(version: tuple[int, int], time: str, events: bytes, big: bool) -> bytes:
    layout = ltt.f_header(*version, time, big)
    fields = {sub.name: 0 for sub in layout.subcons}
    fields |= {"magic": ltt.MAGIC, "major": version[0], "minor": version[1]}
    fields |= {"arch_type": 1, "arch_size": 4, "has_heartbeat": 1, "has_tsc": 1}
    fields |= {"begin": 1000, "end": 1000 + SECOND, "size": 4096}
    fields |= {"start_freq": SECOND // 1000, "begin_freq": 0, "start_tsc": 1000}
    fields |= {"begin_sec": 100, "end_sec": 101, "begin_ns": 100 * SECOND}
    used = layout.sizeof() + len(events)
    known = {sub.name for sub in layout.subcons}
    fields = {name: value for name, value in fields.items() if name in known}
    return (layout.build(fields | {"lost": 4096 - used}) + events).ljust(4096, b"\0")


def load(version: tuple[int, int], name: str, crc: int, own: int, big: bool) -> bytes:
    sizes = (4, 4, 4, 4, 0) if version >= (0, 5) else (4, 4, 4, 0)
    numbers = (crc, own, *sizes)
    return name.encode() + b"\0" + b"".join(number(n, 4, big) for n in numbers)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("version", "time"), VARIANTS)
def test_early_version(version: tuple[int, int], time: str, big: bool, tmp_path: Path) -> None:
    old = version < (0, 5)
    text = OLD if old else NEW
    crc = checksum(parse(text)[0], old=old)
    (tmp_path / "eventdefs").mkdir()
    (tmp_path / "control").mkdir()
    (tmp_path / "eventdefs" / "demo.xml").write_text(text)
    loads = event(1001, (0, 0), load(version, "demo", crc, 3, big), big)
    (tmp_path / "control" / "facilities_0").write_bytes(block(version, time, loads, big))
    hits = b"".join(
        event(1000 + n * SECOND // 10, (3, 0), number(n, 4, big) + number(7 * n, 2, big), big)
        for n in range(1, 5)
    )
    (tmp_path / "cpu_0").write_bytes(block(version, time, hits, big) * 2)
    with open_ltt(tmp_path) as reader:
        events = [e for e in reader if e.event_class.name == "demo.hit"]
        assert reader.diagnostics == []
    assert reader.format == f"ltt-0.{version[1]}"
    assert [e.fields for e in events] == [{"a": n, "b": 7 * n} for n in (1, 2, 3, 4)] * 2
    base = 100 * SECOND if version == (0, 3) else 1000
    assert events[0].timestamp_ns == base + SECOND // 10
