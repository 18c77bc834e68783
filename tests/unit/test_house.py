"""Rules for the tests themselves."""

from __future__ import annotations

import ast
from pathlib import Path

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
