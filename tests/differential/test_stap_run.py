"""Scripts with the output of the real SystemTap, run natively: all that need no target.

The others are in test_stap_targets.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.stap_runs import DIFFERENT, PLAIN, comparable, read_case, run

pytestmark = pytest.mark.shared


@pytest.mark.parametrize("name", PLAIN)
def test_same_output_as_systemtap(name: str, reference: Path, tmp_path: Path) -> None:
    known = json.loads((reference / "stap" / "run" / f"{name}.json").read_text())
    if name in DIFFERENT:
        pytest.skip(DIFFERENT[name])
    output, code = run(name, read_case(name, known), tmp_path)
    expected = known["stdout"].encode("utf-8", "surrogateescape")
    assert comparable(name, output) == comparable(name, expected)
    assert code == known["exit"]
