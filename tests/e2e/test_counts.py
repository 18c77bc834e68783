"""Counts are exact: a million hits are a million counts, and as many recorded events."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.command import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Compiler, Runner

HITS = 1_000_000
VICTIM = """
#include <markbridge/marker.h>
static const char *const names[] = { "red", "green", "blue", "" };
int main(void)
{
	for (long i = 0; i < %d; i++)
		MARKBRIDGE_MARK(demo, hit, i, names[i & 3]);
	return 0;
}
"""
COUNT = """
global hits, by
probe process("%s").mark("hit") { hits++; by[$arg1 & 7]++ }
probe end { println(hits) foreach (k+ in by) printf("%%d %%d\\n", k, by[k]) }
"""
EXPECTED = f"{HITS}\n" + "".join(f"{k} {HITS // 8}\n" for k in range(8))


@pytest.fixture
def victim(compile_c: Compiler) -> Path:
    """A program that fires the marker demo:hit a million times."""
    return compile_c("victim", VICTIM % HITS)


@pytest.mark.bpf
def test_a_million_hits_are_counted(run: Runner, victim: Path) -> None:
    done = run("run", "-e", COUNT % victim, "-c", victim)

    assert (done.code, done.out) == (0, EXPECTED), done.err


@pytest.mark.bpf
@pytest.mark.tools
def test_a_million_hits_are_counted_and_recorded(
    run: Runner, victim: Path, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"

    done = run("run", "-e", COUNT % victim, "-c", victim, "--trace", trace)

    assert (done.code, done.out) == (0, EXPECTED), done.err
    shown = subprocess.run(
        ["babeltrace2", "--clock-cycles", trace],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    lines = shown.stdout.splitlines()
    lost = sum(int(n) for n in re.findall(r"discarded (\d+) event", shown.stderr))
    reported = sum(int(n) for n in re.findall(r"(\d+) events? (?:was|were) lost", done.err))
    assert lost == reported
    assert len(lines) + lost == HITS
    numbers = [int(re.search(r"\barg1 = (\d+)", line)[1]) for line in lines]
    assert numbers == sorted(numbers)
    assert all(0 <= n < HITS for n in numbers)


def _quotient(left: int, right: int) -> int:
    """C's division: towards zero."""
    quotient = abs(left) // abs(right)
    return -quotient if (left < 0) != (right < 0) else quotient


@pytest.mark.bpf
def test_signed_division_in_the_kernel(run: Runner, compile_c: Compiler) -> None:
    victim = compile_c("signs", VICTIM % 100)
    probe = f'probe process("{victim}").mark("hit")'
    script = f"global n {probe} {{ n[(50 - $arg1) / 7, (50 - $arg1) % -7]++ }}"

    done = run("run", "-e", script, "-c", victim)

    numbers = [50 - i for i in range(100)]
    expected = Counter((_quotient(n, 7), n - _quotient(n, -7) * -7) for n in numbers)
    found = {
        (int(m[1]), int(m[2])): int(m[3])
        for m in re.finditer(r"^n\[(-?\d+),(-?\d+)\]=(\d+)$", done.out, re.MULTILINE)
    }
    assert (done.code, found) == (0, dict(expected)), done.err
