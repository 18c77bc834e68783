"""Rules for the tests themselves."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
RERUN = {"tests.e2e.test_pid_namespaces"}
"""Modules that are made of the tests of others, run again elsewhere."""


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
    return names | {
        alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names
    }


def test_no_test_imports_another() -> None:
    found = {
        f"{module}: {name}"
        for path in TESTS.rglob("*.py")
        if (module := ".".join(path.relative_to(TESTS.parent).with_suffix("").parts))
        not in RERUN
        for name in _imports(path)
        if name.rpartition(".")[2].startswith("test_")
    }

    assert found == set()


@pytest.mark.xdist_group("house")
def test_groups_of_tests_stay_together(request: pytest.FixtureRequest) -> None:
    """What looks at the running kernel must run in one process; pytest-xdist may forget it."""
    if "PYTEST_XDIST_WORKER" not in os.environ or not request.config.getoption("loadgroup"):
        pytest.skip("the tests run in one process, or groups are not asked for")
    assert request.node.nodeid.endswith("@house")
