"""Scripts that were compiled before start from what was kept, and give the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.bpf

SCRIPT = """
    global calls
    probe syscall.{open*,read*,write*,close*} {
        if (pid() != target()) next
        calls[name]++
        if (name == "openat" && argstr =~ "hostname") printf("%s(%s)\\n", name, argstr)
    }
    probe end { foreach (name+ in calls) printf("%s %d\\n", name, calls[name]) }
"""


COMPILER = {"bridge.pipeline", "bridge.script.analysis.analyse", "bridge.lower"}
"""What only a script needs that is compiled."""


class Runs:
    """Runs with a cache of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = folder / "markbridge" / "scripts"
        self.code = folder / "markbridge" / "code"

    def run(self, *words: str, **changed: str) -> tuple[str, set[str]]:
        """What is printed, and the modules of ours that were needed."""
        env = os.environ | {"XDG_CACHE_HOME": str(self.folder)} | changed
        command = [sys.executable, "-X", "importtime", "-m", "bridge", "run", *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout, set(re.findall(r"\| +(bridge\S*)$", done.stderr, re.MULTILINE))


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def test_a_script_on_system_calls_is_compiled_once(runs: Runs) -> None:
    words = ("-e", SCRIPT, "-c", "cat /etc/hostname")

    (cold, first), (warm, second) = runs.run(*words), runs.run(*words)

    assert re.search(r'^openat\(AT_FDCWD, "/etc/hostname", O_RDONLY\)$', cold, re.MULTILINE)
    assert warm == cold
    assert first - second >= COMPILER
    assert second
    assert len([*runs.kept.iterdir()]) == 1


def test_another_command_or_kernel_is_not_the_same(runs: Runs) -> None:
    script = 'probe kernel.trace("sched_switch") { println(@1, execname() != "") exit() }'

    runs.run("-e", script, "x")
    assert len([*runs.kept.iterdir()]) == 1
    runs.run("-e", script, "x", MARKBRIDGE_WITHOUT="ringbuf")
    assert len([*runs.kept.iterdir()]) == 2


@pytest.mark.parametrize(
    "script",
    [
        'probe process("true").begin { println(1) }',
        'probe kernel.trace("sched_switch") { println(@defined(@cast(0, "int"))) exit() }',
    ],
)
def test_what_depends_on_files_is_not_kept(runs: Runs, script: str) -> None:
    runs.run("-e", script, "-c", "true")

    assert not runs.kept.is_dir() or not [*runs.kept.iterdir()]


def test_machine_code_that_is_damaged_is_made_again(runs: Runs) -> None:
    script = 'probe begin { printf("%d\\n", strlen("four")) exit() }'
    assert runs.run("-e", script)[0] == "4\n"
    [kept] = runs.code.iterdir()
    data = kept.read_bytes()

    for damaged in (data[:-1], b"", data[:40] + b"\0" + data[41:]):
        kept.write_bytes(damaged)
        assert runs.run("-e", script)[0] == "4\n"
        assert kept.read_bytes() == data
