"""Scripts that do what bpftrace's own tools do, exported: bpftrace counts what we count.

Both look at one run of a load, at the same time.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bridge
from tests.support import beside

if TYPE_CHECKING:
    from bridge import GlobalValue
    from tests.support.command import Compiler, Runner

HERE = Path(__file__).resolve().parent.parent
SCRIPTS = HERE / "cases" / "exported"
MEASURED = frozenset({"usecs"})
"""Statistics of times: two tracers see other times, but equally many."""
PRINTING = frozenset({
    "bashreadline", "execsnoop", "killsnoop", "naptime", "opensnoop", "syncsnoop",
    "tcpconnect", "threadsnoop",
})  # fmt: skip
"""Their lines are the same, too."""

pytestmark = [pytest.mark.bpf, pytest.mark.tools]


@pytest.fixture
def load(compile_c: Compiler) -> Path:
    return compile_c("load", (HERE / "support" / "load.c").read_text(), "-g", "-pthread")


@pytest.fixture
def c_library(load: Path) -> str:
    """The C library that the load runs with."""
    shown = subprocess.run(["ldd", load], capture_output=True, text=True, check=True).stdout
    (path,) = re.findall(r"=> (\S+libc\.\S+)", shown)
    return path


def _same(name: str, ours: GlobalValue, theirs: dict[str, object]) -> bool:
    """Whether a global has what bpftrace's maps of its name have."""
    if isinstance(ours, dict):
        if any(isinstance(value, bridge.Statistic) for value in ours.values()):
            return all(
                _same_statistic(
                    name, value, {n: v[beside.key_of(key)] for n, v in theirs.items()}
                )
                for key, value in ours.items()
            )
        return {beside.key_of(key): value for key, value in ours.items()} == theirs.get(
            name, {}
        )
    if isinstance(ours, bridge.Statistic):
        return _same_statistic(name, ours, theirs)
    return ours == theirs[name]


def _same_statistic(name: str, ours: bridge.Statistic, theirs: dict[str, object]) -> bool:
    parts = {n.removeprefix(name).removeprefix("_"): value for n, value in theirs.items()}
    for part, value in parts.items():
        if isinstance(value, list):
            found = dict(beside.buckets(value))
            if name in MEASURED:
                assert sum(found.values()) == ours.count
            else:
                assert ours.histogram is not None
                assert found == {bucket.low: bucket.count for bucket in ours.histogram}
        elif isinstance(value, dict):
            assert (value["count"], value["total"]) == (ours.count, ours.sum)
        else:
            assert value == (getattr(ours, part) if part else ours.avg)
    return bool(parts)


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.stp")), ids=lambda path: path.stem)
def test_bpftrace_counts_what_we_count(
    script: Path, load: Path, c_library: str, run: Runner, tmp_path: Path
) -> None:
    arguments = [str(load), c_library][: len(set(re.findall(r"@[12]\b", script.read_text())))]
    if "@2" in script.read_text():
        arguments = [str(load), c_library]
    done = run("export", "--to", "bpftrace", script, *arguments)
    assert done.code == 0, done.err
    exported = tmp_path / "exported.bt"
    exported.write_text(done.out)
    whose = "LOAD" if "usdt:" in done.out else "COMMAND"
    options = bridge.AnalyseOptions(arguments=tuple(arguments))

    ours, shown = beside.beside(
        ["bpftrace", "-f", "json", exported, "-c", whose],
        bridge.compile(script, options),
        [str(load)],
        tmp_path,
    )

    theirs = beside.maps_of(shown)
    kept = {name: value for name, value in ours.globals.items() if value != {}}
    assert kept
    for name, value in kept.items():
        maps = {n: v for n, v in theirs.items() if n == name or n.startswith(f"{name}_")}
        assert _same(name, value, maps), (name, value, maps)
    if script.stem in PRINTING:
        printed = beside.lines_of(shown)
        assert printed
        assert printed == ours.lines[: len(printed)]
