"""The construct layouts are the reference: C reads what they build, writes what they parse."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.formats import ltt
from bridge.trace import model
from bridge.trace.ltt import files, marker_format, open_ltt
from bridge.trace.ltt.facilities_writer import FacilityWriter
from bridge.trace.ltt.markers_2_writer import M2Writer
from bridge.trace.ltt.write import WriteOptions

U32 = st.integers(0, (1 << 32) - 1)
U64 = st.integers(0, (1 << 63) - 1)
LAYOUTS = [
    ltt.m2_header(minor, size, big)
    for minor in range(7)
    for size in (4, 8)
    for big in (False, True)
] + [
    ltt.f_header(major, minor, time, big)
    for major, minor, time in (
        (0, 3, "timeval32"),
        (0, 3, "timeval64"),
        (0, 4, "ns"),
        (0, 4, "timeval32"),
        (0, 4, "timeval64"),
        (0, 5, "u64"),
        (0, 6, "u64"),
        (0, 7, ""),
        (0, 8, ""),
        (1, 0, ""),
    )
    for big in (False, True)
]


@given(st.sampled_from(LAYOUTS), st.binary(min_size=200, max_size=200))
def test_build_of_parse(layout: object, data: bytes) -> None:
    parsed = layout.parse(data)
    size = files.places(layout)["bytes"]
    assert layout.build(parsed) == data[:size]
    assert layout.sizeof() == size


def test_sizes_of_headers() -> None:
    sizes = {
        (2, 0, 8): 64,
        (2, 0, 4): 60,
        (2, 1, 8): 60,
        (2, 2, 8): 68,
        (2, 6, 4): 68,
    }
    for (_, minor, arch), size in sizes.items():
        assert ltt.m2_header(minor, arch, False).sizeof() == size
    others = {
        (0, 3, "timeval32"): 63,
        (0, 3, "timeval64"): 79,
        (0, 4, "ns"): 111,
        (0, 4, "timeval32"): 111,
        (0, 4, "timeval64"): 135,
        (0, 5, "u64"): 135,
        (0, 7, ""): 106,
        (0, 8, ""): 108,
        (1, 0, ""): 109,
    }
    for key, size in others.items():
        assert ltt.f_header(*key, big=False).sizeof() == size


@settings(max_examples=40, deadline=None)
@given(
    big=st.booleans(),
    arch=st.sampled_from((4, 8)),
    begin=U64,
    sec=U64,
    freq=st.integers(1, 1 << 40),
)
def test_written_headers_parse(big: bool, arch: int, begin: int, sec: int, freq: int) -> None:
    for version, writer in (("2.6", M2Writer), ("0.8", FacilityWriter)):
        with tempfile.TemporaryDirectory() as name:
            options = WriteOptions(
                version,
                arch,
                big,
                use_tsc=True,
                frequency=freq,
                start_tsc=begin,
                start_sec=sec,
                start_usec=5,
                block_bytes=4096,
            )
            with writer(Path(name) / "t", options):
                pass
            file = "metadata_0" if version == "2.6" else "control/facilities_0"
            data = (Path(name) / "t" / file).read_bytes()
            layout = (
                ltt.m2_header(6, arch, big) if version == "2.6" else ltt.f_header(0, 8, "", big)
            )
            header = layout.parse(data)
        assert (header.magic, header.begin, header.arch_size) == (ltt.MAGIC, begin, arch)
        assert (header.start_sec, header.start_usec, header.start_freq) == (sec, 5, freq)
        assert header.size == len(data)


@settings(max_examples=40, deadline=None)
@given(
    minor=st.integers(2, 6),
    big=st.booleans(),
    begin=st.integers(0, 1 << 40),
    steps=st.lists(st.integers(1, 1 << 26), max_size=20),
)
def test_built_blocks_are_read(minor: int, big: bool, begin: int, steps: list[int]) -> None:
    """A metadata block built here, event by event, comes out of the reader."""
    order = "big" if big else "little"
    layout = ltt.m2_header(minor, 8, big)
    body, tsc, times = b"", begin, []
    for number, step in enumerate(steps):
        tsc += step
        times.append(tsc)
        at = layout.sizeof() + len(body)
        body += bytes(-at % 4) + (tsc & 0x7FFFFFF).to_bytes(4, order)
        body += bytes(-(layout.sizeof() + len(body)) % 2)
        record = {
            "channel": "c",
            "name": f"m{number}",
            "pad": None,
            "id": number,
            "int": 4,
            "long": 8,
            "pointer": 8,
            "size_t": 8,
            "alignment": 8,
        }
        record["pad"] = bytes((len(record["name"]) + 1 + 2) % 2)
        body += ltt.m2_marker_id(channels=minor >= 3, pad=True, big=big).build(
            record if minor >= 3 else record | {"pad": bytes((len(record["name"]) + 1) % 2)}
        )
    used = layout.sizeof() + len(body)
    size = 4096
    header = {
        "begin": begin,
        "end": tsc,
        "magic": ltt.MAGIC,
        "major": 2,
        "minor": minor,
        "arch_size": 8,
        "alignment": 8,
        "start_sec": 0,
        "start_usec": 0,
        "start_freq": 10**9,
        "freq_scale": 1,
        "used": used if minor >= 5 else size - used,
        "size": size,
        "events_lost": 3,
        "subbuf_corrupt": 0,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) if minor >= 3 else Path(name) / "control"
        folder.mkdir(exist_ok=True)
        path = folder / "metadata_0"
        path.write_bytes((layout.build(header) + body).ljust(size, b"\0"))
        with open_ltt(name) as reader:
            events = list(reader)
            assert {d.code for d in reader.diagnostics} <= {"ltt-no-metadata"}
            (stats,) = reader.statistics().values()
    assert stats.lost == 3
    assert [e.tsc for e in events] == times
    assert [e.fields["event_id"] for e in events] == list(range(len(steps)))


@given(st.text("abc %#dus1248nlhpZ()'xX,", max_size=40))
def test_any_format_parses(text: str) -> None:
    """The scanner accepts every text, as the tracers' did, and its fields decode."""
    kind = marker_format.payload(text, marker_format.MarkerSizes(), big=False)
    assert len(kind.fields) == len(marker_format.parse(text)) <= text.count("%")
    for member in kind.fields:
        assert isinstance(member.type, (model.Integer, model.Text))
