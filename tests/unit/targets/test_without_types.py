"""A kernel without BTF: what it does not tell is an error of the host, with a remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.cli.front import EXIT_HOST, dispatch
from bridge.errors import CompileError
from bridge.pipeline import compile_script
from bridge.probes.live import LiveTargets
from bridge.source import SourceMap

if TYPE_CHECKING:
    from bridge.world import RecordedWorld
    from tests.unit.targets.conftest import Recorder

FORMAT = """name: tick
ID: 7
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;

\tfield:int cpu;\toffset:8;\tsize:4;\tsigned:1;

print fmt: "%d", REC->cpu
"""
EVENTS = "/sys/kernel/tracing/events"
REMEDY = "boot a kernel with CONFIG_DEBUG_INFO_BTF"


@pytest.fixture
def world(recorded: Recorder) -> RecordedWorld:
    return recorded(
        {
            "/proc/kallsyms": "ffffffff81000100 T fs_read\n",
            "/sys/kernel/tracing/available_filter_functions": "fs_read\n",
            f"{EVENTS}/enable": "0",
            f"{EVENTS}/clock/tick/format": FORMAT,
            f"{EVENTS}/clock/enable": "0",
        }
    )


def _compile(script: str, world: RecordedWorld) -> None:
    sources = SourceMap()
    compile_script(sources.add("x", script.encode()), sources, LiveTargets(world))


@pytest.mark.parametrize(
    "script",
    [
        'probe kernel.trace("tick") { println($now) }',
        'probe kernel.trace("clock:*") { println($now->tv_sec) }',
        'probe kernel.function("fs_read") { println($count) }',
        'probe kernel.function("fs_read").return { println($return) }',
        'probe kernel.function("fs_*").return { println(@entry($file->f_mode)) }',
    ],
)
def test_a_variable_by_types_names_what_is_missing(script: str, world: RecordedWorld) -> None:
    with pytest.raises(CompileError) as caught:
        _compile(script, world)

    (diagnostic,) = caught.value.diagnostics
    assert [inner.code for inner in diagnostic.chain] == ["no-btf"]
    assert REMEDY in diagnostic.chain[0].message


@pytest.mark.parametrize(
    "script",
    [
        'probe kernel.trace("tick") { println($cpu) }',
        'probe kernel.trace("tick") { println(@defined($now) ? $now : $cpu) }',
        'probe kernel.function("fs_read") { println(probefunc()) }',
    ],
)
def test_what_needs_no_types_goes_on(script: str, world: RecordedWorld) -> None:
    _compile(script, world)


@pytest.mark.parametrize(
    "command",
    [
        ["check", "-e", 'probe kernel.trace("tick") { println($now) }'],
        ["explain", "-e", 'probe kernel.function("fs_read") { println($count) }'],
        ["run", "-e", 'probe kernel.trace("clock:tick") { println($now) }'],
    ],
)
def test_commands_say_that_it_is_the_host(
    command: list[str],
    world: RecordedWorld,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("bridge.world.LiveWorld", lambda: world)

    assert dispatch(command) == EXIT_HOST

    assert REMEDY in capfd.readouterr().err


def test_the_list_says_what_is_missing(
    world: RecordedWorld, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bridge.world.LiveWorld", lambda: world)

    assert dispatch(["list", 'kernel.trace("*")']) == 0

    out, err = capfd.readouterr()
    assert out == 'kernel.trace("clock:tick") $cpu:int\n'
    assert err.count(REMEDY) == 1
