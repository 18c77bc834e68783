"""Scripts with random mistakes: the verdict, the errors, their places and tokens of `stap -p1`.

MARKBRIDGE_MUTATIONS says how many (the standard run takes some, from seed 0 on). What may
differ is a kind of message, never a script: `DIFFERENT`, told in docs/differences.md.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest
from mutations import mutated
from stap_front_end import (
    EXAMPLES,
    LIBRARY,
    Crashed,
    Said,
    Stap,
    Verdict,
    macros_only,
    make_kernel,
    parse_here,
)

from bridge.script.errors import ARRAY_SIZE
from bridge.script.parse import MAX_ERRORS

COUNT = int(os.environ.get("MARKBRIDGE_MUTATIONS", "150"))
CASES = Path(__file__).resolve().parents[1] / "cases"
LARGEST = 12_000
DIFFERENT = {ARRAY_SIZE}
"""Messages that have a place here, and none in SystemTap."""


@dataclass(frozen=True)
class Mutation:
    """A script with mistakes in it, and how it is run."""

    origin: Path
    text: bytes
    guru: bool
    arguments: tuple[str, ...]


@pytest.fixture(scope="module")
def stap(tmp_path_factory: pytest.TempPathFactory) -> Stap:
    return Stap(
        make_kernel(tmp_path_factory.mktemp("kernel")),
        macros_only(tmp_path_factory.mktemp("macros")),
    )


@pytest.fixture(scope="module")
def origins() -> list[Path]:
    """The scripts that are mutated: SystemTap's examples and library, and our cases."""
    paths = [
        path for root in (EXAMPLES, LIBRARY, CASES) for path in sorted(root.rglob("*.stp"))
    ]
    return [path for path in paths if path.stat().st_size <= LARGEST]


def mutation(seed: int, origins: list[Path]) -> Mutation:
    random = Random(seed)
    origin = random.choice(origins)
    text = mutated(random, origin.read_bytes().decode("latin-1")).encode("latin-1")
    return Mutation(origin, text, random.random() < 0.5, random.choice(((), ("1", "a b"))))


def compared(verdict: Verdict) -> Verdict:
    """The verdict without what differs on purpose, and with as many errors as we tell."""

    def one(said: Said) -> Said:
        message = said.message.partition(": ")[0]
        return Said(message, None) if message in DIFFERENT else said

    return replace(verdict, errors=tuple(map(one, verdict.errors[:MAX_ERRORS])))


@pytest.mark.tools
def test_mistakes_are_told_as_stap_tells_them(
    stap: Stap, origins: list[Path], tmp_path: Path
) -> None:
    def theirs(seed: int) -> Verdict | None:
        case = mutation(seed, origins)
        path = tmp_path / f"{seed}.stp"
        path.write_bytes(case.text)
        try:
            return compared(stap.parse(path, *case.arguments, guru=case.guru))
        except Crashed:
            # SystemTap 4.8 does so behind `return` and a function's head at the end of the text
            return None
        finally:
            path.unlink()

    wrong, survived, errors = [], 0, 0
    # stap runs beside us
    with ThreadPoolExecutor(2) as pool:
        for seed, expected in enumerate(pool.map(theirs, range(COUNT))):
            case = mutation(seed, origins)
            own = compared(parse_here(case.text, *case.arguments, guru=case.guru).verdict)
            survived += expected is not None
            errors += len(own.errors)
            if expected is not None and own != expected:
                wrong.append((seed, str(case.origin), expected, own))
    print(f"{survived} of {COUNT} scripts compared, {errors} errors")
    assert survived > 0.98 * COUNT
    assert errors > COUNT / 2
    assert wrong == []
