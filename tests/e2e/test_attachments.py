"""What a script would attach to, as data, beside what readelf, gdb and tracefs say of it."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bridge
from bridge.markers import Constant, Memory, Register

if TYPE_CHECKING:
    from tests.support.command import Compiler, Runner

VICTIM = """
#include <markbridge/marker.h>
struct point { long x, y; };
static volatile int four = 4;
int main(void)
{
	struct point p = { 1, 2 };
	MARKBRIDGE_MARK(demo, hit, (long)four, "text", &p);
	MARKBRIDGE_MARK(demo, constant, 7);
	return 0;
}
"""


@pytest.fixture
def victim(compile_c: Compiler) -> Path:
    return compile_c("victim", VICTIM)


def _notes(program: Path) -> dict[str, tuple[int, str]]:
    """Address and arguments of each marker, as readelf prints the notes."""
    text = subprocess.run(
        ["readelf", "-nW", program], capture_output=True, text=True, check=True
    ).stdout
    found = re.findall(r"Name: (\w+)\n\s+Location: 0x([0-9a-f]+).*\n\s+Arguments:(.*)", text)
    return {name: (int(address, 16), words.strip()) for name, address, words in found}


def test_places_are_those_of_the_notes(victim: Path) -> None:
    program = bridge.compile(f'probe process("{victim}").mark("*") {{ println($$parms) }}')
    notes = _notes(victim)
    shown = subprocess.run(["file", victim], capture_output=True, text=True, check=False).stdout
    identity = re.search(r"BuildID\[sha1\]=([0-9a-f]+)", shown)

    found = {attachment.name: attachment for attachment in program.attachments()}

    assert set(found) == set(notes) == {"hit", "constant"}
    for name, attachment in found.items():
        (place,) = attachment.places
        assert (attachment.kind, attachment.provider) == ("usdt", "demo")
        assert (place.path, place.address) == (str(victim), notes[name][0])
        if identity:
            assert place.build_id == identity[1]
        assert victim.read_bytes()[place.offset : place.offset + 1] in (b"\x90", b"\x0f")


def test_operands_are_those_of_the_notes(victim: Path) -> None:
    program = bridge.compile(f'probe process("{victim}").mark("*") {{ println($$parms) }}')
    (constant,) = (a for a in program.attachments() if a.name == "constant")
    (hit,) = (a for a in program.attachments() if a.name == "hit")

    assert constant.arguments[0].operand(0) == Constant(7)
    words = _notes(victim)["hit"][1].split()
    for word, argument in zip(words, hit.arguments, strict=True):
        size, _, where = word.partition("@")
        operand = argument.operand(0)
        match operand:
            case Register(name=name, size=bytes_, signed=signed):
                assert where.startswith("%")
                assert name[-2:] in where
            case Memory(base=base, displacement=displacement, size=bytes_, signed=signed):
                offset, _, inner = where.partition("(")
                assert int(offset or "0", 0) == displacement
                assert str(base) in inner
            case Constant():
                continue
            case _:
                pytest.fail(f"{word}: {operand}")
        assert int(size) == (-bytes_ if signed else bytes_)


def test_what_is_read_has_its_way(victim: Path) -> None:
    script = f"""probe process("{victim}").mark("hit") {{
        println($arg1, user_string($arg2), user_int64($arg3 + 8), pid(), execname())
    }}"""
    (hit,) = bridge.compile(script).attachments()
    (handler,) = hit.handlers

    by_text = {read.text: read for read in handler.reads}

    assert by_text["$arg1"].variable == "arg1"
    assert by_text["$arg1"].offsets == ()
    text = by_text["user_string($arg2)"]
    assert (text.variable, text.offsets, text.type) == ("arg2", (0,), "string")
    member = by_text["user_int64(($arg3 + 8))"]
    assert (member.variable, member.offsets, member.size) == ("arg3", (8,), 8)
    assert {read.context for read in handler.reads} == {"", "pid", "execname"}
    assert all(argument.used for argument in hit.arguments)


def test_what_has_no_marker_is_there_too() -> None:
    script = (
        "global n probe begin(5) { n = 1 } probe timer.ms(20) { println(n) } probe never {}"
    )

    begin, timer = bridge.compile(script).attachments()

    assert (begin.kind, begin.priority) == ("begin", 5)
    assert (timer.kind, timer.period_ns) == ("timer", 20_000_000)


@pytest.mark.bpf
def test_a_tracepoint_has_the_number_that_tracefs_says() -> None:
    script = 'probe kernel.trace("sched:sched_switch") { println($prev_pid) }'
    (switch,) = bridge.compile(script).attachments()
    folder = Path("/sys/kernel/tracing/events/sched/sched_switch")
    form = (folder / "format").read_text()

    assert switch.id == int((folder / "id").read_text())
    (read,) = (a for a in switch.arguments if a.name == "prev_pid")
    assert f"prev_pid;\toffset:{read.operand(0).offset};\tsize:4;" in form


def test_the_data_is_frozen_and_the_command_prints_it(victim: Path, run: Runner) -> None:
    script = f'global n probe process("{victim}").mark("hit") {{ n[$arg1] <<< $arg1 }}'
    (hit, *_) = bridge.compile(script).attachments()

    with pytest.raises(dataclasses.FrozenInstanceError):
        hit.name = "other"
    shown = run("explain", "--format=json", "-e", script)
    document = json.loads(shown.out)

    assert document["version"] == 1
    first = document["attachments"][0]
    assert (first["name"], first["places"][0]["offset"]) == ("hit", hit.places[0].offset)
    assert first["arguments"][0]["operands"][0]["kind"] in ("register", "memory")
    assert document["globals"] == [
        {"name": "n", "type": "statistic", "keys": ["long"], "held": "accumulated"}
    ]


def test_markers_are_there_or_there_is_a_reason(victim: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    subprocess.run(
        ["gcc", "-x", "c", "-o", plain, "-"], input=b"int main(void){return 0;}", check=True
    )

    assert {marker.name for marker in bridge.markers(path=victim)} == {"hit", "constant"}
    point = f'process("{victim}").mark("h*")'
    assert [marker.name for marker in bridge.markers(pattern=point)] == ["hit"]
    with pytest.raises(bridge.ProgramError, match="no such file"):
        bridge.markers(path="/nonexistent")
    with pytest.raises(bridge.ProgramError, match="plain has no markers"):
        bridge.markers(path=plain)
    with pytest.raises(bridge.ProgramError, match="there is no process 4194305"):
        bridge.markers(pid=4194305)
    with pytest.raises(bridge.CompileError, match="no match"):
        bridge.markers(pattern=f'process("{victim}").mark("zzz")')
    with pytest.raises(bridge.BridgeError, match="takes one of"):
        bridge.markers()


def test_markers_of_a_process_are_those_of_its_libraries_too(
    victim: Path, compile_c: Compiler
) -> None:
    library = compile_c("libdemo.so", VICTIM.replace("main", "demo"), "-shared", "-fPIC")
    script = f"import ctypes; ctypes.CDLL('{library}'); print('loaded', flush=True); input()"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = bridge.markers(pid=process.pid)
        process.communicate(b"\n")

    here = [marker for marker in found if marker.sites[0].path == str(library)]
    assert {marker.name for marker in here} == {"hit", "constant"}
