"""Each feature of the kernel taken away: what a script prints is the same, or it is refused.

One program has all kinds of hits, one session all kinds of probes. `REFUSED` is the table of
what a kernel without a feature cannot do; all else must not depend on it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.engine.kernel.features import FEATURES, Feature
from bridge.world import WITHOUT
from tests.support.annotated import WARNINGS
from tests.support.command import PATIENCE
from tests.support.victims import compile_c

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = pytest.mark.bpf

CASES = Path(__file__).resolve().parents[1] / "cases" / "without"
PROBES = {path.stem: path.read_text() for path in sorted(CASES.glob("*.stp"))}
"""What is probed, by a name; all in one session, but what would be refused."""
NO_TYPES = "it has no BTF"
REFUSED = {
    "semaphores": {"semaphore": "Operation not supported"},
    "func_ip": {"global": "this kernel cannot tell where a program is loaded"},
    "task_registers": {"registers": "this kernel cannot give the registers of the process"},
    "program_run": {"memory": "this kernel cannot run a program on demand"},
    "send_signal": {"list": "this kernel cannot stop the process"},
    "btf": {"life": "cannot read the kernel's types", "walk": NO_TYPES, "memory": NO_TYPES},
    "loop": {
        "walk": "this kernel cannot read memory at a hit whose address a handler computes"
    },
    "mmapable": {"call": "words that programs and user space share (`mmapable`)"},
    "read_user": {"call": "reading the memory of programs (`read_user`)"},
    "uprobe_pmu": {"marker": "uprobes by perf_event_open(2) (`uprobe_pmu`)"},
}
"""By feature and probe: the words of the refusal; what is not here prints as ever."""
TOGETHER = {
    "semaphores": "uprobe_multi",
    "uprobe_append": "uprobe_multi",
    "uprobe_pmu": "uprobe_multi",
}
"""What has to go, too, for a feature to be missed."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("without")
    return compile_c(
        folder, "program", (CASES / "program.c").read_text(), "-g", "-O1", *WARNINGS
    )


def _run(program: Path, names: list[str], without: str) -> tuple[int, list[str], str]:
    script = "".join(PROBES[name] for name in names)
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "run", "-e", script, "-c", str(program)],
        env={**os.environ, WITHOUT: without},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, sorted(done.stdout.splitlines()), done.stderr


@pytest.fixture(scope="module")
def expected(program: Path) -> list[str]:
    """What all probes print together on this kernel."""
    code, lines, said = _run(program, list(PROBES), "")
    assert (code, said) == (0, "")
    assert len(lines) == 30
    return lines


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_feature_taken_away(program: Path, expected: list[str], feature: Feature) -> None:
    without = ",".join({feature.name, TOGETHER.get(feature.name, feature.name)})
    refused = REFUSED.get(feature.name, {})

    if not feature.needed:
        served = [name for name in PROBES if name not in refused]
        code, lines, said = _run(program, served, without)
        assert (code, said) == (0, "")
        assert lines == [line for line in expected if not line.startswith(_first(refused))]
    for name, words in refused.items():
        code, lines, said = _run(program, [name], without)
        assert code != 0
        assert words in said
        assert lines == []


def _first(names: Iterable[str]) -> tuple[str, ...]:
    """How the lines of some probes begin."""
    return tuple(word for name in names for word in _WORDS[name])


_WORDS = {
    "semaphore": ("watched ",),
    "global": ("known ",),
    "registers": ("at ",),
    "memory": ("init ",),
    "list": ("list ",),
    "life": ("begin ", "end "),
    "walk": ("depth ",),
}


def test_every_feature_with_something_in_its_place_is_looked_at() -> None:
    assert {feature.name for feature in FEATURES if feature.needed} <= REFUSED.keys()
    assert REFUSED.keys() | TOGETHER.keys() <= {feature.name for feature in FEATURES}
