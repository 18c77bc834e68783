"""Random programs: the interpreter and the native engine print the same.

MARKBRIDGE_SEEDS sets how many (the standard run takes some); `make random` runs 20,000 and
shows what they executed.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.support.random_programs import coverage
from tests.support.random_programs.compare import compiled, difference

STANDARD = 300
SEEDS = int(os.environ.get("MARKBRIDGE_SEEDS", STANDARD))
CHUNK = 10
ENOUGH = 20_000
"""So many programs execute every variant; the standard number every operation and most
variants; fewer every operation."""
counts: Counter[str] = Counter()
pytestmark = pytest.mark.xdist_group("random programs")  # one process counts


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_interpreter_and_native_agree(first: int) -> None:
    with coverage.watching(counts):
        found = [difference(seed, compiled(seed)) for seed in range(first, first + CHUNK)]
    assert not any(found), "\n".join(found)


def test_every_variant_is_executed() -> None:
    """Runs last; alone it has nothing to look at."""
    if not counts:
        pytest.skip("no program was run")
    print(coverage.table(counts))
    assert {name.split()[0] for name in counts} >= coverage.operations()
    missing = coverage.missing(counts)
    if SEEDS >= STANDARD:
        assert len(missing) <= (0 if SEEDS >= ENOUGH else len(coverage.expected()) // 3), (
            missing
        )
