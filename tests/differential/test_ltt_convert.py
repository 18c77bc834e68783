"""Conversion of a genuine trace keeps every event and value; the example and the columns."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli.front import dispatch
from bridge.errors import TraceError
from bridge.trace import convert, model
from bridge.trace.columns import columns
from bridge.trace.ltt import open_ltt
from bridge.trace.ltt.reader import LttReader
from bridge.trace.ltt.write import WriteOptions
from bridge.trace.open import open_trace
from bridge.trace.selection import Selection
from tests.support.reference_traces import compare, expected, unpack

pytestmark = pytest.mark.shared
ROOT = Path(__file__).resolve().parents[2]


Values = tuple[int, str, int, tuple[tuple[str, model.Value], ...]]


def events(reader: LttReader) -> list[Values]:
    """All events but the trace's own, as values (names, order and types of fields included)."""
    return [
        (e.tsc, e.event_class.name, e.cpu, tuple(e.fields.items()))
        for e in reader
        if not convert.is_own(e.event_class, reader.format)
    ]


def change(source: LttReader, path: Path, **options: object) -> LttReader:
    convert.to_ltt(source, path, WriteOptions(**options))
    return open_ltt(path)


def test_there_and_back(reference: Path, tmp_path: Path) -> None:
    """2.3 -> 2.6 -> 0.8, and 2.3 -> 0.8 -> 2.6, of 399,747 events."""
    with open_ltt(unpack(reference, "kernel-2.3-399747", tmp_path / "a")) as reader:
        wanted = events(reader)
        assert len(wanted) == 399393  # 354 describe the trace
        newer = change(reader, tmp_path / "2.6", version="2.6")
        older = change(reader, tmp_path / "0.8", version="0.8", block_bytes=1 << 20)
    assert newer.format == "ltt-2.6"
    assert events(newer) == wanted
    assert older.format == "ltt-0.8"
    assert events(older) == wanted
    assert events(change(older, tmp_path / "2.6 again", version="2.6")) == wanted
    with change(newer, tmp_path / "0.8 of 2.6", version="0.8", block_bytes=1 << 20) as chained:
        assert events(chained) == wanted
    assert newer.diagnostics == older.diagnostics == []


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("arch", [4, 8])
@pytest.mark.parametrize("version", ["2.6", "0.8", "0.7"])
def test_every_variant(
    version: str, arch: int, big: bool, aligned: bool, reference: Path, tmp_path: Path
) -> None:
    with open_ltt(unpack(reference, "kernel-2.5-15316", tmp_path / "a")) as reader:
        wanted = events(reader)
        times = [e.timestamp_ns for e in reader if "marker" not in e.event_class.name]
        out = change(
            reader,
            tmp_path / "b",
            version=version,
            arch_size=arch,
            big_endian=big,
            aligned=aligned,
            block_bytes=8192,
        )
        assert events(out) == wanted
        assert out.diagnostics == []
        pairs = zip(
            times,
            [e.timestamp_ns for e in out if not convert.is_own(e.event_class, out.format)],
            strict=True,
        )
        assert all(abs(ours - theirs) <= 2 for theirs, ours in pairs)  # other formulas


def test_times_without_a_clock(reference: Path, tmp_path: Path) -> None:
    """A trace of 2003 has interpolated times; in 2.6 they are the clock."""
    with open_ltt(unpack(reference, "ltt2003-yangxx", tmp_path / "a")) as reader:
        first = next(iter(reader))
        assert isinstance(first.fields["timestamp"], dict)
        with pytest.raises(TraceError, match=r"core\.block_start, field timestamp"):
            convert.to_ltt(reader, tmp_path / "b", WriteOptions(), strict=True)
        out = change(reader, tmp_path / "c", version="0.8", block_bytes=1 << 20)
        ours = [(e.timestamp_ns, e.event_class.name) for e in reader]
    got = [
        (e.timestamp_ns, e.event_class.name.replace("core_.", "core."))
        for e in out
        if not e.event_class.name.startswith("core.")
    ]
    assert len(got) == len(ours) == 173157
    start = ours[0][0] - got[0][0]
    for (time, name), (wanted, other) in zip(got, ours, strict=True):
        assert name == other
        assert abs(time + start - wanted) <= 1  # the formula of 0.8 rounds


def test_lost_events_are_carried_over(reference: Path, tmp_path: Path) -> None:
    with open_ltt(unpack(reference, "ust3-lost-metadata", tmp_path / "a")) as reader:
        out = change(reader, tmp_path / "b", version="2.6")
    assert out.statistics()["ust_1"].lost == 2337


def test_not_into_a_full_folder(reference: Path, tmp_path: Path) -> None:
    with open_ltt(unpack(reference, "ust1", tmp_path / "a")) as reader:
        with pytest.raises(TraceError, match="not empty"):
            convert.to_ltt(reader, tmp_path / "a", WriteOptions())
        with pytest.raises(TraceError, match="cannot be written"):
            convert.to_ltt(reader, tmp_path / "b", WriteOptions(version="2.3"))


def test_columns_equal_events(reference: Path, tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    for name in ("kernel-2.5-15316", "facility-k64"):
        with open_ltt(unpack(reference, name, tmp_path / name)) as reader:
            found = columns(reader)
            by_name: dict[str, list[model.Event]] = {}
            for event in reader:
                by_name.setdefault(event.event_class.name, []).append(event)
        assert found.keys() == by_name.keys()
        for own, wanted in by_name.items():
            column = found[own]
            assert len(column) == len(wanted)
            assert column.timestamp_ns.tolist() == [e.timestamp_ns for e in wanted]
            assert column.cpu.tolist() == [e.cpu for e in wanted]
            for field, array in column.fields.items():
                assert array.tolist() == [e.fields[field] for e in wanted]


def test_selection(reference: Path, tmp_path: Path) -> None:
    with open_ltt(unpack(reference, "kernel-2.5-15316", tmp_path)) as reader:
        whole = list(reader)
        middle = whole[8000].timestamp_ns
        chosen = Selection(
            begin_ns=middle, channels=("kernel", "fs"), names=("kernel.syscall_entry",)
        )
        got = [(e.tsc, e.fields) for e in reader.events(chosen)]
        counts = reader.statistics(chosen)
    wanted = [
        (e.tsc, e.fields)
        for e in whole
        if e.timestamp_ns >= middle and e.event_class.name == "kernel.syscall_entry"
    ]
    assert got == wanted
    assert wanted
    assert counts["kernel_0"].events == {"kernel.syscall_entry": len(wanted)}
    assert set(counts) == {"kernel_0", "fs_0"}


@pytest.mark.parametrize("name", ["kernel-2.5-15316", "facility-k64", "synthetic-1.0hb"])
def test_read_command(
    name: str, reference: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    folder = unpack(reference, name, tmp_path)
    assert dispatch(["read", "--format", "lttv", str(folder)]) == 0
    lines = capfdbinary.readouterr().out.decode("utf8", "surrogateescape").splitlines()
    compare(lines, expected(reference, name))
    assert dispatch(["read", "--format", "json", str(folder)]) == 0
    objects = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    with open_ltt(folder) as reader:
        wanted = [
            {
                "name": e.event_class.name,
                "timestamp_ns": e.timestamp_ns,
                "cpu": e.cpu,
                "tsc": e.tsc,
                "stream": e.stream,
                "fields": e.fields,
            }
            for e in reader
        ]
    assert [{k: o[k] for k in wanted[0]} for o in objects] == wanted
    assert [list(o["fields"]) for o in objects] == [list(w["fields"]) for w in wanted]


@pytest.mark.parametrize("target", ["ltt-2.6", "ltt-0.8", "ltt-0.7", "ctf"])
def test_convert_command(
    target: str, reference: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, out = unpack(reference, "kernel-2.5-15316", tmp_path / "a"), tmp_path / "out"
    assert dispatch(["convert", str(folder), str(out), "--to", target, "--packed"]) == 0
    assert "15014 events written" in capfd.readouterr().err
    with open_trace(out) as got, open_ltt(folder) as reader:
        written = [
            (e.event_class.name, list(e.fields.values()))
            for e in got
            if not convert.is_own(e.event_class, got.format)
        ]
        wanted = [
            (e.event_class.name, list(e.fields.values()))
            for e in reader
            if not convert.is_own(e.event_class, reader.format)
        ]
    assert written == wanted


def test_readme_quotes_the_example() -> None:
    """The program in the README is the one that the next test runs."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (quoted,) = [block for block in blocks if "irq_entry" in block]
    program = (ROOT / "examples" / "irq_handlers.py").read_text()
    assert ast.dump(ast.parse(quoted)) == ast.dump(
        ast.Module(ast.parse(program).body[1:], [])  # after its docstring
    )


def test_example_of_interrupt_handlers(reference: Path, tmp_path: Path) -> None:
    """The printed durations are those of the expected dump: entry to exit, nested."""
    folder = unpack(reference, "kernel-2.3-399747", tmp_path)
    command = [sys.executable, str(ROOT / "examples" / "irq_handlers.py"), str(folder)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with open_ltt(folder) as reader:
        found = columns(reader, ["kernel.irq_entry", "kernel.irq_exit"])
    marks = [(t, 1) for t in found["kernel.irq_entry"].timestamp_ns.tolist()]
    marks += [(t, 0) for t in found["kernel.irq_exit"].timestamp_ns.tolist()]
    durations, stack = [], []
    for time, is_entry in sorted(marks):
        if is_entry:
            stack.append(time)
        elif stack:
            durations.append(time - stack.pop())
    lines = out.splitlines()
    assert len(lines) == 10
    printed = [int(line.split()[2].replace(",", "")) for line in lines]
    assert printed == sorted(durations, reverse=True)[:10]
