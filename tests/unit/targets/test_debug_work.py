"""How much is done for probes by debug information: counts, which no busy machine changes.

A program of many units is probed in four ways; each may read so many entries, line tables and
symbols, and make so many bodies, however many places there are.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from bridge.artifact import Where
from bridge.codegen.native.compile import compile_native
from bridge.ir.program import by_code
from bridge.pipeline import compile_script
from bridge.probes import symbols
from bridge.probes.dwarf import debug
from bridge.probes.dwarf.debug import DebugFile, Die
from bridge.probes.live import LiveTargets
from bridge.source import SourceMap
from bridge.world import LiveWorld

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.pipeline import Compiled

UNITS, FUNCTIONS = 12, 20
HEAD = """
static inline __attribute__((always_inline)) int add(int a, int b) { return a + b; }
extern volatile int sink;
"""
FUNCTION = """__attribute__((noinline)) int work_{unit}_{number}(int first, int second)
{{ int sum = add(first, second); sink = sum; return sum; }}
"""
MAIN = "volatile int sink; int main(void) { return sink; }\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("units")
    names = []
    for unit in range(UNITS):
        code = (FUNCTION.format(unit=unit, number=number) for number in range(FUNCTIONS))
        (folder / f"u{unit}.c").write_text(HEAD + "".join(code))
        names.append(f"u{unit}.c")
    (folder / "main.c").write_text(MAIN)
    command = ["gcc", "-g", "-O2", *names, "main.c", "-o", "prog"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "prog"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counts: Counter[str] = Counter()

    def counted(owner: object, name: str, label: str) -> None:
        original: Callable[..., object] = getattr(owner, name)

        def call(*arguments: object, **more: object) -> object:
            counts[label] += 1
            return original(*arguments, **more)

        monkeypatch.setattr(owner, name, call)

    counted(DebugFile, "make_index", "indexes")
    counted(Die, "__init__", "entries")
    counted(debug, "LineRow", "rows")
    counted(symbols, "_symbol", "symbols")
    return counts


def compiled(text: str) -> Compiled:
    sources = SourceMap()
    return compile_script(sources.add("<input>", text), sources, LiveTargets(LiveWorld()))


def test_one_function(program: Path, work: Counter[str]) -> None:
    point = f'process("{program}").function("work_3_7")'

    first = compiled(f"probe {point} {{ println($second) }}")
    of_first = Counter(work)
    work.clear()
    compiled(f"probe {point} {{ println($second) }}")

    assert len(first.placed.hooks) == 1
    assert of_first["indexes"] == 1
    assert work["indexes"] == 0  # it was kept
    assert work["entries"] <= 40, "entries are read of the function, not of its unit"
    assert work["rows"] == 0
    assert work["symbols"] <= 8


def test_a_wildcard(program: Path, work: Counter[str]) -> None:
    point = f'process("{program}").function("work_*")'

    found = compiled(f"probe {point} {{ println(pp(), pid()) }}").placed

    assert len(found.hooks) == UNITS * FUNCTIONS
    assert len(by_code(found.program.handlers)) == 1
    native = compile_native(found)
    assert len(set(native.handlers.values())) == 1
    assert work["indexes"] == 1
    assert work["entries"] == 0
    assert work["rows"] == 0


def test_a_wildcard_in_the_kernel(program: Path, work: Counter[str]) -> None:
    point = f'process("{program}").function("work_*").call'

    found = compiled(f"global count probe {point} {{ count[probefunc()]++ }}").placed

    where = [found.placements[number].where for hook in found.hooks for number in hook.handlers]
    assert where == UNITS * FUNCTIONS * [Where.KERNEL]
    assert work["entries"] == 0


def test_inlined_copies_by_their_line(program: Path, work: Counter[str]) -> None:
    point = f'process("{program}").statement("*@u3.c:2")'

    found = compiled(f"probe {point} {{ println(pp()) }}").placed

    assert len(found.hooks) >= FUNCTIONS
    assert len(by_code(found.program.handlers)) == 1
    assert work["entries"] == 0
    assert work["rows"] <= 40 * FUNCTIONS, "only of the unit that has the file"


def test_a_missing_function(program: Path, work: Counter[str]) -> None:
    point = f'process("{program}").function("nothing")?'

    found = compiled(f"probe {point} {{ println($a) }} probe end {{ println(1) }}").placed

    assert not found.hooks
    assert work["entries"] == work["rows"] == 0
    assert work["symbols"] == 0, "no names are made ready to be suggested"
