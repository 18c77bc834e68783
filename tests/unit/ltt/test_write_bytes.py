"""What is written, byte for byte, against examples worked out from genuine traces."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import TraceError
from bridge.facility import checksum
from bridge.trace import model
from bridge.trace.ltt import facilities, open_ltt
from bridge.trace.ltt.facilities_writer import FacilityWriter
from bridge.trace.ltt.markers_2_writer import M2Writer
from bridge.trace.ltt.write import WriteOptions

I32 = model.Integer(32, signed=True)
U8 = model.Integer(8, signed=False)
U16 = model.Integer(16, signed=False)
U32 = model.Integer(32, signed=False)
U64 = model.Integer(64, signed=False)


def marker(
    name: str, text: str, *fields: tuple[str, model.FieldType], word: int = 4
) -> model.EventClass:
    """A class as it comes from a marker."""
    payload = model.Struct(tuple(model.Field(n, t) for n, t in fields))
    attributes = {"format": text, "sizes": f"4 {word} {word} {word}"}
    return model.EventClass(name, 0, payload, None, attributes)


def event(kind: model.EventClass, tsc: int, *values: model.Value, cpu: int = 0) -> model.Event:
    names = [f.name for f in kind.payload.fields]
    fields = dict(zip(names, values, strict=True))
    return model.Event(kind, tsc, tsc, cpu, f"x_{cpu}", fields)


def fillers(channel: str, count: int) -> list[model.EventClass]:
    """Classes that only take ids."""
    return [marker(f"{channel}.unused_{n}", " ") for n in range(count)]


def of(text: str) -> bytes:
    """Bytes in hexadecimal, with strings in quotes and bars as separators."""
    data = b""
    for piece in text.replace("|", " ").split('"')[0::2]:
        data += bytes.fromhex(piece)
    return data


M2_32 = WriteOptions(
    arch_size=4,
    aligned=False,
    use_tsc=True,
    frequency=1987809000,
    start_tsc=0x18919EC03F7B,
    start_sec=0x4B4381E6,
    start_usec=408819,
    block_bytes=0x6000,
)


def write_kernel_0(folder: Path) -> None:
    printk = marker("kernel.printk", "ip 0x%lX", ("ip", U32))
    vprintk = marker(
        "kernel.vprintk",
        "loglevel #1u%u string %s ip 0x%lX",
        ("loglevel", U8),
        ("string", model.Text()),
        ("ip", U32),
    )
    with M2Writer(folder, M2_32) as out:
        out.declare_all([*fillers("kernel", 32), printk, vprintk])
        out.write(event(printk, 0x1891A6CCB13F, 0xC1421750))
        out.write(event(vprintk, 0x1891A705F08C, 7, "LTT state dump begin", 0xC158363B))
        out.output("kernel_0").last = 0x1891B8301951


def test_block_of_kernel_2_5(tmp_path: Path) -> None:
    """The first block of a genuine trace of 2010, but for the version and the sizes."""
    write_kernel_0(tmp_path / "t")
    data = (tmp_path / "t" / "kernel_0").read_bytes()
    header = (
        "7b3fc09e91180000 511930b891180000 edb7d600 02 06 04 00 e681434b00000000 "
        "f33c060000000000 e88e7b7600000000 01000000"
    )
    assert data[:0x34] == of(header)
    first = of("3fb1ccee 2000 0400 3fb1cca691180000 501742c1")
    second = of("8cf005ff 2100 07") + b"LTT state dump begin\0" + of("3b3658c1")
    end = 0x44 + len(first) + len(second)
    assert data[0x34:0x44] == end.to_bytes(4, "little") + of("00100000 00000000 00000000")
    assert data[0x44:] == first + second + bytes(4096 - end)


def test_metadata_of_kernel_2_5(tmp_path: Path) -> None:
    options = WriteOptions(arch_size=4, aligned=False, use_tsc=True, start_tsc=0x1891A6B2E83F)
    with M2Writer(tmp_path / "t", options) as out:
        out.declare_all([marker("vm_state.vm_map", "pid %d", ("pid", I32))])
    data = (tmp_path / "t" / "metadata_0").read_bytes()
    record = of("3fe8b2ee 0000 1700 3fe8b2a691180000") + b"vm_state\0vm_map\0"
    record += of("0000 04 04 04 04 00")
    assert data[0x44 : 0x44 + len(record)] == record


def test_aligned_32_bit(tmp_path: Path) -> None:
    """Events of a genuine trace of 2009 with alignment 4."""
    entry = marker(
        "kernel.syscall_entry",
        "ip #p%ld syscall_id #2u%u",
        ("ip", model.Integer(32, signed=False, base=16)),
        ("syscall_id", U16),
    )
    leave = marker("kernel.syscall_exit", "ret %ld", ("ret", I32))
    options = WriteOptions(arch_size=4, use_tsc=True, start_tsc=0xBA2D5F380000)
    with M2Writer(tmp_path / "t", options) as out:
        out.declare_all([*fillers("kernel", 32), entry, leave])
        out.write(event(leave, 0xBA2D5F38A36A, 25))
        out.write(event(entry, 0xBA2D5F38AD18, 0xB7EEB430, 3))
        out.write(event(leave, 0xBA2D5F38B9AE, -11))
    data = (tmp_path / "t" / "kernel_0").read_bytes()
    wanted = of("6aa338ef 2100 0400 6aa3385f2dba0000 19000000")
    wanted += of("18ad38ff 2000 0000 30b4eeb7 0300 0000")
    wanted += of("aeb938ff 2100 0000 f5ffffff")
    assert data[0x44 : 0x44 + len(wanted)] == wanted


def test_wrap_of_27_bits(tmp_path: Path) -> None:
    """64-bit tracers write a wrapped clock without a full header."""
    kind = marker("ust.noargs", " ", word=8)
    options = WriteOptions(aligned=False, use_tsc=True, start_tsc=0x50537000000)
    with M2Writer(tmp_path / "t", options) as out:
        out.declare_all([*fillers("ust", 2), kind])
        for tsc in (0x50537000001, 0x50537EC7BC4, 0x50539B7C205):
            out.write(event(kind, tsc))
    data = (tmp_path / "t" / "ust_0").read_bytes()
    assert data[0x44 + 16 : 0x44 + 24] == of("c47bec17 05c2b711")
    with open_ltt(tmp_path / "t") as reader:
        assert [e.tsc for e in reader if e.stream == "ust_0"][1:] == [
            0x50537EC7BC4,
            5520001319429,
        ]


def test_extended_size(tmp_path: Path) -> None:
    kind = marker("ust.bigstr", "s %s", ("s", model.Text()), word=8)
    options = WriteOptions(aligned=False, use_tsc=True, start_tsc=0x5056C55544C)
    with M2Writer(tmp_path / "t", options) as out:
        out.declare_all([*fillers("ust", 1), kind])
        out.write(event(kind, 0x5056C55544C, "x" * 70004))
    data = (tmp_path / "t" / "ust_0").read_bytes()
    assert data[0x44:0x5A] == of("4c5455ec 0100 ffff 75110100 4c54556c05050000 7878")


def write_string_0_7(folder: Path) -> None:
    kind = model.EventClass(
        "user_generic.string", 0, model.Struct((model.Field("data", model.Text()),))
    )
    options = WriteOptions(version="0.7", use_tsc=True)
    with FacilityWriter(folder, options) as out:
        out.declare_all([kind])
        for _ in range(2):
            out.write(event(kind, 0x9E24A920848, "Hello world! Have a nice day."))


def test_user_event_of_0_7(tmp_path: Path) -> None:
    write_string_0_7(tmp_path / "t")
    data = (tmp_path / "t" / "cpu_0").read_bytes()
    wanted = of("4808924ae2090000 01 00 2000 00000000") + b"Hello world! Have a nice day.\0\0\0"
    assert data[106:0x70] == bytes(6)
    assert data[0x70:0xA0] == wanted
    assert data[0xA0:0xD0] == wanted


def write_control(folder: Path, version: str) -> bytes:
    options = WriteOptions(
        version=version,
        arch_size=4,
        heartbeat=True,
        use_tsc=True,
        start_tsc=0x449D4C946,
        arch_type=1,
    )
    with FacilityWriter(folder, options):
        pass
    return (folder / "control" / "facilities_0").read_bytes()


@pytest.mark.parametrize(("version", "crc"), [("0.7", "86e48d1a"), ("0.8", "53df1212")])
def test_core_load_of_32_bit(version: str, crc: str, tmp_path: Path) -> None:
    """As in a trace of 2006; its first event is at 0x6c after a header of 106 or 108 bytes."""
    data = write_control(tmp_path / "t", version)
    wanted = (
        of("46c9d449 00 00 2400") + b"core\0\0\0\0" + of(crc) + bytes(4) + of("04000000" * 5)
    )
    assert data[0x6C : 0x6C + len(wanted)] == wanted


@pytest.mark.parametrize(
    ("version", "places"), [("0.7", (62, 66, 74, 82, 90)), ("0.8", (64, 68, 76, 84, 92))]
)
def test_header_of_facility_traces(
    version: str, places: tuple[int, ...], tmp_path: Path
) -> None:
    options = WriteOptions(
        version=version,
        use_tsc=True,
        start_tsc=77,
        frequency=2_000_000_000,
        start_sec=5,
        start_usec=6,
    )
    with FacilityWriter(tmp_path / "t", options):
        pass
    data = (tmp_path / "t" / "control" / "facilities_0").read_bytes()
    assert data[0x28:0x2C] == of("edb7d600")
    assert (data[0x39], data[0x3A]) == (0, int(version[2:]))
    assert int.from_bytes(data[36:40], "little") == options.block_bytes == len(data)
    wanted = (1, 2_000_000_000, 77, 0, 5)
    for place, size, value in zip(places, (4, 8, 8, 8, 8), wanted, strict=True):
        assert int.from_bytes(data[place : place + size], "little") == value


SEQS = model.EventClass(
    "user_alltypes.seqs",
    0,
    model.Struct(
        (
            model.Field("lead", U8),
            model.Field("bytes", model.Sequence(U8, "", U32)),
            model.Field("longs", model.Sequence(U64, "", U16)),
            model.Field("tail", U16),
        )
    ),
)
LAYOUTS = {
    (8, True): "03000000 03000000 030405 0000000000 0300 000000000000"
    "3333333333333333 4444444444444444 5555555555555555 0f00",
    (
        8,
        False,
    ): "03 03000000 030405 0300 3333333333333333 4444444444444444 5555555555555555 0f00",
}


@pytest.mark.parametrize("arch", LAYOUTS)
def test_sequences_of_0_7(arch: tuple[int, bool], tmp_path: Path) -> None:
    size, aligned = arch
    options = WriteOptions(version="0.7", arch_size=size, aligned=aligned, use_tsc=True)
    values = [0x3333333333333333, 0x4444444444444444, 0x5555555555555555]
    with FacilityWriter(tmp_path / "t", options) as out:
        out.declare_all([SEQS])
        out.write(event(SEQS, 1, 3, [3, 4, 5], values, 15))
    wanted = of(LAYOUTS[arch])
    assert len(wanted) == (50 if aligned else 36)
    assert wanted in (tmp_path / "t" / "cpu_0").read_bytes()


@pytest.mark.parametrize(
    ("aligned", "text"),
    [
        (True, "03000000 03000000 030405 00 0300 0000 33333333 44444444 55555555 0f00"),
        (False, "03 03000000 030405 0300 33333333 44444444 55555555 0f00"),
    ],
)
def test_sequences_of_32_bit(aligned: bool, text: str, tmp_path: Path) -> None:
    fields = (
        *SEQS.payload.fields[:2],
        model.Field("longs", model.Sequence(U32, "", U16)),
        SEQS.payload.fields[3],
    )
    kind = model.EventClass(SEQS.name, 0, model.Struct(fields))
    options = WriteOptions(version="0.8", arch_size=4, aligned=aligned, use_tsc=True)
    with FacilityWriter(tmp_path / "t", options) as out:
        out.declare_all([kind])
        out.write(event(kind, 1, 3, [3, 4, 5], [0x33333333, 0x44444444, 0x55555555], 15))
    wanted = of(text)
    assert len(wanted) == (30 if aligned else 24)
    assert wanted in (tmp_path / "t" / "cpu_0").read_bytes()


def test_checksums_of_core() -> None:
    known = {(0, 7): 0x1A8DE486, (0, 8): 0x1212DF53}
    for version, crc in known.items():
        assert checksum.checksum(facilities.core_facility(version)) == crc


@pytest.mark.parametrize("version", ["0.7", "0.8"])
def test_far_clock_with_heartbeat(version: str, tmp_path: Path) -> None:
    """Events that carry 32 bits of the clock: a jump over more starts a new sub-buffer."""
    kind = model.EventClass("a.b", 0, model.Struct((model.Field("x", U32),)))
    options = WriteOptions(version=version, heartbeat=True, use_tsc=True, block_bytes=4096)
    times = [5, 1 << 31, (1 << 32) + 7, (1 << 34), (1 << 40), (1 << 40) + 1]
    with FacilityWriter(tmp_path / "t", options) as out:
        out.declare_all([kind])
        for number, tsc in enumerate(times):
            out.write(event(kind, tsc, number))
    with open_ltt(tmp_path / "t") as reader:
        got = [(e.tsc, e.fields["x"]) for e in reader if e.event_class.name == "a.b"]
        assert reader.diagnostics == []
    assert got == [(tsc, number) for number, tsc in enumerate(times)]


def test_lost_counter_is_cumulative(tmp_path: Path) -> None:
    kind = marker("c.m", "x %d", ("x", I32))
    with M2Writer(tmp_path / "t", M2_32) as out:
        out.write(event(kind, M2_32.start_tsc + 1, 1))
        out.lost("c_0", 3)
        out.output("c_0").switch(M2_32.start_tsc + 2)
        out.lost("c_0", 10)
        out.write(event(kind, M2_32.start_tsc + 3, 2))
    with open_ltt(tmp_path / "t") as reader:
        assert reader.statistics()["c_0"].lost == 10


def test_folder_of_several_processes(tmp_path: Path) -> None:
    """UST makes a trace per process; one is opened, of several one must be named."""
    write_kernel_0(tmp_path / "session" / "1_1")
    with open_ltt(tmp_path / "session") as reader:
        assert sum(e.stream == "kernel_0" for e in reader) == 2
    write_kernel_0(tmp_path / "session" / "2_2")
    with pytest.raises(TraceError, match="holds 2 traces, open one of them: 1_1, 2_2"):
        open_ltt(tmp_path / "session")


def test_events_larger_than_a_subbuffer(tmp_path: Path) -> None:
    """2.6 makes a larger sub-buffer, facility traces have one size for all."""
    kind = model.EventClass("a.b", 0, model.Struct((model.Field("s", model.Text()),)))
    long = "x" * 9000
    for version, writer in (("2.6", M2Writer), ("0.8", FacilityWriter)):
        out = writer(tmp_path / version, WriteOptions(version, block_bytes=4096))
        out.write(event(kind, 5, "short"))
        if version == "2.6":
            out.write(event(kind, 6, long))
        else:
            with pytest.raises(TraceError, match="larger than a sub-buffer"):
                out.write(event(kind, 6, long))
        out.write(event(kind, 7, "last"))
        out.close()
        with open_ltt(tmp_path / version) as reader:
            texts = [e.fields["s"] for e in reader if e.event_class.name == "a.b"]
            assert reader.diagnostics == []
        assert texts == ["short", long, "last"] if version == "2.6" else ["short", "last"]


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (model.Float(64), 1.0, "only integers, pointers and strings"),
        (U8, 256, "256 does not fit 8 bits unsigned"),
        (model.Text(), "a\0b", "not a text without NUL"),
    ],
)
def test_what_2_6_cannot_hold(
    kind: model.FieldType, value: model.Value, message: str, tmp_path: Path
) -> None:
    own = model.EventClass("a.b", 0, model.Struct((model.Field("f", kind),)))
    with M2Writer(tmp_path / "t", WriteOptions()) as out, pytest.raises(TraceError) as caught:
        out.write(event(own, 5, value))
    assert message in str(caught.value)
    assert "a.b" in str(caught.value)
