"""Scripts with mistakes in what they mean: the verdict, the place and the text of `stap -p2`.

MARKBRIDGE_P2_MUTATIONS sets how many (the standard run takes some).
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.support.semantic_mutations import BASES, mistaken
from tests.support.stap_front_end import OPTIONS, Stap, analyse_said, macros_only, make_kernel

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.script.options import AnalyseOptions

pytestmark = pytest.mark.tools

COUNT = int(os.environ.get("MARKBRIDGE_P2_MUTATIONS", "160"))
_ERROR = re.compile(r"^semantic error: (.*?)(?: at (\S*?):(\d+):(\d+))?$", re.MULTILINE)
_LATER = re.compile(
    r"cannot '(break|continue)' outside|print format actual|Expecting lvalue|Assignment to "
    r"read-only|return value type|write to target"
)
"""What SystemTap finds when it writes C, after this pass."""
_TYPES = re.compile(r"type mismatch|index \d+ type mismatch|invalid (type|operator)")
"""Which of two uses of different types is blamed depends on how types spread.

SystemTap 4.8 passes a type on once in a pass, 5.6 (and we) as far as it goes.
"""
_BROKEN = re.compile(r"symbol without referent|internal error")
"""SystemTap does not look into functions that only functions of a greater name call."""

Errors = list[tuple[str, tuple[int, int] | None]]


@pytest.fixture(scope="module")
def stap(tmp_path_factory: pytest.TempPathFactory) -> Stap:
    return Stap(
        make_kernel(tmp_path_factory.mktemp("kernel")),
        macros_only(tmp_path_factory.mktemp("macros")),
    )


@pytest.fixture(scope="module")
def options(stap: Stap) -> AnalyseOptions:
    return replace(
        OPTIONS, include=(stap.tapset,), own_tapset=False, assume_types=True, guru=True
    )


def _theirs(stap: Stap, path: Path, *more: str) -> tuple[bool, Errors] | None:
    """The verdict and the errors in order; None if it is no sentence of the language."""
    ran = stap.run("-g", *more, "-p2", str(path))
    if re.search(r"^parse error", ran.stderr, re.MULTILINE):
        return None
    found = _ERROR.finditer(ran.stderr)
    errors = [(_plain(m[1]), (int(m[3]), int(m[4])) if m[3] else None) for m in found]
    return ran.returncode == 0, errors


def _plain(message: str) -> str:
    """Without names that are similar: the libraries differ."""
    return re.sub(r" \(similar: [^)]*\)", "", message)


def _same(accepted: bool, expected: Errors, own: Errors) -> bool:
    if accepted:
        return all(_LATER.match(message) for message, _ in own)
    if _BROKEN.match(expected[0][0]):
        return True
    if not own:
        return False
    if _TYPES.match(expected[0][0]) and _TYPES.match(own[0][0]):
        return True
    lead = [_unplaced(e, o) for e, o in zip(expected[:2], own[:2], strict=False)]
    chained = "first inferred here" in own[min(1, len(own) - 1)][0] or "while" in own[0][0]
    return lead == expected[: len(lead)] if chained else lead[:1] == expected[:1]


def _unplaced(expected: tuple[str, object], own: tuple[str, object]) -> tuple[str, object]:
    """Our error without the place that SystemTap does not tell."""
    return (own[0].rpartition(": ")[0], None) if expected[1] is None else own


@pytest.mark.parametrize("unoptimized", [False, True])
def test_mistakes_are_told_as_stap_tells_them(
    stap: Stap, options: AnalyseOptions, tmp_path: Path, unoptimized: bool
) -> None:
    more = ["-u"] * unoptimized
    options = replace(options, unoptimized=unoptimized)
    texts = [mistaken(Random(seed), BASES[seed % len(BASES)]) for seed in range(COUNT)]
    paths = [tmp_path / f"{seed}.stp" for seed in range(COUNT)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    with ThreadPoolExecutor(2) as pool:
        verdicts = list(pool.map(lambda path: _theirs(stap, path, *more), paths))
    compared, refused, wrong = 0, 0, []
    for seed, (text, verdict) in enumerate(zip(texts, verdicts, strict=True)):
        if verdict is None:
            continue
        compared += 1
        refused += not verdict[0]
        said = [(_plain(message), place) for message, place in analyse_said(text, options)]
        if not _same(*verdict, said):
            wrong.append((seed, verdict[1][:2], said[:2]))
    print(f"{compared} of {COUNT} compared, {refused} refused")

    assert refused > COUNT // 4
    assert wrong == []


@pytest.mark.parametrize("base", BASES)
def test_without_mistakes_they_are_accepted(
    base: str, stap: Stap, options: AnalyseOptions, tmp_path: Path
) -> None:
    path = tmp_path / "a.stp"
    path.write_text(base)
    assert _theirs(stap, path) == (True, [])
    assert analyse_said(base, options) == []
