"""What kernels have: asked, taken away, and written down."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.engine.kernel.features import FEATURES, has, taken_away
from bridge.errors import BridgeError
from bridge.world import WITHOUT
from tests.support.annotated import WARNINGS
from tests.support.command import PATIENCE
from tests.support.victims import compile_c
from tools.manual.kernels import kernel_manual

ROOT = Path(__file__).resolve().parents[3]
SINCE = {feature.name: tuple(map(int, feature.since.split("."))) for feature in FEATURES}


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "kernels.md").read_text() == kernel_manual()


@pytest.mark.parametrize("feature", FEATURES, ids=lambda f: f.name)
def test_what_has_nothing_in_its_place_is_needed(feature) -> None:
    assert bool(feature.instead) != feature.needed


BUILT = {
    "fentry": Path("/sys/kernel/debug/kprobes").exists,
    "kprobes": Path("/sys/kernel/debug/kprobes").exists,
    "kprobe_multi": lambda: " register_fprobe\n" in Path("/proc/kallsyms").read_text(),
}
"""What a kernel may be built without, and how that shows."""


@pytest.mark.bpf
@pytest.mark.parametrize("feature", FEATURES, ids=lambda f: f.name)
@pytest.mark.guest
def test_the_kernel_has_what_its_version_had(feature) -> None:
    """Debian's and this machine's kernels leave nothing out."""
    release = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2]))

    built = BUILT.get(feature.name, lambda: True)
    assert feature.probe() == (built() and release >= SINCE[feature.name])


@pytest.mark.bpf
def test_what_is_taken_away_is_not_there(monkeypatch) -> None:
    monkeypatch.setenv(WITHOUT, "ringbuf, uprobe_multi")
    has.cache_clear()
    taken_away.cache_clear()

    try:
        assert [has(name) for name in ("ringbuf", "uprobe_multi")] == [False, False]
        assert not has("sleepable")  # of no use without ring buffers
        assert has("mmapable")
    finally:
        has.cache_clear()
        taken_away.cache_clear()


@pytest.mark.bpf
@pytest.mark.parametrize(
    ("script", "told"),
    [
        ('probe process("/bin/true").begin { exit() }', "the kernel's types"),
        ("probe timer.profile { println(ppid()) exit() }", "the kernel's types"),
        ('probe kernel.trace("sched_switch") { println($next->pid) exit() }', "next"),
    ],
)
def test_without_types_what_needs_them_is_refused(script: str, told: str) -> None:
    done = _run(script, "true", without="btf")

    assert done.returncode != 0
    assert told in done.stderr


@pytest.mark.bpf
@pytest.mark.guest
def test_without_types_tracepoints_have_the_fields_of_their_records() -> None:
    script = 'probe kernel.trace("sched_switch") { println($next_pid >= 0) exit() }'

    done = _run(script, "sleep 5", without="btf")

    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("ring_buf", "ringbuf"), ("uprobes_multi", "uprobe_multi"), ("sleepables", "sleepable")],
)
def test_a_feature_that_there_is_not_is_told(wrong: str, right: str, monkeypatch) -> None:
    monkeypatch.setenv(WITHOUT, wrong)
    taken_away.cache_clear()

    try:
        with pytest.raises(BridgeError, match=f"no feature `{wrong}`; did you mean `{right}`"):
            taken_away()
    finally:
        taken_away.cache_clear()


@pytest.mark.bpf
@pytest.mark.guest
def test_events_of_tracefs_are_gone_after_a_run(six_sites: Path) -> None:
    """So are those that a killed process of ours left behind."""
    events = Path("/sys/kernel/tracing/uprobe_events")
    file = os.open(events, os.O_WRONLY | os.O_APPEND)
    os.write(file, f"p:markbridge_4194305/left {six_sites}:0x1000\n".encode())
    os.close(file)
    script = 'global n probe process.mark("site") { n++ } probe end { println(n) }'

    done = _run(script, six_sites, without="uprobe_multi")

    assert (done.returncode, done.stdout) == (0, "6\n"), done.stderr
    assert "markbridge_4194305" not in events.read_text()
    assert str(six_sites) not in events.read_text()


@pytest.mark.bpf
@pytest.mark.parametrize("without", ["", "uprobe_multi", "ringbuf"])
def test_two_capabilities_are_enough(six_sites: Path, without: str) -> None:
    script = (
        'global n probe process.mark("site") { n++; if (pid() == target()) println("hit") }'
    )
    only = ["setpriv", "--bounding-set", "-all,+bpf,+perfmon", "--inh-caps", "-all"]

    done = _run(script, six_sites, without, *only)

    assert (done.returncode, done.stdout) == (0, "hit\n" * 6 + "n=6\n"), done.stderr


def _run(
    script: str, command: object, without: str, *before: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, sys.executable, "-m", "bridge", "run", "-e", script, "-c", str(command)],
        env={**os.environ, WITHOUT: without},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture
def six_sites(tmp_path: Path) -> Path:
    """A program that passes a marker at each of six places."""
    marks = "MARKBRIDGE_MARK(demo, site);" * 6
    source = f"#include <markbridge/marker.h>\nint main(void) {{ {marks} return 0; }}\n"
    return compile_c(tmp_path, "six", source, *WARNINGS)
