"""Traces are found where they are: below the folder that was named, or offered, or refused."""

from __future__ import annotations

import os
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from bridge.cli.front import dispatch
from bridge.errors import TraceError
from bridge.trace.find import MOST_FOLDERS, traces_below
from bridge.trace.ltt import open_ltt
from bridge.trace.open import open_trace
from tests.support.library_traces import COUNT, order, write_ctf, write_lket, write_ltt
from tests.support.ltt import old
from tests.support.reference_traces import unpack

if TYPE_CHECKING:
    from pathlib import Path


def _names(path: Path) -> list[str]:
    with open_trace(path) as reader:
        return [event.event_class.name for event in reader]


WRITE = {
    "ctf": write_ctf,
    "2.6": lambda path: write_ltt(path, "2.6"),
    "0.8": lambda path: write_ltt(path, "0.8"),
    "0.7": lambda path: write_ltt(path, "0.7"),
    "lket": write_lket,
    "x": old.write_x,
}


@pytest.mark.parametrize("form", WRITE)
@pytest.mark.parametrize("levels", [1, 2, 4])
def test_a_folder_above(form: str, levels: int, tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*"abcd"[:levels]) / "trace"
    folder.parent.mkdir(parents=True)
    WRITE[form](folder)
    (tmp_path / "notes.txt").write_text("x" * 10_000)

    assert _names(tmp_path) == _names(folder) != []


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "count", "seen"),
    [
        ("ust1", 149, "ust."),
        ("ust2", 9889, "ust."),
        ("synthetic-2.0", 249, "."),
        ("synthetic-0.8", 66, "."),
        ("ltt2003-yangxx", 173157, "core."),
    ],
)
def test_an_archive_of_the_reference(
    name: str, count: int, seen: str, reference: Path, tmp_path: Path
) -> None:
    unpack(reference, name, tmp_path)

    with open_trace(tmp_path) as reader:
        streams = reader.statistics().values()
    assert sum(sum(stream.events.values()) for stream in streams) == count
    assert any(seen in event for stream in streams for event in stream.events)


@pytest.mark.shared
def test_the_events_of_a_folder_above_have_fields(reference: Path, tmp_path: Path) -> None:
    inner = unpack(reference, "facility-k64", tmp_path)

    with open_trace(tmp_path) as above, open_trace(inner) as exact, open_ltt(tmp_path) as ltt:
        fields = [event.fields for event in exact]
        assert [event.fields for event in above] == fields == [event.fields for event in ltt]
    assert sum(map(bool, fields)) > 1000


def test_several_are_offered(tmp_path: Path) -> None:
    for name in "ab":
        write_ltt(tmp_path / name, "2.6")
    write_ctf(tmp_path / "c" / "d")

    with pytest.raises(TraceError, match="holds several traces; open one of them") as refused:
        open_trace(tmp_path)

    offered = str(refused.value).splitlines()[1:]
    assert [line.strip() for line in offered] == [str(tmp_path / n) for n in ("a", "b", "c/d")]


def test_many_are_counted(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"t{number:02}").mkdir()
        (tmp_path / f"t{number:02}" / "metadata_0").write_bytes(b"x")

    with pytest.raises(TraceError, match="and 4 more"):
        open_trace(tmp_path)


def test_several_of_ctf_are_one(tmp_path: Path) -> None:
    write_ctf(tmp_path / "kernel", [order(1)])
    write_ctf(tmp_path / "ust" / "uid" / "0" / "64-bit", [order(2)])
    (tmp_path / ".hidden").mkdir()
    write_ctf(tmp_path / ".hidden" / "t", [order(3)])

    with open_trace(tmp_path) as reader:
        assert [event.fields["number"] for event in reader] == [1, 2]


def test_a_search_ends(tmp_path: Path) -> None:
    for number in range(MOST_FOLDERS + 10):
        (tmp_path / f"d{number:05}").mkdir()
    write_ctf(tmp_path / "z", [order(1)])

    found = traces_below(tmp_path)
    assert not found.whole
    with pytest.raises(TraceError, match="there are more; name the trace's own folder"):
        open_trace(tmp_path)


def test_a_search_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)

    assert traces_below(tmp_path).folders == ()
    with pytest.raises(TraceError, match="neither here nor below"):
        open_trace(tmp_path)


@pytest.mark.parametrize("folder", ["/usr", "/proc", "/sys"])
def test_a_file_system_is_no_trace(folder: str, capfd: pytest.CaptureFixture[str]) -> None:
    """It ends: thousands of folders are below, and files that grow or never end."""
    assert dispatch(["read", folder]) == 1
    assert capfd.readouterr().err.startswith(f"error: {folder}: ")


PACKED = {"t.tar.gz": "w:gz", "t.tar.xz": "w:xz", "t.tar.bz2": "w:bz2", "t.tar": "w:"}


@pytest.mark.parametrize("name", [*PACKED, "t.zip"])
def test_an_archive_is_refused_with_a_remedy(name: str, tmp_path: Path) -> None:
    trace, archive = write_ctf(tmp_path / "t", [order(1)]), tmp_path / name
    if name in PACKED:
        with tarfile.open(archive, PACKED[name]) as packed:
            packed.add(trace, "t")
    else:
        with zipfile.ZipFile(archive, "w") as packed:
            packed.write(trace / "metadata", "t/metadata")

    with pytest.raises(TraceError, match="is an archive; unpack it first") as refused:
        open_trace(archive)
    command = str(refused.value).partition("`")[2].partition("`")[0]
    (tmp_path / "out").mkdir()
    assert os.system(f"cd {tmp_path / 'out'} && {command} >/dev/null") == 0
    assert (tmp_path / "out" / "t" / "metadata").is_file()


@pytest.mark.parametrize("name", ["metadata", "channel0_0"])
def test_a_file_of_a_trace(name: str, tmp_path: Path) -> None:
    trace = write_ctf(tmp_path / "t", [order(1)])

    with pytest.raises(TraceError, match=f"is a file of a trace; read its folder, {trace}"):
        open_trace(trace / name)


@pytest.mark.parametrize(("version", "part"), [("0.8", "control"), ("0.7", "eventdefs")])
def test_a_part_of_a_trace(version: str, part: str, tmp_path: Path) -> None:
    trace = write_ltt(tmp_path / "t", version)

    with pytest.raises(TraceError, match=f"is a part of a trace; read {trace}"):
        open_trace(trace / part)


# --- names that nothing has -------------------------------------------------------------------


@pytest.mark.parametrize("form", ["ctf", "2.6", "0.8"])
@pytest.mark.parametrize("how", [[], ["--stats"], ["--format", "json"]])
def test_an_event_that_is_not_there(
    form: str, how: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trace = WRITE[form](tmp_path / "t") or tmp_path / "t"

    assert dispatch(["read", str(trace), "--event", "shop.ordre", *how]) == 2

    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: no event `shop.ordre`; there are: ")
    assert "shop.order" in shown.err


@pytest.mark.shared
def test_of_many_names_the_nearest_are_told(
    reference: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    unpack(reference, "kernel-2.5-15316", tmp_path)

    assert dispatch(["read", str(tmp_path), "--event", "irq"]) == 2

    told = capfd.readouterr().err
    assert "the nearest of its 151 are: " in told
    assert "irq" in told.partition(" are: ")[2]
    assert len(told) < 300


@pytest.mark.parametrize(
    "options", [["--cpu", "7"], ["--begin", "9999999999"], ["--end", "0.5", "--cpu", "0"]]
)
def test_a_selection_of_nothing(
    options: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trace = write_ctf(tmp_path / "t", [order(1)])

    for more in ([], ["--stats"], ["--format", "json"]):
        assert dispatch(["read", str(trace), *options, *more]) == 0
        told = capfd.readouterr().err
        assert told.startswith(f"warning: no event of the trace was selected by {options[0]}")


def test_what_is_selected_needs_no_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trace = write_ctf(tmp_path / "t")

    assert dispatch(["read", str(trace), "--event", "*order", "--cpu", "0"]) == 0

    shown = capfd.readouterr()
    assert (len(shown.out.splitlines()), shown.err) == (COUNT, "")
