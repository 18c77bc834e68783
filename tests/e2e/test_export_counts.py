"""Five scripts, exported to each tracer: it counts as many hits as we do, in the same run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bridge
from tests.support.beside import beside
from tests.support.command import PATIENCE

if TYPE_CHECKING:
    from tests.support.command import Compiler, Runner

LOAD = (Path(__file__).resolve().parent.parent / "support" / "load.c").read_text()
ORDER = """probe process(@1).mark("order") {
    printf("%d %s %d\\n", $arg1, user_string($arg2), $arg3) }"""
ALLOCATE = 'probe process(@1).function("allocate") { printf("%d %d\\n", $bytes, $kind) }'
READLINE = 'probe process(@1).function("readline").return { println(user_string($return)) }'
FORKS = 'probe kernel.trace("sched:sched_process_fork") { println($parent_pid) }'
STATES = """probe kernel.trace("sock:inet_sock_set_state") { println($newstate) }
probe kernel.trace("task:task_newtask") { println($clone_flags) }"""
PROMPT = 'probe process(@1).function("readline") { println(user_string($prompt)) }'
PLACES = (
    'probe process(@1).function("wait_at"), process(@1).function("connects") { println(1) }'
)
EXITS = 'probe kernel.trace("sched:sched_process_exit") { println($pid) }'
HITS = {"order": 20, "allocate": 40, "readline": 5, "connects": 1, "sched_process_fork": 7}
"""What the load does."""

CONFIG = "CONFIG_TRACEPOINTS=y\nCONFIG_ARCH_SUPPORTS_UPROBES=y\nCONFIG_UPROBES=y\n"

pytestmark = [pytest.mark.bpf, pytest.mark.tools]


@pytest.fixture
def load(compile_c: Compiler) -> Path:
    return compile_c("load", LOAD, "-g", "-pthread")


@pytest.fixture
def export(run: Runner, load: Path, tmp_path: Path):
    """A script, exported for a consumer; the file."""

    def export(script: str, consumer: str) -> Path:
        file = tmp_path / "script.stp"
        file.write_text(script)
        arguments = [load] if "@1" in script else []
        done = run("export", "--to", consumer, file, *arguments)
        assert done.code == 0, done.err
        exported = tmp_path / f"exported.{consumer}"
        exported.write_text(done.out)
        return exported

    return export


def _program(script: str, load: Path) -> bridge.Program:
    arguments = (str(load),) if "@1" in script else ()
    return bridge.compile(script, bridge.AnalyseOptions(arguments=arguments))


def _counts(events: list[str]) -> dict[str, int]:
    return {name: events.count(name) for name in events}


def _own(hits: dict[str, int]) -> dict[str, int]:
    """Our hits, by the last part of the marker's name."""
    found = {re.split(r"[:/]", name)[-1].partition("__")[0]: n for name, n in hits.items()}
    assert found
    assert {name: HITS.get(name, count) for name, count in found.items()} == found
    return found


# --- ftrace and perf --------------------------------------------------------------------------

TRACED = re.compile(r"^\s*load-\d+\s.*?: (?:\w+:)?(\w+): ", re.MULTILINE)
"""A line of ftrace or of `perf script` with an event of the load."""


@pytest.mark.parametrize("script", [ORDER, ALLOCATE, READLINE, FORKS, STATES])
def test_ftrace_counts_what_we_count(script: str, export, load: Path, tmp_path: Path) -> None:
    file = export(script, "ftrace")
    outer = (
        f"sh {file} start && trap 'sh {file} stop' EXIT; $0 $1; cat /sys/kernel/tracing/trace"
    )
    Path("/sys/kernel/tracing/trace").write_text("")

    command = ["sh", "-c", outer, "/bin/sh", tmp_path / "waits.sh"]
    ours, shown = beside(command, _program(script, load), [str(load)], tmp_path, events=True)

    found = _counts(TRACED.findall(shown))
    assert found == _own(ours.hits)


@pytest.mark.parametrize("script", [ORDER, ALLOCATE, READLINE, FORKS, STATES])
def test_perf_counts_what_we_count(script: str, export, load: Path, tmp_path: Path) -> None:
    data = tmp_path / "perf.data"
    command = ["env", f"PERF_DATA={data}", "sh", export(script, "perf"), "LOAD"]
    ours, _ = beside(command, _program(script, load), [str(load)], tmp_path, events=True)

    shown = subprocess.run(
        ["perf", "script", "-i", data, "-F", "comm,pid,tid,event"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    names = re.findall(r"^\s*load\s+\S+\s+\w+:(\w+?)(?:__return)?:", shown, re.MULTILINE)
    found = _counts(names)
    assert found == _own(ours.hits)


# --- the others -------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [ORDER, ALLOCATE, PROMPT, PLACES, f"{ORDER}\n{ALLOCATE}"])
def test_gdb_counts_what_we_count(script: str, export, load: Path, tmp_path: Path) -> None:
    """It puts breakpoints where we have probes: one run for each."""
    command = ["gdb", "-nx", "-q", "-batch", "-x", export(script, "gdb"), load]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    ours, _ = beside(
        ["/bin/sh", tmp_path / "waits.sh"],
        _program(script, load), [str(load)], tmp_path, events=True,
    )  # fmt: skip

    names = re.findall(r"^(?:shop:)?(order|allocate|readline|connects)\b", shown, re.MULTILINE)
    assert _counts(names) == _own(ours.hits)


@pytest.mark.parametrize("script", [ORDER, ALLOCATE, READLINE, FORKS, STATES])
def test_systemtap_takes_it_and_it_counts_the_same(
    script: str, export, load: Path, tmp_path: Path, stap_folder: Path
) -> None:
    """SystemTap's own front end takes it (it runs with modules of the kernel only)."""
    file = export(script, "systemtap")
    (stap_folder / ".config").write_text(CONFIG)
    needs_kernel = "kernel.trace" in script or ".return" in script
    command = ["stap", "-p1" if needs_kernel else "-p2", "-r", stap_folder, file]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    both = f"{script}\n{file.read_text()}"

    waits = ["/bin/sh", tmp_path / "waits.sh"]
    ours, _ = beside(waits, _program(both, load), [str(load)], tmp_path)

    lines = sorted(ours.lines)
    assert lines[::2] == lines[1::2]
    wanted = sum(count for name, count in HITS.items() if re.search(rf"\b{name}\b", script))
    assert len(lines) >= 2 * wanted
    assert lines
