"""Rules for the tests themselves."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from tools.class_names import modules, wrong

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


def test_a_class_name_stands_for_one_thing() -> None:
    assert list(wrong(dict(modules(TESTS.parent)))) == []


def test_doubled_names_are_found() -> None:
    texts = {
        "bridge.a": "class Place: ...\nclass _Own: ...\nclass Call: ...",
        "bridge.b": "class Place: ...\nclass _Own: ...\nfrom bridge.a import _Own",
        "bridge.ir.ops": "class Call: ...\nclass Jump: ...",
        "bridge.c": "from bridge.ir.ops import Call, Jump",
        "bridge.d": "from bridge.ir import ops\nops.Call()",
    }

    assert list(wrong({module: ast.parse(text) for module, text in texts.items()})) == [
        "class Place stands for 2 things: bridge.a, bridge.b",
        "bridge.b imports _Own of bridge.a by its bare name",
        "bridge.c imports Call of bridge.ir.ops by its bare name",
    ]
