"""Markers from Python: the file that tracers see, and calls that nobody traces."""

from __future__ import annotations

import subprocess
from pathlib import Path
from threading import Thread

import pytest

import bridge
from bridge.diagnostics import Sink
from bridge.errors import BridgeError
from bridge.marker_file import MACHINES, arguments_text, marker_file
from bridge.probes.elf import open_elf
from bridge.probes.sdt import read_notes
from bridge.world import LiveWorld


def _notes(path: Path) -> str:
    shown = subprocess.run(
        ["readelf", "-n", "-W", path], capture_output=True, text=True, check=True
    )
    assert shown.stderr == ""
    return shown.stdout


def test_the_note_as_readelf_reads_it(tmp_path: Path) -> None:
    order = bridge.marker("shop", "order", "id %d name %s price %f part %u", folder=tmp_path)

    text = _notes(Path(order.path))

    assert "Provider: shop" in text
    assert "Name: order" in text
    assert "Arguments: -8@%rdi 8@%rsi 8@%rdx 8@%rcx" in text
    assert "Location: 0x0000000000001000" in text
    assert "Semaphore: 0x0000000000010000" in text


def test_twelve_arguments_of_both_machines() -> None:
    sizes = ["-8"] * 12

    assert arguments_text(sizes, MACHINES["x86_64"]).split(" -8@")[5:] == [
        *("%r9", "8(%rsp)", "16(%rsp)", "24(%rsp)", "32(%rsp)", "40(%rsp)", "48(%rsp)")
    ]
    assert arguments_text(sizes, MACHINES["aarch64"]).split(" -8@")[7:] == [
        *("x7", "[sp, 0]", "[sp, 8]", "[sp, 16]", "[sp, 24]")
    ]


@pytest.mark.parametrize("name", ["x86_64", "aarch64"])
def test_our_own_reader_understands_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.so"
    path.write_bytes(marker_file("shop", "order", ["8"] * 12, MACHINES[name]))

    sink = Sink()
    elf = open_elf(str(path), LiveWorld(), sink)
    assert elf is not None
    (note,) = read_notes(elf, sink)

    assert not sink.items
    assert elf.machine == name
    assert (note.provider, note.name, note.address) == ("shop", "order", 0x1000)
    assert elf.bytes_at(note.address, len(MACHINES[name].code)) == MACHINES[name].code


def test_a_call_that_nobody_traces(tmp_path: Path) -> None:
    order = bridge.marker("shop", "order", "id %d name %s", folder=tmp_path)

    assert (order.provider, order.name, order.enabled()) == ("shop", "order", False)
    order(1, "tea")
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        order(1)


def test_the_file_is_the_same_for_all(tmp_path: Path) -> None:
    first = bridge.marker("shop", "order", "id %d", folder=tmp_path)
    before = Path(first.path).stat().st_ino
    second = bridge.marker("shop", "order", "number %i", folder=tmp_path)
    other = bridge.marker("shop", "order", "id %u", folder=tmp_path)

    assert second.path == first.path != other.path
    assert Path(first.path).stat().st_ino == before
    assert len(list(tmp_path.iterdir())) == 2


def test_threads_make_and_call_markers_at_once(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for number in range(50):
                bridge.marker("shop", f"m{number % 5}", "%d %s", folder=tmp_path)(number, "x")
        except BaseException as error:  # noqa: BLE001 - to be told
            failed.append(error)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failed
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize(
    ("provider", "name", "text", "message"),
    [
        ("shop", "a b", "", "`a b` cannot be the name"),
        ("", "x", "", "`` cannot be the name"),
        ("shop", "x", "%y", "is not understood"),
        ("shop", "x", "100%", "is not understood"),
        ("shop", "x", "%d " * 13, "has 13 arguments; 12 are possible"),
    ],
)
def test_what_cannot_be(
    tmp_path: Path, provider: str, name: str, text: str, message: str
) -> None:
    with pytest.raises(BridgeError, match=message):
        bridge.marker(provider, name, text, folder=tmp_path)

    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BridgeError, match="Not a directory"):
        bridge.marker("shop", "x", "", folder=tmp_path / "file" / "below")
