"""Long work is told in one line of a terminal, which is gone before anything else comes."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bridge.markers import MarkerAttachment
from bridge.trace import convert
from bridge.trace.ltt.write import WriteOptions
from bridge.trace.open import open_trace
from tests.support.annotated import INCLUDE
from tests.support.recordings import Recording, usdt
from tests.support.terminal import AT_ONCE, NEVER, START, Shown, on_terminal

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = 3000
RATE = r"[\d,]+ per second"
PROGRAM = """\
#include <markbridge/marker.h>
int twice(int n) { return 2 * n; }
int main(void) { MARKBRIDGE_MARK(p, begun); return twice(0); }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace as CTF (`ctf`) and LTT (`ltt`), and a program with debug information."""
    folder = tmp_path_factory.mktemp("progress")
    recording = Recording(folder / "ctf", [MarkerAttachment(usdt("order"))])
    for number in range(EVENTS):
        recording.hit(number, number)
    recording.recorder.close()
    with open_trace(folder / "ctf") as source:
        convert.to_ltt(source, folder / "ltt", WriteOptions("2.6"))
    (folder / "p.c").write_text(PROGRAM)
    (folder / "p.bt").write_text("BEGIN { exit(); }\n")
    (folder / "p.d").write_text("provider p { probe x(int); };\n")
    command = ["gcc", "-g", "-Wl,--build-id", f"-I{INCLUDE}", "p.c", "-o", "p"]
    subprocess.run(command, cwd=folder, check=True)
    return folder


FUNCTION = 'process("{f}/p").function("twice")'
POINT = 'process("/usr/bin/shop").mark("order")'
WORK = {
    "check": (
        ["check", "-e", "probe begin { exit() }"],
        ["checking the script ..."],
    ),
    "debug information": (
        ["check", "-e", f"probe {FUNCTION} {{ println($n) }}"],
        ["checking the script ...", r"reading the debug information of \S+/p ..."],
    ),
    "list": (["list", FUNCTION], [r"looking up process\(.*/p ..."]),
    "explain": (["explain", "-e", "probe begin { exit() }"], ["compiling <input> ..."]),
    "run": (
        ["run", "-e", 'probe begin { println("over") exit() }'],
        ["compiling <input> ...", "translating handlers to machine code ..."],
    ),
    "read": (["read", "{f}/ctf"], [f"reading {{f}}/ctf: 3,000 events, {RATE}"]),
    "read LTT": (["read", "{f}/ltt"], [f"reading {{f}}/ltt: 3,0.. events, {RATE}"]),
    "statistics": (["read", "{f}/ctf", "--stats"], ["counting the events of {f}/ctf ..."]),
    "convert": (
        ["convert", "{f}/ctf", "{f}/made.ltt", "--to", "ltt-0.8"],
        [f"converting: 2,048 events, {RATE}"],
    ),
    "convert LTT": (
        ["convert", "{f}/ltt", "{f}/made.27", "--to", "ltt-0.7"],
        [f"converting: 3,0.. events, {RATE}"],
    ),
    "convert to CTF": (
        ["convert", "{f}/ltt", "{f}/made.ctf", "--to", "ctf"],
        [f"converting: 2,048 events, {RATE}"],
    ),
    "convert for Perfetto": (
        ["convert", "{f}/ctf", "{f}/made.pftrace", "--to", "perfetto"],
        [f"converting: 2,048 events, {RATE}"],
    ),
    "convert to Parquet": (
        ["convert", "{f}/ctf", "{f}/made.parquet", "--to", "parquet"],
        ["converting ..."],
    ),
    "replay in pieces": (
        ["run", "-j1", "--replay", "{f}/ctf", "-e", f"probe {POINT} {{ next }}"],
        [f"replaying: 1 traces, {RATE}"],
    ),
    "export": (
        ["export", "--to", "perf", "-e", f"probe {FUNCTION} {{ next }}"],
        ["compiling <input> ...", "writing for perf ..."],
    ),
    "export of a trace": (
        ["export", "{f}/ctf", "--to", "otel"],
        [f"reading {{f}}/ctf: 2,048 events, {RATE}"],
    ),
    "import": (["import", "bpftrace", "{f}/p.bt"], ["translating {f}/p.bt ..."]),
    "facility": (["facility", "{f}/p.d", "--to", "json"], ["reading {f}/p.d ..."]),
    "dtrace": (
        ["dtrace", "-G", "-s", "{f}/p.d", "-o", "{f}/made.o"],
        ["reading {f}/p.d ...", "asking for what machine the object is ..."],
    ),
    "list of a file": (["list", "{f}/p"], ["looking into {f}/p ..."]),
    "replay": (
        ["run", "--replay", "{f}/ctf", "-e", f"probe {POINT} {{ next }}"],
        ["compiling <input> ...", f"replaying {{f}}/ctf: 0 events, {RATE}"],
    ),
}


def _run(folder: Path, arguments: list[str], tmp_path: Path, **options: float) -> Shown:
    words = [word.replace("{f}", str(folder)) for word in arguments]
    words = [str(tmp_path / w.rpartition("/")[2]) if "/made." in w else w for w in words]
    return on_terminal(tmp_path, *words, **options)


@pytest.mark.parametrize("name", WORK)
def test_what_is_done_is_told_and_taken_away(folder: Path, name: str, tmp_path: Path) -> None:
    arguments, told = WORK[name]

    shown = _run(folder, arguments, tmp_path)

    assert shown.code == 0, shown.screen
    for text in told:
        assert re.search(text.replace("{f}", re.escape(str(folder))), shown.terminal)
    assert "..." not in shown.screen
    assert "per second" not in shown.screen


@pytest.mark.parametrize("name", ["read", "convert", "replay"])
def test_what_ends_soon_is_not_told(folder: Path, name: str, tmp_path: Path) -> None:
    shown = _run(folder, WORK[name][0], tmp_path, after=NEVER)

    assert shown.code == 0, shown.screen
    assert "\r" not in shown.terminal.replace("\r\n", "\n")


@pytest.mark.parametrize("name", ["convert", "replay", "debug information"])
def test_pipes_see_nothing(folder: Path, name: str, tmp_path: Path) -> None:
    words = [word.replace("{f}", str(folder)) for word in WORK[name][0]]
    words = [str(tmp_path / "made") if "/made." in word else word for word in words]
    command = [sys.executable, "-c", START, str(AT_ONCE), *words]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    told = [line for line in done.stderr.splitlines() if "written to" not in line]
    assert told == []
    assert "\r" not in done.stdout


@pytest.mark.parametrize(
    "command", [["read", "{f}/ctf"], ["check", "-e", "probe begin { exit() }"]]
)
def test_beside_json_nothing_is_told(folder: Path, command: list[str], tmp_path: Path) -> None:
    shown = _run(folder, [*command, "--format=json"], tmp_path)

    assert (shown.code, shown.terminal) == (0, "")


def test_output_on_the_same_terminal_stays_whole(folder: Path, tmp_path: Path) -> None:
    script = f'probe {POINT} {{ println($arg1) if ($arg1 == 5) warn("five") }}'

    shown = _run(folder, ["run", "--replay", "{f}/ctf", "-e", script], tmp_path, all_of_it=True)

    numbers = [str(number) for number in range(EVENTS)]
    numbers.insert(6, "WARNING: five")
    assert shown.screen.split("\n") == [*numbers, ""]
    assert "replaying" in shown.terminal
    assert shown.code == 0


def test_events_on_a_terminal_tell_by_themselves(folder: Path, tmp_path: Path) -> None:
    shown = _run(folder, ["read", "{f}/ctf"], tmp_path, all_of_it=True)

    assert shown.screen.count("\n") == EVENTS
    assert "per second" not in shown.terminal


def test_messages_stay_whole(folder: Path, tmp_path: Path) -> None:
    shown = _run(folder, ["list", 'process("{f}/p").function("nosuch")'], tmp_path)

    assert shown.code == 1
    assert shown.screen.startswith("error[")
    assert "looking up" in shown.terminal


@pytest.mark.parametrize("columns", [40, 80])
def test_the_line_fits_into_the_terminal(folder: Path, columns: int, tmp_path: Path) -> None:
    shown = _run(folder, ["read", "{f}/ctf", "--stats"], tmp_path, columns=columns)

    told = [text for text in shown.terminal.split("\r") if text.strip()]
    assert any(text.startswith("opening") for text in told)
    assert max(map(len, told)) < columns


def test_names_cannot_command_the_terminal(tmp_path: Path) -> None:
    shown = on_terminal(tmp_path, "read", tmp_path / "\x1b[2Jevil", "--stats")

    assert "\x1b" not in shown.terminal.partition("error")[0]
    assert "opening" in shown.terminal


@pytest.mark.bpf
def test_attaching_is_told(tmp_path: Path) -> None:
    script = 'probe kernel.trace("sched_p*") { next } probe begin { println("armed") exit() }'

    shown = on_terminal(tmp_path, "run", "-T", "0.01", "-e", script.replace("exit()", ""))

    assert shown.code == 0, shown.screen
    for text in (r"loading \d+ programs into the kernel", r"attaching \d+ probes", "detaching"):
        assert re.search(text, shown.terminal)
    assert shown.screen == ""
