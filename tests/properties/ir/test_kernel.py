"""Random handlers in the kernel leave what the interpreter says they leave.

MARKBRIDGE_BATCHES sets how many batches of 20 programs (the standard run takes ten).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.random_programs.kernel import VICTIM, make_batch, run_interpreted, run_kernel
from tests.support.victims import compile_c

INCLUDE = Path(__file__).resolve().parents[3] / "csrc" / "include"
BATCHES = int(os.environ.get("MARKBRIDGE_BATCHES", "10"))
PROGRAMS = 20


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that fires two markers with the numbers that it is given."""
    return compile_c(tmp_path_factory.mktemp("kernel"), "victim", VICTIM, f"-I{INCLUDE}")


@pytest.mark.bpf
@pytest.mark.parametrize("seed", range(BATCHES))
def test_kernel_and_interpreter_agree(seed: int, victim: Path) -> None:
    batch = make_batch(seed, victim, PROGRAMS)
    assert batch.in_kernel > PROGRAMS * 3 // 4
    assert run_kernel(batch, victim) == run_interpreted(batch, victim), batch.script
