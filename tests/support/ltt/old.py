"""Writers of small traces of the oldest generations, K and X, from their construct layouts."""

from __future__ import annotations

import random
from pathlib import Path

from bridge.formats import ltt

CORE_X = """<facility name=core>
  <event name=facility_load>
    <struct>
      <field name="name"><string/></field>
      <field name="checksum"><uint size=4/></field>
      <field name="base_code"><uint size=4/></field>
    </struct>
  </event>
  <event name=syscall_entry>
    <struct>
      <field name="syscall_id"><uint size=1/></field>
      <field name="address"><uint size=4/></field>
    </struct>
  </event>
  <event name=syscall_exit></event>
  <event name=open>
    <struct>
      <field name="kind">
        <enum size=1><label name=READ value=1/><label name=WRITE/></enum>
      </field>
      <field name="name"><string/></field>
    </struct>
  </event>
{filler}  <event name=block_start><typeref name=stamp/></event>
  <event name=block_end><typeref name=stamp/></event>
  <event name=time_heartbeat></event>
  <type name=stamp>
    <struct>
      <field name="seconds"><uint size=4/></field>
      <field name="nanoseconds"><uint size=4/></field>
      <field name="cycle_count"><uint size=8/></field>
      <field name="block_id"><uint size=4/></field>
    </struct>
  </type>
</facility>
"""
HERTZ = 1_000_000_000


def number(value: int, size: int, big: bool) -> bytes:
    return value.to_bytes(size, "big" if big else "little")


def core_x() -> str:
    filler = "".join(f"  <event name=unused_{n}></event>\n" for n in range(4, 17))
    return CORE_X.format(filler=filler)


def _x_mark(kind: int, tsc: int, block: int, big: bool) -> bytes:
    return ltt.x_block_event(big).build(
        {
            "id": kind,
            "tsc": tsc & 0xFFFFFFFF,
            "seconds": 1_057_000_000 + tsc // HERTZ,
            "nanoseconds": tsc % HERTZ,
            "cycle_count": tsc,
            "block_id": block,
        }
    )


def write_x(
    folder: Path, cpus: int = 2, blocks: int = 3, block_bytes: int = 4096, big: bool = False
) -> dict[int, list[tuple[str, int, dict[str, object]]]]:
    """A trace of the first LTTV; returns name, tsc and fields of the events of each CPU."""
    for name in ("control", "cpu", "eventdefs", "info"):
        (folder / name).mkdir(parents=True)
    (folder / "control" / "facilities").touch()
    (folder / "eventdefs" / "core.xml").write_text(core_x())
    order = "BIG_ENDIAN" if big else "LITTLE_ENDIAN"
    (folder / "info" / "system.xml").write_text(
        f'<system node_name="n" arch_size="ILP32" endian="{order}" ltt_major_version=2 '
        f"ltt_minor_version=2 ltt_block_size={block_bytes}>text</system>"
    )
    written = {}
    for cpu in range(cpus):
        rng = random.Random(cpu)
        tsc, data, events = (1 << 32) - 5000 + cpu, b"", []
        for block in range(blocks):
            piece = _x_mark(ltt.X_BLOCK_START, tsc, block, big)
            while len(piece) < block_bytes - 100 - rng.randrange(200):
                tsc += rng.randrange(1, 2000)
                name, body, fields = _x_event(rng, big)
                piece += number(name, 2, big) + number(tsc & 0xFFFFFFFF, 4, big) + body
                events.append(
                    (("syscall_entry", "syscall_exit", "open")[name - 1], tsc, fields)
                )
            tsc += 10
            piece += _x_mark(ltt.X_BLOCK_END, tsc, block, big)
            lost = (
                block_bytes - 4 - len(piece)
            )  # after August 2004: counted before the last word
            data += piece + bytes(lost) + number(lost, 4, big)
        (folder / "cpu" / str(cpu)).write_bytes(data)
        written[cpu] = events
    return written


def _x_event(rng: random.Random, big: bool) -> tuple[int, bytes, dict[str, object]]:
    kind = rng.randrange(1, 4)
    if kind == 1:
        call, address = rng.randrange(256), rng.randrange(1 << 32)
        body = number(call, 1, big) + number(address, 4, big)
        return kind, body, {"syscall_id": call, "address": address}
    if kind == 2:
        return kind, b"", {}
    name = "x" * rng.randrange(12)
    return kind, b"\x02" + name.encode() + b"\0", {"kind": 2, "name": name}


def write_k(
    path: Path,
    *,
    blocks: int = 3,
    block_bytes: int = 4096,
    big: bool = False,
    minor: int = 3,
    log_cpu: bool = False,
    use_tsc: bool = True,
    tagged: int | None = None,
) -> list[tuple[str, int, dict[str, object]]]:
    """A trace of the first LTT; returns name, time in nanoseconds and fields of its events."""
    rng = random.Random(1)
    data, events, tsc = b"", [], 1_000_000
    cpu = b"\x07" if log_cpu else b""
    for block in range(blocks):
        begin = tsc
        piece = _k_begin(block, begin, block_bytes, (big, minor, log_cpu, use_tsc, tagged))
        while len(piece) < block_bytes - 120:
            tsc += 1000 * rng.randrange(1, 50)
            kind, name, body, fields = _k_event(rng, big)
            stamp = tsc if use_tsc else (tsc - begin) // 1000
            own = cpu + bytes([kind]) + number(stamp, 4, big) + body
            piece += own + number(len(own) + 2, 2, big)
            events.append((name, tsc, fields))
        tsc += 1000
        lost = block_bytes - len(piece)
        stamp = tsc if use_tsc else (tsc - begin) // 1000
        piece += cpu + b"\x12" + number(stamp, 4, big) + _k_time(tsc, big) + number(19, 2, big)
        data += piece + bytes(block_bytes - 4 - len(piece)) + number(lost, 4, big)
    path.write_bytes(data)
    return events


def _k_time(tsc: int, big: bool) -> bytes:
    parts = (tsc // HERTZ, tsc % HERTZ // 1000, tsc)
    return b"".join(number(part, 4, big) for part in parts)


def _k_begin(
    block: int, tsc: int, block_bytes: int, options: tuple[bool, int, bool, bool, int | None]
) -> bytes:
    big, minor, log_cpu, use_tsc, tagged = options
    first = b"\x11" + number(tsc if use_tsc else 0, 4, big) + _k_time(tsc, big)
    first += number(block, 4, big) + number(23, 2, big)
    if block:
        return first
    layout = ltt.k_start(minor, big)
    whole = layout.build(
        {
            "id": None,
            "time": tsc if use_tsc else 0,
            "seconds": tsc // HERTZ,
            "microseconds": tsc % HERTZ // 1000,
            "tsc": tsc,
            "block_id": 0,
            "length": 23,
            "start_id": None,
            "start_time": tsc if use_tsc else 0,
            "magic": ltt.MAGIC,
            "arch_type": 1,
            "arch_variant": 0,
            "system_type": 1,
            "major": 2,
            "minor": minor if tagged is None else tagged,
            "buffer_size": block_bytes,
            "event_mask": (1 << 64) - 1,
            "details_mask": 0,
            "log_cpu": int(log_cpu),
            "use_tsc": int(use_tsc),
            "flight_recorder": 0,
            "start_length": 40 + (minor >= 3) + 7,
        }
    )
    assert whole.startswith(first)
    return whole


def _k_event(rng: random.Random, big: bool) -> tuple[int, str, bytes, dict[str, object]]:
    kind = rng.choice((1, 2, 5, 7, 11, 20))
    if kind == 1:
        call, address = rng.randrange(256), rng.randrange(1 << 32)
        body = number(call, 1, big) + number(address, 4, big)
        return kind, "syscall_entry", body, {"syscall_id": call, "address": address}
    if kind == 2:
        return kind, "syscall_exit", b"", {}
    if kind == 5:
        return kind, "irq_entry", b"\x03\x01", {"irq_id": 3, "kernel": 1}
    if kind == 7:
        parts = [rng.randrange(1 << 32) for _ in range(3)]
        body = b"".join(number(part, 4, big) for part in parts)
        return (
            kind,
            "schedchange",
            body,
            dict(zip(("out", "in", "out_state"), parts, strict=True)),
        )
    if kind == 20:
        data = "d" * rng.randrange(9)
        body = b"".join(number(n, 4, big) for n in (5, len(data), 0)) + data.encode()
        return kind, "custom", body, {"id": 5, "size": len(data), "address": 0, "data": data}
    sub, name = rng.choice((3, 4, 6)), "f" * rng.randrange(9)
    named = sub in (3, 4)
    body = number(sub, 1, big) + number(9, 4, big) + number(len(name), 4, big) + bytes(4)
    body += name.encode() + b"\0" if named else b""
    fields = {"sub_id": sub, "data1": 9, "data2": len(name), "address": 0}
    return kind, "file_system", body, fields | {"name": name if named else ""}
