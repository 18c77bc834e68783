"""The corpus of the fuzzer, as tests: what was found interesting once stays within bounds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent
CORPUS = sorted((HERE / "corpus").iterdir())


def _harness() -> ModuleType:
    spec = importlib.util.spec_from_file_location("front_end", HERE / "front_end.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


harness = _harness()


def test_there_is_a_corpus_of_scripts_that_are_understood_and_refused() -> None:
    understood = [harness.check_text(path.read_bytes()) for path in CORPUS]
    assert 20 < sum(understood) < len(CORPUS) <= 300


@pytest.mark.parametrize("first", range(16))
def test_every_choice_of_options_is_within_bounds(first: int) -> None:
    for path in CORPUS[:: max(1, len(CORPUS) // 40)]:
        harness.check_text(bytes([first]) + path.read_bytes()[1:])
