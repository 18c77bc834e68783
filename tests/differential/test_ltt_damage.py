"""Damaged traces: nothing crashes or hangs, and undamaged blocks are delivered whole.

Each generation has 2,000 mutations (MARKBRIDGE_MUTATIONS): bit flips, overwritten ranges and
truncation of one file of a small trace, each from its own seed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.errors import TraceError
from bridge.trace import convert
from bridge.trace.ltt import open_ltt
from bridge.trace.ltt.reader import LttReader
from bridge.trace.ltt.write import WriteOptions
from tests.support.ltt import old
from tests.support.reference_traces import unpack

MUTATIONS = int(os.environ.get("MARKBRIDGE_MUTATIONS", "2000"))
SECONDS = 300
"""Much longer than any trace takes, however busy the machine is: only a hang lasts longer."""
MEGABYTES = 150

Key = tuple[str, int, int, str, str]
"""Stream, clock, place in the block, name, fields."""


@dataclass(frozen=True)
class Sample:
    """A trace, the files to damage, and which of them the others depend on."""

    folder: Path
    files: tuple[Path, ...]
    describing: tuple[str, ...]


def keys(reader: LttReader) -> list[tuple[Key, int]]:
    found = []
    for event, place in reader.placed_events():
        key = (event.stream, event.tsc, place.offset, event.event_class.name, str(event.fields))
        found.append((key, place.block))
    return found


def mutate(data: bytes, rng: random.Random) -> tuple[bytes, int, int]:
    """Damaged data, and the range of bytes that differ (truncation: up to the end)."""
    kind = rng.randrange(5)
    at = rng.randrange(len(data))
    if kind == 0:
        return data[:at], at, len(data)
    if kind == 1:  # near a block's header, where damage does most
        at = min(len(data) - 1, at // 4096 * 4096 + rng.randrange(128))
    if kind == 2:
        end = min(len(data), at + rng.randrange(1, 64))
        filler = rng.choice((b"\0", b"\xff"))
        return data[:at] + filler * (end - at) + data[end:], at, end
    changed = bytearray(data)
    end = at
    for _ in range(rng.randrange(1, 5)):
        place = min(len(data) - 1, at + rng.randrange(16))
        changed[place] ^= 1 << rng.randrange(8)
        end = max(end, place + 1)
    return bytes(changed), at, end


class _Alarm:
    """Fails the test if one trace takes too long."""

    def __enter__(self) -> None:
        signal.signal(signal.SIGALRM, self._late)
        signal.alarm(SECONDS)

    def _late(self, *_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s for one trace")

    def __exit__(self, *_: object) -> None:
        signal.alarm(0)


def _read(folder: Path) -> tuple[list[tuple[Key, int]], LttReader] | None:
    with _Alarm():
        try:
            with open_ltt(folder) as reader:
                return keys(reader), reader
        except TraceError:
            return None


def _peak_kilobytes() -> int:
    """The most memory that this process had since its peak was reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def _blocks(size: int, total: int, start: int, end: int) -> range:
    """The blocks that the damage touches."""
    return range(start // size, (max(end, start + 1) - 1) // size + 1) if total else range(0)


def check_generation(
    sample: Sample, block_bytes: dict[str, int], seeds: range = range(MUTATIONS)
) -> Counter[str]:
    """Run all mutations; returns what happened how often."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts here: proc(5)
    before = _peak_kilobytes()
    whole, reader = _read(sample.folder) or ([], None)
    assert reader is not None
    assert reader.diagnostics == []
    names = {str(s.path): s.name for s in reader.tables.streams}
    outcome: Counter[str] = Counter()
    for seed in seeds:
        rng = random.Random(seed)
        path = sample.files[seed % len(sample.files)]
        data = path.read_bytes()
        changed, start, end = mutate(data, rng)
        path.write_bytes(changed)
        try:
            found = _read(sample.folder)
        finally:
            path.write_bytes(data)
        if path.name in sample.describing:
            outcome["descriptions damaged"] += 1
            continue
        assert found is not None, f"seed {seed}: not opened"
        stream = names[str(path)]
        hit = _blocks(block_bytes[stream], len(data), start, end)
        kept = Counter(k for k, block in whole if k[0] != stream or block not in hit)
        missing = kept - Counter(k for k, _ in found[0])
        assert not missing, f"seed {seed}, {path.name} {start:#x}: {list(missing)[:2]}"
        damaged = [d for d in found[1].diagnostics if d.file is not None]
        assert all(d.file.path for d in damaged)
        outcome["reported" if damaged else "not visible"] += 1
    assert (_peak_kilobytes() - before) / 1024 < MEGABYTES
    print(dict(outcome))
    return outcome


def _sample(folder: Path, describing: tuple[str, ...]) -> Sample:
    files = tuple(
        sorted(
            p
            for p in folder.rglob("*")
            if p.is_file() and p.suffix != ".xml" and p.stat().st_size
        )
    )
    return Sample(folder, files, describing)


FIRST, SECOND = range(MUTATIONS // 2), range(MUTATIONS // 2, MUTATIONS)
"""Two traces of a generation share its mutations."""


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "seeds"), [("synthetic-2.3al4", FIRST), ("synthetic-2.6be", SECOND)]
)
def test_markers_2(name: str, seeds: range, reference: Path, tmp_path: Path) -> None:
    marker_trace = unpack(reference, name, tmp_path)
    sample = _sample(marker_trace, ("metadata_0",))
    sizes = {"kernel_0": _fixed_size(marker_trace / "kernel_0", 0x38)}
    outcome = check_generation(sample, sizes, seeds)
    assert outcome["reported"] > len(seeds) // 25


def _fixed_size(path: Path, at: int) -> int:
    """The block size that the first header says, in the order that the magic number has."""
    head = path.read_bytes()[:128]
    big = b"\x00\xd6\xb7\xed" in head
    return int.from_bytes(head[at : at + 4], "big" if big else "little")


@pytest.mark.shared
def test_markers_1(reference: Path, tmp_path: Path) -> None:
    folder = unpack(reference, "synthetic-1.0hb", tmp_path)
    sizes = {"/cpu_0": _fixed_size(folder / "cpu_0", 36)}
    outcome = check_generation(_sample(folder, ("facilities_0",)), sizes)
    assert outcome["reported"] > MUTATIONS // 20


@pytest.mark.shared
@pytest.mark.parametrize(("version", "seeds"), [("0.7", FIRST), ("0.8", SECOND)])
def test_facilities(version: str, seeds: range, reference: Path, tmp_path: Path) -> None:
    """A marker trace converted, so that it has several small blocks."""
    options = WriteOptions(version=version, arch_size=4, block_bytes=4096)
    with open_ltt(unpack(reference, "synthetic-2.3al4", tmp_path / "a")) as reader:
        convert.to_ltt(reader, tmp_path / "t", options)
    assert (tmp_path / "t" / "cpu_0").stat().st_size >= 2 * 4096
    sample = _sample(tmp_path / "t", ("facilities_0",))
    outcome = check_generation(sample, {"/cpu_0": 4096}, seeds)
    assert outcome["reported"] > len(seeds) // 25


def test_first_lttv(tmp_path: Path) -> None:
    old.write_x(tmp_path / "t", blocks=2)
    sizes = {"/cpu/0": 4096, "/cpu/1": 4096}
    outcome = check_generation(_sample(tmp_path / "t", ("system.xml",)), sizes)
    assert outcome["reported"] > MUTATIONS // 20


def test_first_ltt(tmp_path: Path) -> None:
    """The description is in the first block, so only the others are damaged here."""
    path = tmp_path / "t" / "trace.0"
    path.parent.mkdir()
    old.write_k(path, blocks=3)
    outcome = check_first_ltt(path)
    assert outcome["reported"] > MUTATIONS // 20


def check_first_ltt(path: Path) -> Counter[str]:
    outcome: Counter[str] = Counter()
    data = path.read_bytes()
    whole, _ = _read(path.parent) or ([], None)
    for seed in range(MUTATIONS):
        changed, start, end = mutate(data, random.Random(seed))
        path.write_bytes(changed)
        found = _read(path.parent)
        hit = _blocks(4096, len(data), start, end)
        if 0 in hit:
            outcome["descriptions damaged"] += 1
            continue
        assert found is not None, f"seed {seed}"
        kept = Counter(k for k, block in whole if block not in hit)
        assert not kept - Counter(k for k, _ in found[0]), f"seed {seed}"
        outcome["reported" if found[1].diagnostics else "not visible"] += 1
    print(dict(outcome))
    return outcome


# --- the cases that old readers could not stand, one by one -----------------------------------


@pytest.fixture
def be(reference: Path, tmp_path: Path) -> Iterator[Path]:
    folder = unpack(reference, "synthetic-2.6be", tmp_path)
    yield folder
    shutil.rmtree(folder)


def _patch(path: Path, at: int, data: bytes) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:at] + data + content[at + len(data) :])


def _events(folder: Path, stream: str = "kernel_0") -> tuple[int, list[str]]:
    with open_ltt(folder) as reader:
        count = sum(e.stream == stream for e in reader)
        return count, [d.code for d in reader.diagnostics]


CASES = {
    "wrong magic in a data file": (0x10, b"junk", 160, 161, "ltt-bad-magic"),
    "size 0": (0x38, bytes(4), 241, 241, "ltt-bad-size"),
    "used more than there is": (0x34, b"\0\1\0\0", 241, 241, "ltt-bad-size"),
    "never closed": (0x34, b"\xff" * 8, 241, 241, "ltt-unclosed"),
    "data ends inside an event": (0x34, (1001).to_bytes(4, "big"), 190, 210, "ltt-bad-event"),
}


@pytest.mark.shared
@pytest.mark.parametrize("case", CASES)
def test_case(case: str, be: Path) -> None:
    at, data, least, most, code = CASES[case]
    _patch(be / "kernel_0", at, data)
    count, codes = _events(be)
    assert least <= count <= most
    assert codes == [code]


@pytest.mark.shared
def test_trailing_zero_page(be: Path) -> None:
    with (be / "kernel_0").open("ab") as file:
        file.write(bytes(4096))
    assert _events(be) == (241, ["ltt-bad-magic"])


@pytest.mark.shared
def test_file_shorter_than_a_header(be: Path) -> None:
    content = (be / "kernel_0").read_bytes()
    (be / "kernel_0").write_bytes(content[:40])
    assert _events(be) == (0, ["ltt-truncated"])


@pytest.mark.shared
def test_no_frequency(be: Path) -> None:
    for path in be.iterdir():
        for block in range(0, path.stat().st_size, 4096):
            _patch(path, block + 0x28, bytes(8))
    count, codes = _events(be)
    assert count == 241
    assert codes == ["ltt-no-frequency"]


@pytest.mark.shared
def test_no_metadata(be: Path) -> None:
    (be / "metadata_0").unlink()
    with open_ltt(be) as reader:
        names = {e.event_class.name for e in reader}
        assert reader.diagnostics[0].code == "ltt-no-metadata"
        assert len(reader.diagnostics) == 4  # and each block
    # Full headers say their size, so their events are known to exist.
    assert names
    assert all(name.startswith("kernel.unknown_") for name in names)


@pytest.mark.shared
def test_metadata_of_another_cpu_only(be: Path) -> None:
    (be / "metadata_0").rename(be / "metadata_1")
    assert _events(be)[0] == 241


@pytest.mark.shared
def test_xml_missing(reference: Path, tmp_path: Path) -> None:
    folder = unpack(reference, "facility-k64", tmp_path)
    (folder / "eventdefs" / "user_alltypes.xml").unlink()
    with open_ltt(folder) as reader:
        names = Counter(e.event_class.name for e in reader)
        assert [d.code for d in reader.diagnostics] == ["ltt-no-description"]
    assert sum(names.values()) == 3605
    assert sum(n for name, n in names.items() if ".unknown_" in name) == 2700


@pytest.mark.shared
def test_checksum_of_another_version(reference: Path, tmp_path: Path) -> None:
    """Several documents in one file: the one with the right checksum counts."""
    folder = unpack(reference, "facility-k64", tmp_path)
    path = folder / "eventdefs" / "user_generic.xml"
    good = path.read_bytes()
    path.write_bytes(good.replace(b'"data"', b'"datum"') + b"\n" + good)
    with open_ltt(folder) as reader:
        assert "user_generic.string" in {e.event_class.name for e in reader}
        assert reader.diagnostics == []
